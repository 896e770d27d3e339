package suspicion

import (
	"errors"
	"testing"
	"time"
)

var (
	errFirst, errSecond = errors.New("first"), errors.New("second")
	start               = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
)

func TestFirstReasonStays(t *testing.T) {
	var s Suspicion
	s.Note(errFirst, start.Add(time.Second))
	s.Note(errSecond, start.Add(time.Hour))
	if !errors.Is(s.Err, errFirst) || s.Due(start) || !s.Due(start.Add(time.Second)) {
		t.Errorf("%+v", s)
	}
	s.Keep()
	if s.Due(start.Add(time.Hour)) || !errors.Is(s.Err, errFirst) {
		t.Errorf("kept for the time-out: %+v", s)
	}
	s.Note(errSecond, start.Add(time.Minute))
	if !errors.Is(s.Err, errSecond) || !s.Due(start.Add(time.Minute)) {
		t.Errorf("after what is kept: %+v", s)
	}
	s.Verified()
	if s.Err != nil || s.Due(start.Add(time.Hour)) || !s.Authentic {
		t.Errorf("verified: %+v", s)
	}
}

func TestOneRecordThatDoesNotOpen(t *testing.T) {
	var s Suspicion
	if s.Unopens(start, time.Second) || s.Unopens(start.Add(999*time.Millisecond), time.Second) {
		t.Error("one transmission is enough")
	}
	if !s.Unopens(start.Add(time.Second), time.Second) {
		t.Error("two are not")
	}
	s.Clear()
	if s.Unopens(start.Add(time.Hour), time.Second) {
		t.Error("a valid message in between counts nothing")
	}
}

func TestRefusalIsFinal(t *testing.T) {
	var s Suspicion
	alerts, now := 0, start
	for range 100 {
		if s.Refuse(now, errFirst, time.Second, 100*time.Millisecond) {
			alerts++
		}
		now = now.Add(60 * time.Millisecond)
		s.Verified()
	}
	if alerts != maxTold || !s.Refused() || !errors.Is(s.Err, errFirst) || !s.Due(now) {
		t.Errorf("%d alerts, %+v", alerts, s)
	}
}
