package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// Schemes13 returns those of list that a DTLS 1.3 CertificateVerify may have, in
// the same order. RFC 8446, Section 4.2.3: those with PKCS #1 v1.5 "refer solely
// to signatures which appear in certificates".
//
// They may stay in what signature_algorithms offers, for the sake of certificates
// and of DTLS 1.2.
func Schemes13(list []Scheme) []Scheme {
	return slices.DeleteFunc(slices.Clone(list), func(s Scheme) bool {
		kind := methodOf(s).kind
		return kind == 0 || kind == kindPKCS1
	})
}

// fits13 is [fits] with what RFC 8446, Section 4.2.3 adds: no PKCS #1 v1.5, and
// an ECDSA scheme stands for its curve, too.
func fits13(pub crypto.PublicKey, s Scheme) error {
	if methodOf(s).kind == kindPKCS1 {
		return fmt.Errorf("signature scheme %v is not for handshake messages of DTLS 1.3", s)
	}
	if err := fits(pub, s); err != nil {
		return err
	}
	if key, ok := pub.(*ecdsa.PublicKey); ok && key.Curve != curveOf(s) {
		return fmt.Errorf("signature scheme %v does not fit a key of type %s", s, describe(pub))
	}
	return nil
}

// curveOf returns the curve of an ECDSA scheme, nil for others.
func curveOf(s Scheme) elliptic.Curve {
	switch s {
	case tls.ECDSAWithP256AndSHA256:
		return elliptic.P256()
	case tls.ECDSAWithP384AndSHA384:
		return elliptic.P384()
	case tls.ECDSAWithP521AndSHA512:
		return elliptic.P521()
	default:
		return nil
	}
}

// Signed13 returns what a CertificateVerify of the server or the client signs.
//
// RFC 8446, Section 4.4.3: 64 spaces, a context string, a zero byte and the
// transcript hash up to, not including, the CertificateVerify. The hash is the
// cipher suite's, whatever the scheme. DTLS 1.3 has the context strings of TLS.
func Signed13(server bool, transcriptHash []byte) []byte {
	side := "client"
	if server {
		side = "server"
	}
	return append([]byte(strings.Repeat(" ", 64)+"TLS 1.3, "+side+" CertificateVerify\x00"), transcriptHash...)
}
