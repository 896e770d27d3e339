package record

import "fmt"

// writeHalf is what the write halves of both versions share: protection, the
// numbers of records and how many the keys may protect.
type writeHalf struct {
	protection
	next  uint64 // sequence number of the next record, MaxSeq+1 at the end
	used  uint64 // records protected
	limit uint64 // records that may be
}

func newWriteHalf(p protection) writeHalf {
	return writeHalf{protection: p, limit: p.aead.ConfidentialityLimit()}
}

// refusal says why no record of so many bytes can be made, or nil.
func (w *writeHalf) refusal(size int) error {
	switch {
	case w.wiped:
		return ErrWiped
	case size > MaxPlaintext:
		return ErrPayloadTooLong
	case w.next > MaxSeq:
		// RFC 6347, Section 4.1 and RFC 9147, Section 4.2.1: the sequence number
		// MUST NOT wrap.
		return ErrSequenceExhausted
	case w.used >= w.limit:
		return ErrLimit
	}
	return nil
}

// take is the sequence number of a record that is being made.
func (w *writeHalf) take() (seq uint64) {
	seq = w.next
	w.next++
	w.used++
	return seq
}

// Next is the sequence number of the next record, [MaxSeq]+1 when there is none.
func (w *writeHalf) Next() uint64 { return w.next }

// Used is the number of records protected. Numbers skipped do not count.
func (w *writeHalf) Used() uint64 { return w.used }

// Remaining is the number of records that can still be protected, before the
// limit of the keys or the end of the sequence numbers.
func (w *writeHalf) Remaining() uint64 {
	if w.wiped {
		return 0
	}
	return min(w.limit-min(w.used, w.limit), MaxSeq+1-w.next)
}

// SetLimit replaces [AEAD.ConfidentialityLimit] as the number of records that
// may be protected, those already protected included.
func (w *writeHalf) SetLimit(records uint64) { w.limit = records }

// readHalf is what the read halves of both versions share: protection, the
// replay window and how many forgeries the keys may refuse.
type readHalf struct {
	protection
	window Window
	failed uint64 // records that were not authentic
	limit  uint64 // as many end the use of the keys
}

func newReadHalf(p protection, window int) (readHalf, error) {
	if window == 0 && p.aead != None {
		return readHalf{}, fmt.Errorf("dtls: no replay window for %v, want %d to %d", p.aead, MinWindow, MaxWindow)
	}
	w, err := NewWindow(window)
	return readHalf{protection: p, window: w, limit: p.aead.IntegrityLimit()}, err
}

// refusal says why the keys open no record any more, or nil.
func (r *readHalf) refusal() error {
	switch {
	case r.wiped:
		return ErrWiped
	case r.failed >= r.limit:
		return ErrForgeryLimit
	}
	return nil
}

// countFailure is RFC 9147, Section 4.5.3: count the records that fail
// authentication with each key, and stop at a limit.
func (r *readHalf) countFailure() error {
	r.failed++
	if r.failed >= r.limit {
		return ErrForgeryLimit
	}
	return ErrBadMAC
}

// Failed is the number of records that were not authentic.
func (r *readHalf) Failed() uint64 { return r.failed }

// Remaining is the number of records that may still fail authentication: the
// last of them ends the use of the keys. It is time for new ones before.
func (r *readHalf) Remaining() uint64 {
	if r.wiped {
		return 0
	}
	return r.limit - min(r.failed, r.limit)
}

// Newest is the highest sequence number of a record opened, and whether there
// is one. In epoch 0 nobody vouches for it.
func (r *readHalf) Newest() (seq uint64, ok bool) { return r.window.Newest() }

// SetLimit replaces [AEAD.IntegrityLimit] as the number of records failing
// authentication, those counted already included, that ends the use of the keys.
func (r *readHalf) SetLimit(forgeries uint64) { r.limit = forgeries }
