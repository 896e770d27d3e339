package dtls

import (
	"context"
	"errors"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/transport"
)

// read is the reader of a socket with one peer.
func (c *Conn) read() {
	c.sock.Serve(transport.Reader{
		Take: func(datagram []byte, _ peerAddr) bool {
			return c.deliver(time.Now(), datagram) || !c.releasesTransport()
		},
		Fault: func(err error) bool {
			if transport.IsClosed(err) {
				c.fail(err)
				return false
			}
			return !c.releasesTransport() && !c.closedAfter(err)
		},
	})
}

// closedAfter reports whether Close was called, and notes the error that made the
// reader ask. It ends the lingering of an association: the transport says that the
// peer cannot be reached.
func (c *Conn) closedAfter(err error) bool {
	c.mu.Lock()
	c.noteTransport(err, nil)
	closed := c.end.closed
	c.mu.Unlock()
	if closed {
		c.close(false)
	}
	return closed
}

// deliver takes a datagram from the socket's reader; the bytes are decrypted in
// place. On a shared socket it never blocks: in a handshake the datagram goes to
// the inbox. It reports whether the association was there to take it.
func (c *Conn) deliver(now time.Time, datagram []byte) bool {
	defer c.sock.Recovered()
	c.mu.Lock()
	defer c.unlock()
	if c.sock.members == nil {
		c.awaitRoom(len(datagram)) // no other association waits for this reader
	}
	if c.end.isOver() {
		return false
	}
	if c.hs != nil {
		if !c.hs.inbox.Push(datagram) {
			c.received.Lose()
			if c.owner != nil {
				c.owner.inboxDropped.Add(1)
			}
		}
		c.wake()
		return true
	}
	_ = c.eng.HandleDatagram(now, datagram, c.peer.AP) // takeEvents asks Err
	c.settle()
	return true
}

// awaitRoom waits until the inbox has room for a datagram of n bytes, or is needed
// no more, with mu held: what stays in the queue of the transport is not lost.
func (c *Conn) awaitRoom(n int) {
	for c.hs != nil && c.hs.driving && !c.hs.inbox.HasRoom(n) && !c.end.closed && c.end.err == nil {
		c.wait()
	}
}

// recognizes reports whether a datagram was sealed with the keys of the peer. Its
// bytes are gone afterwards. It is false during the handshake.
func (c *Conn) recognizes(datagram []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hs == nil && !c.end.isOver() && c.eng.recognizes(datagram)
}

// settle does what follows each input of an established association, with mu held.
func (c *Conn) settle() {
	c.takeEvents()
	c.rearm()
	if c.eng.Direction() == Writing {
		c.turn.ask()
	}
	if c.turn.output && !c.turn.taken {
		c.drain(context.Background())
		return
	}
	c.announce()
}

// takeEvents takes the engine's events, with mu held.
func (c *Conn) takeEvents() {
	if c.eng == nil || c.turn.driver {
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
			c.hs.report(ev.Err)
		case EventLargePacket:
			var large *LargePacketError
			if c.hs != nil && !established {
				c.hs.report(ev.Err)
			} else if errors.As(ev.Err, &large) {
				c.noteLarge(large)
				c.wake()
			}
		case EventMTU:
			if !c.end.closed {
				c.notePath(ev.Path)
			}
		case EventClosed:
			c.end.peerClosed()
			c.wake()
		case EventSession:
			c.noteSessions()
		case EventKeysUpdated:
			c.wake()
		}
	}
	if c.eng.keysKept() {
		c.wake() // UpdateKeys returns
	}
	if established {
		c.opened()
	}
	if err := c.eng.Err(); err != nil {
		c.over(err)
	}
	c.leaveIfClosed()
}

// enqueue queues a record for Read.
func (c *Conn) enqueue(record []byte) {
	if !c.end.closed && c.received.Push(record, c.eng.p.receiveQueue) {
		c.wake()
	}
}
