package acks

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

func parsedACK(t *testing.T, list []record.Number) message.ACKList {
	t.Helper()
	parsed, err := message.ParseACK(message.AppendACK(nil, list))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// randomLedger has records of two epochs with gaps between their numbers.
func randomLedger(r *rand.Rand, records int) *Ledger {
	l := &Ledger{on: true}
	n, gap := record.Number{Epoch: 3, Seq: r.Uint64N(100)}, 1+r.Uint64N(1<<r.IntN(14))
	turn := r.IntN(records + 1)
	for i := range records {
		if i == turn {
			n = record.Number{Epoch: 4}
		}
		lo := uint32(10 * i)
		l.Note(time.Time{}, uint64(i+1), 100, []Record{{Number: n, Parts: []Part{{Lo: lo, Hi: lo + 10}}}})
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
			known := &l.Records[r.IntN(len(l.Records))]
			n := known.Number
			switch r.IntN(4) {
			case 0:
				n.Seq += r.Uint64N(3) - 1
			case 1:
				n.Epoch += r.Uint64N(3) - 1
			case 2:
				known.Acked = known.Acked || r.IntN(4) == 0
			}
			list = append(list, n)
		}
		if order := r.IntN(3); order < 2 {
			slices.SortFunc(list, Compare)
			if order == 1 {
				slices.Reverse(list)
			}
		}
		for _, n := range list {
			if i := slices.IndexFunc(l.Records, func(r Record) bool { return r.Number == n && !r.Acked }); i >= 0 {
				want[n] = true
			}
		}
		_, any := l.Name(parsedACK(t, list))
		if any != (len(want) > 0) {
			t.Fatalf("seed %d: any is %v, want %d", seed, any, len(want))
		}
		for _, rec := range l.Records {
			if rec.named != want[rec.Number] {
				t.Fatalf("seed %d: %v of %v is %v", seed, rec.Number, list, rec.named)
			}
		}
		var bytes uint32
		for part := range l.TakeNamed(true, r.IntN(2) == 0) {
			bytes += part.Hi - part.Lo
		}
		if bytes != uint32(10*len(want)) {
			t.Fatalf("seed %d: %d bytes of %d records", seed, bytes, len(want))
		}
		for _, rec := range l.Records {
			if rec.named || want[rec.Number] && !rec.Acked {
				t.Fatalf("seed %d: %v is not acknowledged", seed, rec.Number)
			}
		}
	}
}
