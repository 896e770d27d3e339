package auth

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// Chain is what a peer sent in its Certificate message: its own certificate,
// the leaf, and others that may help to find a way to a root. Until
// [Chain.Verify] it is a claim.
type Chain struct {
	Raw          [][]byte              // as sent, DER, the leaf first
	Certificates []*x509.Certificate   // the same, parsed
	Verified     [][]*x509.Certificate // the ways to a root that Verify found

	leafKey crypto.PublicKey
}

// ParseChain parses the certificates of a Certificate message. It copies raw.
//
// A list without a certificate is a decode_error. A server may get one from a
// client that has none, and looks for that before: what to do then depends on
// whether a certificate was required (RFC 5246, Section 7.4.6).
//
// A certificate that cannot be parsed, or has an RSA key under 1024 or over 8192
// bits, is a bad_certificate; a leaf whose key is of a type that no signature
// scheme can use, an unsupported_certificate. The leaf's key is RSA, RSASSA-PSS,
// Ed25519 or ECDSA on P-256, P-384 or P-521.
func ParseChain(raw [][]byte) (*Chain, error) {
	if len(raw) == 0 {
		return nil, alert.Errorf(alert.DecodeError, "no certificate in the peer's list")
	}
	c := &Chain{
		Raw:          make([][]byte, 0, len(raw)),
		Certificates: make([]*x509.Certificate, 0, len(raw)),
	}
	for i, der := range raw {
		der = bytes.Clone(der) // a Certificate points into what it was parsed from
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, alert.Errorf(alert.BadCertificate, "certificate %d of the peer: %w", i, err)
		}
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && !usableSize(key) {
			return nil, badRSASize(i, key)
		}
		c.Raw = append(c.Raw, der)
		c.Certificates = append(c.Certificates, cert)
	}
	key, err := parseLeafKey(c.Leaf())
	if err != nil {
		return nil, err
	}
	c.leafKey = key
	return c, nil
}

// Leaf returns the peer's own certificate. RFC 5246, Section 7.4.2: it "MUST
// come first in the list".
func (c *Chain) Leaf() *x509.Certificate { return c.Certificates[0] }

// PublicKey returns the peer's key, for [Verify]: an *ecdsa.PublicKey, an
// ed25519.PublicKey, an *rsa.PublicKey or a [*PSSPublicKey].
func (c *Chain) PublicKey() crypto.PublicKey { return c.leafKey }

// parseLeafKey returns the leaf's key if some scheme can verify with it.
func parseLeafKey(leaf *x509.Certificate) (crypto.PublicKey, error) {
	pub, err := publicKey(leaf)
	if err != nil {
		return nil, alert.Errorf(alert.BadCertificate, "certificate of the peer: %w", err)
	}
	if key, ok := pub.(*PSSPublicKey); ok && !usableSize(key.RSA) {
		return nil, badRSASize(0, key.RSA)
	}
	if len(SchemesFor(pub, DefaultSchemes())) == 0 {
		return nil, alert.Errorf(alert.UnsupportedCertificate, "certificate of the peer has a key of type %s", describe(pub))
	}
	return pub, nil
}

func badRSASize(i int, key *rsa.PublicKey) error {
	return alert.Errorf(alert.BadCertificate, "certificate %d of the peer has an RSA key of %d bits, want %d to %d",
		i, key.N.BitLen(), minRSABits, maxRSABits)
}
