package dtlstest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// walk pushes datagrams "0", "1", … one millisecond apart and returns what
// came out, in order, after an hour.
func walk(l *lane, datagrams int) string {
	var out []string
	now := time.Unix(0, 0)
	collect := func() {
		for _, p := range l.ready(now) {
			out = append(out, string(p.data))
		}
	}
	for i := range datagrams {
		l.push(now, parcel{data: fmt.Append(nil, i)})
		collect()
		now = now.Add(time.Millisecond)
	}
	now = now.Add(time.Hour)
	collect()
	return strings.Join(out, " ")
}

func TestLane(t *testing.T) {
	tests := []struct {
		name  string
		path  Path
		count int
		want  string
		stats PathStats
	}{
		{
			"the zero path delivers in order",
			Path{},
			4, "0 1 2 3",
			PathStats{Seen: 4, Passed: 4},
		},
		{
			"dropped datagrams are named by their index",
			Path{Drop: []int{1, 3}},
			5, "0 2 4",
			PathStats{Seen: 5, Passed: 3, Lost: 2},
		},
		{
			"datagrams above the MTU vanish",
			Path{MTU: 1},
			12, "0 1 2 3 4 5 6 7 8 9",
			PathStats{Seen: 12, Passed: 10, TooLarge: 2},
		},
		{
			"certain loss leaves nothing",
			Path{Loss: 1},
			3, "",
			PathStats{Seen: 3, Lost: 3},
		},
		{
			"a rough path calms down",
			Path{Loss: 1, Rough: 2},
			4, "2 3",
			PathStats{Seen: 4, Passed: 2, Lost: 2},
		},
		{
			"certain duplication doubles everything",
			Path{Duplicate: 1},
			3, "0 0 1 1 2 2",
			PathStats{Seen: 3, Passed: 6, Duplicated: 3},
		},
		{
			"held datagrams nobody overtakes are not reordered",
			Path{Reorder: 1},
			3, "0 1 2",
			PathStats{Seen: 3, Passed: 3},
		},
		{
			"a delay keeps the order",
			Path{Delay: 90 * time.Millisecond},
			3, "0 1 2",
			PathStats{Seen: 3, Passed: 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLane(tt.path, 1, ToServer)
			if got := walk(l, tt.count); got != tt.want {
				t.Errorf("out: %q, want %q", got, tt.want)
			}
			got := l.stats
			got.LargestSeen, got.LargestPassed = 0, 0
			if got != tt.stats {
				t.Errorf("stats: %+v, want %+v", got, tt.stats)
			}
		})
	}
}

func TestLaneIsDeterministic(t *testing.T) {
	path := Path{Loss: 0.2, Reorder: 0.2, Duplicate: 0.1}
	first := newLane(path, 7, ToServer)
	out := walk(first, 200)
	again := newLane(path, 7, ToServer)
	if got := walk(again, 200); got != out {
		t.Errorf("same seed, other result:\n%s\n%s", out, got)
	}
	if got := walk(newLane(path, 8, ToServer), 200); got == out {
		t.Error("another seed has the same result")
	}
	if got := walk(newLane(path, 7, ToClient), 200); got == out {
		t.Error("the other direction has the same result")
	}

	s := first.stats
	if s.Lost < 20 || s.Lost > 60 || s.Duplicated < 5 || s.Reordered < 15 {
		t.Errorf("of 200 datagrams at 20 %% loss, 20 %% reordering, 10 %% duplication: %+v", s)
	}
	if s.Passed != s.Seen-s.Lost+s.Duplicated {
		t.Errorf("datagrams do not add up: %+v", s)
	}
	if s.Reordered > 0 && slices.IsSorted(strings.Fields(out)) {
		t.Error("reordering is counted, but the order is intact")
	}
}

// The fate of a datagram must not depend on what the other rules did before.
func TestLaneLossIsIndependentOfMTU(t *testing.T) {
	lossOf := func(mtu int) []bool {
		l := newLane(Path{Loss: 0.5, MTU: mtu}, 3, ToServer)
		var lost []bool
		for i := range 100 {
			size := 10
			if i%3 == 0 {
				size = 100
			}
			v := l.push(time.Unix(0, 0), parcel{data: make([]byte, size)})
			if size == 10 {
				lost = append(lost, v == Lost)
			}
		}
		return lost
	}
	if !slices.Equal(lossOf(0), lossOf(50)) {
		t.Error("swallowing large datagrams changed which small ones are lost")
	}
}

func TestLaneLossEvery(t *testing.T) {
	l := newLane(Path{LossEvery: 5}, 2, ToServer)
	places := make(map[int]bool)
	for group := range 50 {
		lost := 0
		for place := range 5 {
			if l.push(time.Unix(0, 0), parcel{}) == Lost {
				lost++
				places[place] = true
			}
		}
		if lost != 1 {
			t.Errorf("group %d: %d of 5 datagrams lost, want 1", group, lost)
		}
	}
	if len(places) != 5 {
		t.Errorf("only the places %v were ever lost", places)
	}
}

func TestLaneHoldsAndReleases(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLane(Path{Reorder: 1, ReorderBy: 1, Hold: 5 * time.Millisecond}, 1, ToServer)
	if v := l.push(now, parcel{data: []byte("first")}); v != Held {
		t.Fatalf("verdict %v, want held", v)
	}
	if got := l.next(); !got.Equal(now.Add(5 * time.Millisecond)) {
		t.Errorf("next: %v, want the end of the hold", got)
	}
	l.path.Reorder = 0
	if v := l.push(now, parcel{data: []byte("second")}); v != Passed {
		t.Fatalf("verdict %v, want passed", v)
	}
	var order []string
	for _, p := range l.ready(now) {
		order = append(order, string(p.data))
	}
	if !slices.Equal(order, []string{"second", "first"}) {
		t.Errorf("order: %v", order)
	}
	if l.stats.Reordered != 1 {
		t.Errorf("reordered: %d, want 1", l.stats.Reordered)
	}
	if !l.next().IsZero() {
		t.Error("an empty lane asks for a timer")
	}
}

func TestLaneDelays(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLane(Path{Delay: 50 * time.Millisecond}, 1, ToServer)
	l.push(now, parcel{data: []byte("x")})
	if got := l.ready(now.Add(49 * time.Millisecond)); len(got) != 0 {
		t.Error("the datagram arrived early")
	}
	if got := l.ready(now.Add(50 * time.Millisecond)); len(got) != 1 {
		t.Error("the datagram did not arrive when due")
	}
}
