package dtls

import (
	"context"
	"errors"
	"time"
)

// read is the reader of a socket with one peer.
func (c *Conn) read() {
	buf := make([]byte, readBuffer)
	var slow backOff
	from := peerAddr{addr: c.sock.conn.RemoteAddr()}
	for {
		n, _, err := c.sock.receive(buf)
		switch {
		case err == nil:
			slow = 0
			if !c.sock.foreign.takes(buf[:n], from) && !c.deliver(time.Now(), buf[:n]) && c.letGo() {
				return
			}
		case isClosed(err):
			c.fail(&transportError{err: err, closed: true})
			return
		default:
			if c.letGo() || c.closedAfter(err) {
				return
			}
			slow.pause()
		}
	}
}

// closedAfter reports whether Close was called, and notes the error that made the
// reader ask. If the association lingers that was its end: the transport says
// that the peer is not there.
func (c *Conn) closedAfter(err error) bool {
	c.mu.Lock()
	c.trouble(err)
	closed := c.flags.closed
	c.mu.Unlock()
	if closed {
		c.close(false)
	}
	return closed
}

// deliver takes a datagram from the socket's reader; the bytes are decrypted in
// place. It never blocks: in a handshake the datagram goes to the inbox. It
// reports whether the association was there to take it.
func (c *Conn) deliver(now time.Time, datagram []byte) bool {
	c.mu.Lock()
	if c.sock.members == nil {
		c.awaitRoom(len(datagram)) // nobody else waits for this reader
	}
	if c.isOver() {
		c.mu.Unlock()
		return false
	}
	if c.hs != nil {
		if !c.hs.inbox.push(datagram) {
			c.lost++
			if c.owner != nil {
				c.owner.inboxDropped.Add(1)
			}
		}
		c.wake()
		c.mu.Unlock()
		return true
	}
	_ = c.eng.HandleDatagram(now, datagram, c.peer.ap) // hear asks Err
	c.settle()
	return true
}

// awaitRoom waits until the inbox takes a datagram of n bytes, or is needed no
// more, with mu held: what a transport has room for is not lost.
func (c *Conn) awaitRoom(n int) {
	for c.hs != nil && c.hs.driving && !c.hs.inbox.hasRoom(n) && !c.flags.closed && c.err == nil {
		c.wait()
	}
}

// recognizes reports whether a datagram was sealed with the keys of the peer. Its
// bytes are gone afterwards. In a handshake nobody knows.
func (c *Conn) recognizes(datagram []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hs == nil && !c.isOver() && c.eng.recognizes(datagram)
}

// settle does what follows each input of an established association, and lets
// go of mu.
func (c *Conn) settle() {
	c.hear()
	c.rearm()
	if c.eng.Direction() == Writing {
		c.flags.output = true
	}
	if c.flags.output && !c.flags.turn {
		c.drain(context.Background())
		return
	}
	c.announce()
	c.mu.Unlock()
}

// hear takes the engine's events, with mu held.
func (c *Conn) hear() {
	if c.eng == nil || c.flags.busy {
		return
	}
	established := false
	for ev, ok := c.eng.PollEvent(); ok; ev, ok = c.eng.PollEvent() {
		switch ev.Kind {
		case EventData:
			c.enqueue(ev.Data)
		case EventEstablished:
			established = true
		case EventWarning:
			if c.hs != nil {
				c.hs.tell = append(c.hs.tell, ev.Err)
			}
		case EventLargePacket:
			if c.hs != nil && !established {
				c.hs.tell = append(c.hs.tell, ev.Err)
			} else if errors.As(ev.Err, &c.large) {
				c.wake()
			}
		case EventMTU:
			if !c.flags.closed {
				path := ev.Path
				c.news = &path
			}
		case EventClosed:
			c.flags.eof = true
			c.wake()
		case EventSession:
			c.flags.sessions = true
		case EventKeysUpdated, EventKeysKept:
			c.wake()
		}
	}
	if established {
		c.opened()
	}
	if err := c.eng.Err(); err != nil {
		c.over(err)
	}
}

// enqueue copies a record into the queue of Read.
func (c *Conn) enqueue(record []byte) {
	if c.flags.closed {
		return
	}
	need, used := recordHead+len(record), 0
	if c.queue != nil {
		used = c.queue.size
	}
	if used > 0 && used+need > c.eng.p.receiveQueue {
		c.lost++
		return
	}
	c.queue = c.queue.push(record)
	c.wake()
}
