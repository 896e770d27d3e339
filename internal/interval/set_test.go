package interval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestZeroValueIsEmpty(t *testing.T) {
	var s Set
	if s.Len() != 0 || s.Bytes() != 0 || s.Contains(0, 1) || s.Covers(1) {
		t.Error("zero value holds something")
	}
	if !s.Covers(0) || !s.Contains(7, 7) || !s.Contains(9, 3) {
		t.Error("no bytes are not always there")
	}
	if lo, hi, ok := s.NextGap(0, 5); lo != 0 || hi != 5 || !ok {
		t.Errorf("NextGap = %d, %d, %v", lo, hi, ok)
	}
}

func TestEmptyAndReversedRangesChangeNothing(t *testing.T) {
	var s Set
	s.Add(10, 20)
	for _, r := range []span{{15, 15}, {0, 0}, {20, 10}, {math.MaxUint32, 0}} {
		if added := s.Add(r.lo, r.hi); added != 0 {
			t.Errorf("Add(%d, %d) = %d", r.lo, r.hi, added)
		}
		s.Remove(r.lo, r.hi)
	}
	if got := collect(s.Ranges()); !slices.Equal(got, []span{{10, 20}}) {
		t.Errorf("Ranges = %v", got)
	}
}

func TestHighestOffsets(t *testing.T) {
	const top = math.MaxUint32
	var s Set
	if n := s.Add(top-2, top); n != 2 {
		t.Errorf("Add = %d, want 2", n)
	}
	if n := s.Add(0, top); n != top-2 {
		t.Errorf("Add = %d, want %d", n, uint32(top-2))
	}
	if !s.Covers(top) || s.Len() != 1 || s.Bytes() != top {
		t.Errorf("Covers %v, Len %d, Bytes %d", s.Covers(top), s.Len(), s.Bytes())
	}
	if _, _, ok := s.NextGap(0, top); ok {
		t.Error("gap in a full set")
	}
}

// A sender adds what it sends while it walks the gaps.
func TestGapsOfAChangingSet(t *testing.T) {
	var s Set
	s.Add(3, 5)
	s.Add(8, 9)
	var seen []span
	for lo, hi := range s.Gaps(0, 12) {
		seen = append(seen, span{lo, hi})
		s.Add(lo, hi)
	}
	if want := []span{{0, 3}, {5, 8}, {9, 12}}; !slices.Equal(seen, want) {
		t.Errorf("gaps %v, want %v", seen, want)
	}
	if !s.Covers(12) || s.Len() != 1 {
		t.Errorf("Len %d, Ranges %v", s.Len(), collect(s.Ranges()))
	}
}

func TestIteratorsStop(t *testing.T) {
	var s Set
	for off := uint32(0); off < 20; off += 2 {
		s.Add(off, off+1)
	}
	steps := 0
	for range s.Ranges() {
		steps++
		break
	}
	for range s.Gaps(0, 20) {
		steps++
		break
	}
	if steps != 2 {
		t.Errorf("%d steps, want 2", steps)
	}
}

func TestResetSetIsReusable(t *testing.T) {
	var s Set
	for off := uint32(0); off < 20; off += 2 {
		s.Add(off, off+1)
	}
	s.Reset()
	if s.Len() != 0 || s.Bytes() != 0 {
		t.Fatalf("Len %d, Bytes %d after Reset", s.Len(), s.Bytes())
	}
	if s.Add(0, 20) != 20 || !s.Covers(20) {
		t.Error("not usable after Reset")
	}
}

// A set that is reset keeps its room, whatever it held.
func TestResetKeepsTheMemory(t *testing.T) {
	var s Set
	s.Reset()
	fill := func() {
		for off := uint32(0); off < 200; off += 2 {
			s.Add(off, off+1)
		}
		if s.Len() != 100 || s.Bytes() != 100 {
			t.Errorf("Len %d, Bytes %d", s.Len(), s.Bytes())
		}
		s.Reset()
		if s.Len() != 0 || s.Bytes() != 0 || s.Contains(0, 1) {
			t.Errorf("Len %d, Bytes %d after Reset", s.Len(), s.Bytes())
		}
	}
	if allocs := testing.AllocsPerRun(20, fill); allocs != 0 { // its first run is not counted
		t.Errorf("%v allocations", allocs)
	}
}

// The common cases must not allocate: in order, reversed, and one hole that is
// filled from both ends.
func TestUpToTwoRangesDoNotAllocate(t *testing.T) {
	allocs := testing.AllocsPerRun(20, func() {
		var s Set
		for off := uint32(0); off < 100; off++ {
			s.Add(off, off+1)
		}
		for off := uint32(299); off >= 200; off-- {
			s.Add(off, off+1)
		}
		s.Remove(100, 150)
		for lo, hi := range s.Gaps(0, 300) {
			s.Add(lo, hi)
		}
		if !s.Covers(300) {
			t.Error("not complete")
		}
		s.Remove(0, 300)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// RFC 9147, Section 5.5 asks for any cover of the message, with overlap and in
// any order: after each one the message is complete, not a fragment earlier.
func TestAnyCoverInAnyOrderCompletes(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 2))
		size := 1 + rng.Uint32N(5000)
		var cover []span
		for lo := uint32(0); lo < size; {
			hi := min(size, lo+1+rng.Uint32N(size))
			cover = append(cover, span{lo - rng.Uint32N(lo+1), hi}, span{lo, hi})
			lo = hi
		}
		rng.Shuffle(len(cover), func(i, j int) { cover[i], cover[j] = cover[j], cover[i] })

		var s Set
		var sum uint32
		for _, r := range cover {
			sum += s.Add(r.lo, r.hi)
			if s.Covers(size) != (sum == size) {
				t.Fatalf("seed %d: Covers(%d) = %v with %d bytes", seed, size, s.Covers(size), sum)
			}
		}
		if sum != size {
			t.Fatalf("seed %d: %d of %d bytes", seed, sum, size)
		}
	}
}

func BenchmarkOneByteFragments(b *testing.B) {
	const size = 16384
	orders := map[string]func(i uint32) uint32{
		"forwards":    func(i uint32) uint32 { return i },
		"reversed":    func(i uint32) uint32 { return size - 1 - i },
		"alternating": func(i uint32) uint32 { return (2*i + 2*i/size) % size },
		"alternating-reversed": func(i uint32) uint32 {
			return size - 1 - (2*i+2*i/size)%size
		},
	}
	for name, offset := range orders {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var s Set
				for i := range uint32(size) {
					off := offset(i)
					s.Add(off, off+1)
				}
				if !s.Covers(size) {
					b.Fatal("not complete")
				}
			}
		})
	}
}

func Example() {
	var arrived Set
	arrived.Add(0, 400)              // the first fragment
	arrived.Add(800, 1000)           // the third; the second was lost
	fmt.Println(arrived.Add(0, 400)) // the first again: nothing new

	for lo, hi := range arrived.Gaps(0, 1000) {
		fmt.Printf("missing [%d, %d)\n", lo, hi)
	}
	arrived.Add(300, 900) // sent again, cut in other places
	fmt.Println(arrived.Covers(1000))
	// Output:
	// 0
	// missing [400, 800)
	// true
}
