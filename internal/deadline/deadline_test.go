package deadline

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestPair: a deadline expires once, at its last time, and not after the end.
func TestPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []Set
		ended := false
		p := New(&mu, func() bool { return ended }, func(s Set) { got = append(got, s) })
		locked := func(f func()) {
			mu.Lock()
			defer mu.Unlock()
			f()
		}
		now := time.Now()
		locked(func() {
			p.Set(Either, now.Add(time.Second))
			p.Set(Write, now.Add(2*time.Second))
		})
		time.Sleep(1500 * time.Millisecond)
		locked(func() {
			if !p.Past(Read) || p.Past(Write) || !p.Past(Either) {
				t.Error("after the first one")
			}
		})
		time.Sleep(time.Second)
		locked(func() {
			if !p.Past(Write) || !slices.Equal(got, []Set{Read, Write}) {
				t.Errorf("expired: %v", got)
			}
			p.Set(Read, time.Time{})
			p.Set(Write, now)
			if p.Past(Read) || !p.Past(Write) || len(got) != 3 {
				t.Error("a deadline of zero or of the past")
			}
			p.Set(Read, time.Now().Add(time.Second))
			ended = true
		})
		time.Sleep(2 * time.Second)
		locked(func() {
			if p.Past(Read) || len(got) != 3 {
				t.Error("expired after the end")
			}
			p.Stop()
		})
		if none := (*Pair)(nil); none.Past(Either) {
			t.Error("nil has a deadline")
		}
	})
}
