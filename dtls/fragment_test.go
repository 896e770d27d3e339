package dtls

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/message"
)

// TestCut walks one message through datagrams. A step is the room for its bytes
// in the datagram at hand, and in a fresh one; "again" is a retransmission.
func TestCut(t *testing.T) {
	type step struct {
		room, fresh int
		again       bool
	}
	full, again := step{1207, 1207, false}, step{again: true}
	room := func(n int) step { return step{n, 1207, false} }
	limit := func(n int) step { return step{n, n, false} }
	for _, tt := range []struct {
		name  string
		body  int
		whole bool
		steps []step
		want  string // fragments; - is nothing for this datagram
	}{
		{"what fits goes out in one piece", 1000, false, []step{full}, "0-1000"},
		{"what does not is cut where the room ends", 2000, false, []step{room(400), full, full}, "0-400 400-1607 1607-2000"},
		{"31 bytes of room are not worth a header", 1000, false, []step{room(31)}, "-"},
		{"32 are", 1000, false, []step{room(32)}, "0-32"},
		{"less is enough for a message that ends there", 20, false, []step{room(20)}, "0-20"},
		{"and for the end of one", 1227, false, []step{full, room(20)}, "0-1207 1207-1227"},
		{"but not for the end and a byte", 1228, false, []step{full, room(20)}, "0-1207 -"},
		{"no room, no fragment", 1000, false, []step{room(0), room(-40)}, "- -"},
		{"an empty message needs room for its header only", 0, false, []step{room(-1), room(0)}, "- 0-0"},
		{"a hello waits for a datagram of its own", 300, true, []step{room(200), full}, "- 0-300"},
		{"unless no datagram can take it", 3000, true, []step{room(200), full, full, full}, "0-200 200-1407 1407-2614 2614-3000"},
		{"a hello over the limit is cut", 300, true, []step{limit(203), limit(203)}, "0-203 203-300"},
		{"a retransmission has the same fragments", 2000, false, []step{room(400), full, full, again, room(400), full, full}, "0-400 400-1607 1607-2000 0-400 400-1607 1607-2000"},
		{"in whatever datagrams", 2000, false, []step{room(400), full, full, again, full, room(807), full, full}, "0-400 400-1607 1607-2000 0-400 - 400-1607 1607-2000"},
		{"a smaller limit divides into equal parts", 1200, false, []step{full, again, limit(500), limit(500), limit(500)}, "0-1200 0-400 400-800 800-1200"},
		{"which differ by a byte at most", 1001, false, []step{full, again, limit(300), limit(300), limit(300), limit(300)}, "0-1001 0-250 250-500 500-750 750-1001"},
		{"and leaves alone what fits", 1300, false, []step{room(100), full, again, limit(700), limit(700), limit(700)}, "0-100 100-1300 0-100 100-700 700-1300"},
		{"a larger limit moves no cut", 1200, false, []step{limit(500), limit(500), limit(500), again, full, full, full}, "0-500 500-1000 1000-1200 0-500 500-1000 1000-1200"},
		{"bytes that were never sent are still free", 2000, false, []step{limit(500), again, full, full, full}, "0-500 0-500 500-1707 1707-2000"},
		{"also below a smaller limit", 1000, false, []step{limit(600), again, limit(250), limit(250), limit(250), limit(250), limit(250)}, "0-600 0-200 200-400 400-600 600-850 850-1000"},
		{"a part that fits only a fresh datagram waits", 1200, false, []step{full, again, {room: 200, fresh: 500}, limit(500)}, "0-1200 - 0-400"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := outMessage{body: make([]byte, tt.body), whole: tt.whole}
			var got []string
			for _, s := range tt.steps {
				if s.again {
					m.unsend()
					continue
				}
				lo, hi, ok := m.next(s.room, s.fresh, false)
				if !ok {
					got = append(got, "-")
					continue
				}
				m.sent.Add(lo, hi)
				m.empty = lo == hi
				got = append(got, fmt.Sprintf("%d-%d", lo, hi))
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
		})
	}
}

// TestCutsNest: limits that change at random, transmissions that stop half way
// and refusals never move a cut, and always reach the end.
func TestCutsNest(t *testing.T) {
	cases := uint64(20000)
	if brief() {
		cases /= 10
	}
	for seed := range cases {
		r := rand.New(rand.NewPCG(seed, 0xc07))
		m := outMessage{body: make([]byte, 1+r.IntN(8000)), whole: r.IntN(4) == 0}
		cuts := map[uint32]bool{}
		for range 1 + r.IntN(6) {
			fresh := 203 + r.IntN(1300)
			room := fresh - r.IntN(fresh)
			for steps := r.IntN(60); steps > 0 && !m.done(); steps-- {
				lo, hi, ok := m.next(room, fresh, false)
				if !ok {
					if room == fresh {
						t.Fatalf("seed %d: a fresh datagram of %d takes nothing from %d of %d", seed, fresh, lo, len(m.body))
					}
					room = fresh
					continue
				}
				checkCut(t, seed, &m, cuts, lo, hi, room)
				if room -= int(hi-lo) + message.HeaderLen; room < 0 {
					room = fresh
				}
			}
			if r.IntN(2) == 0 {
				m.unsend()
			} else {
				lo := uint32(r.IntN(len(m.body)))
				lo = m.nextCut(lo) // a refused fragment begins at a cut
				m.sent.Remove(lo, min(m.nextCut(lo), uint32(len(m.body))))
			}
		}
		for !m.done() {
			lo, hi, ok := m.next(203, 203, false)
			if !ok {
				t.Fatalf("seed %d: never done", seed)
			}
			checkCut(t, seed, &m, cuts, lo, hi, 203)
		}
		if !slices.IsSorted(m.cuts) || len(slices.Compact(slices.Clone(m.cuts))) != len(m.cuts) {
			t.Fatalf("seed %d: cuts %v", seed, m.cuts)
		}
	}
}

func checkCut(t *testing.T, seed uint64, m *outMessage, cuts map[uint32]bool, lo, hi uint32, room int) {
	t.Helper()
	end := uint32(len(m.body))
	switch {
	case lo >= hi || hi > end || int(hi-lo) > room:
		t.Fatalf("seed %d: fragment %d-%d of %d in a room of %d", seed, lo, hi, end, room)
	case hi-lo < minFragment && hi < end:
		t.Fatalf("seed %d: fragment %d-%d of %d has less than %d bytes", seed, lo, hi, end, minFragment)
	}
	for cut := range cuts {
		if lo < cut && cut < hi {
			t.Fatalf("seed %d: fragment %d-%d straddles the cut at %d", seed, lo, hi, cut)
		}
	}
	cuts[lo], cuts[hi] = true, true
	if m.sent.Add(lo, hi) != hi-lo {
		t.Fatalf("seed %d: fragment %d-%d repeats bytes of this transmission", seed, lo, hi)
	}
}
