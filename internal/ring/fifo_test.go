package ring

import (
	"slices"
	"testing"
)

// TestFIFO: values come out in order, once each; what is dropped is not kept alive, and
// the memory is used again.
func TestFIFO(t *testing.T) {
	var f FIFO[*int]
	values := make([]int, 6)
	for i := range values {
		values[i] = i
		f.Push(&values[i])
	}
	if v, ok := f.Pop(); !ok || *v != 0 || f.q[0] != nil {
		t.Errorf("the first is %v, %v; its place has %v", v, ok, f.q[0])
	}
	f.Keep(func(v *int) bool { return *v%2 == 1 })
	var got []int
	for v, ok := f.Pop(); ok; v, ok = f.Pop() {
		got = append(got, *v)
	}
	if !slices.Equal(got, []int{1, 3, 5}) || !f.Empty() {
		t.Errorf("%v, empty %v", got, f.Empty())
	}
	if all := f.q[:cap(f.q)]; slices.ContainsFunc(all, func(v *int) bool { return v != nil }) {
		t.Errorf("values that are gone are kept: %v", all)
	}
	if n := testing.AllocsPerRun(100, func() { f.Push(nil); f.Pop(); f.Pop() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
