package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// Sign signs a message, which is hashed here. A nil random means crypto/rand.
// Every error is ours: a key that fails, or one that the scheme does not fit.
//
// In DTLS 1.2 the message is the two randoms and the server's key exchange
// parameters (RFC 8422, Section 5.4), or the transcript (RFC 5246, Section
// 7.4.8). In DTLS 1.3 it is what [Signed13] returns.
func Sign(random io.Reader, key crypto.Signer, s Scheme, message []byte) ([]byte, error) {
	m := methodOf(s)
	pub := key.Public()
	if rsaKey, ok := pub.(*rsa.PublicKey); ok && m.kind == kindPSSKey {
		pub = &PSSPublicKey{RSA: rsaKey} // only the certificate knows; ChooseScheme asked it
	}
	if err := fits(pub, s); err != nil {
		return nil, err
	}
	if random == nil {
		random = rand.Reader
	}
	var opts crypto.SignerOpts = m.hash
	if m.kind == kindPSS || m.kind == kindPSSKey {
		opts = pssOptions(m.hash)
	}
	sig, err := key.Sign(random, m.digest(message), opts)
	if err != nil {
		return nil, fmt.Errorf("signing with %v: %w", s, err)
	}
	return sig, nil
}

// Verify checks the peer's signature over a message, which is hashed here.
//
// A scheme that does not fit the key is an illegal_parameter: the peer knows
// both. The caller checks that the scheme was offered. A signature that is
// wrong is a decrypt_error: RFC 5246, Section 7.2.2 has that alert for one which
// could not be verified, RFC 8446, Section 4.4.3 demands it.
func Verify(pub crypto.PublicKey, s Scheme, message, sig []byte) error {
	return verify(pub, s, message, sig, fits)
}

// Verify13 is [Verify] under the rules of DTLS 1.3, see [Schemes13]. The message
// is what [Signed13] returns.
func Verify13(pub crypto.PublicKey, s Scheme, message, sig []byte) error {
	return verify(pub, s, message, sig, fits13)
}

func verify(pub crypto.PublicKey, s Scheme, message, sig []byte, fits fitRule) error {
	if err := fits(pub, s); err != nil {
		return alert.Errorf(alert.IllegalParameter, "%w", err)
	}
	m := methodOf(s)
	if !valid(pub, m, m.digest(message), sig) {
		return alert.Errorf(alert.DecryptError, "signature with %v does not verify", s)
	}
	return nil
}

// valid checks a signature; the method fits the key.
func valid(pub crypto.PublicKey, m method, digest, sig []byte) bool {
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, sig)
	case ed25519.PublicKey:
		return ed25519.Verify(key, digest, sig)
	case *PSSPublicKey:
		return rsa.VerifyPSS(key.RSA, m.hash, digest, sig, pssOptions(m.hash)) == nil
	case *rsa.PublicKey:
		if m.kind == kindPSS {
			return rsa.VerifyPSS(key, m.hash, digest, sig, pssOptions(m.hash)) == nil
		}
		return rsa.VerifyPKCS1v15(key, m.hash, digest, sig) == nil
	default:
		return false
	}
}

// pssOptions are those of RFC 8446, Section 4.2.3: "The length of the Salt MUST
// be equal to the length of the digest algorithm."
func pssOptions(h crypto.Hash) *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}
}
