// Package recordsize has the limits of record_size_limit (RFC 8449) of one association.
package recordsize

import "github.com/flightpath-dtls/flightpath/record"

// Limits are for the plaintext of protected records, in bytes; in DTLS 1.3 with the
// content type and the padding. The zero value has none.
type Limits struct {
	own  int // ours, once the peer has sent the extension, too; 0: none
	peer int // that of the peer; 0: none
}

// smallest is the smallest limit (RFC 8449, Section 4).
const smallest = 64

// Agree: both sides have sent record_size_limit, the peer with that value; 0: it has
// not.
func (l *Limits) Agree(own int, peer uint16) {
	if *l = (Limits{peer: int(peer)}); peer > 0 {
		l.own = own
	}
}

// Await is before the peer has told its limit: what is sent to it keeps to any.
func (l *Limits) Await() { l.peer = smallest }

// Content is the longest content of a record in an epoch. RFC 8449, Section 4: the limit
// of the peer is one for all protected records, and for no others.
func (l *Limits) Content(epoch uint16, is13 bool) int {
	n := l.peer
	switch {
	case n == 0 || epoch == 0:
		return record.MaxPlaintext
	case is13:
		n-- // the content type
	}
	return min(n, record.MaxPlaintext)
}

// Excess returns our limit if a protected record has more than that, else 0.
func (l *Limits) Excess(size int) int {
	if size <= l.own {
		return 0
	}
	return l.own
}
