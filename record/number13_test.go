package record

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// closest is RFC 9147, Section 4.2.2 by trying all numbers around.
func closest(expected, low uint64, bits int) uint64 {
	size := uint64(1) << bits
	distance := func(a, b uint64) uint64 { return max(a, b) - min(a, b) }
	var best uint64
	found := false
	first := expected - min(expected, 2*size)
	for n := first - first%size + low; n <= expected+2*size; n += size {
		if n <= MaxSeq && (!found || distance(n, expected) <= distance(best, expected)) {
			best, found = n, true // of two at the same distance, the newer
		}
	}
	return best
}

func TestReconstruct(t *testing.T) {
	rng := rand.New(rand.NewPCG(9147, 422))
	for _, bits := range []int{8, 16} {
		size := uint64(1) << bits
		var expected []uint64
		for _, around := range []uint64{0, size, size / 2, 3 * size / 2, 7 * size, 1 << 32, MaxSeq - size, MaxSeq - size/2, MaxSeq + 1} {
			for d := range uint64(5) {
				expected = append(expected, around-min(around, d), min(around+d, MaxSeq+1))
			}
		}
		for range 200 {
			expected = append(expected, rng.Uint64N(MaxSeq+2)>>rng.IntN(48))
		}
		for _, e := range expected {
			lows := []uint64{0, 1, size / 2, size/2 - 1, size - 1, e % size, (e + 1) % size, (e + size/2) % size, (e + size/2 + 1) % size, (e + size/2 - 1) % size}
			for range 100 {
				lows = append(lows, rng.Uint64N(size))
			}
			for _, low := range lows {
				if got, want := reconstruct(e, low, bits), closest(e, low, bits); got != want {
					t.Fatalf("%d bits, expected %d, low %d: %d, want %d", bits, e, low, got, want)
				}
			}
		}
	}
}

// TestReconstructWithinHalfASpan: what is sent within half the span of the
// number's bits around what is expected comes back, to the last number.
func TestReconstructWithinHalfASpan(t *testing.T) {
	rng := rand.New(rand.NewPCG(9147, 421))
	for _, bits := range []int{8, 16} {
		half := uint64(1) << bits / 2
		for range 100_000 {
			expected := rng.Uint64N(MaxSeq+2) >> rng.IntN(48)
			from, to := expected-min(expected, half-1), min(expected+half, MaxSeq)
			seq := from + rng.Uint64N(to-from+1)
			if got := reconstruct(expected, seq&(1<<bits-1), bits); got != seq {
				t.Fatalf("%d bits, expected %d: %d became %d", bits, expected, seq, got)
			}
		}
	}
}

// TestEveryCounterMakesAMask: the counter of ChaCha20 comes from the network,
// and may be at its end.
func TestEveryCounterMakesAMask(t *testing.T) {
	m, err := newNumberMask(ChaCha20Poly1305, count(0, 32))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[[2]byte]bool{}
	for _, counter := range []string{"\x00\x00\x00\x00", "\xff\xff\xff\xff", "\xfe\xff\xff\xff", "\xff\xff\xff\x7f", "\x00\x00\x00\x80"} {
		number := [2]byte{}
		m.apply(number[:], append([]byte(counter), count(0, 12)...))
		seen[number] = true
	}
	if len(seen) < 4 {
		t.Errorf("5 counters make %d masks", len(seen))
	}
}

// TestMaskComesFromTheFirst16Bytes, and an 8-bit number takes the first byte of
// it. Applied twice it is gone.
func TestMaskComesFromTheFirst16Bytes(t *testing.T) {
	for _, a := range protected {
		m, err := newNumberMask(a, count(0, a.KeyLen()))
		if err != nil {
			t.Fatal(err)
		}
		sample := count(0x80, 40)
		mask := func(ciphertext []byte, size int) []byte {
			number := make([]byte, size)
			m.apply(number, ciphertext)
			return number
		}
		want := mask(sample, 2)
		if got := mask(sample[:16], 2); !bytes.Equal(got, want) {
			t.Errorf("%v: 16 bytes give %x, more give %x", a, got, want)
		}
		if got := mask(sample, 1); got[0] != want[0] {
			t.Errorf("%v: one byte is %x of %x", a, got, want)
		}
		for i := range 16 {
			other := bytes.Clone(sample)
			other[i] ^= 1
			if got := mask(other, 2); bytes.Equal(got, want) {
				t.Errorf("%v: byte %d of the ciphertext plays no part", a, i)
			}
		}
		number := []byte{1, 2}
		m.apply(number, sample)
		m.apply(number, sample)
		if !bytes.Equal(number, []byte{1, 2}) {
			t.Errorf("%v: decrypting gave %x", a, number)
		}
	}
}
