package alert

import "testing"

// TestQueue: in order, and no more than its bound.
func TestQueue(t *testing.T) {
	var q Queue
	for round := range 3 {
		for i := range maxQueued + 2 {
			if added := q.Add(Warning, Alert(i)); added != (i < maxQueued) {
				t.Fatalf("round %d, alert %d: added %v", round, i, added)
			}
		}
		for i := range maxQueued {
			if q.Empty() {
				t.Fatalf("round %d: empty before alert %d", round, i)
			}
			if next := q.Next(); next != (Queued{Warning, Alert(i)}) {
				t.Fatalf("round %d: %v in place of alert %d", round, next, i)
			}
		}
		if !q.Empty() {
			t.Fatalf("round %d: not empty", round)
		}
	}
	q.Add(Fatal, InternalError)
	if q.Clear(); !q.Empty() {
		t.Error("not empty when cleared")
	}
}
