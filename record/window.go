package record

import "fmt"

// Sizes of a [Window] in record numbers.
const (
	MinWindow = 64      // RFC 6347, Section 4.1.2.6: 32 MUST, 64 SHOULD be supported
	MaxWindow = 1 << 16 // 8 KiB of bitmap
)

const (
	wordBits   = 64
	smallWords = 4 // windows of up to 256 numbers live in the struct
)

// Window remembers which sequence numbers of one epoch were received:
// RFC 6347, Section 4.1.2.6. It covers the newest number marked and the
// size-1 numbers before.
//
//	      stale             marked or fresh             fresh
//	─────────────────┤■■□■■■■■■□■■■■■■■■■■□■■■■■├───────────────────▶ seq
//	                  top-size+1             top
//
// The bitmap is a ring: number n owns bit n mod size, forever. So the window
// never shifts; when top moves, the bits of the numbers it moves over are
// cleared, a word at a time, and a jump past the whole window clears it once.
// Mark costs one step per 64 numbers moved, never more than size/64 + 1.
//
// The zero Window, and one of size 0, remembers only the newest number: it
// finds everything fresh. A Window of more than 256 numbers holds its bitmap by
// reference and must not be copied once in use.
type Window struct {
	top    uint64 // newest number marked, if any
	marked bool
	words  uint32 // size / 64
	small  [smallWords]uint64
	large  []uint64 // instead of small, when that does not suffice
}

// NewWindow returns a window over size numbers, rounded up to a multiple of 64.
// Size 0 is a window that finds everything fresh. Sizes below 0 and above
// [MaxWindow] are errors.
func NewWindow(size int) (Window, error) {
	if size < 0 || size > MaxWindow {
		return Window{}, fmt.Errorf("dtls: replay window of %d records, want 0 to %d", size, MaxWindow)
	}
	w := Window{words: uint32((size + wordBits - 1) / wordBits)}
	if w.words > smallWords {
		w.large = make([]uint64, w.words)
	}
	return w, nil
}

// Size is the number of sequence numbers the window covers.
func (w *Window) Size() int { return int(w.words) * wordBits }

// Newest is the highest number marked, and whether there is one.
func (w *Window) Newest() (seq uint64, ok bool) { return w.top, w.marked }

// Check returns nil for a number that may be new, [ErrReplayed] for one that
// was marked and [ErrStale] for one left of the window, of which nothing is
// known. It changes nothing, so a number from an unauthentic header is safe.
func (w *Window) Check(seq uint64) error {
	switch {
	case w.words == 0 || !w.marked || seq > w.top:
		return nil
	case w.top-seq >= uint64(w.Size()):
		return ErrStale
	}
	if word, bit := w.slot(seq); *word&bit != 0 {
		return ErrReplayed
	}
	return nil
}

// Mark notes that a number was received. RFC 6347, Section 4.1.2.6: the window
// is updated only if the record is authentic, which is the caller's to ensure.
// A stale number is not noted.
func (w *Window) Mark(seq uint64) {
	switch {
	case !w.marked || seq > w.top:
		w.advance(seq)
	case w.top-seq >= uint64(w.Size()):
		return
	}
	if w.words > 0 {
		word, bit := w.slot(seq)
		*word |= bit
	}
}

// advance makes seq the newest number.
func (w *Window) advance(seq uint64) {
	if jump := seq - w.top; w.marked && jump < uint64(w.Size()) {
		w.forget(w.top+1, jump)
	} else {
		clear(w.bitmap())
	}
	w.top, w.marked = seq, true
}

// forget clears the bits of n numbers from the given one on; n is less than the size.
func (w *Window) forget(from, n uint64) {
	for n > 0 {
		first := from % wordBits
		count := min(n, wordBits-first)
		word, _ := w.slot(from)
		*word &^= ^uint64(0) >> (wordBits - count) << first
		from += count
		n -= count
	}
}

// slot is the word and the bit of a number. The window has at least one word.
func (w *Window) slot(seq uint64) (word *uint64, bit uint64) {
	return &w.bitmap()[seq/wordBits%uint64(w.words)], 1 << (seq % wordBits)
}

func (w *Window) bitmap() []uint64 {
	if w.large != nil {
		return w.large
	}
	return w.small[:w.words]
}
