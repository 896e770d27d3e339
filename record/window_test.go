package record

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func mustWindow(t testing.TB, size int) *Window {
	t.Helper()
	w, err := NewWindow(size)
	if err != nil {
		t.Fatal(err)
	}
	return &w
}

// model is a replay window that remembers everything.
type model struct {
	size   uint64
	seen   map[uint64]bool
	top    uint64
	marked bool
}

func (m *model) check(seq uint64) error {
	switch {
	case m.size == 0 || !m.marked || seq > m.top:
		return nil
	case m.top-seq >= m.size:
		return ErrStale
	case m.seen[seq]:
		return ErrReplayed
	}
	return nil
}

func (m *model) mark(seq uint64) {
	if !m.marked || seq > m.top {
		m.top, m.marked = seq, true
	}
	m.seen[seq] = true
}

// compare checks the window against the model at one number.
func (m *model) compare(t *testing.T, w *Window, seq uint64) {
	t.Helper()
	if got, want := w.Check(seq), m.check(seq); got != want { //nolint:errorlint // sentinels, unwrapped
		t.Fatalf("size %d, top %d: number %d is %v, want %v", m.size, m.top, seq, got, want)
	}
	if seq, ok := w.Newest(); ok != m.marked || ok && seq != m.top {
		t.Fatalf("newest is %d, %v; want %d, %v", seq, ok, m.top, m.marked)
	}
}

func TestNewWindow(t *testing.T) {
	for _, c := range []struct {
		what         string
		size, actual int
	}{
		{"no window", 0, 0},
		{"a size is rounded up to a word", 1, 64},
		{"a multiple of 64 stays", 64, 64},
		{"one more is another word", 65, 128},
		{"not a power of two", 192, 192},
		{"the largest inside the struct", 256, 256},
		{"the smallest outside", 257, 320},
		{"the largest", MaxWindow, MaxWindow},
	} {
		if got := mustWindow(t, c.size).Size(); got != c.actual {
			t.Errorf("%s: NewWindow(%d) has size %d, want %d", c.what, c.size, got, c.actual)
		}
	}
	for _, size := range []int{-1, math.MinInt, MaxWindow + 1, math.MaxInt} {
		if _, err := NewWindow(size); err == nil {
			t.Errorf("NewWindow(%d) succeeded", size)
		}
	}
}

func TestSmallWindowsStayInTheStruct(t *testing.T) {
	for size, want := range map[int]float64{64: 0, 256: 0, 257: 1} {
		if got := testing.AllocsPerRun(100, func() { _, _ = NewWindow(size) }); got != want { // sizes are legal
			t.Errorf("NewWindow(%d) allocates %v times, want %v", size, got, want)
		}
	}
}

// TestWindowJumps makes every pair of jumps from windows of every shape, and
// compares all verdicts about the edges with the model.
func TestWindowJumps(t *testing.T) {
	for _, size := range []int{0, 64, 128, 192, 256, 320, 1024} {
		jumps := []uint64{0, 1, 2, 63, 64, 65, uint64(max(size, 1) - 1), uint64(size), uint64(size + 1), 2*uint64(size) + 7, 1 << 32, 1 << 47}
		for _, start := range []uint64{0, 1, 63, 64, 1000} {
			for _, first := range jumps {
				for _, second := range jumps {
					w := mustWindow(t, size)
					m := &model{size: uint64(size), seen: map[uint64]bool{}}
					for _, seq := range []uint64{start, start + first, start + first + second} {
						m.compare(t, w, seq)
						w.Mark(seq)
						m.mark(seq)
						for n := range uint64(size + 70) {
							m.compare(t, w, max(seq, n)-n)
						}
						m.compare(t, w, seq+1)
					}
				}
			}
		}
	}
}

// TestWindowEndOfNumbers: nothing overflows at the last number of the type,
// though no epoch gets that far.
func TestWindowEndOfNumbers(t *testing.T) {
	w := mustWindow(t, 192)
	m := &model{size: 192, seen: map[uint64]bool{}}
	for _, seq := range []uint64{math.MaxUint64 - 300, math.MaxUint64 - 130, math.MaxUint64} {
		w.Mark(seq)
		m.mark(seq)
		for n := range uint64(301) {
			m.compare(t, w, math.MaxUint64-n)
		}
	}
}

func TestWindowAgreesWithModelOnRandomWalks(t *testing.T) {
	rng := rand.New(rand.NewPCG(6347, 4126))
	for _, size := range []int{64, 192, 256, 320, 4096} {
		w, m := mustWindow(t, size), &model{size: uint64(size), seen: map[uint64]bool{}}
		for range 20_000 {
			seq := m.top + rng.Uint64N(uint64(size)/8)
			switch rng.IntN(20) {
			case 0:
				seq = m.top + rng.Uint64N(3*uint64(size))
			default:
				seq -= min(seq, rng.Uint64N(uint64(size)+20))
			}
			m.compare(t, w, seq)
			w.Mark(seq)
			if !errors.Is(m.check(seq), ErrStale) {
				m.mark(seq)
			}
		}
	}
}

// TestShuffleWithinTheWindow: a million records, each late by less than the
// window and a third of them doubled, are accepted exactly once.
func TestShuffleWithinTheWindow(t *testing.T) {
	const records = 1_000_000
	for _, size := range []int{64, 256, 1024} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(size)))
			// A record sent at time n arrives at time n + delay. The newest at that
			// moment was sent less than size later.
			type arrival struct{ at, seq uint64 }
			arrivals := make([]arrival, 0, records*4/3+1)
			for seq := range uint64(records) {
				arrivals = append(arrivals, arrival{seq + rng.Uint64N(uint64(size)), seq})
				if rng.IntN(3) == 0 {
					arrivals = append(arrivals, arrival{seq + rng.Uint64N(uint64(size)), seq})
				}
			}
			slices.SortStableFunc(arrivals, func(a, b arrival) int { return int(a.at) - int(b.at) })

			w := mustWindow(t, size)
			delivered := make([]uint8, records)
			for _, a := range arrivals {
				switch err := w.Check(a.seq); {
				case err == nil:
					w.Mark(a.seq)
					delivered[a.seq]++
				case errors.Is(err, ErrStale):
					t.Fatalf("record %d is stale", a.seq)
				}
			}
			for seq, times := range delivered {
				if times != 1 {
					t.Fatalf("record %d delivered %d times", seq, times)
				}
			}
		})
	}
}

// FuzzWindow reads a walk from the input: three bytes a step, the first chooses
// the scale of the jump.
func FuzzWindow(f *testing.F) {
	f.Add(uint16(64), []byte{0, 0, 1, 1, 0, 64, 2, 0, 65, 0, 0, 0})
	f.Add(uint16(256), []byte{3, 0, 1, 1, 1, 0, 0x80, 0, 3, 0x81, 1, 0})
	f.Add(uint16(320), []byte{0, 1, 64, 0x80, 1, 64, 2, 1, 63})
	f.Fuzz(func(t *testing.T, size uint16, walk []byte) {
		w := mustWindow(t, int(size))
		m := &model{size: uint64(w.Size()), seen: map[uint64]bool{}}
		for ; len(walk) >= 3; walk = walk[3:] {
			step := (uint64(walk[1])<<8 | uint64(walk[2])) << (16 * (walk[0] & 3) / 2)
			seq := (m.top + step) & MaxSeq
			if walk[0]&0x80 != 0 {
				seq = m.top - min(m.top, step)
			}
			m.compare(t, w, seq)
			w.Mark(seq)
			if !errors.Is(m.check(seq), ErrStale) {
				m.mark(seq)
			}
			m.compare(t, w, seq)
			m.compare(t, w, max(m.top, uint64(w.Size()))-uint64(w.Size()))
		}
	})
}
