package interval

import "iter"

// NextGap returns the first range of missing bytes within [from, end), or ok
// false if nothing is missing there. The gap ends where the set goes on, or at
// end.
func (s *Set) NextGap(from, end uint32) (lo, hi uint32, ok bool) {
	spans := s.spans()
	i := endingAfter(spans, from)
	if i < len(spans) && spans[i].lo <= from { // from is in the set
		from = spans[i].hi
		i++
	}
	if from >= end {
		return 0, 0, false
	}
	if i < len(spans) {
		end = min(end, spans[i].lo)
	}
	return from, end, true
}

// Gaps yields every range of missing bytes within [from, end) as lo and hi,
// lowest first. The set may change meanwhile: each step looks again, from the
// end of the gap before. A sender thus walks its unsent bytes and adds what it
// sends.
func (s *Set) Gaps(from, end uint32) iter.Seq2[uint32, uint32] {
	return func(yield func(lo, hi uint32) bool) {
		for {
			lo, hi, ok := s.NextGap(from, end)
			if !ok || !yield(lo, hi) {
				return
			}
			from = hi
		}
	}
}
