package dtlstest

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Path says what one direction does to its datagrams. The zero value delivers
// everything at once and in order.
//
// A datagram meets the rules in this order: MTU, Drop and both kinds of Loss, Reorder,
// Duplicate, Delay. Each random rule draws once for every datagram, whatever
// became of it, so the fate of datagram i depends on the seed, i and its size
// only.
type Path struct {
	MTU       int           // bytes of UDP payload; larger datagrams vanish silently. 0: no limit
	Loss      float64       // probability that a datagram is lost
	LossEvery int           // of every LossEvery datagrams in a row one is lost, at a random place: loss without long tails. 0: none
	Rough     int           // only the first Rough datagrams meet Loss, LossEvery, Reorder and Duplicate; then the path is calm. 0: all do
	Drop      []int         // datagrams lost for certain, counted from 0: a run that must have loss names one here
	Reorder   float64       // probability that a datagram is held back and overtaken
	ReorderBy int           // a held datagram is overtaken by 1 to ReorderBy others. 0: 3
	Hold      time.Duration // a held datagram goes on after this time even when nothing overtakes it. 0: 5 ms
	Duplicate float64       // probability that a datagram arrives twice
	Delay     time.Duration // added to every datagram; the order stays
}

func (p Path) reorderBy() int {
	if p.ReorderBy > 0 {
		return p.ReorderBy
	}
	return 3
}

func (p Path) hold() time.Duration {
	if p.Hold > 0 {
		return p.Hold
	}
	return 5 * time.Millisecond
}

// PathStats counts datagrams of one direction since the relay started.
type PathStats struct {
	Seen          int // datagrams that came in
	Passed        int // datagrams that went out, copies included
	Lost          int // dropped by Loss, LossEvery or Drop
	TooLarge      int // dropped by MTU
	Reordered     int // held back and really overtaken
	Duplicated    int // delivered twice
	LargestSeen   int // bytes of UDP payload
	LargestPassed int // bytes of UDP payload
}

// Dropped is the number of datagrams that never arrive, for whatever reason.
func (s PathStats) Dropped() int { return s.Lost + s.TooLarge }

// Verdict is what became of a datagram when it came in.
type Verdict uint8

const (
	Passed     Verdict = iota // on its way, after Delay
	Held                      // waits until others have overtaken it, or for Hold
	Duplicated                // on its way twice
	Lost                      // dropped by Loss, LossEvery or Drop
	TooLarge                  // dropped by MTU
)

func (v Verdict) String() string {
	switch v {
	case Passed:
		return "passed"
	case Held:
		return "held"
	case Duplicated:
		return "duplicated"
	case Lost:
		return "lost"
	case TooLarge:
		return "too large"
	}
	return "unknown"
}

// lane is one direction of a relay without sockets, locks or a clock: parcels
// go in with push, come out of ready, and next says when to ask again.
type lane struct {
	path  Path
	rng   *rand.Rand
	index int // of the next datagram
	place int // in the running group of LossEvery, the one to lose
	stats PathStats

	held    []heldParcel
	transit []transitParcel // by due time: Delay only ever applies from now on
}

// parcel is a datagram and the way it leaves.
type parcel struct {
	data []byte
	send func([]byte)
}

type heldParcel struct {
	parcel
	overtakers int // still to come
	overtaken  bool
	deadline   time.Time
}

type transitParcel struct {
	parcel
	due time.Time
}

func newLane(path Path, seed uint64, d Direction) *lane {
	return &lane{path: path, rng: rand.New(rand.NewPCG(seed, uint64(d)))}
}

// push decides about one datagram. The lane keeps p.data.
func (l *lane) push(now time.Time, p parcel) Verdict {
	index := l.index
	l.index++
	// Always the same number of draws, see Path.
	lost := l.rng.Float64() < l.path.Loss
	hold := l.rng.Float64() < l.path.Reorder
	double := l.rng.Float64() < l.path.Duplicate
	if draw := l.rng.Float64(); l.path.LossEvery > 0 {
		if index%l.path.LossEvery == 0 {
			l.place = int(draw * float64(l.path.LossEvery))
		}
		lost = lost || index%l.path.LossEvery == l.place
	}
	if l.path.Rough > 0 && index >= l.path.Rough {
		lost, hold, double = false, false, false
	}
	overtakers := 1 + int(l.rng.Float64()*float64(l.path.reorderBy()))

	l.stats.Seen++
	l.stats.LargestSeen = max(l.stats.LargestSeen, len(p.data))
	switch {
	case l.path.MTU > 0 && len(p.data) > l.path.MTU:
		l.stats.TooLarge++
		return TooLarge
	case lost || slices.Contains(l.path.Drop, index):
		l.stats.Lost++
		return Lost
	case hold:
		l.held = append(l.held, heldParcel{parcel: p, overtakers: overtakers, deadline: now.Add(l.path.hold())})
		return Held
	case double:
		l.stats.Duplicated++
		l.depart(now, p)
		l.depart(now, p)
		l.overtake(now)
		return Duplicated
	default:
		l.depart(now, p)
		l.overtake(now)
		return Passed
	}
}

// overtake tells every held parcel that another one went by.
func (l *lane) overtake(now time.Time) {
	waiting := l.held[:0]
	for _, h := range l.held {
		h.overtakers--
		h.overtaken = true
		if h.overtakers == 0 {
			l.release(now, h)
		} else {
			waiting = append(waiting, h)
		}
	}
	l.held = waiting
}

func (l *lane) release(now time.Time, h heldParcel) {
	if h.overtaken {
		l.stats.Reordered++
	}
	l.depart(now, h.parcel)
}

func (l *lane) depart(now time.Time, p parcel) {
	l.transit = append(l.transit, transitParcel{p, now.Add(l.path.Delay)})
}

// ready returns the parcels that have arrived by now, in order of arrival.
func (l *lane) ready(now time.Time) []parcel {
	waiting := l.held[:0]
	for _, h := range l.held {
		if h.deadline.After(now) {
			waiting = append(waiting, h)
		} else {
			l.release(now, h)
		}
	}
	l.held = waiting
	var out []parcel
	for len(l.transit) > 0 && !l.transit[0].due.After(now) {
		p := l.transit[0].parcel
		l.transit = l.transit[1:]
		l.stats.Passed++
		l.stats.LargestPassed = max(l.stats.LargestPassed, len(p.data))
		out = append(out, p)
	}
	return out
}

// next is when ready will have something to return; the zero time means not
// before the next push.
func (l *lane) next() time.Time {
	var at time.Time
	if len(l.transit) > 0 {
		at = l.transit[0].due
	}
	for _, h := range l.held {
		if at.IsZero() || h.deadline.Before(at) {
			at = h.deadline
		}
	}
	return at
}
