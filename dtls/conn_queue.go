package dtls

import (
	"sync"

	"github.com/flightpath-dtls/flightpath/internal/ring"
)

// readQueue has the records of application data that wait for Read.
type readQueue struct {
	ring *ring.Ring // nil: none
	lost uint64     // records and datagrams that found no room
}

func (q *readQueue) empty() bool { return q.ring == nil }

// push queues a copy of a record if the queue, limited to that many bytes, has
// room for it. An empty queue has room for any record.
func (q *readQueue) push(record []byte, limit int) bool {
	if !q.ring.Fits(record, limit) {
		q.lost++
		return false
	}
	q.ring = q.ring.Push(record)
	return true
}

// lose counts a datagram that found no room in the inbox.
func (q *readQueue) lose() { q.lost++ }

// pop copies the oldest record into p. It reports whether all of it fit.
func (q *readQueue) pop(p []byte) (n int, whole bool) {
	n, whole = q.ring.Pop(p)
	if q.ring.Empty() {
		q.ring = q.ring.Release()
	}
	return n, whole
}

// drop empties the queue.
func (q *readQueue) drop() { q.ring = q.ring.Release() }

// buffer is where a datagram is sealed.
type buffer struct{ p []byte }

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 2048)} }}

func getBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) release() { buffers.Put(b) }
