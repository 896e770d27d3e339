package alert

// maxQueued bounds the alerts that a peer can cause before the owner sends.
const maxQueued = 4

// Queue holds the alerts that are sent next, in order. The zero value is empty.
type Queue struct{ list []Queued }

// Queued is an alert that waits.
type Queued struct {
	Level Level
	Alert Alert
}

// Empty reports whether no alert waits.
func (q *Queue) Empty() bool { return len(q.list) == 0 }

// Add reports whether there was room for the alert.
func (q *Queue) Add(level Level, a Alert) bool {
	if len(q.list) == maxQueued {
		return false
	}
	q.list = append(q.list, Queued{level, a})
	return true
}

// Next takes the first alert of a queue that is not empty.
func (q *Queue) Next() Queued {
	a := q.list[0]
	if q.list = q.list[1:]; len(q.list) == 0 {
		q.list = nil
	}
	return a
}

// Clear drops all of them.
func (q *Queue) Clear() { q.list = nil }
