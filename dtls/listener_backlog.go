package dtls

import "slices"

// backlog has associations that wait for a call of Accept's kind, the oldest
// first. Its owner locks, but for more.
type backlog struct {
	conns []*Conn
	more  chan struct{} // has a token when there is something for another call
}

func newBacklog() backlog { return backlog{more: make(chan struct{}, 1)} }

func (b *backlog) push(c *Conn) {
	b.conns = append(b.conns, c)
	b.wake()
}

// pop returns nil if nobody waits. A call that came for the token and leaves
// others behind passes it on.
func (b *backlog) pop() *Conn {
	if len(b.conns) == 0 {
		return nil
	}
	c := b.conns[0]
	if b.conns = slices.Delete(b.conns, 0, 1); len(b.conns) == 0 {
		b.conns = nil
	} else {
		b.wake()
	}
	return c
}

// remove takes out one that has ended before anybody came for it.
func (b *backlog) remove(c *Conn) {
	if i := slices.Index(b.conns, c); i >= 0 {
		b.conns = slices.Delete(b.conns, i, i+1)
	}
}

func (b *backlog) wake() {
	select {
	case b.more <- struct{}{}:
	default:
	}
}
