package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/quotes"
	"github.com/flightpath-dtls/flightpath/internal/udpsock"
)

// Notices about paths, from the kernel to the engine. Any goroutine that reads or
// writes the socket may receive a notice, also one that sends for another
// association, so it must not block there: it changes the state of the engine, and
// another goroutine sends what follows from that.

// noticed takes a notice of the network about an earlier datagram. mu is not held.
func (c *Conn) noticed(n udpsock.Notice) {
	defer c.sock.Recovered()
	c.mu.Lock()
	defer c.unlock()
	switch {
	case c.end.closed || c.end.err != nil || c.eng == nil:
	case n.MTU == 0:
		c.noteTransport(n.Errno, n.Quoted)
	case c.turn.driver:
		c.hs.hints.Push(n, quotes.Whole)
	default:
		c.hint(n.MTU, n.Quoted)
	}
}

// hint passes a path MTU to the engine, with mu held, and schedules the sending of
// what follows: by the driver in a handshake, else by the socket's timer, unless a
// goroutine is sending anyway.
func (c *Conn) hint(mtu int, quoted []byte) {
	c.eng.PathHint(time.Now(), mtu, quoted)
	if c.hs != nil {
		c.wake()
		return
	}
	c.takeEvents()
	if c.eng.Direction() == Writing {
		c.turn.ask()
	}
	if c.turn.output || c.news != nil && c.news.path != nil {
		c.setAlarm(time.Now())
	}
}

// askKernel passes the kernel's path MTU to the engine. Any program, or a forged
// ICMP message, may have set that, so it is a hint without proof. The driver of the
// handshake calls it with mu held, which is released meanwhile.
func (c *Conn) askKernel() {
	mtu, ok := 0, false
	c.outside(func() { mtu, ok = c.sock.PathMTU(c.peer) })
	if ok && c.eng != nil {
		c.eng.PathHint(time.Now(), mtu, nil)
	}
}

// takeHints passes the hints that waited for the driver to the engine, with mu held.
func (c *Conn) takeHints(hs *opening) {
	for _, h := range hs.hints.Take() {
		if h.MTU == 0 {
			c.eng.PortUnreachable(time.Now(), h.Quoted, h.Errno)
			continue
		}
		c.eng.PathHint(time.Now(), h.MTU, h.Quoted)
	}
	c.takeEvents()
}

// lastResort lets IP cut datagrams where not even small ones get through, with
// mu held. A shared socket cannot do so for one peer.
func (c *Conn) lastResort() {
	if c.owner == nil {
		c.sock.AllowCuts(c.eng.path.rung == rungFloor)
	}
}

// withdrawn reports whether the messages of a datagram of the flight are sent in
// other datagrams, or are acknowledged. mu is not held.
func (c *Conn) withdrawn(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.turn.driver && c.eng != nil && !c.eng.out.sent.has(id)
}

// tooLargeNow reports whether data, sealed in a datagram of size bytes, is larger
// than the MTU that is known by now. mu is not held.
func (c *Conn) tooLargeNow(size int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.eng.tooLarge(size)
}
