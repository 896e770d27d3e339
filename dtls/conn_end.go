package dtls

import (
	"context"
	"errors"
	"time"
)

// Close sends a close_notify, best effort, and ends the association; the
// transport of Dial, Client and Server is closed with it. It returns at once:
// calls that wait return an error for which errors.Is(err, net.ErrClosed)
// holds, and so do all later ones. Data that was not read is dropped. A
// second Close does nothing.
//
// A peer that may still miss our last flight gets it for Config.Linger longer, with
// the close_notify behind it; until then the transport stays open and is read. That
// is so if we are the server and have received nothing since the handshake, and in
// DTLS 1.3 also while our Finished, or a session ticket, is not acknowledged. It
// ends with what the peer sends, such as its own close_notify.
func (c *Conn) Close() error {
	c.close(true)
	return nil
}

// ending is how far an association is from its end. Conn.mu guards it.
type ending struct {
	err     error // what ended it, nil while it lives
	closed  bool  // Close was called
	lingers bool  // and the engine still answers a peer that misses our last flight
	eof     bool  // the peer has sent close_notify
	left    bool  // and the association has left the socket that it shared
}

// isOver reports whether input cannot matter any more.
func (e *ending) isOver() bool { return e.closed && !e.lingers || e.err != nil || e.left }

// returned is the error of calls after the end, nil before it.
func (e *ending) returned() error {
	if e.closed {
		return errConnClosed
	}
	return e.err
}

func (e *ending) peerClosed() { e.eof = true }

// close is Close; without linger it ends an association that lingers, too.
func (c *Conn) close(linger bool) {
	c.mu.Lock()
	defer c.unlock()
	if c.end.closed && (linger || !c.end.lingers) {
		return
	}
	c.end.closed, c.end.lingers = true, false
	c.received.Drop()
	c.value = nil
	c.dropNews()
	c.dl.Stop()
	c.hs.end()
	switch {
	case c.eng == nil || c.turn.driver: // the driver does it when its step is done
	case linger && c.end.err == nil && !c.end.left:
		c.end.lingers = c.eng.Linger(time.Now())
	default:
		c.eng.Close(time.Now())
	}
	var goes *Conn
	if c.end.lingers {
		goes = c.stay()
	} else {
		c.leave()
	}
	c.kick()
	c.wakeAll()
	c.turn.ask()
	c.drain(context.Background())
	if goes != nil {
		c.outside(func() { goes.close(false) })
	}
}

// over ends the association with err, or its lingering, with mu held. The caller
// sends what the engine still has to send.
func (c *Conn) over(err error) {
	switch {
	case c.end.lingers:
		c.end.lingers = false
	case c.end.isOver():
		return
	default:
		c.end.err = err
		c.endHandshake()
	}
	c.turn.ask()
	c.leave()
	c.wakeAll()
	if c.leavesTransport() {
		_ = c.sock.Conn().SetReadDeadline(aLongTimeAgo) // so the reader ends
	}
}

// leavesTransport reports, with mu held, whether another association may have the
// transport from now on: its datagrams are not for this one any more.
func (c *Conn) leavesTransport() bool {
	return c.sock.Conn() != nil && !c.end.closed && errors.Is(c.end.err, ErrPeerRestarted)
}

// releasesTransport is what the reader asks after each error, and each datagram that
// was not for the association. It reports whether the transport is free for another
// association, so that the reader has to end.
func (c *Conn) releasesTransport() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.leavesTransport() {
		return false
	}
	_ = c.sock.Conn().SetReadDeadline(time.Time{})
	return true
}

// silence makes the engine of an association that is over, for that reason, send
// nothing, with mu held. While its driver has the engine, that does it.
func (c *Conn) silence(why error) {
	if e := c.eng; e != nil && !c.turn.driver && c.end.isOver() {
		e.endSilently(why)
	}
}

// stay keeps the association, which is closed, in its socket's table and timers.
// It returns one that has to go for it, if any.
func (c *Conn) stay() (goes *Conn) {
	if m := c.sock.members; m != nil {
		goes = m.linger(c)
	}
	c.rearm()
	return goes
}

// leaveIfClosed ends the use of a shared socket behind close_notify of both sides,
// with mu held: the engine answers that of the peer at once. The engine stays, for
// calls that send nothing.
func (c *Conn) leaveIfClosed() {
	if c.end.eof && c.sock.members != nil && !c.end.isOver() {
		c.end.left = true
		c.turn.ask()
		c.leave()
	}
}

// leave takes the association out of its socket's table and timers. The next
// datagram of its address belongs to no association.
func (c *Conn) leave() {
	c.setAlarm(time.Time{})
	if m := c.sock.members; m != nil {
		m.forget(c)
	}
}

// fail ends the association without sending anything more: the peer cannot be
// reached any more, or has lost its keys.
func (c *Conn) fail(err error) {
	defer c.sock.Recovered()
	c.mu.Lock()
	defer c.unlock()
	c.over(err)
	c.silence(err)
	c.drain(context.Background())
}
