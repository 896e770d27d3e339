package antechamber

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// model is a Room without bounds: slow, obviously right, and nobody ever loses a
// place in it.
type model []*modelHello

type modelHello struct {
	key     Key
	since   time.Time
	body    []int // −1: not here
	records []uint64
}

func (m *modelHello) accepts(f Fragment) bool {
	for i, b := range f.Body {
		if at := m.body[int(f.Offset)+i]; at >= 0 && at != int(b) {
			return false
		}
	}
	for _, n := range m.records {
		if n > f.Record+recordSpan || f.Record > n+recordSpan {
			return false
		}
	}
	return true
}

func (m *model) add(now time.Time, k Key, f Fragment) (found []*modelHello) {
	live := (*m)[:0]
	for _, h := range *m {
		if age := now.Sub(h.since); 0 <= age && age < Life {
			live = append(live, h)
		}
	}
	for _, h := range live {
		if h.key == k && h.accepts(f) {
			found = append(found, h)
		}
	}
	if found == nil {
		h := &modelHello{key: k, since: now, body: make([]int, k.Length)}
		for i := range h.body {
			h.body[i] = -1
		}
		found = append(found, h)
		live = append(live, h)
	}
	for _, h := range found {
		h.records = append(h.records, f.Record)
		for i, b := range f.Body {
			h.body[int(f.Offset)+i] = int(b)
		}
	}
	*m = live
	return found
}

// same reports what a Room's hello and the model's disagree about.
func same(h *Hello, m *modelHello) error {
	prefix, here := []byte{}, 0
	for i, b := range m.body {
		if b >= 0 {
			here++
			if i == len(prefix) {
				prefix = append(prefix, byte(b))
			}
		}
	}
	if !bytes.Equal(h.Prefix(), prefix) {
		return fmt.Errorf("prefix of %d bytes, want %d", len(h.Prefix()), len(prefix))
	}
	if h.Len() != here || h.Complete() != (here == len(m.body)) {
		return fmt.Errorf("%d bytes of %d, complete %v; want %d", h.Len(), len(m.body), h.Complete(), here)
	}
	for at, piece := range h.Pieces() {
		for i, b := range piece {
			if m.body[int(at)+i] != int(b) {
				return fmt.Errorf("byte %d is %x, want %x", int(at)+i, b, m.body[int(at)+i])
			}
		}
	}
	var largest uint64
	for _, n := range m.records {
		largest = max(largest, n)
	}
	if h.Record() != largest {
		return fmt.Errorf("record %d, want %d", h.Record(), largest)
	}
	return nil
}

// step is one fragment of a script.
type step struct {
	wait    time.Duration
	key     Key
	lo, hi  int
	variant byte
	record  uint64
}

// walk runs a script against a Room and its model. While the places of the one
// bucket suffice, both agree. Once somebody has lost a place they are out of
// step until all have gone; then, and always, each byte that the Room has was
// sent for this hello within its life, and nobody gets more than three times
// what came in.
func walk(seed uint64, steps []step) error {
	r := newRoom(seed)
	var m model
	now := start
	inStep := true
	sent := map[Key]sentBytes{}
	in, out := map[netip.AddrPort]int{}, map[netip.AddrPort]int{}
	for i, s := range steps {
		now = now.Add(s.wait)
		inStep = inStep || s.wait >= Life
		f := piece(hello(int(s.key.Length), s.variant), s.lo, s.hi)
		f.Record = s.record
		if !Fits(s.key, f) {
			continue
		}
		if sent[s.key] == nil {
			sent[s.key] = make(sentBytes, s.key.Length)
		}
		for at := s.lo; at < s.hi; at++ {
			sent[s.key][at][s.variant] = now
		}
		in[s.key.From] += f.Size
		want := m.add(now, s.key, f)
		got := r.Add(now, s.key, f)
		inStep = inStep && len(m) <= places
		if inStep {
			if len(got) != len(want) {
				return fmt.Errorf("step %d: %d hellos, want %d", i, len(got), len(want))
			}
			for _, h := range got {
				err := fmt.Errorf("step %d: no such hello", i)
				for _, w := range want {
					if err = same(h, w); err == nil {
						break
					}
				}
				if err != nil {
					return fmt.Errorf("step %d: %w", i, err)
				}
			}
		}
		original := hello(int(s.key.Length), 0)
		for _, h := range got {
			for at, piece := range h.Pieces() {
				for j, b := range piece {
					if !sent[s.key].has(now, int(at)+j, b, original) {
						return fmt.Errorf("step %d: byte %d is %x, which was not sent", i, int(at)+j, b)
					}
				}
			}
			if h.Pay(int(s.record%500)) && h.Answered() {
				out[s.key.From] += int(s.record % 500)
			}
		}
		if from := s.key.From; out[from] > 3*in[from] {
			return fmt.Errorf("step %d: %d bytes out for %d in", i, out[from], in[from])
		}
	}
	return nil
}

// sentBytes is when each byte of a hello was sent last, by offset and variant.
type sentBytes [][4]time.Time

func (s sentBytes) has(now time.Time, offset int, b byte, body []byte) bool {
	variant := b ^ body[offset]
	return variant < 4 && now.Sub(s[offset][variant]) < Life
}

// scriptOf reads seven bytes for each step. All strangers are of one network,
// which has one bucket.
func scriptOf(b []byte) (steps []step) {
	for ; len(b) >= 7; b = b[7:] {
		length := 100 + 50*int(b[1]>>4&3)
		lo := int(b[2]) % length
		hi := min(length, lo+MinFragment+int(b[3])%100)
		record := uint64(b[4])
		if b[5]&0x80 != 0 {
			record += 1 << 40
		}
		steps = append(steps, step{
			wait:    time.Duration(b[0]) * time.Duration(b[0]) * 20 * time.Microsecond, // up to 1.3 s
			key:     Key{From: netip.AddrPortFrom(guest.Addr(), uint16(b[1]&7)), Length: uint32(length), Seq: uint16(b[1] >> 7)},
			lo:      lo,
			hi:      hi,
			variant: b[5] & 3,
			record:  record * uint64(1+b[6]%3),
		})
	}
	return steps
}

func TestRoomAgreesWithModel(t *testing.T) {
	for seed := range uint64(1500) {
		rng := rand.New(rand.NewPCG(seed, 3))
		script := make([]byte, 7*rng.IntN(60))
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		few := byte(rng.Uint32()) // bits of the key that vary, so that hellos come together
		for i := 0; i < len(script); i += 7 {
			script[i] >>= rng.IntN(5)
			script[i+1] &= few
			script[i+5] &= few
		}
		if err := walk(seed, scriptOf(script)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func FuzzRoom(f *testing.F) {
	f.Add([]byte{0, 0, 0, 100, 1, 0, 0, 9, 0, 64, 100, 2, 0, 0})
	f.Add([]byte{0, 0, 0, 50, 1, 1, 0, 9, 0, 0, 50, 2, 0, 0, 9, 0, 60, 100, 3, 0, 0, 255, 0, 0, 99, 4, 0, 1})
	crowd := []byte{}
	for i := range byte(20) {
		crowd = append(crowd, 0, i, 0, 10, i, 0, 0, 1, i, 64, 90, i, 0, 0)
	}
	f.Add(crowd)
	f.Fuzz(func(t *testing.T, script []byte) {
		if err := walk(uint64(len(script)), scriptOf(script)); err != nil {
			t.Fatal(err)
		}
	})
}
