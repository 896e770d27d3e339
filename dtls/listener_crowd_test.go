package dtls

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

func TestPrefixOf(t *testing.T) {
	udp := func(s string) peerAddr { return peerAddr{ap: netip.MustParseAddrPort(s)} }
	for _, test := range []struct {
		a, b peerAddr
		same bool
	}{
		{udp("192.0.2.1:1"), udp("192.0.2.254:2"), true},
		{udp("192.0.2.1:1"), udp("192.0.3.1:1"), false},
		{udp("[2001:db8:0:100::1]:1"), udp("[2001:db8:0:1ff:ffff::2]:1"), true},
		{udp("[2001:db8:0:100::1]:1"), udp("[2001:db8:0:200::1]:1"), false},
		{udp("[fe80::1%eth0]:1"), udp("[fe80::1%eth1]:1"), true},
		{udp("[2001:db8::1]:1"), udp("32.1.13.184:1"), false},
		{peerAddr{addr: memName("a")}, peerAddr{addr: memName("a")}, true},
		{peerAddr{addr: memName("a")}, peerAddr{addr: memName("b")}, false},
	} {
		if a, b := prefixOf(test.a), prefixOf(test.b); (a == b) != test.same || !a.IsValid() {
			t.Errorf("%v is of %v, %v is of %v", test.a, a, test.b, b)
		}
	}
}

// slowCrowd does what crowd does with a list.
type slowCrowd struct {
	members []*slowMember // in order of arrival
}

type slowMember struct {
	c       *Conn
	prefix  netip.Prefix
	since   time.Time
	opening bool
}

func (s *slowCrowd) handshakes(prefix netip.Prefix) (n int, oldest *slowMember, at int) {
	for i, m := range s.members {
		if m.prefix == prefix && m.opening {
			if n++; oldest == nil {
				oldest, at = m, i
			}
		}
	}
	return n, oldest, at
}

func (s *slowCrowd) victim(prefix netip.Prefix, now time.Time) *Conn {
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
	if from != prefix && most > own+1 || now.Sub(oldest.since) >= stallAge {
		return oldest.c
	}
	return nil
}

// TestCrowdAgainstList does the same random things to a crowd and to a list.
func TestCrowdAgainstList(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var cr crowd
		var slow slowCrowd
		now := time.Unix(1000, 0)
		peer := func() peerAddr {
			return peerAddr{ap: netip.MustParseAddrPort(fmt.Sprintf("10.0.%d.%d:%d", rng.IntN(6), rng.IntN(3), 1+rng.IntN(1000)))}
		}
		victims := 0
		for step := range 2000 {
			now = now.Add(time.Duration(rng.IntN(200)) * time.Millisecond)
			switch {
			case len(slow.members) < 20 && rng.IntN(2) == 0 || len(slow.members) == 0:
				c := &Conn{peer: peer()}
				prefix := prefixOf(c.peer)
				cr.begin(c, prefix, now)
				slow.members = append(slow.members, &slowMember{c, prefix, now, true})
			default:
				i := rng.IntN(len(slow.members))
				if m := slow.members[i]; m.opening && rng.IntN(3) == 0 {
					cr.complete(m.c)
					m.opening = false
				} else {
					cr.leave(m.c)
					slow.members = append(slow.members[:i], slow.members[i+1:]...)
				}
			}
			for a := range 7 { // the last prefix has nobody
				prefix := netip.MustParsePrefix(fmt.Sprintf("10.0.%d.0/24", a))
				total := 0
				for _, m := range slow.members {
					if m.prefix == prefix {
						total++
					}
				}
				if got := cr.count(prefix); got != total {
					t.Fatalf("seed %d step %d: %v has %d, want %d", seed, step, prefix, got, total)
				}
				got, want := cr.victim(prefix, now), slow.victim(prefix, now)
				if got != want {
					t.Fatalf("seed %d step %d: for %v the victim is %v, want %v", seed, step, prefix, who(got), who(want))
				}
				if got != nil {
					victims++
				}
			}
		}
		for _, m := range slow.members {
			cr.leave(m.c)
		}
		if len(cr.groups.m) != 0 || len(cr.most) != 0 {
			t.Errorf("seed %d: %d groups and %d in the heap are left", seed, len(cr.groups.m), len(cr.most))
		}
		if victims == 0 {
			t.Errorf("seed %d: nobody ever had to go", seed)
		}
	}
}

func who(c *Conn) any {
	if c == nil {
		return "nobody"
	}
	return c.peer.ap
}
