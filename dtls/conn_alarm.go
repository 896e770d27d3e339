package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alarms"
)

// alarm is the entry of a Conn among the alarms of its socket.
type alarm struct {
	alarms.Alarm[*Conn]
	idle bool // it is set, for the idle time-out among others
}

func newAlarm(c *Conn) *alarm { return &alarm{Alarm: alarms.Of(c)} }

func (a *alarm) rang() {
	if a != nil {
		a.idle = false
	}
}

// setAlarm has timeout called at a time; the zero time turns the alarm off.
func (c *Conn) setAlarm(at time.Time) {
	if c.alarm == nil {
		if at.IsZero() {
			return
		}
		c.alarm = newAlarm(c)
	}
	c.sock.alarms.Set(&c.alarm.Alarm, at)
}

// rearm sets the alarm to the engine's next time-out, or to the end of the idle
// time-out. Each record of the peer moves the latter, and moving an alarm costs
// time; so an alarm that is set stays, and timeout looks at the idle time again.
func (c *Conn) rearm() {
	if c.hs != nil || c.end.isOver() {
		return
	}
	next, idle := c.eng.NextTimeout(), c.idleAt()
	if next.IsZero() && c.alarm != nil && c.alarm.idle {
		return
	}
	c.setAlarm(earliest(next, idle))
	if c.alarm != nil {
		c.alarm.idle = !idle.IsZero()
	}
}

// idleAt is when the idle time-out of the association ends, zero if it has none.
func (c *Conn) idleAt() time.Time {
	if d := c.eng.p.idleTimeout; d > 0 && !c.end.lingers {
		return c.eng.lastRecord.Add(d)
	}
	return time.Time{}
}

// timeout is called when the alarm rings.
func (c *Conn) timeout(now time.Time) {
	defer c.sock.Recovered()
	c.mu.Lock()
	defer c.unlock()
	c.alarm.rang()
	switch {
	case c.end.isOver():
	case c.hs != nil:
		c.overdue(now)
	default:
		if at := c.idleAt(); !at.IsZero() && !now.Before(at) {
			c.eng.close(now, ErrIdleTimeout) // takeEvents asks Err
		} else {
			_ = c.eng.HandleTimeout(now)
		}
		c.settle()
	}
}
