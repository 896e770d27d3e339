package record

import (
	"encoding/binary"
	"slices"
)

// Sealer12 is the write half of one DTLS 1.2 epoch: it numbers, protects and
// frames records. It belongs to one goroutine at a time.
type Sealer12 struct {
	writeHalf
	context12
}

// NewSealer12 returns the write half of an epoch, which begins with sequence
// number 0. The lengths of key and iv are [AEAD.KeyLen] and [AEAD.IVLen]; both
// are copied, so the caller may zero them. [None] takes neither and protects
// nothing, in epoch 0 only.
func NewSealer12(a AEAD, key, iv []byte, epoch uint16) (*Sealer12, error) {
	p, err := newProtection12(a, key, iv, epoch)
	if err != nil {
		return nil, err
	}
	return &Sealer12{newWriteHalf(p), context12{epoch: epoch}}, nil
}

// Seal appends one record with the payload to dst and returns the longer slice
// and the record's number. It allocates only when dst has no room for
// len(payload) + [Sealer12.Overhead] bytes more. The room after dst must not
// overlap the payload.
//
// A number is consumed even if the caller then drops the record: a number
// used twice would be a nonce used twice. With an error, dst comes back as it
// was and no number is consumed:
//
//   - [ErrPayloadTooLong]: more than [MaxPlaintext] bytes.
//   - [ErrLimit]: the keys have protected all the records they should.
//   - [ErrSequenceExhausted]: the number [MaxSeq] was used.
//   - [ErrWiped]: after [Sealer12.Wipe].
func (s *Sealer12) Seal(dst []byte, typ ContentType, version uint16, payload []byte) (out []byte, n Number, err error) {
	if err := s.refusal(len(payload)); err != nil {
		return dst, Number{}, err
	}
	n = Number{Epoch: uint64(s.epoch), Seq: s.take()}
	return s.protect(dst, Header{Type: typ, Version: version, Number: n}, payload), n, nil
}

// protect appends header and fragment; it completes h.Length.
func (s *Sealer12) protect(dst []byte, h Header, payload []byte) []byte {
	h.Length = s.Overhead() - HeaderLen + len(payload)
	dst = AppendHeader(slices.Grow(dst, HeaderLen+h.Length), h)
	if s.cipher == nil {
		return append(dst, payload...)
	}
	number := h.pack12()
	if s.aead.ExplicitNonceLen() > 0 {
		dst = binary.BigEndian.AppendUint64(dst, number)
	}
	aad := s.additionalData(number, h.Type, h.Version, len(payload))
	return s.cipher.Seal(dst, s.nonceOf(number), payload, aad)
}

// SkipTo makes seq the number of the next record, and never uses those before.
// A server that answered a ClientHello without keeping state goes on after its
// number: RFC 6347, Section 4.2.1. Errors: [ErrSkipBack] when that would use a
// number twice, [ErrSequenceExhausted] past [MaxSeq].
func (s *Sealer12) SkipTo(seq uint64) error {
	switch {
	case seq < s.next:
		return ErrSkipBack
	case seq > MaxSeq:
		return ErrSequenceExhausted
	}
	s.next = seq
	return nil
}

// Epoch is the epoch all records are numbered in.
func (s *Sealer12) Epoch() uint16 { return s.epoch }

// Overhead is what a record adds to its payload: [AEAD.Overhead12].
func (s *Sealer12) Overhead() int { return s.aead.Overhead12() }

// Wipe ends the use of the keys: Seal then returns [ErrWiped]. It zeroes the IV
// and drops the only reference to the expanded key, which Go's ciphers keep to
// themselves and do not zero. The counters stay.
func (s *Sealer12) Wipe() { s.wipe() }
