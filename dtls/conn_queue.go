package dtls

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// ring keeps records, each behind its length, in a circle of bytes. Rings that
// have run empty go back to a pool of their size: an association that waits has
// none, and one that receives allocates nothing.
type ring struct {
	buf  []byte // a power of two, from minRing
	head int    // of the oldest record
	size int    // bytes in use
}

const (
	minRing    = 2 << 10
	recordHead = 2 // bytes of length: a record has at most 2^14 bytes
)

var rings [21]sync.Pool // by log2 of the size

func newRing(n int) *ring {
	class := bits.Len(uint(max(n, minRing) - 1))
	if class < len(rings) {
		if r, ok := rings[class].Get().(*ring); ok {
			return r
		}
	}
	return &ring{buf: make([]byte, 1<<class)}
}

// release gives the ring back and returns nil.
func (r *ring) release() *ring {
	if r == nil {
		return nil
	}
	if class := bits.Len(uint(len(r.buf) - 1)); class < len(rings) {
		r.head, r.size = 0, 0
		rings[class].Put(r)
	}
	return nil
}

// push appends a record and returns the ring to go on with; r may be nil.
func (r *ring) push(record []byte) *ring {
	need := recordHead + len(record)
	switch {
	case r == nil:
		r = newRing(need)
	case r.size+need > len(r.buf):
		bigger := newRing(r.size + need)
		n := copy(bigger.buf, r.buf[r.head:min(len(r.buf), r.head+r.size)])
		copy(bigger.buf[n:], r.buf[:r.size-n])
		bigger.size = r.size
		r.release()
		r = bigger
	}
	var head [recordHead]byte
	binary.BigEndian.PutUint16(head[:], uint16(len(record)))
	r.put(head[:])
	r.put(record)
	return r
}

// pop copies the oldest record into p. It reports whether all of it fit.
func (r *ring) pop(p []byte) (n int, whole bool) {
	var head [recordHead]byte
	r.get(head[:], recordHead)
	size := int(binary.BigEndian.Uint16(head[:]))
	n = min(len(p), size)
	r.get(p[:n], size)
	return n, n == size
}

func (r *ring) put(b []byte) {
	at := (r.head + r.size) & (len(r.buf) - 1)
	n := copy(r.buf[at:], b)
	copy(r.buf, b[n:])
	r.size += len(b)
}

// get copies the oldest bytes into b and drops the oldest n.
func (r *ring) get(b []byte, n int) {
	done := copy(b, r.buf[r.head:])
	copy(b[done:], r.buf)
	r.head = (r.head + n) & (len(r.buf) - 1)
	r.size -= n
}

// buffer is where a datagram is sealed.
type buffer struct{ p []byte }

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 2048)} }}

func getBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) release() { buffers.Put(b) }
