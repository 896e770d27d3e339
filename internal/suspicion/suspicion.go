// Package suspicion keeps what may end a handshake and may be forged, until it is
// believed or something valid follows. It knows no records and no alerts.
package suspicion

import "time"

// Suspicion is what was noted of one handshake. The zero value is nothing.
type Suspicion struct {
	Err      error
	Deadline time.Time // when it ends the handshake; zero: with the time-out, whose error names it

	Authentic bool      // a record of the peer was deprotected
	unopened  time.Time // when the first record came that did not open, zero: none
	told      int       // alerts that refused the client's last flight, 0: it is not refused
	toldAt    time.Time // the last of them
}

// maxTold is how many alerts a client gets that repeats what was refused.
const maxTold = 8

// Refuse makes the reason final, or notes a repetition of what it refused. It reports
// whether the alert goes out: once for each transmission.
func (s *Suspicion) Refuse(now time.Time, err error, wait, apart time.Duration) bool {
	if s.told == maxTold || s.told > 0 && now.Sub(s.toldAt) < apart {
		return false
	}
	if s.told == 0 {
		s.Err = err
	}
	s.told++
	s.toldAt, s.Deadline = now, now.Add(wait)
	return true
}

// Refused reports whether the reason is final.
func (s *Suspicion) Refused() bool { return s.told > 0 }

// Note keeps the first reason.
func (s *Suspicion) Note(err error, deadline time.Time) {
	if s.Err == nil || s.Deadline.IsZero() {
		s.Err, s.Deadline = err, deadline
	}
}

// Keep leaves the reason to the error of the time-out.
func (s *Suspicion) Keep() { s.Deadline = time.Time{} }

// Clear follows a valid message.
func (s *Suspicion) Clear() {
	if !s.Refused() {
		s.Err, s.Deadline, s.unopened = nil, time.Time{}, time.Time{}
	}
}

// Verified follows an authentic record: no plaintext alert counts from here on.
func (s *Suspicion) Verified() {
	s.Clear()
	s.Authentic = true
}

// Unopens notes a record that did not open. It reports whether an earlier
// transmission had one, too: the first may be forged.
func (s *Suspicion) Unopens(now time.Time, apart time.Duration) bool {
	if s.unopened.IsZero() {
		s.unopened = now
	}
	return now.Sub(s.unopened) >= apart
}

// Due reports whether the reason ends the handshake now.
func (s *Suspicion) Due(now time.Time) bool {
	return !s.Deadline.IsZero() && !now.Before(s.Deadline)
}
