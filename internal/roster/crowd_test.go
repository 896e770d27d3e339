package roster

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// member is an association of these tests.
type member struct {
	name   string
	prefix netip.Prefix
	since  time.Time
	entry  *Entry[member] // nil: established
}

// listCrowd does what Crowd does with a list.
type listCrowd struct {
	members []*member // in order of arrival
}

func (s *listCrowd) handshakes(prefix netip.Prefix) (n int, oldest *member, at int) {
	for i, m := range s.members {
		if m.prefix == prefix && m.entry != nil {
			if n++; oldest == nil {
				oldest, at = m, i
			}
		}
	}
	return n, oldest, at
}

func (s *listCrowd) victim(prefix netip.Prefix, now time.Time) *member {
	own, _, _ := s.handshakes(prefix)
	most, mostAt := -1, 0
	var from netip.Prefix
	for _, m := range s.members {
		n, oldest, at := s.handshakes(m.prefix)
		if oldest == nil {
			continue
		}
		if m.prefix == prefix {
			n++
		}
		if n > most || n == most && at < mostAt {
			most, mostAt, from = n, at, m.prefix
		}
	}
	if most < own+1 { // the newcomer's own prefix, which has no other handshake
		return nil
	}
	_, oldest, _ := s.handshakes(from)
	if from != prefix && most > own+1 || now.Sub(oldest.since) >= StallAge {
		return oldest
	}
	return nil
}

// TestCrowdAgainstList makes the same random calls on a Crowd and a list.
func TestCrowdAgainstList(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var cr Crowd[member]
		var list listCrowd
		now := time.Unix(1000, 0)
		victims := 0
		for step := range 2000 {
			now = now.Add(time.Duration(rng.IntN(200)) * time.Millisecond)
			switch {
			case len(list.members) < 20 && rng.IntN(2) == 0 || len(list.members) == 0:
				m := &member{name: fmt.Sprint("member of step ", step), prefix: prefix(rng.IntN(6)), since: now}
				m.entry = cr.Begin(m, m.prefix, now)
				list.members = append(list.members, m)
			default:
				i := rng.IntN(len(list.members))
				if m := list.members[i]; m.entry != nil && rng.IntN(3) == 0 {
					cr.Complete(m.entry)
					m.entry = nil
				} else {
					cr.Leave(m.entry, m.prefix)
					list.members = append(list.members[:i], list.members[i+1:]...)
				}
			}
			for i := range 7 { // the last prefix has no member
				prefix := prefix(i)
				total := 0
				for _, m := range list.members {
					if m.prefix == prefix {
						total++
					}
				}
				if got := cr.Count(prefix); got != total {
					t.Fatalf("seed %d step %d: %v has %d, want %d", seed, step, prefix, got, total)
				}
				got, want := cr.Victim(prefix, now), list.victim(prefix, now)
				if got != want {
					t.Fatalf("seed %d step %d: for %v the victim is %v, want %v", seed, step, prefix, nameOf(got), nameOf(want))
				}
				if got != nil {
					victims++
				}
			}
		}
		for _, m := range list.members {
			cr.Leave(m.entry, m.prefix)
		}
		if len(cr.groups.m) != 0 || len(cr.most) != 0 {
			t.Errorf("seed %d: %d groups and %d in the heap are left", seed, len(cr.groups.m), len(cr.most))
		}
		if victims == 0 {
			t.Errorf("seed %d: there was no victim", seed)
		}
	}
}

func prefix(i int) netip.Prefix { return netip.MustParsePrefix(fmt.Sprintf("10.0.%d.0/24", i)) }

func nameOf(m *member) string {
	if m == nil {
		return "none"
	}
	return m.name
}

// TestCrowdLingers: associations that linger are counted by no prefix, and the
// oldest has to end when there are too many.
func TestCrowdLingers(t *testing.T) {
	var cr Crowd[member]
	var all []*member
	now := time.Unix(1000, 0)
	for i := range 3 {
		m := &member{name: fmt.Sprint(i), prefix: prefix(0)}
		cr.Complete(cr.Begin(m, m.prefix, now))
		all = append(all, m)
	}
	for i, m := range all {
		var oldest *member
		m.entry, oldest = cr.Linger(m, m.prefix, 2)
		if want := i >= 2; (oldest != nil) != want || want && oldest != all[0] {
			t.Errorf("%d linger: %s has to end", i+1, nameOf(oldest))
		}
		if cr.Lingering() != i+1 || cr.Count(m.prefix) != 2-i {
			t.Errorf("%d linger, %d are counted", cr.Lingering(), cr.Count(m.prefix))
		}
	}
	for _, m := range all {
		cr.Leave(m.entry, m.prefix)
	}
	if cr.Lingering() != 0 || cr.Prefixes() != 0 {
		t.Errorf("%d linger, %d prefixes are left", cr.Lingering(), cr.Prefixes())
	}
}
