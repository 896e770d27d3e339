package dtls

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flightpath-dtls/flightpath/record"
)

// TestACKWork: an ACK takes no memory, whatever records it lists (THREATS 40).
func TestACKWork(t *testing.T) {
	for _, test := range worstACKs {
		t.Run(test.name, func(t *testing.T) {
			s := owing(t, test.records, test.backwards)
			s.unheard()
			e := s.eng[clientSide]
			list := parsedACK(t, test.list(s.sentNumbers()))
			e.handleAuthenticACK(list)
			if n := testing.AllocsPerRun(20, func() { e.handleAuthenticACK(list) }); n > 0 {
				t.Errorf("%v allocations for a list that was heard before", n)
			}
			s.unheard()
			if n := testing.AllocsPerRun(1, func() { s.unheard(); e.handleAuthenticACK(list) }); n > 20 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// randomLedger has records of two epochs with gaps between their numbers.
func randomLedger(r *rand.Rand, records int) *ledger {
	l := &ledger{on: true}
	n, gap := record.Number{Epoch: 3, Seq: r.Uint64N(100)}, 1+r.Uint64N(1<<r.IntN(14))
	turn := r.IntN(records + 1)
	for i := range records {
		if i == turn {
			n = record.Number{Epoch: 4}
		}
		lo := uint32(10 * i)
		l.note(uint64(i+1), 100, []sentRecord{{number: n, parts: []sentPart{{lo: lo, hi: lo + 10}}}})
		n.Seq += 1 + r.Uint64N(gap)
	}
	return l
}

// TestNamedRecords: a list names what it says, in order or not, with numbers
// twice, and with others between.
func TestNamedRecords(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 0x1ed6e4))
		l := randomLedger(r, 1+r.IntN(60))
		want := map[record.Number]bool{}
		var list []record.Number
		for range r.IntN(100) {
			known := &l.records[r.IntN(len(l.records))]
			n := known.number
			switch r.IntN(4) {
			case 0:
				n.Seq += r.Uint64N(3) - 1
			case 1:
				n.Epoch += r.Uint64N(3) - 1
			case 2:
				known.acked = known.acked || r.IntN(4) == 0
			}
			list = append(list, n)
		}
		if order := r.IntN(3); order < 2 {
			slices.SortFunc(list, compareNumbers)
			if order == 1 {
				slices.Reverse(list)
			}
		}
		for _, n := range list {
			if i := slices.IndexFunc(l.records, func(r sentRecord) bool { return r.number == n && !r.acked }); i >= 0 {
				want[n] = true
			}
		}
		any := l.name(parsedACK(t, list))
		if any != (len(want) > 0) {
			t.Fatalf("seed %d: any is %v, want %d", seed, any, len(want))
		}
		for _, rec := range l.records {
			if rec.named != want[rec.number] {
				t.Fatalf("seed %d: %v of %v is %v", seed, rec.number, list, rec.named)
			}
		}
		var bytes uint32
		for part := range l.takeNamed(true, r.IntN(2) == 0) {
			bytes += part.hi - part.lo
		}
		if bytes != uint32(10*len(want)) {
			t.Fatalf("seed %d: %d bytes of %d records", seed, bytes, len(want))
		}
		for _, rec := range l.records {
			if rec.named || want[rec.number] && !rec.acked {
				t.Fatalf("seed %d: %v is not acknowledged", seed, rec.number)
			}
		}
	}
}
