package acks

import (
	"iter"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Part is a range of bytes of a message of the flight.
type Part struct {
	Msg    int // its index in the flight
	Lo, Hi uint32
}

// Ledger has the records of an outstanding flight, in the order of their numbers:
// epochs ascend, and so do sequence numbers in each. An ACK names up to 1023 of them,
// each found by binary search. The longest list takes some 0.1 ms, and only a peer with
// keys can send it.
//
// A peer that never answers has the flight sent again and again. So of the records that
// carried the same part only the last few are kept: the timer doubles, and an ACK that
// comes later than that finds those of a later transmission.
type Ledger struct {
	on      bool // the peer may acknowledge: DTLS 1.3 is offered or agreed on
	began   time.Time
	Records []Record
}

const (
	// MaxRecords bounds the ledger: a flight of 64 KiB in datagrams of 228 bytes,
	// twice. Bytes of older records are sent again.
	MaxRecords = 1024

	// Copies is how many records with the same part are kept.
	Copies = 4
)

// Record is what a handshake record of ours carried: a part of a message. A record with
// several is there for each, next to each other. A server has many for a client that never
// answers, so they are packed.
type Record struct {
	number uint64        // 16 bits of the epoch, 48 of the sequence number
	part   uint64        // 16 bits of the message's index, 24 of either end
	ID     uint64        // of its datagram
	sent   time.Duration // behind began
	size   uint16        // of its datagram
	Acked  bool
	named  bool // by the ACK at hand, and not acknowledged before
}

// Of returns a record of ours for Note. Its epoch has 16 bits, as all that we write in.
func Of(n record.Number, p Part) Record {
	return Record{number: pack(n), part: uint64(p.Msg)<<48 | uint64(p.Lo)<<24 | uint64(p.Hi)}
}

func pack(n record.Number) uint64 { return n.Epoch<<48 | n.Seq }

// Number is the record's.
func (r *Record) Number() record.Number {
	return record.Number{Epoch: r.number >> 48, Seq: r.number & record.MaxSeq}
}

// Part is what it carried.
func (r *Record) Part() Part {
	const offset = 1<<24 - 1 // RFC 9147, Section 5.2: 24 bits
	return Part{int(r.part >> 48), uint32(r.part >> 24 & offset), uint32(r.part & offset)}
}

// Enable says whether the peer may acknowledge records.
func (l *Ledger) Enable(on bool) { l.on = on }

// On reports whether records are noted.
func (l *Ledger) On() bool { return l.on }

// Clear removes all records, for the next flight.
func (l *Ledger) Clear() { l.Records = l.Records[:0] }

// Drop removes them and frees their memory.
func (l *Ledger) Drop() { l.Records = nil }

// Note adds the records of a datagram of size bytes.
func (l *Ledger) Note(now time.Time, id uint64, size int, records []Record) {
	if !l.on {
		return
	}
	if len(l.Records) == 0 {
		l.began = now
	}
	for _, r := range records {
		r.ID, r.size, r.sent = id, uint16(size), now.Sub(l.began)
		l.displace(r.part)
		at := l.find(r.number)
		for at < len(l.Records) && l.Records[at].number == r.number {
			at++ // behind its other parts
		}
		l.Records = slices.Insert(l.Records, at, r)
	}
	if n := len(l.Records) - MaxRecords; n > 0 {
		l.Records = slices.Delete(l.Records, 0, n)
	}
}

// displace makes room for one more record with a part.
func (l *Ledger) displace(part uint64) {
	first, copies := 0, 0
	for i := range l.Records {
		if l.Records[i].part == part {
			if copies++; copies == 1 {
				first = i
			}
		}
	}
	if copies >= Copies {
		l.Records = slices.Delete(l.Records, first, first+1)
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
		n := list.At(i)
		if n.Epoch > math.MaxUint16 || n.Seq > record.MaxSeq {
			continue
		}
		number := pack(n)
		for at := l.find(number); at < len(l.Records) && l.Records[at].number == number; at++ {
			if r := &l.Records[at]; !r.Acked {
				r.named, any = true, true
				if at := l.began.Add(r.sent); at.After(sent) {
					sent = at
				}
			}
		}
	}
	return sent, any
}

// find returns the place of the first part of a record, or the one it would have.
func (l *Ledger) find(number uint64) (at int) {
	return sort.Search(len(l.Records), func(i int) bool { return l.Records[i].number >= number })
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
			if part := r.Part(); !run.join(part) {
				if !yield(run) {
					return
				}
				run = part
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
			largest, last = max(largest, int(r.size)), max(last, r.ID)
		}
	}
	if largest > over {
		return largest, 0
	}
	var seen uint64 // records of a datagram in two epochs do not stand together
	for i := range l.Records {
		if r := &l.Records[i]; !r.Acked && int(r.size) > over && r.ID < last && r.ID > seen {
			seen = r.ID
			missing++
		}
	}
	return largest, missing
}
