package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/udpsock"
)

// What the kernel tells about paths, on its way to the engine. A notice may be
// found by any goroutine that reads or writes the socket, also by one that is
// sending for somebody else. It waits for nobody there: it changes what the
// engine knows, and another goroutine sends what follows from that.

// noticed takes what the network said about an earlier datagram. mu is not held.
func (c *Conn) noticed(n udpsock.Notice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.end.closed || c.end.err != nil || c.eng == nil:
	case n.MTU == 0:
		c.noteTransport(n.Errno)
	case c.turn.driver:
		c.hs.hints.push(n)
	default:
		c.hint(n.MTU, n.Quoted)
	}
}

// hint tells the engine, with mu held, and sees to it that somebody sends: the
// driver in a handshake, else the socket's timer, unless a goroutine is sending
// anyway.
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

// askKernel gives the engine what the kernel believes about the path; any
// program or ICMP message may have told it, so it counts as a rumour. The
// handshake's driver calls it with mu held, which is let go meanwhile.
func (c *Conn) askKernel() {
	peer := c.peer
	c.mu.Unlock()
	mtu, ok := c.sock.pathMTU(peer)
	c.mu.Lock()
	if ok {
		c.eng.PathHint(time.Now(), mtu, nil)
	}
}

// hints are what notices said while the handshake's driver had the engine.
type hints []pathHint

type pathHint struct {
	mtu    int
	quoted []byte
}

// maxHints is more than enough: one that is believed speaks for all that was
// lost.
const maxHints = 8

func (h *hints) push(n udpsock.Notice) {
	if len(*h) < maxHints {
		*h = append(*h, pathHint{n.MTU, append([]byte(nil), n.Quoted[:min(len(n.Quoted), quoteWhole)]...)})
	}
}

func (h *hints) take() (all hints) {
	all, *h = *h, nil
	return all
}

// takeHints gives the engine what waited for its driver, with mu held.
func (c *Conn) takeHints(hs *opening) {
	for _, h := range hs.hints.take() {
		c.eng.PathHint(time.Now(), h.mtu, h.quoted)
	}
	c.takeEvents()
}

// lastResort lets IP cut datagrams where not even small ones get through, with
// mu held. A shared socket cannot do so for one peer.
func (c *Conn) lastResort() {
	if c.owner == nil {
		c.sock.allowCuts(c.eng.path.rung == rungFloor)
	}
}

// withdrawn reports whether what was in a datagram of the flight goes out in
// others, or is not needed any more. mu is not held.
func (c *Conn) withdrawn(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.turn.driver && c.eng != nil && !c.eng.out.has(id)
}

// tooLargeNow reports whether data, sealed in a datagram of size bytes, is larger
// than the MTU that is known by now. mu is not held.
func (c *Conn) tooLargeNow(size int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.eng.overtaken(size)
}
