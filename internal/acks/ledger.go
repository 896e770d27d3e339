package acks

import (
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Record is what a handshake record of ours carried.
type Record struct {
	Number record.Number
	ID     uint64 // of its datagram
	Size   int    // of its datagram
	Sent   time.Time
	Acked  bool
	named  bool // by the ACK at hand, and not acknowledged before
	Parts  []Part
}

// Part is a range of bytes of a message of the flight.
type Part struct {
	Msg    int // its index in the flight
	Lo, Hi uint32
}

// Ledger has the records of an outstanding flight, all its transmissions, in the
// order of their numbers: epochs ascend, and so do sequence numbers in each. An ACK
// names up to 1023 of them, each found by binary search. The longest list takes
// some 0.1 ms, and only a peer with keys can send it.
type Ledger struct {
	on      bool // the peer may acknowledge: DTLS 1.3 is offered or agreed on
	Records []Record
}

// MaxRecords bounds the ledger: a flight of 64 KiB in datagrams of 228 bytes,
// twice. Bytes of older records are sent again.
const MaxRecords = 1024

// Enable says whether the peer may acknowledge records.
func (l *Ledger) Enable(on bool) { l.on = on }

// On reports whether records are noted.
func (l *Ledger) On() bool { return l.on }

func (l *Ledger) Clear() { l.Records = l.Records[:0] }

func (l *Ledger) Drop() { l.Records = nil }

func (l *Ledger) Note(now time.Time, id uint64, size int, records []Record) {
	if !l.on {
		return
	}
	for _, r := range records {
		r.ID, r.Size, r.Sent = id, size, now
		at, _ := l.find(r.Number)
		l.Records = slices.Insert(l.Records, at, r)
	}
	if n := len(l.Records) - MaxRecords; n > 0 {
		l.Records = slices.Delete(l.Records, 0, n)
	}
}

// Forget drops the records of a datagram that was withdrawn.
func (l *Ledger) Forget(id uint64) {
	l.Records = slices.DeleteFunc(l.Records, func(r Record) bool { return r.ID == id })
}

// Name marks the records that a list names and that are not acknowledged yet. sent is
// when the last of them went out; any is false if there are none.
func (l *Ledger) Name(list message.ACKList) (sent time.Time, any bool) {
	for i := range list.Len() {
		at, found := l.find(list.At(i))
		if !found || l.Records[at].Acked {
			continue
		}
		r := &l.Records[at]
		if r.named, any = true, true; r.Sent.After(sent) {
			sent = r.Sent
		}
	}
	return sent, any
}

// find returns the place of a record, or the one it would have.
func (l *Ledger) find(n record.Number) (at int, found bool) {
	at = sort.Search(len(l.Records), func(i int) bool {
		have := &l.Records[i].Number
		return have.Seq >= n.Seq && have.Epoch == n.Epoch || have.Epoch > n.Epoch
	})
	return at, at < len(l.Records) && l.Records[at].Number == n
}

// TakeNamed yields the parts of messages in the named records, adjoining ones
// joined; backwards, in descending order of the records. acked says whether these
// count as acknowledged from now on.
func (l *Ledger) TakeNamed(acked, backwards bool) iter.Seq[Part] {
	return func(yield func(Part) bool) {
		var run Part
		for i := range l.Records {
			if backwards {
				i = len(l.Records) - 1 - i
			}
			r := &l.Records[i]
			if !r.named {
				continue
			}
			r.named, r.Acked = false, acked
			for _, part := range r.Parts {
				if !run.join(part) {
					if !yield(run) {
						return
					}
					run = part
				}
			}
		}
		if run.Lo < run.Hi {
			yield(run)
		}
	}
}

// join adds a part that is next to this one.
func (p *Part) join(next Part) bool {
	switch {
	case p.Lo == p.Hi:
		*p = next
	case p.Msg == next.Msg && p.Hi == next.Lo:
		p.Hi = next.Hi
	case p.Msg == next.Msg && p.Lo == next.Hi:
		p.Lo = next.Lo
	default:
		return false
	}
	return true
}

// Sizes returns the size of the largest datagram with an acknowledged record. If
// that is not over the given size, missing is how many datagrams over it went out
// before an acknowledged one and have no acknowledged record.
func (l *Ledger) Sizes(over int) (largest, missing int) {
	last := uint64(0)
	for i := range l.Records {
		if r := &l.Records[i]; r.Acked {
			largest, last = max(largest, r.Size), max(last, r.ID)
		}
	}
	if largest > over {
		return largest, 0
	}
	var seen uint64 // records of a datagram in two epochs do not stand together
	for i := range l.Records {
		if r := &l.Records[i]; !r.Acked && r.Size > over && r.ID < last && r.ID > seen {
			seen = r.ID
			missing++
		}
	}
	return largest, missing
}
