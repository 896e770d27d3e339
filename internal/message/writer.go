package message

import (
	"golang.org/x/crypto/cryptobyte"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// writer is the mirror of reader. It checks the same bounds, so what it wrote parses again. The first fault ends it and
// comes out of bytes.
type writer struct {
	b      *cryptobyte.Builder
	name   string  // of the message, or of the field that this writer fills
	parent *writer // of a field; nil for a whole message
}

func newWriter(name string, dst []byte) *writer {
	return &writer{b: cryptobyte.NewBuilder(dst), name: name}
}

// bytes is everything written, or the first fault.
func (w *writer) bytes() ([]byte, error) { return w.b.Bytes() }

// fail records a fault of our own with its place, unless an earlier one has.
func (w *writer) fail(format string, args ...any) {
	w.setError(w.fault(format, args...))
}

func (w *writer) setError(err error) {
	if _, earlier := w.b.Bytes(); earlier == nil {
		w.b.SetError(err)
	}
}

func (w *writer) fault(format string, args ...any) error {
	path := w.name
	for p := w.parent; p != nil; p = p.parent {
		path = p.name + ": " + path
	}
	return alert.Errorf(alert.InternalError, path+": "+format, args...)
}

// fixed writes opaque field[n].
func (w *writer) fixed(field string, n int, v []byte) {
	if len(v) != n {
		w.fail("%s of %d bytes, want %d", field, len(v), n)
		return
	}
	w.b.AddBytes(v)
}

// uint8, uint16 and uint32 write a number.
func (w *writer) uint8(v uint8)   { w.b.AddUint8(v) }
func (w *writer) uint16(v uint16) { w.b.AddUint16(v) }
func (w *writer) uint32(v uint32) { w.b.AddUint32(v) }

// vector writes opaque field<low..high>.
func (w *writer) vector(field string, low, high int, v []byte) {
	w.list(field, low, high, func(w *writer) { w.b.AddBytes(v) })
}

// list writes a vector whose elements come from write.
func (w *writer) list(field string, low, high int, write func(*writer)) {
	prefixed := w.b.AddUint24LengthPrefixed
	prefix := prefixLen(high)
	switch prefix {
	case 1:
		prefixed = w.b.AddUint8LengthPrefixed
	case 2:
		prefixed = w.b.AddUint16LengthPrefixed
	}
	prefixed(func(b *cryptobyte.Builder) {
		write(&writer{b: b, name: field, parent: w})
		built, err := b.Bytes()
		if err != nil {
			return
		}
		if n := len(built) - prefix; n < low || n > high {
			b.SetError(w.fault("%s of %d bytes, want %d to %d", field, n, low, high))
		}
	})
}

// uint16s writes each of vs.
func (w *writer) uint16s(vs []uint16) {
	for _, v := range vs {
		w.uint16(v)
	}
}
