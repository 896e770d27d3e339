package dtls

import "time"

// SetDeadline sets both deadlines: Handshake obeys the earlier one. A deadline
// ends calls that wait, and all that come after it, with ErrAgain; the
// association stays usable, and a later deadline, or the zero time for none,
// lets calls through again.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadline(eitherDeadline, t) }

// SetReadDeadline sets the deadline of Read.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(readDeadline, t) }

// SetWriteDeadline sets the deadline of Write. Where the transport is a Conn's
// own and blocks, a Write inside it is interrupted; then its datagram may or
// may not have left.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(writeDeadline, t) }

// deadlineSet is the set of deadlines that apply to a call.
type deadlineSet uint8

const (
	readDeadline deadlineSet = 1 << iota
	writeDeadline
	eitherDeadline = readDeadline | writeDeadline
)

// deadlines are made by the first SetDeadline: most associations of a server
// never have one.
type deadlines [2]deadline

func (d *deadlines) of(which deadlineSet) *deadline { return &d[which>>1] }

// stop ends the timers. It may be called for nil.
func (d *deadlines) stop() {
	if d != nil {
		d[0].stop()
		d[1].stop()
	}
}

// deadline is one of a Conn's, guarded by its mu.
type deadline struct {
	at    time.Time // zero: none
	past  bool
	timer *time.Timer
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

func (c *Conn) setDeadline(which deadlineSet, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end.closed {
		return errConnClosed
	}
	if c.dl == nil {
		if t.IsZero() {
			return nil
		}
		c.dl = new(deadlines)
	}
	for _, w := range [...]deadlineSet{readDeadline, writeDeadline} {
		if which&w != 0 {
			c.dl.of(w).set(c, t)
		}
	}
	return nil
}

// set sets the deadline, with c.mu held.
func (d *deadline) set(c *Conn, t time.Time) {
	d.stop()
	d.at, d.past = t, false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	switch {
	case left <= 0:
		d.expire(c)
	case d.timer == nil:
		d.timer = time.AfterFunc(left, func() { d.ring(c) })
	default:
		d.timer.Reset(left)
	}
}

// ring is called by the timer, perhaps of a deadline that has moved since.
func (d *deadline) ring(c *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.at.IsZero() || d.past || c.end.closed {
		return
	}
	if left := time.Until(d.at); left > 0 {
		d.timer.Reset(left)
		return
	}
	d.expire(c)
}

func (d *deadline) expire(c *Conn) {
	d.past = true
	if c.hs != nil || d == c.dl.of(writeDeadline) {
		c.kick()
	}
	c.wakeAll()
}

// expired reports whether one of the deadlines has passed, with mu held.
func (c *Conn) expired(by deadlineSet) bool {
	if c.dl == nil {
		return false
	}
	return by&readDeadline != 0 && c.dl.of(readDeadline).past ||
		by&writeDeadline != 0 && c.dl.of(writeDeadline).past
}
