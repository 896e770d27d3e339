package interval

import (
	"iter"
	"slices"
	"sort"
)

// Set is a set of byte offsets, held as ranges. The zero value is empty and
// ready for use.
//
// The ranges are kept sorted and apart: between two of them lies at least one
// missing byte, for ranges that touch are joined at once.
//
//	Add(0,4)  Add(6,9)     0 1 2 3 . . 6 7 8         two ranges
//	Add(4,6)               0 1 2 3 4 5 6 7 8         one range
//
// A range is found by binary search, so a fragment that extends a range it
// touches, at either end, costs O(log n) of n ranges. One that touches none
// moves the ranges behind it, 8 bytes each; at the end of the message there
// are none. The worst case is a peer that sends every other byte: a message
// of m bytes then has m/2 ranges in 4m bytes of memory, and each further
// fragment moves at most that much.
//
// The first two ranges live in the Set itself. A message that comes in order,
// or with one hole, allocates nothing.
//
// A Set must not be copied once it holds something.
type Set struct {
	few   [2]span // the ranges, as long as many is nil
	n     int     // how many of few are in use
	many  []span  // the ranges, once they were more than few can hold
	bytes uint32  // sum of the ranges' lengths
}

// span is the range [lo, hi), never empty.
type span struct{ lo, hi uint32 }

// Add puts [lo, hi) into the set and returns how many of its bytes are new.
// An empty or reversed range adds nothing.
//
// RFC 9147, Section 5.5: "DTLS implementations MUST be able to handle
// overlapping fragment ranges."
func (s *Set) Add(lo, hi uint32) (added uint32) {
	if lo >= hi {
		return 0
	}
	spans := s.spans()
	if n := len(spans); s.many != nil && n > 0 && spans[n-1].hi < lo { // what comes in order
		s.many = append(s.many, span{lo, hi})
		s.bytes += hi - lo
		return hi - lo
	}
	i := endingAtOrAfter(spans, lo)
	j := i
	added = hi - lo
	for ; j < len(spans) && spans[j].lo <= hi; j++ { // spans[i:j] touch [lo, hi)
		added -= spans[j].overlap(lo, hi)
	}
	if i < j {
		lo = min(lo, spans[i].lo)
		hi = max(hi, spans[j-1].hi)
	}
	s.replace(i, j, span{lo, hi})
	s.bytes += added
	return added
}

// Remove takes [lo, hi) out of the set. An empty or reversed range removes
// nothing.
func (s *Set) Remove(lo, hi uint32) {
	if lo >= hi {
		return
	}
	spans := s.spans()
	i := endingAfter(spans, lo)
	j := i
	for ; j < len(spans) && spans[j].lo < hi; j++ { // spans[i:j] share bytes with [lo, hi)
		s.bytes -= spans[j].overlap(lo, hi)
	}
	if i == j {
		return
	}
	left := span{spans[i].lo, lo}
	right := span{hi, spans[j-1].hi}
	switch {
	case left.empty() && right.empty():
		s.replace(i, j)
	case left.empty():
		s.replace(i, j, right)
	case right.empty():
		s.replace(i, j, left)
	default:
		s.replace(i, j, left, right)
	}
}

// Reset empties the set and keeps its memory for what comes next: a set that is
// used again and again allocates only while its ranges are more than ever.
func (s *Set) Reset() { s.n, s.many, s.bytes = 0, s.many[:0], 0 }

// Assign makes the set a copy of another one.
func (s *Set) Assign(other *Set) {
	s.few, s.n, s.bytes = other.few, other.n, other.bytes
	s.many = slices.Clone(other.many)
}

// Contains reports whether every byte of [lo, hi) is in the set. There is no
// byte in an empty or reversed range, so then it is true.
func (s *Set) Contains(lo, hi uint32) bool {
	if lo >= hi {
		return true
	}
	spans := s.spans()
	i := endingAfter(spans, lo)
	return i < len(spans) && spans[i].lo <= lo && hi <= spans[i].hi
}

// Covers reports whether the first n bytes are all in the set: whether a
// message of n bytes is complete. A message of no bytes always is.
func (s *Set) Covers(n uint32) bool { return s.Contains(0, n) }

// Bytes returns the number of bytes in the set.
func (s *Set) Bytes() uint32 { return s.bytes }

// Len returns the number of ranges in the set.
func (s *Set) Len() int { return len(s.spans()) }

func (r span) empty() bool { return r.lo >= r.hi }

// overlap returns how many bytes r shares with [lo, hi).
func (r span) overlap(lo, hi uint32) uint32 {
	lo, hi = max(lo, r.lo), min(hi, r.hi)
	if lo >= hi {
		return 0
	}
	return hi - lo
}

// spans returns the ranges, sorted. The slice is valid until the next change.
func (s *Set) spans() []span {
	if s.many != nil {
		return s.many
	}
	return s.few[:s.n]
}

// endingAtOrAfter returns the index of the first range with hi >= off: the
// first that a range starting at off could touch.
func endingAtOrAfter(spans []span, off uint32) int {
	return sort.Search(len(spans), func(i int) bool { return spans[i].hi >= off })
}

// endingAfter returns the index of the first range with hi > off: the one
// that holds the byte off, or else the next.
func endingAfter(spans []span, off uint32) int {
	return sort.Search(len(spans), func(i int) bool { return spans[i].hi > off })
}

// replace puts the given ranges in the place of those from i up to j.
func (s *Set) replace(i, j int, with ...span) {
	if s.many == nil {
		n := s.n - (j - i) + len(with)
		if n <= len(s.few) {
			copy(s.few[i+len(with):], s.few[j:s.n])
			copy(s.few[i:], with)
			s.n = n
			return
		}
		s.many = append(make([]span, 0, 4*len(s.few)), s.few[:s.n]...)
	}
	s.many = slices.Replace(s.many, i, j, with...)
}

// Ranges yields the ranges of the set as lo and hi, lowest first. The set must
// not change meanwhile.
func (s *Set) Ranges() iter.Seq2[uint32, uint32] {
	return func(yield func(lo, hi uint32) bool) {
		for _, r := range s.spans() {
			if !yield(r.lo, r.hi) {
				return
			}
		}
	}
}
