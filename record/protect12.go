package record

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
)

const (
	nonceLen = 12 // every AEAD here
	aadLen   = 13 // RFC 5246, Section 6.2.3.3
	saltLen  = 4  // what of the nonce is the same for all records of an epoch
)

// protection12 is what both halves of an epoch have: the keyed AEAD, and room
// for nonce and additional data, which would otherwise be allocated for each
// record.
//
// One rule makes the nonces of all suites. The last eight bytes vary, and are
// the XOR of a mask with a number:
//
//	        | 4 bytes      | 8 bytes                          |
//	nonce = | constant     | mask XOR variable                |
//	GCM, CCM| salt         | 0        explicit nonce          |  RFC 5288, Section 3; RFC 6655, Section 3
//	ChaCha  | iv[0:4]      | iv[4:12] epoch | sequence number |  RFC 7905, Section 2
//
// Our own explicit nonce is epoch | sequence number, too (RFC 5288, Section 3),
// so no nonce returns while no number does.
type protection12 struct {
	cipher cipher.AEAD // nil in epoch 0
	mask   uint64
	nonce  [nonceLen]byte // constant part in place
	aad    [aadLen]byte
	aead   AEAD
	wiped  bool
	epoch  uint16
}

// newProtection12 checks lengths and keys the AEAD. It keeps neither key nor iv.
func newProtection12(a AEAD, key, iv []byte, epoch uint16) (protection12, error) {
	p := protection12{aead: a, epoch: epoch}
	switch {
	case !a.known():
		return p, fmt.Errorf("dtls: unknown record protection %v", a)
	case len(key) != a.KeyLen():
		return p, fmt.Errorf("dtls: key of %d bytes for %v, want %d", len(key), a, a.KeyLen())
	case len(iv) != a.IVLen():
		return p, fmt.Errorf("dtls: iv of %d bytes for %v, want %d", len(iv), a, a.IVLen())
	case a == None && epoch != 0:
		// RFC 6347, Section 4.1: only epoch 0 has no protection. Whoever asks for
		// plaintext elsewhere has lost a key.
		return p, fmt.Errorf("dtls: no record protection in epoch %d", epoch)
	case a == None:
		return p, nil
	}
	var err error
	if p.cipher, err = a.newCipher(key); err != nil {
		return p, fmt.Errorf("dtls: %v: %w", a, err)
	}
	copy(p.nonce[:saltLen], iv)
	if a.ExplicitNonceLen() == 0 {
		p.mask = binary.BigEndian.Uint64(iv[saltLen:])
	}
	return p, nil
}

// nonceOf fills in the part of the nonce that varies.
func (p *protection12) nonceOf(variable uint64) []byte {
	binary.BigEndian.PutUint64(p.nonce[saltLen:], p.mask^variable)
	return p.nonce[:]
}

// additionalData is RFC 5246, Section 6.2.3.3: seq_num, type, version, length
// of the plaintext. RFC 6347, Section 4.1.2.1: seq_num is epoch | sequence
// number.
func (p *protection12) additionalData(number uint64, typ ContentType, version uint16, plaintext int) []byte {
	binary.BigEndian.PutUint64(p.aad[0:], number)
	p.aad[8] = byte(typ)
	binary.BigEndian.PutUint16(p.aad[9:], version)
	binary.BigEndian.PutUint16(p.aad[11:], uint16(plaintext))
	return p.aad[:]
}

// wipe zeroes the IV and lets go of the key. The expanded key lies inside the
// AEAD, where Go gives no access; the garbage collector frees it, unzeroed.
func (p *protection12) wipe() {
	*p = protection12{aead: p.aead, epoch: p.epoch, wiped: true}
}
