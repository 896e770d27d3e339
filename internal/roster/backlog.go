package roster

import "slices"

// Backlog is a queue of associations that wait for a call of Accept's kind, the
// oldest first. Its owner locks, but for More.
type Backlog[T any] struct {
	queue []*T
	more  chan struct{} // nil: a Backlog that stays empty
}

// NewBacklog returns an empty Backlog. The zero Backlog is one that stays empty:
// its More never has a token, and Push must not be called.
func NewBacklog[T any]() Backlog[T] { return Backlog[T]{more: make(chan struct{}, 1)} }

// Len is how many associations wait.
func (b *Backlog[T]) Len() int { return len(b.queue) }

// More has a token when Pop may have an association for another call.
func (b *Backlog[T]) More() <-chan struct{} { return b.more }

// Push appends an association.
func (b *Backlog[T]) Push(a *T) {
	b.queue = append(b.queue, a)
	b.signal()
}

// Pop takes out the oldest association; nil if there is none. A call that
// received the token and leaves associations behind passes the token on.
func (b *Backlog[T]) Pop() *T {
	if len(b.queue) == 0 {
		return nil
	}
	a := b.queue[0]
	if b.queue = slices.Delete(b.queue, 0, 1); len(b.queue) == 0 {
		b.queue = nil
	} else {
		b.signal()
	}
	return a
}

// Remove takes out an association that has ended before it was accepted.
func (b *Backlog[T]) Remove(a *T) {
	if i := slices.Index(b.queue, a); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	}
}

func (b *Backlog[T]) signal() {
	select {
	case b.more <- struct{}{}:
	default:
	}
}
