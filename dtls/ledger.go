package dtls

import (
	"iter"
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// sentRecord is what a handshake record of ours carried.
type sentRecord struct {
	number record.Number
	id     uint64 // of its datagram
	size   int    // of its datagram
	acked  bool
	named  bool // by the ACK at hand, and not acknowledged before
	parts  []sentPart
}

// ledger has the records of an outstanding flight, all its transmissions, in the
// order of their numbers: epochs ascend, and so do sequence numbers in each. An ACK
// names up to 1023 of them, each found by binary search. The longest list takes
// some 0.1 ms, and only a peer with keys can send it.
type ledger struct {
	on      bool // the peer may acknowledge: DTLS 1.3 is offered or agreed on
	records []sentRecord
}

// maxLedger bounds the ledger: a flight of 64 KiB in datagrams of 228 bytes,
// twice. Bytes of older records are sent again.
const maxLedger = 1024

// enable says whether the peer may acknowledge records.
func (l *ledger) enable(on bool) { l.on = on }

func (l *ledger) clear() { l.records = l.records[:0] }

func (l *ledger) drop() { l.records = nil }

func (l *ledger) note(id uint64, size int, records []sentRecord) {
	if !l.on {
		return
	}
	for _, r := range records {
		r.id, r.size = id, size
		at, _ := l.find(r.number)
		l.records = slices.Insert(l.records, at, r)
	}
	if n := len(l.records) - maxLedger; n > 0 {
		l.records = slices.Delete(l.records, 0, n)
	}
}

// forget drops the records of a datagram that was withdrawn.
func (l *ledger) forget(id uint64) {
	l.records = slices.DeleteFunc(l.records, func(r sentRecord) bool { return r.id == id })
}

// name marks the records that a list names and that are not acknowledged yet, and
// reports whether there are any.
func (l *ledger) name(list message.ACKList) (any bool) {
	for i := range list.Len() {
		if at, found := l.find(list.At(i)); found && !l.records[at].acked {
			l.records[at].named, any = true, true
		}
	}
	return any
}

func (l *ledger) find(n record.Number) (at int, found bool) {
	return slices.BinarySearchFunc(l.records, n, func(r sentRecord, n record.Number) int { return compareNumbers(r.number, n) })
}

// takeNamed yields the parts of messages in the named records, adjoining ones
// joined; backwards, in descending order of the records. acked says whether these
// count as acknowledged from now on.
func (l *ledger) takeNamed(acked, backwards bool) iter.Seq[sentPart] {
	return func(yield func(sentPart) bool) {
		var run sentPart
		for i := range l.records {
			if backwards {
				i = len(l.records) - 1 - i
			}
			r := &l.records[i]
			if !r.named {
				continue
			}
			r.named, r.acked = false, acked
			for _, part := range r.parts {
				if !run.join(part) {
					if !yield(run) {
						return
					}
					run = part
				}
			}
		}
		if run.lo < run.hi {
			yield(run)
		}
	}
}

// join adds a part that is next to this one.
func (p *sentPart) join(next sentPart) bool {
	switch {
	case p.lo == p.hi:
		*p = next
	case p.msg == next.msg && p.hi == next.lo:
		p.hi = next.hi
	case p.msg == next.msg && p.lo == next.hi:
		p.lo = next.lo
	default:
		return false
	}
	return true
}

// sizes returns the size of the largest datagram with an acknowledged record. If
// that is not over the given size, missing is how many datagrams over it went out
// before an acknowledged one and have no acknowledged record.
func (l *ledger) sizes(over int) (largest, missing int) {
	last := uint64(0)
	for i := range l.records {
		if r := &l.records[i]; r.acked {
			largest, last = max(largest, r.size), max(last, r.id)
		}
	}
	if largest > over {
		return largest, 0
	}
	var seen uint64 // records of a datagram in two epochs do not stand together
	for i := range l.records {
		if r := &l.records[i]; !r.acked && r.size > over && r.id < last && r.id > seen {
			seen = r.id
			missing++
		}
	}
	return largest, missing
}
