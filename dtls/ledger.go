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
	named  bool // by the ACK at hand, and by none before
	parts  []sentPart
}

// ledger has the records of an outstanding flight, all its transmissions, in the
// order of their numbers. That is the order they were sent in for each epoch.
//
// A list in an ACK has up to 1023 numbers. RFC 9147, Section 7 has them "in
// numerically increasing order", so list and ledger are walked side by side, once:
//
//	list     4  6  6     9  12
//	ledger      6  8  9     12  14
//
// Behind the first number that is out of order the rest is looked up in a table
// of the ledger. Either way an ACK costs a few steps for each of its numbers and
// each record that is out, whatever it names.
type ledger struct {
	on      bool // the peer may acknowledge: DTLS 1.3 is offered or agreed on
	records []sentRecord
}

// maxLedger bounds the ledger: a flight of 64 KiB in datagrams of 228 bytes,
// twice. What is older is simply sent again.
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
		at, _ := slices.BinarySearchFunc(l.records, r.number, func(r sentRecord, n record.Number) int { return compareNumbers(r.number, n) })
		l.records = slices.Insert(l.records, at, r)
	}
	if n := len(l.records) - maxLedger; n > 0 {
		l.records = slices.Delete(l.records, 0, n)
	}
}

// forget drops the records of a datagram that never left.
func (l *ledger) forget(id uint64) {
	l.records = slices.DeleteFunc(l.records, func(r sentRecord) bool { return r.id == id })
}

// name marks the records that a list names and none did before, and reports
// whether there are any. steps is how many records it looked at.
func (l *ledger) name(list message.ACKList) (any bool, steps int) {
	var before record.Number
	at := 0
	for i := range list.Len() {
		n := list.At(i)
		if numberLess(n, before) {
			rest, more := l.nameUnsorted(list, i)
			return any || rest, steps + more
		}
		before = n
		for at < len(l.records) && numberLess(l.records[at].number, n) {
			at++
			steps++
		}
		if at < len(l.records) && l.records[at].name(n) {
			any = true
		}
		steps++
	}
	return any, steps
}

// name marks the record if that is its number and it was not acknowledged yet.
func (r *sentRecord) name(n record.Number) bool {
	if r.number != n || r.acked {
		return false
	}
	r.named = true
	return true
}

// nameUnsorted does so for the numbers from the given one on, in any order.
func (l *ledger) nameUnsorted(list message.ACKList, from int) (any bool, steps int) {
	var table numberTable
	for i := range l.records {
		if r := &l.records[i]; !r.acked {
			steps += table.put(r.number, i)
		}
	}
	for i := from; i < list.Len(); i++ {
		n := list.At(i)
		at, looked := table.find(n, l.records)
		if at >= 0 && l.records[at].name(n) {
			any = true
		}
		steps += looked
	}
	return any, steps
}

// numberTable finds records by number. It is at most a quarter full, and our numbers
// are nearly consecutive, which the golden ratio spreads evenly (Knuth, The Art
// of Computer Programming, Section 6.4): the peer has no say in how long the
// longest run of places is.
type numberTable [1 << tableBits]uint16 // index and one; 0: nothing

const (
	tableBits = 12 // for four times maxLedger
	golden    = 0x9e3779b97f4a7c15
)

func tablePlace(n record.Number) uint16 {
	return uint16((n.Seq + n.Epoch<<tableBits) * golden >> (64 - tableBits))
}

func (t *numberTable) put(n record.Number, at int) (steps int) {
	p := tablePlace(n)
	for steps = 1; t[p] != 0; steps++ {
		p = (p + 1) % (1 << tableBits)
	}
	t[p] = uint16(at + 1)
	return steps
}

// find returns the index of a record, −1 if there is none.
func (t *numberTable) find(n record.Number, records []sentRecord) (at, steps int) {
	p := tablePlace(n)
	for steps = 1; t[p] != 0; steps++ {
		if at := int(t[p]) - 1; records[at].number == n {
			return at, steps
		}
		p = (p + 1) % (1 << tableBits)
	}
	return -1, steps
}

// takeNamed yields the bytes that were in the records named, joined where one part
// goes on where another ended; backwards, the newest record first. acked says that
// they count as acknowledged from now on.
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

// sizes tells what an ACK says about the path: the largest datagram of which a
// record was acknowledged and, if that is not over the given size, how many
// distinct datagrams over it went out before an acknowledged one and have nothing
// acknowledged in them.
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
