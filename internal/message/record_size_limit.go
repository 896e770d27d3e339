package message

import "github.com/flightpath-dtls/flightpath/internal/alert"

// minRecordSizeLimit is in bytes. RFC 8449, Section 4: "Endpoints MUST NOT send a "record_size_limit" extension with a
// value smaller than 64. An endpoint MUST treat receipt of a smaller value as a fatal error".
const minRecordSizeLimit = 64

func parseRecordSizeLimit(r *reader) uint16 {
	limit := r.uint16("record_size_limit")
	if limit < minRecordSizeLimit {
		r.fail(alert.IllegalParameter, "%d bytes are fewer than %d", limit, minRecordSizeLimit)
	}
	return limit
}

func appendRecordSizeLimit(w *writer, limit uint16) {
	if limit < minRecordSizeLimit {
		w.fail("%d bytes are fewer than %d", limit, minRecordSizeLimit)
	}
	w.uint16(limit)
}
