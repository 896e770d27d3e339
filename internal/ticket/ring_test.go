package ticket

import (
	"bytes"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const hour = time.Hour

// opens reports whether the ring opens a ticket, and checks what is in it.
func opens(t *testing.T, r *Ring, ticket []byte, plain string) bool {
	t.Helper()
	got := r.Open(ticket)
	if got != nil && string(got) != plain {
		t.Errorf("opened as %q, want %q", got, plain)
	}
	return got != nil
}

func nameOf(ticket []byte) [nameLen]byte { return [nameLen]byte(ticket) }

func TestRingRotates(t *testing.T) {
	var r Ring
	last := nameOf(r.Seal(nil, start))
	for _, tt := range []struct {
		at    time.Duration
		isNew bool
	}{
		{0, false},
		{hour, false},
		{-hour, false}, // the clock of another goroutine
		{rotation - 1, false},
		{rotation, true},
		{rotation + 1, false},
		{rotation - 1, false},
		{2*rotation - 1, false},
		{2*rotation + hour, true}, // nobody asked before
		{3*rotation + hour - 1, false},
		{3*rotation + hour, true},
		{1000 * rotation, true},
	} {
		name := nameOf(r.Seal(nil, start.Add(tt.at)))
		if isNew := name != last; isNew != tt.isNew {
			t.Errorf("a new key after %v: %v, want %v", tt.at, isNew, tt.isNew)
		}
		last = name
	}
}

// TestRingOpensUntilTheLifetimeEnds: a key seals for one period, and the last of its tickets is good for a lifetime more.
func TestRingOpensUntilTheLifetimeEnds(t *testing.T) {
	const plain = "the last of the first key"
	var r Ring
	r.Seal(nil, start)
	ticket := r.Seal([]byte(plain), start.Add(rotation-1))
	for at := rotation; at < rotation+Lifetime; at += rotation {
		r.Seal(nil, start.Add(at))
		if !opens(t, &r, ticket, plain) {
			t.Errorf("refused after %v", at)
		}
	}
	r.Seal(nil, start.Add(rotation+Lifetime-1)) // its end: no key is made for this
	if !opens(t, &r, ticket, plain) {
		t.Error("refused at its end")
	}
	r.Seal(nil, start.Add(rotation+Lifetime))
	if opens(t, &r, ticket, plain) {
		t.Error("opens after its end")
	}
}

// TestRingForgets: however keys come to be made, the last ticket of each opens while it is good, each key goes at the
// first rotation past that, and three keys are all there ever are.
func TestRingForgets(t *testing.T) {
	type sealed struct {
		ticket []byte
		made   time.Time // of its key
		at     time.Time
	}
	for _, step := range []time.Duration{hour, 5 * hour, rotation, rotation + 1, 17 * hour, Lifetime, 36*hour - 1, 36 * hour, 1000 * hour} {
		var r Ring
		var old []sealed
		now := start
		for range 200 {
			now = now.Add(step)
			s := r.Seal(nil, now)
			old = append(old, sealed{s, r.keys[0].made, now})
			for _, o := range old {
				// An empty ticket opens as nil, so that the key is asked for.
				known := r.opening(nameOf(o.ticket)) != nil
				if good := now.Sub(o.at) < Lifetime; good && !known {
					t.Fatalf("every %v: the key of a ticket %v old is gone", step, now.Sub(o.at))
				}
				if gone := r.keys[0].made.Sub(o.made) >= rotation+Lifetime; gone && known {
					t.Fatalf("every %v: a key made %v ago is still here", step, now.Sub(o.made))
				}
			}
			if len(r.keys) > 3 {
				t.Fatalf("every %v: %d keys", step, len(r.keys))
			}
		}
	}
}

// TestRingSharesKeys: servers that were told the same keys open each other's tickets, whichever of them seals.
func TestRingSharesKeys(t *testing.T) {
	const plain = "for all of us"
	k1, k2, k3 := [32]byte{1}, [32]byte{2}, [32]byte{3}
	var a, b, other, own Ring
	a.SetKeys([][32]byte{k1, k2})
	b.SetKeys([][32]byte{k2, k1})
	other.SetKeys([][32]byte{k3})
	own.Seal(nil, start)
	fromA, fromB := a.Seal([]byte(plain), start), b.Seal([]byte(plain), start.Add(1000*hour))
	if nameOf(fromA) == nameOf(fromB) {
		t.Error("the second key seals")
	}
	for _, ticket := range [][]byte{fromA, fromB} {
		if !opens(t, &a, ticket, plain) || !opens(t, &b, ticket, plain) {
			t.Error("refused by one who has the key")
		}
		if opens(t, &other, ticket, plain) || opens(t, &own, ticket, plain) || opens(t, nil, ticket, plain) {
			t.Error("opened by one who lacks the key")
		}
	}
	if nameOf(a.Seal(nil, start.Add(1000*hour))) != nameOf(fromA) {
		t.Error("a key of the caller's was rotated")
	}
	a.SetKeys([][32]byte{k3})
	if opens(t, &a, fromA, plain) {
		t.Error("opened with a key that was replaced")
	}
	if len(a.keys) != 1 {
		t.Errorf("%d keys, want 1", len(a.keys))
	}
	a.SetKeys(make([][32]byte, MaxKeys+1))
	if len(a.keys) != MaxKeys {
		t.Errorf("%d keys, want %d", len(a.keys), MaxKeys)
	}
}

func TestRingRefusesWhatWasChanged(t *testing.T) {
	const plain = "sealed"
	var r Ring
	ticket := r.Seal([]byte(plain), start)
	if bytes.Contains(ticket, []byte(plain)) {
		t.Errorf("not encrypted: %x", ticket)
	}
	if bytes.Equal(ticket, r.Seal([]byte(plain), start)) {
		t.Error("the same ticket twice")
	}
	if !opens(t, &r, ticket, plain) {
		t.Fatal("refused unchanged")
	}
	for i := range ticket {
		for bit := range 8 {
			changed := bytes.Clone(ticket)
			changed[i] ^= 1 << bit
			if opens(t, &r, changed, plain) {
				t.Errorf("opens with bit %d of byte %d flipped", bit, i)
			}
		}
		if opens(t, &r, ticket[:i], plain) {
			t.Errorf("opens cut to %d bytes", i)
		}
	}
	if opens(t, &r, append(bytes.Clone(ticket), 0), plain) {
		t.Error("opens with a byte more")
	}
}
