package dtls

import (
	"context"
	"errors"
	"time"
)

// Close sends a close_notify, best effort, and ends the association; the
// transport of Dial, Client and Server is closed with it. It returns at once:
// calls that wait return an error for which errors.Is(err, net.ErrClosed)
// holds, and so do all later ones. Data that nobody has read is dropped. A
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

// close is Close; without linger it ends an association that lingers, too.
func (c *Conn) close(linger bool) {
	c.mu.Lock()
	if c.flags.closed && (linger || !c.flags.lingers) {
		c.mu.Unlock()
		return
	}
	c.flags.closed = true
	c.queue = c.queue.release()
	c.value = nil
	c.news = nil
	c.dl.stop()
	c.hs.end()
	c.flags.lingers = false
	switch {
	case c.eng == nil || c.flags.busy: // the driver does it when its step is done
	case linger && c.err == nil:
		c.flags.lingers = c.eng.Linger(time.Now())
	default:
		c.eng.Close(time.Now())
	}
	var goes *Conn
	if c.flags.lingers {
		goes = c.stay()
	} else {
		c.leave()
	}
	c.kick()
	c.wakeAll()
	c.flags.output = true
	c.drain(context.Background())
	if goes != nil {
		goes.close(false)
	}
}

// over ends the association with err, or its lingering, with mu held. The caller
// sends what the engine still has to say.
func (c *Conn) over(err error) {
	switch {
	case c.flags.lingers:
		c.flags.lingers = false
	case c.isOver():
		return
	default:
		c.err = err
		c.hs.end()
		c.hs = nil
	}
	c.flags.output = true
	c.leave()
	c.wakeAll()
	if c.leavesTransport() {
		_ = c.sock.conn.SetReadDeadline(aLongTimeAgo) // the reader lets go
	}
}

// leavesTransport reports, with mu held, whether the next association of the
// transport may have it: its datagrams are not ours any more.
func (c *Conn) leavesTransport() bool {
	return c.sock.conn != nil && !c.flags.closed && errors.Is(c.err, ErrPeerRestarted)
}

// letGo is what a reader asks behind each datagram that nobody wanted and each
// error. It reports whether the transport is another one's now.
func (c *Conn) letGo() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.leavesTransport() {
		return false
	}
	_ = c.sock.conn.SetReadDeadline(time.Time{})
	return true
}

// isOver reports whether nothing that comes can matter any more, with mu held.
func (c *Conn) isOver() bool { return c.flags.closed && !c.flags.lingers || c.err != nil }

// silence makes the engine of an association that is over, for that reason, send
// nothing, with mu held. While the engine is busy its driver does it.
func (c *Conn) silence(why error) {
	if e := c.eng; e != nil && !c.flags.busy && c.isOver() {
		e.alerts, e.replies = nil, nil
		e.end(why)
	}
}

// overErr is what calls return after the end, with mu held.
func (c *Conn) overErr() error {
	if c.flags.closed {
		return errConnClosed
	}
	return c.err
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

// leave takes the association out of its socket's table and timers, so that the
// address is a stranger's again.
func (c *Conn) leave() {
	if c.alarm != nil {
		c.sock.alarms.set(c.alarm, time.Time{})
	}
	if m := c.sock.members; m != nil {
		m.forget(c)
	}
}

// fail ends the association without another word to the peer: there is no way
// to it any more, or it would not understand.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	c.over(err)
	c.silence(err)
	c.drain(context.Background())
}
