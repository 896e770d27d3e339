package message

import (
	"golang.org/x/crypto/cryptobyte"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// The largest vectors of each length prefix: 2^8-1, 2^16-1 and 2^24-1 bytes.
const (
	max8  = 1<<8 - 1
	max16 = 1<<16 - 1
	max24 = 1<<24 - 1
)

// reader walks a message, field by named field. The first fault ends it: whatever is read afterwards is empty, loops over
// its lists stop, and the fault waits in err. So a parse reads straight down the RFC's struct and asks only once.
type reader struct {
	left   cryptobyte.String
	name   string      // of the message, or of the field that this reader covers
	parent *reader     // of a field; nil for a whole message
	kx     KeyExchange // of a whole message: what decides its shape
	err    error       // of a whole message: its first fault, an *alert.Error
}

func newReader(name string, kx KeyExchange, body []byte) *reader {
	return &reader{left: body, name: name, kx: kx}
}

// fail records a fault with its place, as in "client_hello: server_name: ...", unless an earlier one has.
func (r *reader) fail(a alert.Alert, format string, args ...any) {
	r.left = nil
	path := r.name
	for r.parent != nil {
		r = r.parent
		r.left = nil
		path = r.name + ": " + path
	}
	if r.err == nil {
		r.err = alert.Errorf(a, path+": "+format, args...)
	}
}

// empty reports whether everything has been read.
func (r *reader) empty() bool { return r.left.Empty() }

// end refuses whatever is left over.
func (r *reader) end() {
	if !r.empty() {
		// RFC 5246, Section 7.4.1.2 asks of all messages that "the amount of data in the message precisely matches"
		// the format, or else decode_error.
		r.fail(alert.DecodeError, "%d trailing bytes", len(r.left))
	}
}

// rest reads everything that is left.
func (r *reader) rest() []byte {
	return r.bytes("data", len(r.left))
}

// bytes reads a field of exactly n bytes: opaque field[n]. No bytes are nil.
func (r *reader) bytes(field string, n int) []byte {
	if n == 0 {
		return nil
	}
	var v []byte
	if !r.left.ReadBytes(&v, n) {
		r.fail(alert.DecodeError, "%s is cut short", field)
		return nil
	}
	return v[:n:n]
}

// uint8, uint16 and uint32 read a number.
func (r *reader) uint8(field string) uint8 {
	return uint8(r.number(field, 1))
}

func (r *reader) uint16(field string) uint16 {
	return uint16(r.number(field, 2))
}

func (r *reader) uint32(field string) uint32 {
	return r.number(field, 4)
}

func (r *reader) number(field string, size int) (v uint32) {
	for _, b := range r.bytes(field, size) {
		v = v<<8 | uint32(b)
	}
	return v
}

// vector reads opaque field<low..high>. Bounds are in bytes, and as in RFC 5246, Section 4.3 the upper one decides how wide
// the length in front is. No bytes are nil.
func (r *reader) vector(field string, low, high int) []byte {
	n := int(r.number(field, prefixLen(high)))
	v := r.bytes(field, n)
	// RFC 5246, Section 7.2.2: decode_error, because a field was "out of the specified range".
	if len(v) < low || len(v) > high {
		r.fail(alert.DecodeError, "%s of %d bytes, want %d to %d", field, len(v), low, high)
		return nil
	}
	return v
}

// list reads a vector whose elements its own reader walks.
func (r *reader) list(field string, low, high int) *reader {
	return &reader{left: r.vector(field, low, high), name: field, parent: r}
}

// uint16s reads all that is left as 16-bit numbers.
func (r *reader) uint16s() []uint16 {
	if len(r.left)%2 != 0 {
		r.fail(alert.DecodeError, "%d bytes hold no whole number of two-byte entries", len(r.left))
	}
	if r.empty() {
		return nil
	}
	vs := make([]uint16, 0, len(r.left)/2)
	for !r.empty() {
		vs = append(vs, r.uint16("entry"))
	}
	return vs
}

// prefixLen is the size in bytes of the length in front of a vector of at most high bytes.
func prefixLen(high int) int {
	switch {
	case high <= max8:
		return 1
	case high <= max16:
		return 2
	default:
		return 3
	}
}
