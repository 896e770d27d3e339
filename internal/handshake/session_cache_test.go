package handshake

import (
	"encoding/binary"
	"testing"
)

// TestSpentIsBounded: a session is offered once; beyond maxSpent of them the oldest
// is forgotten, and no more than that is kept.
func TestSpentIsBounded(t *testing.T) {
	var s Spent
	session := func(i int) *Session { return &Session{Ticket: binary.BigEndian.AppendUint32(nil, uint32(i))} }
	for i := range 3 * maxSpent {
		if !s.spend(session(i)) || s.spend(session(i)) {
			t.Fatalf("session %d is not offered once", i)
		}
	}
	if s.spend(session(2*maxSpent)) || !s.spend(session(2*maxSpent-1)) {
		t.Error("another session than the oldest was forgotten")
	}
	if len(s.ids) != maxSpent || len(s.oldest) != maxSpent {
		t.Errorf("%d and %d sessions are kept", len(s.ids), len(s.oldest))
	}
}

// TestSessionCacheEvictsTheOldest, and gives each session away once.
func TestSessionCacheEvictsTheOldest(t *testing.T) {
	c := NewSessionCache(2)
	for _, s := range []string{"a1", "b1", "a2"} {
		c.Put(s[:1], []byte(s))
	}
	for _, want := range []string{"a2", ""} {
		if got := string(c.Take("a")); got != want {
			t.Errorf("took %q, want %q", got, want)
		}
	}
	if got := string(c.Take("b")); got != "b1" {
		t.Errorf("took %q", got)
	}
}
