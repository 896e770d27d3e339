package message

import "slices"

// codePoints is a set of 16-bit code points, to find one that appears twice. The first few are searched one by one, so
// that a message of many small lists costs no more than its bytes; beyond, each has a bit, so that a message with one
// huge list does not either.
type codePoints struct {
	few  [8]uint16
	n    int            // how many of few are used
	bits *codePointBits // of all, once they are more than few
}

// codePointBits is such a set with a bit for each code point, 8 KiB in all: by itself where nothing may be allocated.
type codePointBits [1 << 16 / 64]uint64

// add reports whether p is new.
func (s *codePoints) add(p uint16) bool {
	switch {
	case s.bits != nil:
		return s.bits.add(p)
	case slices.Contains(s.few[:s.n], p):
		return false
	case s.n < len(s.few):
		s.few[s.n] = p
		s.n++
		return true
	}
	s.bits = new(codePointBits)
	for _, old := range s.few {
		s.bits.add(old)
	}
	return s.bits.add(p)
}

// add reports whether p is new.
func (b *codePointBits) add(p uint16) bool {
	word, bit := &b[p/64], uint64(1)<<(p%64)
	isNew := *word&bit == 0
	*word |= bit
	return isNew
}
