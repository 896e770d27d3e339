package dtls

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/acks"
	"github.com/flightpath-dtls/flightpath/internal/interval"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// A client with as much outstanding as it remembers: records as small as a
// record_size_limit of 64 bytes has them (RFC 8449, Section 4), none of whose
// bytes is in another one.

// maxNumbers is how many numbers an ACK in one record has at most.
const maxNumbers = (record.MaxPlaintext - ackHeaderLen) / ackEntryLen

const ackPartLen = 39 // bytes of a message in each record

// owing is such a client; backwards, the last bytes went out first.
func owing(t testing.TB, records int, backwards bool) *sim {
	s := awaitingACK(t)
	o := &s.eng[clientSide].out
	o.flight.msgs[0].body = make([]byte, (acks.MaxRecords+1)*ackPartLen) // the last part is not acknowledged
	if o.sent.number = 2; backwards {
		o.sent.number = 3
	}
	first := o.ledger.Records[0].Number()
	o.ledger.Clear()
	for i := range records {
		n, at := record.Number{Epoch: first.Epoch, Seq: first.Seq + uint64(2*i)}, uint32(i) // between them, ACKs of ours
		if backwards {
			at = uint32(records - 1 - i)
		}
		part := acks.Part{Lo: at * ackPartLen, Hi: (at + 1) * ackPartLen}
		o.ledger.Note(simStart, uint64(i+1), 100, []acks.Record{acks.Of(n, part)})
	}
	return s
}

// unheard takes back what was acknowledged.
func (s *sim) unheard() {
	o := &s.eng[clientSide].out
	m := &o.flight.msgs[0]
	m.acked, m.sent, m.edge = interval.Set{}, interval.Set{}, uint32(len(m.body))
	m.sent.Add(0, m.edge)
	for i := range o.ledger.Records {
		o.ledger.Records[i].Acked = false
	}
	o.flight.state, o.timer.Deadline = flightWaiting, s.now.Add(time.Hour)
}

// worstACKs are lists of as many numbers as there is room for.
var worstACKs = []struct {
	name      string
	records   int
	backwards bool // they went out that way
	again     bool // the list was heard before
	list      func(sent []record.Number) []record.Number
}{
	{"one outstanding, unknown numbers", 1, false, false, between},
	{"one outstanding, named again and again", 1, false, false, func(sent []record.Number) []record.Number {
		return slices.Repeat(sent[:1], maxNumbers)
	}},
	{"all", acks.MaxRecords, false, false, all},
	{"all, heard before", acks.MaxRecords, false, true, all},
	{"all, backwards", acks.MaxRecords, false, false, reversed},
	{"all, in no order", acks.MaxRecords, false, false, shuffled},
	{"all of what went out backwards", acks.MaxRecords, true, false, all},
	{"every other one", acks.MaxRecords, false, false, everyOther},
	{"every other one of what went out backwards", acks.MaxRecords, true, false, everyOther},
	{"every other one, backwards", acks.MaxRecords, false, false, func(sent []record.Number) []record.Number {
		list := everyOther(sent)
		slices.Reverse(list)
		return list
	}},
	{"one, again and again", acks.MaxRecords, false, false, func(sent []record.Number) []record.Number {
		return slices.Repeat(sent[500:501], maxNumbers)
	}},
	{"unknown numbers between", acks.MaxRecords, false, false, between},
	{"unknown numbers in no order", acks.MaxRecords, false, false, func(sent []record.Number) []record.Number { return shuffled(between(sent)) }},
	{"unknown numbers behind", acks.MaxRecords, false, false, func(sent []record.Number) []record.Number {
		return numbersFrom(record.Number{Epoch: sent[0].Epoch, Seq: 1 << 40})
	}},
	{"the largest numbers", acks.MaxRecords, false, false, func(sent []record.Number) []record.Number {
		return numbersFrom(record.Number{Epoch: sent[0].Epoch, Seq: 1<<64 - maxNumbers})
	}},
	{"first and last in turn", acks.MaxRecords, false, false, func(sent []record.Number) (list []record.Number) {
		for range maxNumbers / 2 {
			list = append(list, sent[0], sent[len(sent)-1])
		}
		return list
	}},
}

func all(sent []record.Number) []record.Number {
	return slices.Clone(sent[:min(len(sent), maxNumbers)])
}

func reversed(sent []record.Number) []record.Number {
	list := all(sent)
	slices.Reverse(list)
	return list
}

func shuffled(sent []record.Number) []record.Number {
	list := all(sent)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func everyOther(sent []record.Number) (list []record.Number) {
	for i := 0; i < len(sent); i += 2 {
		list = append(list, sent[i])
	}
	return list
}

func between(sent []record.Number) (list []record.Number) {
	for i := range uint64(maxNumbers) {
		list = append(list, record.Number{Epoch: sent[0].Epoch, Seq: sent[0].Seq + 2*i + 1})
	}
	return list
}

func numbersFrom(n record.Number) (list []record.Number) {
	for range maxNumbers {
		list = append(list, n)
		n.Seq++
	}
	return list
}

func (s *sim) sentNumbers() (list []record.Number) {
	for _, r := range s.eng[clientSide].out.ledger.Records {
		list = append(list, r.Number())
	}
	return list
}

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

// BenchmarkACK handles records with the worst lists, decryption included. ns/op
// has the making of them, too; ns/ACK is the figure, the median.
func BenchmarkACK(b *testing.B) {
	for _, test := range worstACKs {
		b.Run(test.name, func(b *testing.B) {
			s := owing(b, test.records, test.backwards)
			s.unheard()
			e := s.eng[clientSide]
			body := message.AppendACK(nil, test.list(s.sentNumbers()))
			if test.again {
				_ = e.HandleDatagram(s.now, s.authentic(serverSide, record.TypeACK, body...), s.addr[serverSide])
			}
			took := make([]time.Duration, 0, b.N)
			for range b.N {
				if !test.again {
					s.unheard()
				}
				datagram := s.authentic(serverSide, record.TypeACK, body...)
				began := time.Now()
				if err := e.HandleDatagram(s.now, datagram, s.addr[serverSide]); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "ns/ACK")
		})
	}
}
