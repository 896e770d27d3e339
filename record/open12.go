package record

import (
	"encoding/binary"
	"errors"
)

// Opener12 is the read half of one DTLS 1.2 epoch: it tells authentic, new
// records from all others. It belongs to one goroutine at a time.
type Opener12 struct {
	readHalf
	context12
}

// NewOpener12 returns the read half of an epoch. The lengths of key and iv are
// [AEAD.KeyLen] and [AEAD.IVLen]; both are copied, so the caller may zero them.
//
// The replay window covers the given number of records, [MinWindow] to
// [MaxWindow], rounded up to a multiple of 64. Windows of up to 256 are part of
// the Opener12, larger ones take another allocation of an eighth of their size
// in bytes.
//
// [None] reads epoch 0, which authenticates nothing: there a stranger's record
// with a high number would move the window and lock out the honest ones.
// Window 0 has no window and is the usual choice; repetition must then be
// harmless to what reads the records, as it is to handshake messages with their
// own numbers. Other AEADs insist on a window.
func NewOpener12(a AEAD, key, iv []byte, epoch uint16, window int) (*Opener12, error) {
	p, err := newProtection12(a, key, iv, epoch)
	if err != nil {
		return nil, err
	}
	r, err := newReadHalf(p, window)
	if err != nil {
		return nil, err
	}
	return &Opener12{r, context12{epoch: epoch}}, nil
}

// Open returns the plaintext of a record, decrypted in place: it is a part of
// fragment, and valid as long as that. Header and fragment are those of [Next];
// h.Length is not looked at. Whatever the answer, the caller must not use the
// fragment's former bytes, since a failed decryption overwrites them.
//
// Length and replay are checked first, as they are cheap; the replay window and
// [Opener12.Newest] change only once the record has proved authentic
// (RFC 6347, Section 4.1.2.6). Type and version are authenticated, not judged.
//
// Records to drop without a word (RFC 6347, Section 4.1.2.7):
//
//   - [ErrEpoch]: another epoch, or a number no record of DTLS 1.2 has.
//   - [ErrShort]: no room for explicit nonce and tag.
//   - [ErrTooLong]: longer than [MaxCiphertext12], in epoch 0 than [MaxPlaintext].
//   - [ErrReplayed]: an authentic record with this number was opened.
//   - [ErrStale]: the number is left of the window.
//   - [ErrBadMAC]: not authentic; counted in [Opener12.Failed].
//
// Ends of the association:
//
//   - [ErrOverflow]: authentic, yet over [MaxPlaintext]; send record_overflow.
//   - [ErrForgeryLimit]: this failure reached the limit of the keys. From then
//     on it is the answer to every record, and no decryption is tried.
//   - [ErrWiped]: after [Opener12.Wipe].
func (o *Opener12) Open(h Header, fragment []byte) (plaintext []byte, err error) {
	if err := o.refusal(h, len(fragment)); err != nil {
		return nil, err
	}
	if o.cipher == nil {
		o.window.Mark(h.Seq)
		return fragment, nil
	}
	plaintext, err = o.decrypt(h, fragment)
	if err != nil {
		return nil, o.countFailure()
	}
	o.window.Mark(h.Seq)
	if len(plaintext) > MaxPlaintext {
		return nil, ErrOverflow
	}
	return plaintext, nil
}

// Authentic reports whether a record was protected with these keys, for callers
// with several Openers that a record may be for. Replayed ones are authentic
// too. A failure is not counted, so the record must then go to [Opener12.Open]
// of those it may be for, unless it was authentic for another. The fragment's
// bytes are gone afterwards; nothing else changes.
func (o *Opener12) Authentic(h Header, fragment []byte) bool {
	switch err := o.refusal(h, len(fragment)); {
	case o.cipher == nil:
		return false
	case err == nil, errors.Is(err, ErrReplayed), errors.Is(err, ErrStale):
		_, err = o.decrypt(h, fragment)
		return err == nil
	}
	return false
}

// refusal says why a record is not worth decrypting, or nil.
func (o *Opener12) refusal(h Header, size int) error {
	if err := o.readHalf.refusal(); err != nil {
		return err
	}
	switch {
	case h.Epoch != uint64(o.epoch) || h.Seq > MaxSeq:
		return ErrEpoch
	case size < o.aead.ExplicitNonceLen()+o.aead.TagLen():
		return ErrShort
	case size > o.maxFragment():
		return ErrTooLong
	}
	return o.window.Check(h.Seq)
}

// maxFragment is the longest fragment worth a look. In epoch 0 nothing longer
// than a plaintext may be there: RFC 5246, Section 6.2.1.
func (o *Opener12) maxFragment() int {
	if o.aead == None {
		return MaxPlaintext
	}
	return MaxCiphertext12
}

// decrypt opens a fragment at least as long as nonce and tag, in place.
func (o *Opener12) decrypt(h Header, fragment []byte) ([]byte, error) {
	number := h.pack12()
	variable := number
	if n := o.aead.ExplicitNonceLen(); n > 0 {
		// RFC 5288, Section 3: the sender chose it, and need not have taken the
		// record number.
		variable = binary.BigEndian.Uint64(fragment)
		fragment = fragment[n:]
	}
	aad := o.additionalData(number, h.Type, h.Version, len(fragment)-o.aead.TagLen())
	return o.cipher.Open(fragment[:0], o.nonceOf(variable), fragment, aad)
}

// Epoch is the epoch the records must be of.
func (o *Opener12) Epoch() uint16 { return o.epoch }

// Wipe ends the use of the keys: Open then returns [ErrWiped]. It zeroes the IV
// and drops the only reference to the expanded key, which Go's ciphers keep to
// themselves and do not zero. The counters and Newest stay.
func (o *Opener12) Wipe() { o.wipe() }
