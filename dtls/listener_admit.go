package dtls

import (
	"context"
	"net/netip"
	"time"
)

// calledAs is the address of ours that a peer has called.
func (l *Listener) calledAs(from peerAddr) netip.AddrPort {
	if from.Local.IsValid() {
		return netip.AddrPortFrom(from.Local, l.local.Port())
	}
	return l.local
}

// begin begins the handshake of a client that the door has let in, if there is
// room for it.
func (l *Listener) begin(now time.Time, hello *ProvenHello, from peerAddr) {
	m, b := l.members, &l.books
	m.mu.Lock()
	at := m.conns.At(from.Key())
	goes, why, ok := b.makeRoom(l.p, now, from, at, hello.proof.Proven)
	if !ok {
		m.mu.Unlock()
		return
	}
	c := newAcceptedConn(l, now, hello, from)
	m.accept(c, at.Newest())
	b.begin(c, now)
	driven := b.driven
	if driven {
		c.limitHandshake(l.p.handshakeTimeout, now)
	}
	m.mu.Unlock()

	if goes != nil {
		goes.fail(why)
	}
	if !driven {
		go l.handshake(c)
	}
}

// handshake runs a handshake on its own goroutine.
func (l *Listener) handshake(c *Conn) {
	defer c.sock.Recovered()
	if err := c.handshake(context.Background(), 0, true); err != nil || !l.enqueue(c) {
		_ = c.Close()
	}
}

// busy notes that the callbacks of a handshake may be running: it keeps its place in
// MaxHandshakes until they return. l is nil for an association that was dialed.
func (l *Listener) busy(c *Conn, yes bool) {
	if l != nil {
		l.members.mu.Lock()
		defer l.members.mu.Unlock()
		c.standing.setBusy(yes)
	}
}

// enqueue queues an association for Accept. It reports whether that was possible.
func (l *Listener) enqueue(c *Conn) bool {
	l.members.mu.Lock()
	defer l.members.mu.Unlock()
	return l.books.enqueue(c)
}

// countDoor takes over the counters of the door.
func (l *Listener) countDoor(d DoorStats) {
	l.members.mu.Lock()
	defer l.members.mu.Unlock()
	l.books.countDoor(d)
}
