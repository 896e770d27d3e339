package record

import "slices"

// Sealer13 is the write half of one protected DTLS 1.3 epoch: it numbers,
// protects and frames records, and encrypts their numbers. It belongs to one
// goroutine at a time.
//
// Its headers have a number of 16 bits, a length, and no connection ID.
type Sealer13 struct {
	writeHalf
	context13
}

// NewSealer13 returns the write half of an epoch, which begins with sequence
// number 0. Key and sn, the key of record numbers, have [AEAD.KeyLen] bytes,
// the iv has [AEAD.IVLen13]; all are copied, so the caller may zero them. Epoch 0
// and [None] are errors: plaintext of DTLS 1.3 has the records of DTLS 1.2, and
// a [Sealer12] makes them.
func NewSealer13(a AEAD, key, iv, sn []byte, epoch uint64) (*Sealer13, error) {
	p, c, err := newProtection13(a, key, iv, sn, epoch)
	if err != nil {
		return nil, err
	}
	return &Sealer13{newWriteHalf(p), c}, nil
}

// Seal appends one record with the payload to dst, and returns the longer slice
// and the record's number. The content type is encrypted, too, and so are the
// zeros that hide the payload's length: padding is their number. (Negative is
// none; where a record would be too short for the encryption of its number,
// [AES128CCM8] adds up to seven.) It allocates only when dst has no room for
// len(payload) + padding + [Sealer13.Overhead] bytes more, or for 21 if that is
// more. The room after dst must not overlap the payload.
//
// A number is consumed even if the caller then drops the record: a number
// used twice would be a nonce used twice. With an error, dst comes back as it
// was and no number is consumed:
//
//   - [ErrInner]: no record of DTLS 1.3 carries the type in a protected epoch.
//   - [ErrPayloadTooLong]: payload and padding have more than [MaxPlaintext] bytes.
//   - [ErrLimit]: the keys have protected all the records they should.
//   - [ErrSequenceExhausted]: the number [MaxSeq] was used. RFC 9147, Section 4
//     has sequence numbers of 64 bits; we end where those of plaintext end.
//   - [ErrWiped]: after [Sealer13.Wipe].
func (s *Sealer13) Seal(dst []byte, typ ContentType, payload []byte, padding int) (out []byte, n Number, err error) {
	padding = max(padding, s.aead.minBody13()-s.aead.TagLen()-1-len(payload), 0)
	if err := s.refusal(typ, len(payload), padding); err != nil {
		return dst, Number{}, err
	}
	n = Number{Epoch: s.epoch, Seq: s.take()}
	return s.protect(dst, n, typ, payload, padding), n, nil
}

// refusal says why no record can be made, or nil.
func (s *Sealer13) refusal(typ ContentType, payload, padding int) error {
	padding = min(padding, MaxPlaintext+1) // the sum might overflow
	if err := s.writeHalf.refusal(payload + padding); err != nil {
		return err
	}
	if !typ.protected() {
		return ErrInner
	}
	return nil
}

// protect appends header and encrypted_record.
func (s *Sealer13) protect(dst []byte, n Number, typ ContentType, payload []byte, padding int) []byte {
	inner := len(payload) + 1 + padding
	length := inner + s.aead.TagLen()
	at := len(dst)
	body := at + HeaderLen13
	dst = appendUnified(slices.Grow(dst, HeaderLen13+length), n, length)

	// RFC 9147, Section 4: DTLSInnerPlaintext is content, type, zeros.
	dst = append(append(dst, payload...), byte(typ))
	dst = dst[:body+inner]
	clear(dst[body+len(payload)+1:])

	// RFC 9147, Section 4: the header, with the plain number, is the additional data.
	dst = s.cipher.Seal(dst[:body], s.nonceOf(n.Seq), dst[body:], dst[at:body])
	s.number.apply(dst[at+1:at+3], dst[body:])
	return dst
}

// Epoch is the epoch all records are numbered in. Two bits of it are sent.
func (s *Sealer13) Epoch() uint64 { return s.epoch }

// Overhead is what a record adds to its payload: [AEAD.Overhead13].
func (s *Sealer13) Overhead() int { return s.aead.Overhead13() }

// Wipe ends the use of the keys: Seal then returns [ErrWiped]. It zeroes the IV
// and the number key of ChaCha20, and drops the only references to the expanded
// keys, which Go's ciphers keep to themselves and do not zero. The counters stay.
func (s *Sealer13) Wipe() {
	s.wipe()
	s.number.wipe()
}
