package dtls

import (
	"container/heap"
	"net/netip"
	"time"
)

// crowd knows how many associations of a Listener each address prefix has, and
// which handshake goes when one must. Who has one address often has its
// neighbours too, so a limit for each address would not hold anybody.
//
// The rule, when there is no room for a newcomer:
//
//  1. Take the prefix with the most handshakes, the newcomer counted with its
//     own; of several, the one whose oldest handshake is the oldest.
//  2. If that is not the newcomer's prefix, nor one with as many, its oldest
//     handshake goes. Nobody who floods from few prefixes keeps others out.
//  3. Else its oldest handshake goes only if it is older than stallAge, and the
//     newcomer is refused otherwise. Most honest handshakes are complete by then;
//     and when many honest clients come at once, those that are under way are
//     completed first.
//
// The owner locks.
type crowd struct {
	groups    shrinkingMap[netip.Prefix, *group]
	most      groupHeap // those with handshakes
	next      uint64    // number of the next seat
	lingering seats     // closed associations, which no group counts
}

// stallAge is when a handshake is taken for one that will not end by itself: long
// enough for two lost flights, with the timers of RetransmitDefault.
const stallAge = 5 * time.Second

// group is what a prefix has.
type group struct {
	prefix     netip.Prefix
	total      int   // handshakes and associations
	handshakes seats // of them
	place      int   // in crowd.most
}

// seats are in the order in which they were taken.
type seats struct {
	n           int
	first, last *seat
}

type seat struct {
	c          *Conn
	number     uint64 // tells which is older
	since      time.Time
	group      *group // nil: it lingers
	prev, next *seat
}

func (l *seats) push(s *seat) {
	if s.prev = l.last; l.last != nil {
		l.last.next = s
	} else {
		l.first = s
	}
	l.last = s
	l.n++
}

func (l *seats) remove(s *seat) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		l.last = s.prev
	}
	l.n--
}

// prefixOf is the part of an address that its owner cannot choose: IPv4's /24,
// IPv6's /56, and all of one that is not UDP's.
func prefixOf(a peerAddr) netip.Prefix {
	addr, bits := cookieAddr(a).Addr(), 56
	switch {
	case a.addr != nil && !a.ap.IsValid():
		bits = 128
	case addr.Is4():
		bits = 24
	}
	prefix, _ := addr.Prefix(bits) // the length is one that the family has
	return prefix
}

// count is how many associations a prefix has.
func (cr *crowd) count(prefix netip.Prefix) int {
	if g := cr.groups.m[prefix]; g != nil {
		return g.total
	}
	return 0
}

// begin seats a handshake.
func (cr *crowd) begin(c *Conn, prefix netip.Prefix, now time.Time) {
	g := cr.groups.m[prefix]
	if g == nil {
		g = &group{prefix: prefix}
		cr.groups.put(prefix, g)
	}
	cr.next++
	c.seat = &seat{c: c, number: cr.next, since: now, group: g}
	g.handshakes.push(c.seat)
	g.total++
	if g.handshakes.n == 1 {
		heap.Push(&cr.most, g)
	} else {
		heap.Fix(&cr.most, g.place)
	}
}

// complete takes a handshake off its seat; the association stays.
func (cr *crowd) complete(c *Conn) {
	g := c.seat.group
	g.handshakes.remove(c.seat)
	c.seat = nil
	if g.handshakes.n == 0 {
		heap.Remove(&cr.most, g.place)
	} else {
		heap.Fix(&cr.most, g.place)
	}
}

// leave takes out an association, whatever it was.
func (cr *crowd) leave(c *Conn) {
	switch {
	case c.seat == nil:
	case c.seat.group == nil:
		cr.lingering.remove(c.seat)
		c.seat = nil
		return
	default:
		cr.complete(c)
	}
	prefix := prefixOf(c.peer)
	g := cr.groups.m[prefix]
	if g.total--; g.total == 0 {
		cr.groups.remove(prefix)
	}
}

// linger takes an association out of its group; it stays as one that is closed.
// If more than limit of those are there, the oldest is returned: it has to go.
func (cr *crowd) linger(c *Conn, limit int) (goes *Conn) {
	cr.leave(c)
	cr.next++
	c.seat = &seat{c: c, number: cr.next}
	cr.lingering.push(c.seat)
	if cr.lingering.n > limit {
		return cr.lingering.first.c
	}
	return nil
}

// victim is the handshake that has to go for a newcomer of that prefix, nil if
// none has to.
func (cr *crowd) victim(prefix netip.Prefix, now time.Time) *Conn {
	if len(cr.most) == 0 {
		return nil
	}
	top, theirs, count := cr.most[0], cr.groups.m[prefix], 1
	if theirs != nil {
		count += theirs.handshakes.n
	}
	switch {
	case top.handshakes.n > count:
		return top.handshakes.first.c
	case top.handshakes.n == count && top.olderThan(theirs):
		return top.stalled(now)
	}
	return cr.stalled(prefix, now)
}

// stalled is the oldest handshake of a prefix if it is old enough to go for one
// of the same prefix, else nil.
func (cr *crowd) stalled(prefix netip.Prefix, now time.Time) *Conn {
	if g := cr.groups.m[prefix]; g != nil {
		return g.stalled(now)
	}
	return nil
}

func (g *group) stalled(now time.Time) *Conn {
	oldest := g.handshakes.first
	if oldest == nil || now.Sub(oldest.since) < stallAge {
		return nil
	}
	return oldest.c
}

// olderThan compares by the oldest handshake; g has one.
func (g *group) olderThan(other *group) bool {
	return other == nil || other.handshakes.n == 0 || g.handshakes.first.number < other.handshakes.first.number
}

// groupHeap has the group with the most handshakes first; of those with as many,
// the one with the oldest.
type groupHeap []*group

func (h groupHeap) Len() int { return len(h) }

func (h groupHeap) Less(i, j int) bool {
	if n, m := h[i].handshakes.n, h[j].handshakes.n; n != m {
		return n > m
	}
	return h[i].olderThan(h[j])
}

func (h groupHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *groupHeap) Push(x any) {
	g := x.(*group)
	g.place = len(*h)
	*h = append(*h, g)
}

func (h *groupHeap) Pop() any {
	last := len(*h) - 1
	g := (*h)[last]
	(*h)[last] = nil
	if *h = (*h)[:last]; last == 0 {
		*h = nil // an idle crowd keeps nothing
	}
	return g
}
