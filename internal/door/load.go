package door

import "time"

// load is how busy the front is: what CookieUnderLoad goes by.
type load struct {
	limit int // handshakes under way at once that are still calm
	open  int // under way now, see Door.SetLoad

	since  time.Time // when the present second began
	hellos int       // without a cookie, in the present second
	before int       // and in the one before
}

// CalmHellos is how many hellos without a cookie may come in a second before
// cookies are asked for. To answer that many with certificates of RSA takes a
// fifth of a core.
const CalmHellos = 200

// Rate counts what happens in a second.
type Rate struct {
	since time.Time
	n     int
}

// Allow counts one more, and reports whether that is not more than perSecond.
func (r *Rate) Allow(now time.Time, perSecond int) bool {
	if now.Sub(r.since) >= time.Second {
		r.since, r.n = now, 0
	}
	r.n++
	return r.n <= perSecond
}

// SetLoad sets the number of handshakes under way, for UnderLoad.
func (d *Door) SetLoad(handshakes int) { d.load.open = handshakes }

// hello notes a hello without a cookie.
func (l *load) hello(now time.Time) {
	l.advance(now)
	l.hellos++
}

// advance goes on to the second that now is in. A clock that was set back begins
// a new one.
func (l *load) advance(now time.Time) {
	switch age := now.Sub(l.since); {
	case age < 0 || age >= 2*time.Second:
		l.since, l.before, l.hellos = now, 0, 0
	case age >= time.Second:
		l.since, l.before, l.hellos = l.since.Add(time.Second), l.hellos, 0
	}
}

// high reports whether a handshake more should have to be paid for: too many are
// under way, or one more hello would exceed CalmHellos in the second that ends
// now. What came in the part of it that belongs to the second before is taken
// in proportion.
func (l *load) high(now time.Time) bool {
	l.advance(now)
	rest := time.Second - now.Sub(l.since)
	recent := l.hellos + int(int64(l.before)*int64(rest)/int64(time.Second))
	return l.open > l.limit || recent >= CalmHellos
}
