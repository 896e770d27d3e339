package message

import (
	"encoding/binary"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// curveNamed is the one ECCurveType that is still in use: RFC 8422, Section 5.4.
const curveNamed = 3

// parseECParams reads ServerECDHParams, an ephemeral public key and its group: RFC 8422, Section 5.4.
func parseECParams(r *reader) (group uint16, public []byte) {
	// RFC 8422, Section 5.4: explicit curves (1 and 2) are gone from the protocol.
	if t := r.uint8("curve_type"); t != curveNamed {
		r.fail(alert.IllegalParameter, "curve_type %d, want named_curve", t)
	}
	group = r.uint16("namedcurve")
	public = r.vector("public", 1, max8)
	return group, public
}

func appendECParams(w *writer, group uint16, public []byte) {
	w.uint8(curveNamed)
	w.uint16(group)
	w.vector("public", 1, max8, public)
}

// rawECParams is what appendECParams writes, without a writer.
func rawECParams(group uint16, public []byte) []byte {
	b := make([]byte, 0, 1+2+1+len(public))
	b = append(b, curveNamed)
	b = binary.BigEndian.AppendUint16(b, group)
	b = append(b, byte(len(public)))
	return append(b, public...)
}
