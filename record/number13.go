package record

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20"
)

// sampleLen is how much of a ciphertext makes the mask of the record's number.
// RFC 9147, Section 4.2.3: a ciphertext is at least as long.
const sampleLen = 16

// numberMask makes the masks that encrypt record numbers: RFC 9147, Section
// 4.2.3. Its key is the sn_key of an epoch.
type numberMask struct {
	block cipher.Block           // AES, nil for ChaCha20
	room  [aes.BlockSize]byte    // what AES computes; here, or it would be allocated
	key   [chacha20.KeySize]byte // ChaCha20
}

// newNumberMask keys the mask, and keeps no reference to the key.
func newNumberMask(a AEAD, key []byte) (numberMask, error) {
	var m numberMask
	if len(key) != a.KeyLen() {
		return m, fmt.Errorf("dtls: record number key of %d bytes for %v, want %d", len(key), a, a.KeyLen())
	}
	if a == ChaCha20Poly1305 {
		copy(m.key[:], key)
		return m, nil
	}
	var err error
	m.block, err = aes.NewCipher(key)
	return m, err
}

// apply encrypts or decrypts a number of one or two bytes, in place. The
// ciphertext has at least sampleLen bytes.
func (m *numberMask) apply(number, ciphertext []byte) {
	var mask [2]byte
	if m.block != nil {
		m.block.Encrypt(m.room[:], ciphertext)
		mask = [2]byte(m.room[:])
	} else {
		// The lengths are right, so there is no error. One block can be had at
		// every value of the counter.
		stream, _ := chacha20.NewUnauthenticatedCipher(m.key[:], ciphertext[4:sampleLen])
		stream.SetCounter(binary.LittleEndian.Uint32(ciphertext))
		stream.XORKeyStream(mask[:], mask[:])
	}
	for i := range number {
		number[i] ^= mask[i]
	}
}

// wipe zeroes what can be reached of the key.
func (m *numberMask) wipe() { *m = numberMask{} }

// reconstruct completes a sequence number of which the low 8 or 16 bits are
// known. RFC 9147, Section 4.2.2: it is the one closest to expected, one more
// than the highest number opened.
//
//	candidates ──┴───────────────┴───────────────┴──▶
//	                         ▲ expected
//	             │◀─ size ──▶│ (2^8 or 2^16)
//
// Of two that are equally close, the newer: a gap of that length means loss
// rather than reordering. Numbers end at [MaxSeq], as they do for us.
func reconstruct(expected, low uint64, bits int) uint64 {
	size := uint64(1) << bits
	half := size / 2
	seq := expected&^(size-1) | low
	switch {
	case seq >= size && (seq > MaxSeq || seq > expected+half):
		seq -= size
	case seq+half <= expected && seq+size <= MaxSeq:
		seq += size
	}
	return seq
}
