package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of the schemes
	_ "crypto/sha512"
	"crypto/tls"
	"fmt"
)

// Scheme is a SignatureScheme of RFC 8446, Section 4.2.3. The
// SignatureAndHashAlgorithm of RFC 5246, Section 7.4.1.4.1 has the same values.
type Scheme = tls.SignatureScheme

// The schemes for keys that are certified for RSASSA-PSS and nothing else, see
// [PSSPublicKey]. crypto/tls names all others.
const (
	PSSKeyWithSHA256 Scheme = 0x0809 // rsa_pss_pss_sha256
	PSSKeyWithSHA384 Scheme = 0x080a // rsa_pss_pss_sha384
	PSSKeyWithSHA512 Scheme = 0x080b // rsa_pss_pss_sha512
)

// DefaultSchemes returns the schemes used unless the configuration names others,
// the best first. They are all there are. The slice is the caller's.
func DefaultSchemes() []Scheme {
	return []Scheme{
		tls.ECDSAWithP256AndSHA256,
		tls.ECDSAWithP384AndSHA384,
		tls.ECDSAWithP521AndSHA512,
		tls.Ed25519,
		tls.PSSWithSHA256,
		tls.PSSWithSHA384,
		tls.PSSWithSHA512,
		PSSKeyWithSHA256,
		PSSKeyWithSHA384,
		PSSKeyWithSHA512,
		tls.PKCS1WithSHA256,
		tls.PKCS1WithSHA384,
		tls.PKCS1WithSHA512,
	}
}

// Supported reports whether this package can sign and verify with s.
func Supported(s Scheme) bool { return methodOf(s).kind != 0 }

// IsRSA reports whether s is for RSA keys of any kind.
func IsRSA(s Scheme) bool { return methodOf(s).kind >= kindPKCS1 }

// method is how a scheme signs.
type method struct {
	kind kind
	hash crypto.Hash // 0: the algorithm takes the whole message
}

type kind uint8

const (
	kindECDSA kind = 1 + iota
	kindEd25519
	kindPKCS1
	kindPSS    // key certified as rsaEncryption
	kindPSSKey // key certified as id-RSASSA-PSS
)

// methodOf returns how s signs, with kind 0 if it is not supported.
func methodOf(s Scheme) method {
	switch s {
	case tls.ECDSAWithP256AndSHA256:
		return method{kindECDSA, crypto.SHA256}
	case tls.ECDSAWithP384AndSHA384:
		return method{kindECDSA, crypto.SHA384}
	case tls.ECDSAWithP521AndSHA512:
		return method{kindECDSA, crypto.SHA512}
	case tls.Ed25519:
		return method{kindEd25519, 0}
	case tls.PSSWithSHA256:
		return method{kindPSS, crypto.SHA256}
	case tls.PSSWithSHA384:
		return method{kindPSS, crypto.SHA384}
	case tls.PSSWithSHA512:
		return method{kindPSS, crypto.SHA512}
	case PSSKeyWithSHA256:
		return method{kindPSSKey, crypto.SHA256}
	case PSSKeyWithSHA384:
		return method{kindPSSKey, crypto.SHA384}
	case PSSKeyWithSHA512:
		return method{kindPSSKey, crypto.SHA512}
	case tls.PKCS1WithSHA256:
		return method{kindPKCS1, crypto.SHA256}
	case tls.PKCS1WithSHA384:
		return method{kindPKCS1, crypto.SHA384}
	case tls.PKCS1WithSHA512:
		return method{kindPKCS1, crypto.SHA512}
	default:
		return method{}
	}
}

// digest returns what is signed in place of the message: its hash, or for
// Ed25519 the message itself (RFC 8422, Section 5.10).
func (m method) digest(message []byte) []byte {
	if m.hash == 0 {
		return message
	}
	h := m.hash.New()
	h.Write(message)
	return h.Sum(nil)
}

// fits tells why a key cannot be used with s, nil if it can.
//
// In DTLS 1.2 an ECDSA scheme stands for its hash alone: RFC 5246, Section
// 7.4.1.4.1 pairs a hash with an algorithm, and a P-256 key may sign a SHA-512
// hash. Only RFC 8446, Section 4.2.3 ties each hash to a curve.
func fits(pub crypto.PublicKey, s Scheme) error {
	m := methodOf(s)
	if m.kind == 0 {
		return fmt.Errorf("signature scheme %v is not supported", s)
	}
	ok := false
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		ok = m.kind == kindECDSA && usableCurve(key.Curve)
	case ed25519.PublicKey:
		ok = m.kind == kindEd25519 && len(key) == ed25519.PublicKeySize
	case *rsa.PublicKey:
		ok = m.kind == kindPKCS1 && usableSize(key) || m.kind == kindPSS && roomForPSS(key, m.hash)
	case *PSSPublicKey:
		ok = m.kind == kindPSSKey && key.allows(m.hash) && roomForPSS(key.RSA, m.hash)
	}
	if !ok {
		return fmt.Errorf("signature scheme %v does not fit a key of type %s", s, describe(pub))
	}
	return nil
}

// usableCurve reports whether RFC 8422, Section 5.1.1 leaves the curve for
// signatures.
func usableCurve(c elliptic.Curve) bool {
	return c == elliptic.P256() || c == elliptic.P384() || c == elliptic.P521()
}

// RSA keys have 1024 to 8192 bits. Below, crypto/rsa refuses them; above, one
// signature check would cost a peer less to ask for than us to answer. RFC 9325,
// Section 4.5 wants 2048 at least: that is for the policy of those who issue
// certificates, and for Policy.VerifyPeerCertificate.
const minRSABits, maxRSABits = 1024, 8192

func usableSize(key *rsa.PublicKey) bool {
	return minRSABits <= key.N.BitLen() && key.N.BitLen() <= maxRSABits
}

// roomForPSS reports whether the encoded message fits into the modulus. RFC
// 8017, Section 9.1.1: emLen is at least hLen + sLen + 2, of emBits one less
// than the modulus has; RFC 8446, Section 4.2.3 has a salt as long as the hash.
// A key of 1024 bits has no room for SHA-512.
func roomForPSS(key *rsa.PublicKey, h crypto.Hash) bool {
	emLen := (key.N.BitLen() - 1 + 7) / 8
	return usableSize(key) && emLen >= 2*h.Size()+2
}

// describe names a key's type for an error message.
func describe(pub crypto.PublicKey) string {
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *PSSPublicKey:
		return fmt.Sprintf("RSASSA-PSS %d", key.RSA.N.BitLen())
	default:
		return fmt.Sprintf("%T", pub)
	}
}
