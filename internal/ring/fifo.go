package ring

// FIFO is a small queue of values, whose memory is used again. The zero value is empty.
type FIFO[T any] struct {
	q    []T
	head int
}

// Push appends a value.
func (f *FIFO[T]) Push(v T) { f.q = append(f.q, v) }

// Pop takes the oldest value out; ok is false if there is none.
func (f *FIFO[T]) Pop() (v T, ok bool) {
	if f.Empty() {
		f.q, f.head = f.q[:0], 0
		return v, false
	}
	oldest := &f.q[f.head]
	f.head++
	v, *oldest = *oldest, v
	return v, true
}

// Empty reports whether there is no value.
func (f *FIFO[T]) Empty() bool { return f.head == len(f.q) }

// Keep drops the values for which keep is false.
func (f *FIFO[T]) Keep(keep func(T) bool) {
	kept := f.q[:0]
	for _, v := range f.q[f.head:] {
		if keep(v) {
			kept = append(kept, v)
		}
	}
	clear(f.q[len(kept):])
	f.q, f.head = kept, 0
}
