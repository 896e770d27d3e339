package auth

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// ChooseScheme picks the scheme to sign with: the first in the peer's order that
// is in own, too, and that the certificate's key can make. The peer's order
// counts because RFC 8446, Section 4.2.3 calls it a preference, and the peer has
// the work of verifying.
//
// cert.SupportedSignatureAlgorithms, if set, narrows own further: keys in
// hardware may know only some of what their type could do.
//
// Nothing in common is a handshake_failure. So is a peer without a list: RFC
// 5246, Section 7.4.1.4.1 would then have SHA-1, and RFC 9155, Section 2 takes
// that away.
func ChooseScheme(cert *tls.Certificate, peer, own []Scheme) (Scheme, error) {
	return choose(cert, peer, own, fits)
}

// ChooseScheme13 is [ChooseScheme] under the rules of DTLS 1.3, see
// [Schemes13]. What it picks is for [Sign], with the message of [Signed13].
//
// A client without a list gets a missing_extension from the caller, who knows
// that the extension was absent (RFC 8446, Section 4.2.3).
func ChooseScheme13(cert *tls.Certificate, peer, own []Scheme) (Scheme, error) {
	return choose(cert, peer, own, fits13)
}

func choose(cert *tls.Certificate, peer, own []Scheme, fits fitRule) (Scheme, error) {
	pub, err := publicKeyOf(cert)
	if err != nil {
		return 0, err
	}
	usable := fits.among(pub, own)
	for _, s := range peer {
		if !slices.Contains(usable, s) {
			continue
		}
		if limits := cert.SupportedSignatureAlgorithms; limits != nil && !slices.Contains(limits, s) {
			continue
		}
		return s, nil
	}
	return 0, alert.Errorf(alert.HandshakeFailure, "no signature scheme in common for our %s key", describe(pub))
}

// ChainSuits reports whether a peer that verifies signatures of these schemes can verify
// all that are in the chain. Those of certificates that are self-signed are not checked
// (RFC 8446, Section 4.4.2.2). An ECDSA scheme stands for its hash alone here.
func ChainSuits(cert *tls.Certificate, peer []Scheme) bool {
	for _, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return false
		}
		if bytes.Equal(c.RawIssuer, c.RawSubject) {
			continue
		}
		if !slices.ContainsFunc(peer, func(s Scheme) bool { return slices.Contains(certifiedBy[c.SignatureAlgorithm], s) }) {
			return false
		}
	}
	return true
}

// certifiedBy are the schemes that a signature in a certificate may be of. The key of an
// issuer for RSASSA-PSS may be of either kind.
var certifiedBy = map[x509.SignatureAlgorithm][]Scheme{
	x509.SHA1WithRSA:      {tls.PKCS1WithSHA1},
	x509.SHA256WithRSA:    {tls.PKCS1WithSHA256},
	x509.SHA384WithRSA:    {tls.PKCS1WithSHA384},
	x509.SHA512WithRSA:    {tls.PKCS1WithSHA512},
	x509.SHA256WithRSAPSS: {tls.PSSWithSHA256, PSSKeyWithSHA256},
	x509.SHA384WithRSAPSS: {tls.PSSWithSHA384, PSSKeyWithSHA384},
	x509.SHA512WithRSAPSS: {tls.PSSWithSHA512, PSSKeyWithSHA512},
	x509.ECDSAWithSHA1:    {tls.ECDSAWithSHA1},
	x509.ECDSAWithSHA256:  {tls.ECDSAWithP256AndSHA256},
	x509.ECDSAWithSHA384:  {tls.ECDSAWithP384AndSHA384},
	x509.ECDSAWithSHA512:  {tls.ECDSAWithP521AndSHA512},
	x509.PureEd25519:      {tls.Ed25519},
}

// SchemesFor returns those of own that a key can make, in the same order.
func SchemesFor(pub crypto.PublicKey, own []Scheme) []Scheme {
	return fitRule(fits).among(pub, own)
}

// fitRule tells why a key cannot be used with a scheme, nil if it can. [fits] is
// that of DTLS 1.2, [fits13] that of DTLS 1.3.
type fitRule func(crypto.PublicKey, Scheme) error

// among returns those of own that a key can make, in the same order.
func (fits fitRule) among(pub crypto.PublicKey, own []Scheme) []Scheme {
	var usable []Scheme
	for _, s := range own {
		if fits(pub, s) == nil {
			usable = append(usable, s)
		}
	}
	return usable
}

// publicKeyOf returns the public key of our own certificate, and sees to it that
// the private key belongs to it.
func publicKeyOf(cert *tls.Certificate) (crypto.PublicKey, error) {
	signer, ok := cert.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key of type %T cannot sign", cert.PrivateKey)
	}
	leaf := cert.Leaf
	if leaf == nil {
		if len(cert.Certificate) == 0 {
			return nil, errors.New("no certificate for the private key")
		}
		var err error
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, fmt.Errorf("our certificate: %w", err)
		}
	}
	pub, err := publicKey(leaf)
	if err != nil {
		return nil, fmt.Errorf("our certificate: %w", err)
	}
	if !matches(pub, signer.Public()) {
		return nil, errors.New("private key does not belong to the certificate")
	}
	return pub, nil
}

// CheckOwn tells why our own certificate cannot be used at all, whatever the peer
// offers; nil if it can.
func CheckOwn(cert *tls.Certificate) error {
	pub, err := publicKeyOf(cert)
	if err == nil && len(SchemesFor(pub, DefaultSchemes())) == 0 {
		return fmt.Errorf("no signature scheme fits a key of type %s", describe(pub))
	}
	return err
}

// matches reports whether a certified key is the signer's.
func matches(certified, signers crypto.PublicKey) bool {
	if pss, ok := certified.(*PSSPublicKey); ok {
		certified = pss.RSA
	}
	key, ok := certified.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(signers)
}
