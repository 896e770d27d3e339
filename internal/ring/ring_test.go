package ring

import (
	"bytes"
	"testing"
)

// TestRing: a Ring and a list of records give the same.
func TestRing(t *testing.T) {
	var r *Ring
	var want [][]byte
	next := byte(0)
	for step := range 2000 {
		grow := step%200 < 120
		if grow || len(want) == 0 {
			record := bytes.Repeat([]byte{next}, step*7%400)
			next++
			r = r.Push(record)
			want = append(want, record)
			continue
		}
		p := make([]byte, 400)
		n, whole := r.Pop(p)
		if !whole || !bytes.Equal(p[:n], want[0]) {
			t.Fatalf("step %d: %d bytes, want %d", step, n, len(want[0]))
		}
		if want = want[1:]; len(want) == 0 {
			if !r.Empty() {
				t.Fatalf("step %d: %d bytes in an empty ring", step, r.size)
			}
			r = r.Release()
		}
	}
}

// TestFits: an empty queue has room for any record, and the length counts.
func TestFits(t *testing.T) {
	var r *Ring
	if !r.Fits(make([]byte, 1<<14), 1) || !r.Empty() || r.Memory() != 0 {
		t.Error("no ring")
	}
	r = r.Push(make([]byte, 98))
	if !r.Fits(make([]byte, 98), 200) || r.Fits(make([]byte, 99), 200) {
		t.Errorf("%d bytes in use", r.size)
	}
	if r.Memory() != minRing || r.Release() != nil {
		t.Errorf("%d bytes of memory", r.Memory())
	}
}

// TestPopCutsARecord that is longer than the buffer; its rest is gone.
func TestPopCutsARecord(t *testing.T) {
	r := (*Ring)(nil).Push([]byte("too long")).Push(nil).Push([]byte("next"))
	p := make([]byte, 4)
	for i, want := range []string{"too ", "", "next"} {
		n, whole := r.Pop(p)
		if string(p[:n]) != want || whole != (i > 0) {
			t.Errorf("record %d: %q, whole %v", i, p[:n], whole)
		}
	}
	if !r.Empty() {
		t.Errorf("%d bytes left", r.size)
	}
}
