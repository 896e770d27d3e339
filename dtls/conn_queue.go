package dtls

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// readQueue has the records of application data that wait for Read.
type readQueue struct {
	ring *ring  // nil: none
	lost uint64 // records and datagrams that found no room
}

func (q *readQueue) empty() bool { return q.ring == nil }

// push queues a copy of a record if the queue, limited to that many bytes, has
// room for it. An empty queue has room for any record.
func (q *readQueue) push(record []byte, limit int) bool {
	if q.ring != nil && q.ring.size+recordHead+len(record) > limit {
		q.lost++
		return false
	}
	q.ring = q.ring.push(record)
	return true
}

// lose counts a datagram that found no room in the inbox.
func (q *readQueue) lose() { q.lost++ }

// pop copies the oldest record into p. It reports whether all of it fit.
func (q *readQueue) pop(p []byte) (n int, whole bool) {
	n, whole = q.ring.pop(p)
	if q.ring.size == 0 {
		q.ring = q.ring.release()
	}
	return n, whole
}

// drop empties the queue.
func (q *readQueue) drop() { q.ring = q.ring.release() }

// ring keeps records, each behind its length, in a circle of bytes. An
// empty ring goes back to a pool of its size: an association whose records are all
// read has none, and one that receives allocates nothing.
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
