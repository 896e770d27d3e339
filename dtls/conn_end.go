package dtls

import (
	"context"
	"time"
)

// Close sends a close_notify, best effort, and ends the association; the
// transport of Dial, Client and Server is closed with it. It returns at once:
// calls that wait return an error for which errors.Is(err, net.ErrClosed)
// holds, and so do all later ones. Data that nobody has read is dropped. A
// second Close does nothing.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.flags.closed {
		c.mu.Unlock()
		return nil
	}
	c.flags.closed = true
	c.queue = c.queue.release()
	c.value = nil
	c.dl.stop()
	c.hs.end()
	if c.eng != nil && !c.flags.busy {
		c.eng.Close(time.Now()) // else the driver does, when its step is done
	}
	c.leave()
	c.kick()
	c.wakeAll()
	c.flags.output = true
	c.drain(context.Background())
	return nil
}

// over ends the association with err, with mu held. The caller sends what the
// engine still has to say.
func (c *Conn) over(err error) {
	if c.err != nil || c.flags.closed {
		return
	}
	c.err = err
	c.hs.end()
	c.hs = nil
	c.flags.output = true
	c.leave()
	c.wakeAll()
}

// silence makes the engine of an association that is over send nothing, with mu
// held. While the engine is busy its driver does it.
func (c *Conn) silence() {
	if e := c.eng; e != nil && !c.flags.busy && c.err != nil {
		e.alerts, e.replies = nil, nil
		e.end(c.err)
	}
}

// overErr is what calls return after the end, with mu held.
func (c *Conn) overErr() error {
	if c.flags.closed {
		return errConnClosed
	}
	return c.err
}

// leave takes the association out of its socket's table and timers, so that the
// address is a stranger's again.
func (c *Conn) leave() {
	if c.alarm != nil {
		c.sock.alarms.set(c.alarm, time.Time{})
	}
	if d := c.sock.demux; d != nil {
		d.forget(c)
	}
}

// fail ends the association without another word to the peer: there is no way
// to it any more, or it would not understand.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	c.over(err)
	c.silence()
	c.drain(context.Background())
}
