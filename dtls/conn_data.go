package dtls

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/deadline"
	"github.com/flightpath-dtls/flightpath/internal/transport"
)

// Read waits for a record of application data and copies it into p. A record
// that is longer than p is cut: n is len(p), the error ErrShortBuffer, and the
// rest is gone. An empty record gives 0 and no error.
//
// The first Read or Write runs the handshake if no call has. Other errors:
// io.EOF after the peer's close_notify and all data before it; ErrAgain when
// the read deadline has passed; one that matches net.ErrClosed after Close;
// the error that ended the association, after the data that came before it.
func (c *Conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.unlock()
	for {
		switch {
		case c.end.closed:
			return 0, errConnClosed
		case c.expired(deadline.Read):
			return 0, ErrAgain
		case !c.received.Empty():
			n, whole := c.received.Pop(p)
			if !whole {
				return n, ErrShortBuffer
			}
			return n, nil
		case c.end.err != nil:
			return 0, c.end.err
		case c.end.eof:
			return 0, io.EOF
		case c.hs != nil:
			err := c.handshakeLocked(context.Background(), deadline.Read, true)
			if err != nil && c.received.Empty() {
				return 0, err
			}
			continue
		}
		c.wait()
	}
}

// Write sends p as one record in one datagram; an empty p is an empty record.
// The first Read or Write runs the handshake if no call has.
//
// If p is longer than MaxData, or the transport refuses the datagram for its size,
// the error is a *LargePacketError, n is 0 and the association goes on; its MaxData
// is what would fit. The error is ErrAgain when the write deadline has passed, and
// matches net.ErrClosed when either side has closed.
// Other refusals of the transport are returned as they are; IsFatal is false
// for them. On a shared socket the deadline does not interrupt the transport.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.unlock()
	if err := c.awaitTurn(); err != nil {
		return 0, err
	}
	if err := c.writeInTurn(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// writeInTurn writes a record in the caller's turn, and gives that back.
func (c *Conn) writeInTurn(p []byte) (err error) {
	returned := false
	defer func() {
		if !returned {
			c.turn.give()
		}
	}()
	b := transport.GetBuffer()
	if c.eng.Direction() == Writing {
		c.sendPending(context.Background(), b) // a flight, whose keys the record may need
		c.takeEvents()
		c.rearm()
		err = c.mayWrite()
	}
	if err == nil {
		err = c.writeRecord(p, b)
	}
	b.Release()
	returned = true
	c.doneSending()
	return err
}

// writeRecord seals a record in b and hands it to the transport.
func (c *Conn) writeRecord(p []byte, b *transport.Buffer) error {
	datagram, err := c.eng.appendData(time.Now(), b.P, p)
	if err != nil {
		if failed := c.eng.Err(); failed != nil {
			c.over(failed)
		}
		return err
	}
	b.P = datagram[:0]
	size := len(datagram)
	kicked, err := c.handOver(datagram, func() bool { return c.tooLargeNow(size) })
	if err != nil {
		err = c.notSent(datagram, err, kicked)
	}
	return err
}

// awaitTurn completes the handshake and waits until no other goroutine is sending,
// with mu held. doneSending gives the turn back.
func (c *Conn) awaitTurn() error {
	for {
		if err := c.mayWrite(); err != nil {
			c.turn.pass()
			return err
		}
		switch {
		case c.hs != nil:
			err := c.handshakeLocked(context.Background(), deadline.Write, true)
			if err != nil {
				return err
			}
		case c.turn.take():
			return nil
		default:
			c.turn.wait(&c.mu)
		}
	}
}

// mayWrite returns the error of a Write that cannot begin now, with mu held.
func (c *Conn) mayWrite() error {
	switch {
	case c.end.returned() != nil:
		return c.end.returned()
	case c.end.eof:
		return errPeerClosed
	case c.expired(deadline.Write):
		return ErrAgain
	}
	if large := c.takeLarge(); large != nil {
		return large
	}
	return nil
}

// errPeerClosed: RFC 5246, Section 7.2.1 discards pending writes after a
// close_notify of the peer.
var errPeerClosed error = &closedError{"dtls: peer has closed the association"}

// notSent turns the transport's error for a datagram of Write into Write's error,
// with mu held.
func (c *Conn) notSent(datagram []byte, err error, kicked bool) error {
	switch {
	case c.end.closed:
		return errConnClosed
	case errors.Is(err, transport.ErrWithdrawn):
		return c.eng.tooLargeError(len(datagram), nil)
	case isTooLarge(err):
		lp := c.eng.dataRefused(time.Now(), len(datagram), c.sock.PathHint(err), err)
		c.takeEvents()
		return lp
	case transport.IsClosed(err):
		c.over(&transport.Error{Err: err, Closed: true})
		return cmp.Or(c.end.returned(), errPeerClosed)
	case kicked, errors.Is(err, os.ErrDeadlineExceeded):
		return ErrAgain
	}
	return &transport.Error{Err: err}
}
