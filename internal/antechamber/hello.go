package antechamber

import (
	"iter"
	"time"
)

// Hello is a ClientHello of which some fragments are here.
type Hello struct {
	stay
	page page // goes from one hello to the next
}

// stay is what is known of the hello that has the place now.
type stay struct {
	key   Key
	since time.Time // of the first fragment
	taken bool      // false: the place is free

	pieces          int    // fragments that brought something new
	lowest, highest uint64 // record numbers

	in, out  int // bytes received for it, and sent in answer
	answered bool
}

// recordSpan bounds the record numbers of one hello: what a client sends within
// a second, retransmissions included, has numbers close to each other. A forged
// fragment with a number of its own making, which a server would have to go on
// from, is kept apart.
const recordSpan = 256

// amplification is how many bytes an unproven address may get for one of its
// own (RFC 9147, Section 5.1).
const amplification = 3

// begin takes the place for a new hello.
func (h *Hello) begin(now time.Time, k Key) {
	h.stay = stay{key: k, since: now, taken: true}
	h.page.have.Reset()
}

// Leave gives the place back.
func (h *Hello) Leave() { h.taken = false }

// alive reports whether somebody is here. A clock that was set back ends a stay
// rather than prolonging it.
func (h *Hello) alive(now time.Time) bool {
	age := now.Sub(h.since)
	return h.taken && 0 <= age && age < Life
}

// worth is what speaks against giving the place to a newcomer: one who has got
// his answer waits for nothing, and each fragment that was new cost its sender
// a datagram.
func (h *Hello) worth() int {
	if h.answered {
		return 0
	}
	return h.pieces
}

// accepts reports whether a fragment may belong to this hello.
func (h *Hello) accepts(f Fragment) bool {
	return max(h.highest, f.Record)-min(h.lowest, f.Record) <= recordSpan && !h.page.contradicts(f)
}

// add takes a fragment that is accepted.
func (h *Hello) add(f Fragment) {
	if h.pieces == 0 {
		h.lowest, h.highest = f.Record, f.Record
	}
	h.lowest, h.highest = min(h.lowest, f.Record), max(h.highest, f.Record)
	h.in += f.Size
	if h.page.write(f) {
		h.pieces++
	}
}

// Prefix is the hello's body from its start up to the first byte that is not
// here.
func (h *Hello) Prefix() []byte { return h.page.prefix() }

// Complete reports whether all of the body is here; Prefix is the whole then.
func (h *Hello) Complete() bool { return h.page.have.Covers(h.key.Length) }

// Pieces yields what is here, each piece with its offset in the body. No two of
// them touch.
func (h *Hello) Pieces() iter.Seq2[uint32, []byte] {
	return func(yield func(uint32, []byte) bool) {
		for lo, hi := range h.page.have.Ranges() {
			if !yield(lo, h.page.body[lo:hi]) {
				return
			}
		}
	}
}

// Len is the number of bytes that are here.
func (h *Hello) Len() int { return int(h.page.have.Bytes()) }

// Record is the largest number of the records that its fragments came in.
func (h *Hello) Record() uint64 { return h.highest }

// Answered reports whether Pay has allowed an answer.
func (h *Hello) Answered() bool { return h.answered }

// Pay books an answer of n bytes. It reports false, and the answer must not be
// sent, if the sender would get more than three times what came from it.
func (h *Hello) Pay(n int) bool {
	if h.out+n > amplification*h.in {
		return false
	}
	h.out += n
	h.answered = true
	return true
}
