package kex

import (
	"crypto"
	"crypto/ecdh"
	"crypto/fips140"
	"crypto/mlkem"
	"crypto/rand"
	"fmt"
	"runtime"
)

// hybrid is a group that is a curve and an ML-KEM at once (draft-ietf-tls-
// ecdhe-mlkem). Both run side by side, and whoever wants the secret must break
// both. Shares and secrets are those of the parts, one after the other:
//
//	                    X25519MLKEM768              SecP…MLKEM…
//	initiator's share   encapsulation key | point   point | encapsulation key
//	responder's share   ciphertext | point          point | ciphertext
//	secret              ML-KEM's | curve's          curve's | ML-KEM's
//
// X25519MLKEM768 has them the other way round than its name.
type hybrid struct {
	group    Group
	curve    Group
	kem      *kem
	kemFirst bool
}

// hybridOf returns the parts of g, false if it has no such parts.
func hybridOf(g Group) (hybrid, bool) {
	switch g {
	case X25519MLKEM768:
		return hybrid{g, X25519, &mlkem768, true}, true
	case SecP256r1MLKEM768:
		return hybrid{g, P256, &mlkem768, false}, true
	case SecP384r1MLKEM1024:
		return hybrid{g, P384, &mlkem1024, false}, true
	default:
		return hybrid{}, false
	}
}

// kem is one parameter set of ML-KEM (FIPS 203, Section 8). Lengths in bytes.
type kem struct {
	keyLen, ciphertextLen int
	generate              func() (crypto.Decapsulator, error)
	encapsulator          func(key []byte) (crypto.Encapsulator, error)
}

var mlkem768 = kem{
	keyLen:        mlkem.EncapsulationKeySize768,
	ciphertextLen: mlkem.CiphertextSize768,
	generate:      func() (crypto.Decapsulator, error) { return mlkem.GenerateKey768() },
	encapsulator:  func(key []byte) (crypto.Encapsulator, error) { return mlkem.NewEncapsulationKey768(key) },
}

var mlkem1024 = kem{
	keyLen:        mlkem.EncapsulationKeySize1024,
	ciphertextLen: mlkem.CiphertextSize1024,
	generate:      func() (crypto.Decapsulator, error) { return mlkem.GenerateKey1024() },
	encapsulator:  func(key []byte) (crypto.Encapsulator, error) { return mlkem.NewEncapsulationKey1024(key) },
}

// generate makes both keys, and the share of the two.
func (hy hybrid) generate() (private *ecdh.PrivateKey, decapsulator crypto.Decapsulator, share []byte, err error) {
	if private, err = hy.generateCurve(); err != nil {
		return nil, nil, nil, err
	}
	if decapsulator, err = hy.kem.generate(); err != nil {
		return nil, nil, nil, err
	}
	share = hy.join(private.PublicKey().Bytes(), decapsulator.Encapsulator().Bytes())
	return private, decapsulator, share, nil
}

// respond takes the initiator's share.
func (hy hybrid) respond(peer []byte) (share, secret []byte, err error) {
	point, key, err := hy.split(peer, hy.kem.keyLen)
	if err != nil {
		return nil, nil, err
	}
	// FIPS 203, Section 7.2 wants an encapsulation key checked: its coefficients
	// must be below the modulus. This does.
	encapsulator, err := hy.kem.encapsulator(key)
	if err != nil {
		return nil, nil, badShare(hy.group, err)
	}
	private, err := hy.generateCurve()
	if err != nil {
		return nil, nil, err
	}
	fromCurve, err := hy.agree(private, point)
	if err != nil {
		return nil, nil, err
	}
	fromKEM, ciphertext := encapsulator.Encapsulate()
	return hy.join(private.PublicKey().Bytes(), ciphertext), hy.secret(fromCurve, fromKEM), nil
}

// finish takes the responder's share.
func (hy hybrid) finish(private *ecdh.PrivateKey, decapsulator crypto.Decapsulator, peer []byte) ([]byte, error) {
	point, ciphertext, err := hy.split(peer, hy.kem.ciphertextLen)
	if err != nil {
		return nil, err
	}
	fromCurve, err := hy.agree(private, point)
	if err != nil {
		return nil, err
	}
	// A ciphertext of the right size never fails. One that was not made for this
	// key yields a secret that nobody else has (FIPS 203, Section 6.3): to tell
	// the two apart would tell of the key. The handshake fails later.
	fromKEM, err := decapsulator.Decapsulate(ciphertext)
	if err != nil {
		return nil, badShare(hy.group, err)
	}
	return hy.secret(fromCurve, fromKEM), nil
}

// generateCurve and agree have X25519 in FIPS 140-only mode, too, which alone is
// refused there: ML-KEM is approved, and its secret is as good with another one
// beside it.
func (hy hybrid) generateCurve() (private *ecdh.PrivateKey, err error) {
	fips140.WithoutEnforcement(func() { private, err = curve(hy.curve).GenerateKey(rand.Reader) })
	return private, err
}

func (hy hybrid) agree(private *ecdh.PrivateKey, point []byte) (secret []byte, err error) {
	fips140.WithoutEnforcement(func() { secret, err = agree(hy.group, private, point) })
	return secret, err
}

// secret joins the secrets of the parts and overwrites them.
func (hy hybrid) secret(fromCurve, fromKEM []byte) []byte {
	joined := hy.join(fromCurve, fromKEM)
	clear(fromCurve)
	clear(fromKEM)
	runtime.KeepAlive(fromCurve)
	runtime.KeepAlive(fromKEM)
	return joined
}

func (hy hybrid) join(ofCurve, ofKEM []byte) []byte {
	joined := make([]byte, 0, len(ofCurve)+len(ofKEM))
	if hy.kemFirst {
		return append(append(joined, ofKEM...), ofCurve...)
	}
	return append(append(joined, ofCurve...), ofKEM...)
}

// split cuts a share whose ML-KEM part has kemLen bytes.
func (hy hybrid) split(share []byte, kemLen int) (ofCurve, ofKEM []byte, err error) {
	point := pointLen(hy.curve)
	if len(share) != point+kemLen {
		return nil, nil, badShare(hy.group, fmt.Errorf("%d bytes, want %d", len(share), point+kemLen))
	}
	if hy.kemFirst {
		return share[kemLen:], share[:kemLen], nil
	}
	return share[:point], share[point:], nil
}
