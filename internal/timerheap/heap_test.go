package timerheap

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var epoch = time.Unix(1_000_000, 0)

func at(n int) time.Time { return epoch.Add(time.Duration(n) * time.Millisecond) }

func TestHeapIsEmptyAtFirst(t *testing.T) {
	var h Heap[int]
	if !h.Next().IsZero() || h.PopDue(at(1)) != nil || h.Len() != 0 {
		t.Fatal("an empty heap has something due")
	}
	e := &Entry[int]{}
	h.Remove(e) // in no heap: nothing happens
	h.Set(e, time.Time{})
	if h.Len() != 0 {
		t.Fatal("the zero time was put into the heap")
	}
}

func TestHeapGivesWhatIsDueInOrder(t *testing.T) {
	var h Heap[int]
	for _, n := range []int{5, 1, 4, 2, 3} {
		h.Set(&Entry[int]{Value: n}, at(n))
	}
	var got []int
	for e := h.PopDue(at(3)); e != nil; e = h.PopDue(at(3)) {
		got = append(got, e.Value)
		if !e.At().IsZero() {
			t.Error("an entry that left the heap is still due")
		}
	}
	if want := []int{1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("due at 3: %v, want %v", got, want)
	}
	if !h.Next().Equal(at(4)) {
		t.Errorf("next is %v, want %v", h.Next(), at(4))
	}
}

// TestHeapAgainstList does the same random things to a heap and to a sorted
// list, and compares.
func TestHeapAgainstList(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var h Heap[int]
		entries := make([]*Entry[int], 40)
		due := map[int]int{}
		for i := range entries {
			entries[i] = &Entry[int]{Value: i}
		}
		for step := range 500 {
			i := rng.IntN(len(entries))
			switch rng.IntN(4) {
			case 0, 1:
				n := rng.IntN(1000) + 1
				h.Set(entries[i], at(n))
				due[i] = n
			case 2:
				h.Remove(entries[i])
				delete(due, i)
			case 3:
				now := rng.IntN(300)
				if e := h.PopDue(at(now)); e != nil {
					if due[e.Value] > now {
						t.Fatalf("seed %d step %d: popped %d before its time", seed, step, e.Value)
					}
					delete(due, e.Value)
				}
			}
			first := 0
			for _, n := range due {
				if first == 0 || n < first {
					first = n
				}
			}
			switch {
			case h.Len() != len(due):
				t.Fatalf("seed %d step %d: %d entries, want %d", seed, step, h.Len(), len(due))
			case first == 0 && !h.Next().IsZero(), first != 0 && !h.Next().Equal(at(first)):
				t.Fatalf("seed %d step %d: next %v, want %d", seed, step, h.Next(), first)
			}
		}
	}
}
