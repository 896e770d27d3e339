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
}

// Note keeps the first reason.
func (s *Suspicion) Note(err error, deadline time.Time) {
	if s.Err == nil || s.Deadline.IsZero() {
		s.Err, s.Deadline = err, deadline
	}
}

// Keep leaves the reason to the error of the time-out.
func (s *Suspicion) Keep() { s.Deadline = time.Time{} }

// Clear follows a valid message.
func (s *Suspicion) Clear() { s.Err, s.Deadline, s.unopened = nil, time.Time{}, time.Time{} }

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
