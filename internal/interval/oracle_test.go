package interval

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// oracle is the same set as one bool for each byte: slow and obviously right.
type oracle []bool

func (o oracle) set(lo, hi uint32, in bool) (changed uint32) {
	for i := lo; i < hi; i++ {
		if o[i] != in {
			o[i] = in
			changed++
		}
	}
	return changed
}

// next returns the first offset in [from, end) whose presence is in, or end.
func (o oracle) next(from, end uint32, in bool) uint32 {
	for from < end && o[from] != in {
		from++
	}
	return from
}

// runs returns the maximal stretches of bytes in [from, end) whose presence is in.
func (o oracle) runs(from, end uint32, in bool) (runs []span) {
	for lo := o.next(from, end, in); lo < end; lo = o.next(lo, end, in) {
		hi := o.next(lo, end, !in)
		runs = append(runs, span{lo, hi})
		lo = hi
	}
	return runs
}

// compare checks every question the set can answer; from and end are one more
// pair of offsets to ask about.
func (o oracle) compare(s *Set, from, end uint32) error {
	size := uint32(len(o))
	present := o.runs(0, size, true)
	if got := collect(s.Ranges()); fmt.Sprint(got) != fmt.Sprint(present) {
		return fmt.Errorf("Ranges = %v, want %v", got, present)
	}
	if s.Len() != len(present) {
		return fmt.Errorf("Len = %d, want %d", s.Len(), len(present))
	}
	var bytes uint32
	for _, r := range present {
		bytes += r.hi - r.lo
	}
	if s.Bytes() != bytes {
		return fmt.Errorf("Bytes = %d, want %d", s.Bytes(), bytes)
	}
	if got, want := s.Covers(end), o.next(0, end, false) == end; got != want {
		return fmt.Errorf("Covers(%d) = %v", end, got)
	}
	if got, want := s.Contains(from, end), len(o.runs(from, end, false)) == 0; got != want {
		return fmt.Errorf("Contains(%d, %d) = %v", from, end, got)
	}
	missing := o.runs(from, end, false)
	if got := collect(s.Gaps(from, end)); fmt.Sprint(got) != fmt.Sprint(missing) {
		return fmt.Errorf("Gaps(%d, %d) = %v, want %v", from, end, got, missing)
	}
	return nil
}

func collect(seq func(func(lo, hi uint32) bool)) (out []span) {
	for lo, hi := range seq {
		out = append(out, span{lo, hi})
	}
	return out
}

// apply makes one change to both and compares them.
func (o oracle) apply(s *Set, remove bool, lo, hi uint32) error {
	if remove {
		s.Remove(lo, hi)
		o.set(lo, hi, false)
	} else if got, want := s.Add(lo, hi), o.set(lo, hi, true); got != want {
		return fmt.Errorf("Add(%d, %d) = %d, want %d", lo, hi, got, want)
	}
	if err := o.compare(s, lo, hi); err != nil {
		return fmt.Errorf("after [%d, %d), remove %v: %w", lo, hi, remove, err)
	}
	return o.compareCopy(s, lo, hi)
}

// compareCopy checks that a copy is equal, and that changes stay its own.
func (o oracle) compareCopy(s *Set, lo, hi uint32) error {
	var c Set
	c.Add(lo, hi) // which goes
	c.Assign(s)
	if err := o.compare(&c, lo, hi); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	c.Remove(0, uint32(len(o)))
	if err := o.compare(s, lo, hi); err != nil {
		return fmt.Errorf("after a change of a copy: %w", err)
	}
	c.Reset()
	if c.Add(lo, hi) != hi-min(lo, hi) {
		return fmt.Errorf("an emptied copy has something")
	}
	return nil
}

func TestSetAgreesWithBitmap(t *testing.T) {
	rounds := 2000
	if testing.Short() {
		rounds = 200
	}
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 1))
		size := 1 + rng.Uint32N(120)
		longest := 1 + rng.Uint32N(size)
		removals := rng.IntN(3) // of four changes
		var s Set
		o := make(oracle, size)
		for range 60 {
			lo := rng.Uint32N(size + 1)
			hi := min(size, lo+rng.Uint32N(longest+1))
			if err := o.apply(&s, rng.IntN(4) < removals, lo, hi); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
}

// FuzzSet reads the input as changes of three bytes: kind, lo, hi.
func FuzzSet(f *testing.F) {
	f.Add([]byte{0, 0, 4, 0, 6, 9, 0, 4, 6, 1, 2, 3})
	f.Add([]byte{0, 0, 1, 0, 2, 3, 0, 4, 5, 0, 6, 7, 1, 0, 255})
	f.Add([]byte{0, 9, 3, 1, 9, 3})
	f.Fuzz(func(t *testing.T, changes []byte) {
		var s Set
		o := make(oracle, 256)
		for ; len(changes) >= 3; changes = changes[3:] {
			lo, hi := uint32(changes[1]), uint32(changes[2])
			if err := o.apply(&s, changes[0]&1 == 1, lo, hi); err != nil {
				t.Fatal(err)
			}
		}
	})
}
