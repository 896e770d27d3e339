package record

import (
	"encoding/binary"
	"fmt"
)

const aadLen12 = 13 // RFC 5246, Section 6.2.3.3

// context12 is what stands beside the protection in both halves of an epoch of
// DTLS 1.2: its number, and room for the additional data of a record.
type context12 struct {
	aad   [aadLen12]byte
	epoch uint16
}

// newProtection12 is newProtection with the rules of DTLS 1.2.
func newProtection12(a AEAD, key, iv []byte, epoch uint16) (protection, error) {
	if a == None && epoch != 0 {
		// RFC 6347, Section 4.1: only epoch 0 has no protection. Whoever asks for
		// plaintext elsewhere has lost a key.
		return protection{}, fmt.Errorf("dtls: no record protection in epoch %d", epoch)
	}
	return newProtection(a, key, iv, a.IVLen())
}

// additionalData is RFC 5246, Section 6.2.3.3: seq_num, type, version, length
// of the plaintext. RFC 6347, Section 4.1.2.1: seq_num is epoch | sequence
// number.
func (c *context12) additionalData(number uint64, typ ContentType, version uint16, plaintext int) []byte {
	binary.BigEndian.PutUint64(c.aad[0:], number)
	c.aad[8] = byte(typ)
	binary.BigEndian.PutUint16(c.aad[9:], version)
	binary.BigEndian.PutUint16(c.aad[11:], uint16(plaintext))
	return c.aad[:]
}
