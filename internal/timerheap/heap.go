// Package timerheap orders many deadlines behind one timer: a binary heap
// whose entries know their place, so that moving or removing one costs
// O(log n) and asking for the next is free.
//
// A socket shared by a hundred thousand associations needs one runtime timer,
// not a hundred thousand. Nothing in here asks the clock or takes a lock.
package timerheap

import "time"

// Heap holds entries by the time they are due. The zero value is empty. It is
// not safe for concurrent use.
type Heap[T any] struct {
	entries []*Entry[T]
}

// Entry is one deadline. The zero value, with a Value, is in no heap. It must
// not be copied and belongs to one Heap at a time.
type Entry[T any] struct {
	Value T

	at    time.Time
	place int // index in the heap + 1; 0: in none
}

// At is when the entry is due, the zero time if it is in no heap.
func (e *Entry[T]) At() time.Time {
	if e.place == 0 {
		return time.Time{}
	}
	return e.at
}

// Len is the number of entries.
func (h *Heap[T]) Len() int { return len(h.entries) }

// Set puts e into the heap, or moves it, to be due at that time. The zero time
// removes it.
func (h *Heap[T]) Set(e *Entry[T], at time.Time) {
	if at.IsZero() {
		h.Remove(e)
		return
	}
	e.at = at
	if e.place == 0 {
		h.entries = append(h.entries, e)
		e.place = len(h.entries)
	}
	h.fix(e.place - 1)
}

// Remove takes e out; it may be in no heap.
func (h *Heap[T]) Remove(e *Entry[T]) {
	if e.place == 0 {
		return
	}
	i, last := e.place-1, len(h.entries)-1
	h.swap(i, last)
	h.entries[last] = nil
	h.entries = h.entries[:last]
	if last == 0 {
		h.entries = nil // an idle heap keeps nothing
	}
	e.place, e.at = 0, time.Time{}
	if i < last {
		h.fix(i)
	}
}

// Next is when the first entry is due, the zero time if there is none.
func (h *Heap[T]) Next() time.Time {
	if len(h.entries) == 0 {
		return time.Time{}
	}
	return h.entries[0].at
}

// PopDue removes and returns an entry that is due at now, the earliest first;
// nil if there is none.
func (h *Heap[T]) PopDue(now time.Time) *Entry[T] {
	if len(h.entries) == 0 || h.entries[0].at.After(now) {
		return nil
	}
	e := h.entries[0]
	h.Remove(e)
	return e
}

// fix restores the order around i: first up, then, if it did not move, down.
func (h *Heap[T]) fix(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			break
		}
		h.swap(i, parent)
		i = parent
	}
	for {
		child := 2*i + 1
		if child >= len(h.entries) {
			return
		}
		if right := child + 1; right < len(h.entries) && h.less(right, child) {
			child = right
		}
		if !h.less(child, i) {
			return
		}
		h.swap(i, child)
		i = child
	}
}

func (h *Heap[T]) less(i, j int) bool { return h.entries[i].at.Before(h.entries[j].at) }

func (h *Heap[T]) swap(i, j int) {
	h.entries[i], h.entries[j] = h.entries[j], h.entries[i]
	h.entries[i].place, h.entries[j].place = i+1, j+1
}
