package message

import (
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// pointUncompressed is the one ECPointFormat that is still in use: RFC 8422, Section 5.1.2.
const pointUncompressed = 0

// parsePointFormats reads ec_point_formats, which has one shape in both hellos: RFC 8422, Section 5.1.2.
func parsePointFormats(r *reader) []byte {
	formats := r.vector("ec_point_format_list", 1, max8)
	// RFC 8422, Section 5.1.2: the extension, if sent, MUST contain uncompressed.
	if !slices.Contains(formats, pointUncompressed) {
		r.fail(alert.IllegalParameter, "uncompressed is missing")
	}
	return formats
}

func appendPointFormats(w *writer, formats []byte) {
	if !slices.Contains(formats, pointUncompressed) {
		w.fail("uncompressed is missing")
	}
	w.vector("ec_point_format_list", 1, max8, formats)
}
