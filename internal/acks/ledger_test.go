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
		l.Note(time.Time{}, uint64(i+1), 100, []Record{Of(n, Part{Lo: lo, Hi: lo + 10})})
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
			n := known.Number()
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
			if i := slices.IndexFunc(l.Records, func(r Record) bool { return r.Number() == n && !r.Acked }); i >= 0 {
				want[n] = true
			}
		}
		_, any := l.Name(parsedACK(t, list))
		if any != (len(want) > 0) {
			t.Fatalf("seed %d: any is %v, want %d", seed, any, len(want))
		}
		for _, rec := range l.Records {
			if rec.named != want[rec.Number()] {
				t.Fatalf("seed %d: %v of %v is %v", seed, rec.Number(), list, rec.named)
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
			if rec.named || want[rec.Number()] && !rec.Acked {
				t.Fatalf("seed %d: %v is not acknowledged", seed, rec.Number())
			}
		}
	}
}

// numbers are those of the records, each once.
func (l *Ledger) numbers() (list []record.Number) {
	for i := range l.Records {
		if n := l.Records[i].Number(); len(list) == 0 || list[len(list)-1] != n {
			list = append(list, n)
		}
	}
	return list
}

// TestCopies: of the records that carried a part, the last few count. A peer that never
// answers has a flight repeated for a minute, and that takes no more than this.
func TestCopies(t *testing.T) {
	l := &Ledger{on: true}
	flight := []Part{{0, 0, 100}, {1, 0, 200}, {1, 200, 300}}
	var sent [][]record.Number
	next := record.Number{Epoch: 2}
	for range 3 * Copies {
		var numbers []record.Number
		for _, part := range flight {
			l.Note(time.Time{}, next.Seq, 100, []Record{Of(next, part)})
			numbers = append(numbers, next)
			next.Seq++
		}
		sent = append(sent, numbers)
	}
	var kept []record.Number
	for _, numbers := range sent[len(sent)-Copies:] {
		kept = append(kept, numbers...)
	}
	if got := l.numbers(); !slices.Equal(got, kept) {
		t.Errorf("%v, want %v", got, kept)
	}
	for i, numbers := range sent {
		want := i >= len(sent)-Copies
		if _, known := l.Name(parsedACK(t, numbers)); known != want {
			t.Errorf("transmission %d is known %v, want %v", i, known, want)
		}
	}
	// Parts that are cut anew have records of their own.
	l.Note(time.Time{}, next.Seq, 100, []Record{Of(next, Part{1, 0, 100})})
	if len(l.Records) != Copies*len(flight)+1 {
		t.Errorf("%d records", len(l.Records))
	}
}

// TestSharedRecords: a record with several parts is named as one, whatever is as large as
// it can be.
func TestSharedRecords(t *testing.T) {
	l := &Ledger{on: true}
	n := record.Number{Epoch: 1<<16 - 1, Seq: record.MaxSeq}
	parts := []Part{{1, 0, 1<<24 - 1}, {1<<16 - 1, 1<<24 - 2, 1<<24 - 1}, {3, 0, 0}}
	before := record.Number{Epoch: n.Epoch, Seq: n.Seq - 1}
	l.Note(time.Time{}, 7, 1<<16-1, []Record{Of(n, parts[0]), Of(n, parts[1]), Of(n, parts[2])})
	l.Note(time.Time{}, 8, 1, []Record{Of(before, parts[0])})
	if got := l.numbers(); !slices.Equal(got, []record.Number{before, n}) {
		t.Fatalf("%v", got)
	}
	for i, part := range parts {
		if r := &l.Records[1+i]; r.Part() != part || r.ID != 7 {
			t.Errorf("%v of datagram %d, want %v", r.Part(), r.ID, part)
		}
	}
	for _, unknown := range []record.Number{
		{Epoch: n.Epoch + 1, Seq: n.Seq}, {Epoch: 1<<64 - 1, Seq: n.Seq}, {Epoch: n.Epoch, Seq: n.Seq + 1}, {Epoch: n.Epoch - 1, Seq: n.Seq + 1<<48},
	} {
		if _, any := l.Name(parsedACK(t, []record.Number{unknown})); any {
			t.Errorf("%v is known", unknown)
		}
	}
	l.Name(parsedACK(t, []record.Number{n}))
	var got []Part
	for part := range l.TakeNamed(true, false) {
		got = append(got, part)
	}
	if want := parts[:2]; !slices.Equal(got, want) {
		t.Errorf("the ACK covers %v, want %v", got, want)
	}
	if largest, _ := l.Sizes(100); largest != 1<<16-1 {
		t.Errorf("a datagram of %d bytes has arrived", largest)
	}
	if l.Forget(7); !slices.Equal(l.numbers(), []record.Number{before}) {
		t.Errorf("without datagram 7: %v", l.numbers())
	}
}
