package dtls

import (
	"time"
)

// timeout is called when the alarm rings.
func (c *Conn) timeout(now time.Time) {
	c.mu.Lock()
	c.flags.armed = false
	switch {
	case c.isOver():
		c.mu.Unlock()
	case c.hs != nil:
		c.overdue(now)
	default:
		if at := c.idleAt(); !at.IsZero() && !now.Before(at) {
			c.eng.close(now, ErrIdleTimeout) // hear asks Err
		} else {
			_ = c.eng.HandleTimeout(now)
		}
		c.settle()
	}
}

// rearm sets the alarm to the engine's next time-out, or to the end of our
// patience with a silent peer. Each record puts that off, and moving an alarm
// costs; so one that is set stays, and looks again when it rings.
func (c *Conn) rearm() {
	if c.hs != nil || c.isOver() {
		return
	}
	next, idle := c.eng.NextTimeout(), c.idleAt()
	switch {
	case next.IsZero() && c.flags.armed:
		return
	case c.alarm != nil:
	case next.IsZero() && idle.IsZero():
		return
	default:
		c.alarm = newAlarm(c)
	}
	c.flags.armed = !idle.IsZero()
	c.sock.alarms.set(c.alarm, earliest(next, idle))
}

// idleAt is when the association is over if the peer stays silent, zero if never.
func (c *Conn) idleAt() time.Time {
	if patience := c.eng.p.idleTimeout; patience > 0 && !c.flags.lingers {
		return c.eng.heard.Add(patience)
	}
	return time.Time{}
}
