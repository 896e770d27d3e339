package dtls

// quoteRing remembers recent large datagrams, to tell an ICMP message that quotes one
// from a forged one. Of each it keeps the size and
//
//	datagram: | type, version | record number | length, nonce | ciphertext…
//	                 3           8 bytes, kept       13           8 bytes from 24, kept
//
// An attacker off the path can guess the number and all else in front of the
// ciphertext, but not the ciphertext.
type quoteRing struct {
	at    int
	sizes [32]uint16
	marks [32]quoteMark
}

// quoteMark is what is kept of the bytes of a datagram.
type quoteMark struct{ number, body [8]byte }

const (
	quoteNumber = 3  // offset of the record number
	quoteBody   = 24 // behind all headers, and explicit nonces
	quoteWhole  = quoteBody + 8
	quoteMin    = 16 // shorter quotes, as old routers send, end with the header of UDP
)

// quoteVerdict is how much of a quote matches.
type quoteVerdict uint8

const (
	quotesNothing quoteVerdict = iota // no recent datagram: the message is forged or late
	quotesNumber                      // the number of a datagram, and no more
	quotesOurs                        // the ciphertext too, which is only seen on the path
)

func markOf(datagram []byte) quoteMark {
	return quoteMark{[8]byte(datagram[quoteNumber:]), [8]byte(datagram[quoteBody:])}
}

// note remembers a datagram of at least quoteWhole bytes.
func (q *quoteRing) note(datagram []byte) {
	q.marks[q.at] = markOf(datagram)
	q.sizes[q.at] = uint16(len(datagram))
	q.at = (q.at + 1) % len(q.sizes)
}

// match finds the datagram that is quoted and returns its size; quoted has at
// least quoteMin bytes.
func (q *quoteRing) match(quoted []byte) (size int, verdict quoteVerdict) {
	if q == nil {
		return 0, quotesNothing
	}
	number, whole := [8]byte(quoted[quoteNumber:]), len(quoted) >= quoteWhole
	for i, n := range q.sizes {
		switch {
		case n == 0 || q.marks[i].number != number:
		case !whole:
			return int(n), quotesNumber
		case q.marks[i] == markOf(quoted):
			return int(n), quotesOurs
		}
	}
	return 0, quotesNothing
}
