package acks

import (
	"cmp"
	"slices"
	"time"

	"github.com/flightpath-dtls/flightpath/record"
)

// MaxNumbers bounds the record numbers that are kept and sent, newest ones first:
// with them an ACK is no larger than the smallest fallback (32 × 16 bytes and
// the record around them).
const MaxNumbers = 32

// Owed collects the handshake records of the peer's present flight that were
// processed or buffered, and knows when to say so.
type Owed struct {
	Numbers []record.Number
	Due     time.Time     // when to send, zero: not by itself
	wait    time.Duration // before it is said again, if nothing comes; 0: first time
	ID      uint64        // of the datagram with the last one

	Now       bool // at the next PollTransmit
	Disrupted bool // part of the flight was lost, or came out of order
	InFront   bool // the ACK goes out in front of our flight

	Answered bool   // a flight of ours went out while the record at hand was handled
	Size     uint16 // of the datagram with the last one
	Unheard  uint16 // ACKs sent by the timer since a record was received
}

// Note adds a record. RFC 9147, Section 7: in increasing order.
func (a *Owed) Note(n record.Number) {
	i, found := slices.BinarySearchFunc(a.Numbers, n, Compare)
	if found {
		return
	}
	if len(a.Numbers) == MaxNumbers {
		if i == 0 {
			return
		}
		copy(a.Numbers, a.Numbers[1:i])
		a.Numbers[i-1] = n
		return
	}
	a.Numbers = slices.Insert(a.Numbers, i, n)
}

// Full reports whether the next number takes the place of another.
func (a *Owed) Full() bool { return len(a.Numbers) == MaxNumbers }

// Compare orders record numbers: by epoch, then by sequence number.
func Compare(a, b record.Number) int {
	return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
}

// arm sets the timer, if it is not running.
func (a *Owed) arm(at time.Time) {
	if a.Due.IsZero() || at.Before(a.Due) {
		a.Due = at
	}
}

// Begin sets the timer of a first ACK.
func (a *Owed) Begin(now time.Time, wait time.Duration) {
	a.wait, a.Unheard, a.Disrupted = 0, 0, true
	a.arm(now.Add(wait))
}

// SendNow has an ACK sent by the next PollTransmit.
func (a *Owed) SendNow() { a.Now = true }

// Take returns the numbers for an ACK that is sent now.
func (a *Owed) Take() []record.Number {
	a.Now, a.InFront = false, false
	return a.Numbers
}

// SentIn notes the datagram that an ACK went out in.
func (a *Owed) SentIn(id uint64, size int) { a.ID, a.Size = id, uint16(size) }

// RecordBegins notes that a record of handshake messages is handled.
func (a *Owed) RecordBegins() { a.Answered = false }

// Clear begins a new flight, which acknowledges all records before it.
func (a *Owed) Clear() { *a = Owed{Answered: true} }

// Answer begins a new flight of ours. If the peer's was disrupted an ACK goes out in
// front of ours: it shows the peer which of its datagrams arrived.
func (a *Owed) Answer() {
	numbers := a.Numbers
	if !a.Disrupted {
		numbers = nil
	}
	a.Clear()
	a.Numbers, a.Now, a.InFront = numbers, len(numbers) > 0, len(numbers) > 0
}

// Received notes a handshake record of the peer: kept if all of it was processed or
// buffered, disorder if fragments before it are missing.
func (a *Owed) Received(n record.Number, kept, disorder bool, now time.Time, timer time.Duration) {
	if kept {
		a.Note(n)
	}
	a.wait, a.Unheard = 0, 0
	// RFC 9147, Section 7.1: "set a timer for 1/4 the current retransmit timer
	// value when the first record in the flight is received". What is out of
	// order is a disruption, but the rest of a burst may be right behind it.
	if disorder {
		a.Disrupted = true
		a.arm(now.Add(timer / 16))
	} else {
		a.arm(now.Add(timer / 4))
	}
}

// HandleTimeout makes the ACK ready that is due. It is repeated, ever more
// rarely, while nothing comes: a server that may not send more to an unproven
// address waits for a sign of it (RFC 9147, Section 5.1).
func (a *Owed) HandleTimeout(now time.Time, timer, longest time.Duration) {
	if a.Due.IsZero() || now.Before(a.Due) {
		return
	}
	a.Now = true
	a.Unheard++
	a.wait = min(max(2*a.wait, timer), longest)
	a.Due = now.Add(a.wait)
}

// Said forgets what an ACK has named after the handshake, when it is repeated only if
// the peer repeats itself.
func (a *Owed) Said() { a.Numbers, a.Due = nil, time.Time{} }
