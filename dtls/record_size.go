package dtls

import (
	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/record"
)

// recordSizes has the limits of record_size_limit (RFC 8449), for the plaintext of
// protected records: in DTLS 1.3 with the content type and the padding, in bytes.
type recordSizes struct {
	own  int // Config.RecordSizeLimit, once the peer has sent the extension, too; 0: none
	peer int // that of the peer; 0: none
}

// smallestRecordSize is the smallest limit (RFC 8449, Section 4).
const smallestRecordSize = 64

// agree: both sides have sent record_size_limit, the peer with that value; 0: it has
// not.
func (l *recordSizes) agree(own int, peer uint16) {
	if *l = (recordSizes{peer: int(peer)}); peer > 0 {
		l.own = own
	}
}

// await is before the peer has told its limit: what is sent to it keeps to any.
func (l *recordSizes) await() { l.peer = smallestRecordSize }

// maxContent is the longest content of a record. RFC 8449, Section 4: the limit of
// the peer is one for all protected records, and for no others.
func (e *Engine) maxContent(epoch uint16) int {
	n := e.sizes.peer
	switch {
	case n == 0 || epoch == 0:
		return record.MaxPlaintext
	case e.speaks13():
		n-- // the content type
	}
	return min(n, record.MaxPlaintext)
}

// exceeds takes the size of the plaintext of an authentic record. RFC 8449, Section 4:
// "A TLS endpoint that receives a record larger than its advertised limit MUST generate
// a fatal "record_overflow" alert".
func (e *Engine) exceeds(size int) bool {
	if e.sizes.own == 0 || size <= e.sizes.own || e.over() {
		return false
	}
	e.fail(alert.Errorf(alert.RecordOverflow, "record of %d bytes, RecordSizeLimit is %d", size, e.sizes.own))
	return true
}
