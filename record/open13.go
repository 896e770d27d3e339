package record

// Opener13 is the read half of one protected DTLS 1.3 epoch: it decrypts and
// completes the numbers of records, and tells authentic, new records from all
// others. It belongs to one goroutine at a time.
type Opener13 struct {
	readHalf
	context13
}

// NewOpener13 returns the read half of an epoch. Key and sn, the key of record
// numbers, have [AEAD.KeyLen] bytes, the iv has [AEAD.IVLen13]; all are copied,
// so the caller may zero them. Epoch 0 and [None] are errors: plaintext of DTLS
// 1.3 has the records of DTLS 1.2, and an [Opener12] reads them.
//
// The replay window covers the given number of records, [MinWindow] to
// [MaxWindow], rounded up to a multiple of 64. RFC 9147, Section 4.5.1: each
// epoch has a window of its own.
func NewOpener13(a AEAD, key, iv, sn []byte, epoch uint64, window int) (*Opener13, error) {
	p, c, err := newProtection13(a, key, iv, sn, epoch)
	if err != nil {
		return nil, err
	}
	r, err := newReadHalf(p, window)
	if err != nil {
		return nil, err
	}
	return &Opener13{r, c}, nil
}

// Open returns content type, plaintext and number of a record, decrypted in
// place: the plaintext is a part of u.Body, without its padding, and valid as
// long as that. u comes from [NextUnified], and can be opened once: whatever the
// answer, header and body have changed.
//
// The header has two bits of the epoch, which choose among a few openers, and
// 8 or 16 bits of the sequence number. That is completed to the one closest to
// the number after [Opener13.Newest]: RFC 9147, Section 4.2.2. A record which is
// farther off than half the span of those bits is not authentic, therefore.
//
// RFC 9147, Section 4.5.1: replay is checked after decryption, as the time of an
// earlier refusal would tell about the number. Window and Newest change only
// when a record opens. n is set beside all errors that an authentic record can
// have.
//
// Records to drop without a word (RFC 9147, Section 4.5.2):
//
//   - [ErrEpoch]: the epoch's bits are not those of this one.
//   - [ErrShort]: no room for 16 bytes of ciphertext, or for tag and content type.
//   - [ErrTooLong]: longer than [MaxCiphertext13].
//   - [ErrBadMAC]: not authentic; counted in [Opener13.Failed].
//   - [ErrReplayed]: an authentic record with this number was opened.
//   - [ErrStale]: the number is left of the window.
//   - [ErrInner]: authentic, but with nothing but zeros inside, or with a
//     content type that has no place there.
//
// Ends of the association:
//
//   - [ErrOverflow]: authentic, yet content and padding are over [MaxPlaintext];
//     send record_overflow.
//   - [ErrForgeryLimit]: this failure reached the limit of the keys. From then
//     on it is the answer to every record, and no decryption is tried. If newer
//     keys are in use, dropping these is enough: RFC 9147, Section 4.5.3.
//   - [ErrWiped]: after [Opener13.Wipe].
//
// Whether an empty plaintext has a meaning depends on its type. RFC 9846,
// Section 5.4: an empty alert or handshake record is an unexpected_message.
func (o *Opener13) Open(u Unified) (typ ContentType, plaintext []byte, n Number, err error) {
	if err := o.refusal(u); err != nil {
		return 0, nil, Number{}, err
	}
	n = Number{Epoch: o.epoch, Seq: o.decryptNumber(u)}
	inner, err := o.cipher.Open(u.Body[:0], o.nonceOf(n.Seq), u.Body, u.Header)
	if err != nil {
		return 0, nil, Number{}, o.countFailure()
	}
	if err := o.window.Check(n.Seq); err != nil {
		return 0, nil, n, err
	}
	// RFC 9846, Section 5.4: content, type and padding MUST NOT exceed 2^14 + 1.
	if len(inner) > MaxPlaintext+1 {
		return 0, nil, n, ErrOverflow
	}
	typ, plaintext = splitInner(inner)
	if !typ.protected() {
		return 0, nil, n, ErrInner
	}
	o.window.Mark(n.Seq)
	return typ, plaintext, n, nil
}

// Authentic reports whether a record was protected with these keys, as
// [Opener12.Authentic] does. The record's bytes are gone afterwards.
func (o *Opener13) Authentic(u Unified) bool {
	if o.refusal(u) != nil {
		return false
	}
	_, err := o.cipher.Open(u.Body[:0], o.nonceOf(o.decryptNumber(u)), u.Body, u.Header)
	return err == nil
}

// refusal says why a record is not worth decrypting, or nil.
func (o *Opener13) refusal(u Unified) error {
	if err := o.readHalf.refusal(); err != nil {
		return err
	}
	switch {
	case uint64(u.EpochBits) != o.epoch&epochBits:
		return ErrEpoch
	case len(u.Body) < o.aead.minBody13():
		// RFC 9147, Section 4.2.3: receivers MUST reject ciphertexts of less than
		// 16 bytes as if they had failed deprotection. No forgery was tried with
		// them, so they do not count as one.
		return ErrShort
	case len(u.Body) > MaxCiphertext13:
		return ErrTooLong
	}
	return nil
}

// decryptNumber makes the number in the header plain, which is what the header
// must be as additional data, and completes it.
func (o *Opener13) decryptNumber(u Unified) (seq uint64) {
	number := u.seq()
	o.number.apply(number, u.Body)
	low := uint64(number[0])
	if len(number) == 2 {
		low = low<<8 | uint64(number[1])
	}
	expected := uint64(0)
	if newest, ok := o.window.Newest(); ok {
		expected = newest + 1
	}
	return reconstruct(expected, low, 8*len(number))
}

// splitInner takes an inner plaintext apart. RFC 9846, Section 5.4: the last
// byte that is not zero is the type, what is before it the content. The type is
// 0 if there is none.
func splitInner(inner []byte) (ContentType, []byte) {
	end := len(inner)
	for end > 0 && inner[end-1] == 0 {
		end--
	}
	if end == 0 {
		return 0, nil
	}
	return ContentType(inner[end-1]), inner[:end-1]
}

// Epoch is the epoch the records must be of.
func (o *Opener13) Epoch() uint64 { return o.epoch }

// Wipe ends the use of the keys: Open then returns [ErrWiped]. It zeroes the IV
// and the number key of ChaCha20, and drops the only references to the expanded
// keys, which Go's ciphers keep to themselves and do not zero. The counters and
// Newest stay.
func (o *Opener13) Wipe() {
	o.wipe()
	o.number.wipe()
}
