package message

import (
	"encoding/binary"
	"strings"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// writer is the mirror of reader. It checks the same bounds, so what it wrote parses again. The first fault ends it and
// comes out of bytes.
type writer struct {
	b     []byte
	err   error     // the first fault
	path  [8]string // the message, and the fields in each other that are being written
	depth int       // of path
}

func newWriter(name string, dst []byte) *writer {
	if dst == nil {
		dst = make([]byte, 0, 512) // most messages are shorter
	}
	return &writer{b: dst, path: [8]string{name}, depth: 1}
}

// bytes is everything written, or the first fault.
func (w *writer) bytes() ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	return w.b, nil
}

// fail records a fault of our own with its place, unless an earlier one has.
func (w *writer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = alert.Errorf(alert.InternalError, strings.Join(w.path[:w.depth], ": ")+": "+format, args...)
	}
}

// fixed writes opaque field[n].
func (w *writer) fixed(field string, n int, v []byte) {
	if len(v) != n {
		w.fail("%s of %d bytes, want %d", field, len(v), n)
		return
	}
	w.b = append(w.b, v...)
}

// uint8, uint16 and uint32 write a number.
func (w *writer) uint8(v uint8)   { w.b = append(w.b, v) }
func (w *writer) uint16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) uint32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }

// vector writes opaque field<low..high>.
func (w *writer) vector(field string, low, high int, v []byte) {
	start := w.begin(field, high)
	w.b = append(w.b, v...)
	w.end(field, low, high, start)
}

// list writes a vector whose elements come from write.
func (w *writer) list(field string, low, high int, write func(*writer)) {
	start := w.begin(field, high)
	write(w)
	w.end(field, low, high, start)
}

// begin leaves room for the length of a vector, and returns where the vector starts.
func (w *writer) begin(field string, high int) (start int) {
	w.b = append(w.b, 0, 0, 0)
	w.b = w.b[:len(w.b)-3+prefixLen(high)]
	w.path[w.depth] = field
	w.depth++
	return len(w.b)
}

// end writes the length of the vector that starts there.
func (w *writer) end(field string, low, high, start int) {
	w.depth--
	n := len(w.b) - start
	if n < low || n > high {
		w.fail("%s of %d bytes, want %d to %d", field, n, low, high)
		return
	}
	for i := range prefixLen(high) {
		w.b[start-1-i] = byte(n >> (8 * i))
	}
}

// uint16s writes each of vs.
func (w *writer) uint16s(vs []uint16) {
	for _, v := range vs {
		w.uint16(v)
	}
}
