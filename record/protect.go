package record

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
)

const (
	nonceLen = 12 // every AEAD here
	saltLen  = 4  // what of the nonce is the same for all records of an epoch
)

// protection is what both halves of an epoch have, in either version: the keyed
// AEAD, and room for the nonce, which would otherwise be allocated for each
// record.
//
// One rule makes the nonces of all suites. The last eight bytes vary, and are
// the XOR of a mask with a number:
//
//	        | 4 bytes      | 8 bytes                          |
//	nonce = | constant     | mask XOR variable                |
//
//	1.2 GCM, CCM | salt    | 0        explicit nonce          |  RFC 5288, Section 3; RFC 6655, Section 3
//	1.2 ChaCha   | iv[0:4] | iv[4:12] epoch | sequence number |  RFC 7905, Section 2
//	1.3 all      | iv[0:4] | iv[4:12] sequence number         |  RFC 9147, Section 4; RFC 9846, Section 5.3
//
// Our own explicit nonce is epoch | sequence number, too (RFC 5288, Section 3),
// so no nonce returns while no number does.
type protection struct {
	cipher cipher.AEAD // nil in epoch 0
	mask   uint64
	nonce  [nonceLen]byte // constant part in place
	aead   AEAD
	wiped  bool
}

// newProtection checks lengths and keys the AEAD; the iv has ivLen bytes. It
// keeps neither key nor iv. Without cipher it is the plaintext of epoch 0.
func newProtection(a AEAD, key, iv []byte, ivLen int) (protection, error) {
	p := protection{aead: a}
	switch {
	case !a.known():
		return p, fmt.Errorf("dtls: unknown record protection %v", a)
	case len(key) != a.KeyLen():
		return p, fmt.Errorf("dtls: key of %d bytes for %v, want %d", len(key), a, a.KeyLen())
	case len(iv) != ivLen:
		return p, fmt.Errorf("dtls: iv of %d bytes for %v, want %d", len(iv), a, ivLen)
	case a == None:
		return p, nil
	}
	var err error
	if p.cipher, err = a.newCipher(key); err != nil {
		return p, fmt.Errorf("dtls: %v: %w", a, err)
	}
	copy(p.nonce[:saltLen], iv)
	if len(iv) == nonceLen {
		p.mask = binary.BigEndian.Uint64(iv[saltLen:])
	}
	return p, nil
}

// nonceOf fills in the part of the nonce that varies.
func (p *protection) nonceOf(variable uint64) []byte {
	binary.BigEndian.PutUint64(p.nonce[saltLen:], p.mask^variable)
	return p.nonce[:]
}

// AEAD is how the records are protected.
func (p *protection) AEAD() AEAD { return p.aead }

// wipe zeroes the IV and lets go of the key. The expanded key lies inside the
// AEAD, where Go gives no access; the garbage collector frees it, unzeroed.
func (p *protection) wipe() {
	*p = protection{aead: p.aead, wiped: true}
}
