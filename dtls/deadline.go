package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/deadline"
)

// SetDeadline sets both deadlines: Handshake obeys the earlier one. A deadline
// ends calls that wait, and all that come after it, with ErrAgain; the
// association stays usable, and a later deadline, or the zero time for none,
// lets calls through again.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadline(deadline.Either, t) }

// SetReadDeadline sets the deadline of Read.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(deadline.Read, t) }

// SetWriteDeadline sets the deadline of Write. Where the transport is a Conn's
// own and blocks, a Write inside it is interrupted; then its datagram may or
// may not have left.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(deadline.Write, t) }

func (c *Conn) setDeadline(which deadline.Set, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end.closed {
		return errConnClosed
	}
	if c.dl == nil {
		if t.IsZero() {
			return nil
		}
		c.dl = deadline.New(&c.mu, func() bool { return c.end.closed }, c.deadlinePassed)
	}
	c.dl.Set(which, t)
	return nil
}

// deadlinePassed ends the calls that it is for, with mu held.
func (c *Conn) deadlinePassed(which deadline.Set) {
	if c.hs != nil || which == deadline.Write {
		c.kick()
	}
	c.wakeAll()
}

// expired reports whether one of the deadlines has passed, with mu held.
func (c *Conn) expired(by deadline.Set) bool { return c.dl.Past(by) }
