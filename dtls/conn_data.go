package dtls

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// Read waits for a record of application data and copies it into p. A record
// that is longer than p is cut: n is len(p), the error ErrShortBuffer, and the
// rest is gone. An empty record gives 0 and no error.
//
// The first Read or Write runs the handshake if nobody has. Other errors:
// io.EOF after the peer's close_notify and all data before it; ErrAgain when
// the read deadline has passed; one that matches net.ErrClosed after Close;
// what ended the association, after the data that had come until then.
func (c *Conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.flags.closed:
			return 0, errConnClosed
		case c.expired(readDeadline):
			return 0, ErrAgain
		case c.queue != nil:
			n, whole := c.queue.pop(p)
			if c.queue.size == 0 {
				c.queue = c.queue.release()
			}
			if !whole {
				return n, ErrShortBuffer
			}
			return n, nil
		case c.err != nil:
			return 0, c.err
		case c.flags.eof:
			return 0, io.EOF
		case c.hs != nil:
			c.mu.Unlock()
			err := c.handshake(context.Background(), readDeadline, true)
			c.mu.Lock()
			if err != nil && c.queue == nil {
				return 0, err
			}
			continue
		}
		c.wait()
	}
}

// Write sends p as one record in one datagram; an empty p is an empty record.
// The first Read or Write runs the handshake if nobody has.
//
// If p is longer than MaxData, or the transport says that the datagram is too
// large, the error is a *LargePacketError, n is 0 and the association lives on;
// its MaxData says what would fit. ErrAgain says that the write deadline has
// passed, and an error that matches net.ErrClosed that either side has closed.
// Other refusals of the transport are returned as they are; IsFatal is false
// for them. On a shared socket the deadline does not interrupt the transport.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if err := c.awaitTurn(); err != nil {
		c.mu.Unlock()
		return 0, err
	}
	b := getBuffer()
	if c.eng.Direction() == Writing {
		c.sendPending(context.Background(), b) // a flight, whose keys the record may need
		c.hear()
		c.rearm()
		if err := c.mayWrite(); err != nil {
			b.release()
			c.doneSending()
			return 0, err
		}
	}
	now := time.Now()
	datagram, err := c.eng.appendData(now, b.p, p)
	if err != nil {
		if failed := c.eng.Err(); failed != nil {
			c.over(failed)
		}
		b.release()
		c.doneSending()
		return 0, err
	}
	b.p = datagram[:0]
	c.flags.sending = true
	c.mu.Unlock()

	size := len(datagram)
	err = c.sock.send(datagram, c.peer, func() bool { return c.overtaken(size) })

	c.mu.Lock()
	kicked := c.sent()
	if err != nil {
		err = c.notSent(datagram, err, kicked)
	}
	b.release()
	c.doneSending()
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// awaitTurn completes the handshake and waits until nobody else is sending,
// with mu held. The turn is given back by doneSending.
func (c *Conn) awaitTurn() error {
	for {
		if err := c.mayWrite(); err != nil {
			c.passTurn()
			return err
		}
		switch {
		case c.hs != nil:
			c.mu.Unlock()
			err := c.handshake(context.Background(), writeDeadline, true)
			c.mu.Lock()
			if err != nil {
				return err
			}
		case !c.flags.turn:
			c.flags.turn = true
			return nil
		default:
			if c.turn == nil {
				c.turn = sync.NewCond(&c.mu)
			}
			c.turn.Wait()
		}
	}
}

// passTurn wakes one Write that waits, if nobody is sending.
func (c *Conn) passTurn() {
	if c.turn != nil && !c.flags.turn {
		c.turn.Signal()
	}
}

// mayWrite says why nothing can be written now, with mu held.
func (c *Conn) mayWrite() error {
	switch {
	case c.flags.closed || c.err != nil:
		return c.overErr()
	case c.flags.eof:
		return errPeerClosed
	case c.expired(writeDeadline):
		return ErrAgain
	case c.large != nil:
		lp := c.large
		c.large = nil
		return lp
	}
	return nil
}

// errPeerClosed: RFC 5246, Section 7.2.1 has both sides stop writing.
var errPeerClosed error = &closedError{"dtls: peer has closed the association"}

// notSent turns what the transport said about a datagram of Write into Write's
// error, with mu held.
func (c *Conn) notSent(datagram []byte, err error, kicked bool) error {
	switch {
	case c.flags.closed:
		return errConnClosed
	case errors.Is(err, errWithdrawn):
		return c.eng.dataOvertaken(len(datagram), nil)
	case isTooLarge(err):
		lp := c.eng.dataRefused(time.Now(), len(datagram), c.sock.pathHint(err), err)
		c.hear()
		return lp
	case isClosed(err):
		c.over(&transportError{err: err, closed: true})
		return c.overErr()
	case kicked, errors.Is(err, os.ErrDeadlineExceeded):
		return ErrAgain
	}
	return &transportError{err: err}
}
