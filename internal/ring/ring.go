// Package ring queues records of bytes, each behind its length, in a circle of memory
// that grows as needed. The memory comes from pools by size: an owner whose records are
// all read gives it back and has none, and one that receives records steadily allocates
// nothing.
package ring

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// Ring holds records, the oldest first. A nil Ring is empty, and has no memory.
type Ring struct {
	buf  []byte // a power of two, from minRing
	head int    // of the oldest record
	size int    // bytes in use
}

const (
	minRing    = 2 << 10
	recordHead = 2 // bytes of length: a record has at most 2^14 bytes
)

var rings [21]sync.Pool // by log2 of the size

func newRing(n int) *Ring {
	class := bits.Len(uint(max(n, minRing) - 1))
	if class < len(rings) {
		if r, ok := rings[class].Get().(*Ring); ok {
			return r
		}
	}
	return &Ring{buf: make([]byte, 1<<class)}
}

// Release gives the ring back and returns nil.
func (r *Ring) Release() *Ring {
	if r == nil {
		return nil
	}
	if class := bits.Len(uint(len(r.buf) - 1)); class < len(rings) {
		r.head, r.size = 0, 0
		rings[class].Put(r)
	}
	return nil
}

// Push appends a record and returns the ring to go on with; r may be nil.
func (r *Ring) Push(record []byte) *Ring {
	need := recordHead + len(record)
	switch {
	case r == nil:
		r = newRing(need)
	case r.size+need > len(r.buf):
		bigger := newRing(r.size + need)
		n := copy(bigger.buf, r.buf[r.head:min(len(r.buf), r.head+r.size)])
		copy(bigger.buf[n:], r.buf[:r.size-n])
		bigger.size = r.size
		r.Release()
		r = bigger
	}
	var head [recordHead]byte
	binary.BigEndian.PutUint16(head[:], uint16(len(record)))
	r.put(head[:])
	r.put(record)
	return r
}

// Fits reports whether the ring would use at most that many bytes with one record
// more. It is true for any record if there is no ring.
func (r *Ring) Fits(record []byte, limit int) bool {
	return r == nil || r.size+recordHead+len(record) <= limit
}

// Empty reports whether no record is left.
func (r *Ring) Empty() bool { return r == nil || r.size == 0 }

// Memory is the size of the circle in bytes.
func (r *Ring) Memory() int {
	if r == nil {
		return 0
	}
	return len(r.buf)
}

// Pop takes the oldest record out, which must exist, and copies it into p. It reports
// whether all of it fit.
func (r *Ring) Pop(p []byte) (n int, whole bool) {
	var head [recordHead]byte
	r.get(head[:], recordHead)
	size := int(binary.BigEndian.Uint16(head[:]))
	n = min(len(p), size)
	r.get(p[:n], size)
	return n, n == size
}

func (r *Ring) put(b []byte) {
	at := (r.head + r.size) & (len(r.buf) - 1)
	n := copy(r.buf[at:], b)
	copy(r.buf, b[n:])
	r.size += len(b)
}

// get copies the oldest bytes into b and drops the oldest n.
func (r *Ring) get(b []byte, n int) {
	done := copy(b, r.buf[r.head:])
	copy(b[done:], r.buf)
	r.head = (r.head + n) & (len(r.buf) - 1)
	r.size -= n
}
