package roster

import (
	"container/heap"
	"net/netip"
	"time"
)

// Crowd counts the associations of a Listener by address prefix, and chooses the
// handshake that is ended when there is no room for another. A limit by address
// would bound nothing: an attacker with one address often has its neighbours.
//
// The rule, when there is no room for a new handshake:
//
//  1. Take the prefix with the most handshakes, the new one counted with its own;
//     of several, the one whose oldest handshake is the oldest.
//  2. If that is not the prefix of the new handshake, nor one with as many, its
//     oldest handshake is ended. So a flood from few prefixes keeps no client of
//     another prefix out.
//  3. Else its oldest handshake is ended only if it is older than StallAge, and
//     the new one is refused otherwise. Most honest handshakes are complete by
//     then; when many honest clients come at once, those that are under way are
//     completed first.
type Crowd[T any] struct {
	groups    shrinkingMap[netip.Prefix, *group[T]]
	most      groupHeap[T] // those with handshakes
	next      uint64       // number of the next Entry
	lingering entries[T]   // closed associations, which no group counts
}

// StallAge is the age from which a handshake may be ended for another one of its
// prefix: long enough for two lost flights with the default retransmission timers.
const StallAge = 5 * time.Second

// group counts the associations of a prefix.
type group[T any] struct {
	prefix     netip.Prefix
	total      int        // handshakes and associations
	handshakes entries[T] // of them
	place      int        // in Crowd.most
}

// Entry is the place of an association in a Crowd, during its handshake and while
// it lingers. An established association has none.
type Entry[T any] struct {
	a          *T
	number     uint64 // tells which is older
	since      time.Time
	group      *group[T] // nil: it lingers
	prev, next *Entry[T]
}

// entries is a list in the order of their numbers.
type entries[T any] struct {
	n           int
	first, last *Entry[T]
}

func (l *entries[T]) push(e *Entry[T]) {
	if e.prev = l.last; l.last != nil {
		l.last.next = e
	} else {
		l.first = e
	}
	l.last = e
	l.n++
}

func (l *entries[T]) remove(e *Entry[T]) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		l.last = e.prev
	}
	l.n--
}

// Count is how many associations a prefix has, those that linger not among them.
func (cr *Crowd[T]) Count(prefix netip.Prefix) int {
	if g := cr.groups.m[prefix]; g != nil {
		return g.total
	}
	return 0
}

// Prefixes is how many prefixes have an association.
func (cr *Crowd[T]) Prefixes() int { return len(cr.groups.m) }

// Lingering is how many associations linger.
func (cr *Crowd[T]) Lingering() int { return cr.lingering.n }

// Begin counts an association that begins its handshake now.
func (cr *Crowd[T]) Begin(a *T, prefix netip.Prefix, now time.Time) *Entry[T] {
	g := cr.groups.m[prefix]
	if g == nil {
		g = &group[T]{prefix: prefix}
		cr.groups.put(prefix, g)
	}
	cr.next++
	e := &Entry[T]{a: a, number: cr.next, since: now, group: g}
	g.handshakes.push(e)
	g.total++
	if g.handshakes.n == 1 {
		heap.Push(&cr.most, g)
	} else {
		heap.Fix(&cr.most, g.place)
	}
	return e
}

// Complete counts the association of e as established from now on.
func (cr *Crowd[T]) Complete(e *Entry[T]) {
	g := e.group
	g.handshakes.remove(e)
	if g.handshakes.n == 0 {
		heap.Remove(&cr.most, g.place)
	} else {
		heap.Fix(&cr.most, g.place)
	}
}

// Leave stops counting an association of that prefix. e is nil if it is
// established.
func (cr *Crowd[T]) Leave(e *Entry[T], prefix netip.Prefix) {
	switch {
	case e == nil:
	case e.group == nil:
		cr.lingering.remove(e)
		return
	default:
		cr.Complete(e)
	}
	g := cr.groups.m[prefix]
	if g.total--; g.total == 0 {
		cr.groups.remove(prefix)
	}
}

// Linger stops counting an established association of that prefix, which is
// closed and lingers. If more than limit associations linger, the oldest of them is
// returned: it has to end.
func (cr *Crowd[T]) Linger(a *T, prefix netip.Prefix, limit int) (e *Entry[T], oldest *T) {
	cr.Leave(nil, prefix)
	cr.next++
	e = &Entry[T]{a: a, number: cr.next}
	cr.lingering.push(e)
	if cr.lingering.n > limit {
		oldest = cr.lingering.first.a
	}
	return e, oldest
}

// Victim is the handshake that is ended for a new one of that prefix, nil if the
// rule has none.
func (cr *Crowd[T]) Victim(prefix netip.Prefix, now time.Time) *T {
	if len(cr.most) == 0 {
		return nil
	}
	top, own, count := cr.most[0], cr.groups.m[prefix], 1
	if own != nil {
		count += own.handshakes.n
	}
	switch {
	case top.handshakes.n > count:
		return top.handshakes.first.a
	case top.handshakes.n == count && top.olderThan(own):
		return top.stalled(now)
	}
	return cr.Stalled(prefix, now)
}

// Stalled is the oldest handshake of a prefix if it is older than StallAge, else
// nil.
func (cr *Crowd[T]) Stalled(prefix netip.Prefix, now time.Time) *T {
	if g := cr.groups.m[prefix]; g != nil {
		return g.stalled(now)
	}
	return nil
}

func (g *group[T]) stalled(now time.Time) *T {
	oldest := g.handshakes.first
	if oldest == nil || now.Sub(oldest.since) < StallAge {
		return nil
	}
	return oldest.a
}

// olderThan compares by the oldest handshake; g has one.
func (g *group[T]) olderThan(other *group[T]) bool {
	return other == nil || other.handshakes.n == 0 || g.handshakes.first.number < other.handshakes.first.number
}

// groupHeap has the group with the most handshakes first; of those with as many,
// the one with the oldest.
type groupHeap[T any] []*group[T]

func (h groupHeap[T]) Len() int { return len(h) }

func (h groupHeap[T]) Less(i, j int) bool {
	if n, m := h[i].handshakes.n, h[j].handshakes.n; n != m {
		return n > m
	}
	return h[i].olderThan(h[j])
}

func (h groupHeap[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *groupHeap[T]) Push(x any) {
	g := x.(*group[T])
	g.place = len(*h)
	*h = append(*h, g)
}

func (h *groupHeap[T]) Pop() any {
	last := len(*h) - 1
	g := (*h)[last]
	(*h)[last] = nil
	if *h = (*h)[:last]; last == 0 {
		*h = nil // an empty heap keeps no memory
	}
	return g
}
