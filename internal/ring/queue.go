package ring

// Queue has the records of application data that wait for Read.
type Queue struct {
	ring *Ring // nil: none
	lost uint64
}

// Empty reports whether no record waits.
func (q *Queue) Empty() bool { return q.ring == nil }

// Lost is how many records and datagrams found no room.
func (q *Queue) Lost() uint64 { return q.lost }

// Push queues a copy of a record if the queue, limited to that many bytes, has
// room for it. An empty queue has room for any record.
func (q *Queue) Push(record []byte, limit int) bool {
	if !q.ring.Fits(record, limit) {
		q.lost++
		return false
	}
	q.ring = q.ring.Push(record)
	return true
}

// Lose counts a datagram that found no room elsewhere.
func (q *Queue) Lose() { q.lost++ }

// Pop copies the oldest record into p. It reports whether all of it fit.
func (q *Queue) Pop(p []byte) (n int, whole bool) {
	n, whole = q.ring.Pop(p)
	if q.ring.Empty() {
		q.ring = q.ring.Release()
	}
	return n, whole
}

// Drop empties the queue.
func (q *Queue) Drop() { q.ring = q.ring.Release() }

// Memory is how many bytes the records occupy.
func (q *Queue) Memory() int { return q.ring.Memory() }
