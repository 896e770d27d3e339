// Package quotes verifies what ICMP messages quote of datagrams that were sent.
package quotes

// Ring remembers recent large datagrams, to tell an ICMP message that quotes one
// from a forged one. Of each it keeps the size and
//
//	datagram: | type, version | record number | length, nonce | ciphertext…
//	                 3           8 bytes, kept       13           8 bytes from 24, kept
//
// An attacker off the path can guess the number and all else in front of the
// ciphertext, but not the ciphertext.
type Ring struct {
	at    int
	sizes [32]uint16
	marks [32]mark
}

// mark is what is kept of the bytes of a datagram.
type mark struct{ number, body [8]byte }

// Lengths of quotes, in bytes.
const (
	numberAt = 3  // offset of the record number
	bodyAt   = 24 // behind all headers, and explicit nonces
	Whole    = bodyAt + 8
	Min      = 16 // shorter quotes, as old routers send, end with the header of UDP
)

// Verdict is how much of a quote matches.
type Verdict uint8

// Verdicts.
const (
	Nothing    Verdict = iota // no recent datagram: the message is forged or late
	NumberOnly                // the number of a datagram, and no more
	Authentic                 // the ciphertext too, which is only seen on the path
)

func markOf(datagram []byte) mark {
	return mark{[8]byte(datagram[numberAt:]), [8]byte(datagram[bodyAt:])}
}

// Note remembers a datagram of at least Whole bytes.
func (q *Ring) Note(datagram []byte) {
	q.marks[q.at] = markOf(datagram)
	q.sizes[q.at] = uint16(len(datagram))
	q.at = (q.at + 1) % len(q.sizes)
}

// Match finds the datagram that is quoted and returns its size; quoted has at
// least Min bytes.
func (q *Ring) Match(quoted []byte) (size int, verdict Verdict) {
	if q == nil {
		return 0, Nothing
	}
	number, whole := [8]byte(quoted[numberAt:]), len(quoted) >= Whole
	for i, n := range q.sizes {
		switch {
		case n == 0 || q.marks[i].number != number:
		case !whole:
			return int(n), NumberOnly
		case q.marks[i] == markOf(quoted):
			return int(n), Authentic
		}
	}
	return 0, Nothing
}
