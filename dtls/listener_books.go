package dtls

import (
	"errors"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/roster"
)

// stage is where an association on a shared socket stands between its first
// hello and its end. It is in one of the counters of ListenerStats at a time.
type stage uint8

const (
	stageHandshake stage = iota
	stageEstablished
	stageLingering // closed, and repeating its last flight (Config.Linger)
	stageDisplaced // counted as ended for another one, before its own goroutine ends it
	stageGone
)

// standing is the part of a Conn that members.mu guards.
type standing struct {
	stage    stage
	busy     bool                // its callbacks may be running: it is not displaced
	accepted bool                // Accept or AcceptHandshake has returned it
	entry    *roster.Entry[Conn] // in the crowd of its Listener
	restart  int64               // when an unproven restart of its peer was last let try, nanoseconds; 0: never
}

func (s *standing) moveTo(next stage) { s.stage = next }
func (s *standing) setBusy(yes bool)  { s.busy = yes }

// mayRestart reports whether a client whose address is unproven may begin another
// handshake from the address of this accepted association; nil may not. Such an
// address may be forged, so the first handshake of an address goes on
// undisturbed. Beside an established association one may try, and after a pause
// another one, in its place.
func (c *Conn) mayRestart(now time.Time) bool {
	if c == nil || c.standing.stage != stageEstablished {
		return false
	}
	s := &c.standing
	if s.restart != 0 && now.UnixNano()-s.restart < int64(restartPause) {
		return false
	}
	s.restart = now.UnixNano()
	return true
}

// books count the associations of a Listener, and queue those that wait for
// Accept. The members.mu of its socket guards them, and is held by every caller.
type books struct {
	closed  bool
	users   int  // associations that may still send, and the Listener until it is closed
	driven  bool // handshakes wait for AcceptHandshake instead of running by themselves
	crowd   roster.Crowd[Conn]
	ready   roster.Backlog[Conn] // of Accept: handshake complete
	offered roster.Backlog[Conn] // of AcceptHandshake
	ended   Drops                // of associations that are gone
	stats   ListenerStats        // without what is counted elsewhere
}

func newBooks(driven bool) books {
	return books{users: 1, driven: driven, ready: roster.NewBacklog[Conn](), offered: roster.NewBacklog[Conn]()}
}

// close reports whether it was the first call.
func (b *books) close() (first bool) {
	first = !b.closed
	b.closed = true
	return first
}

// drive makes handshakes wait for AcceptHandshake.
func (b *books) drive() { b.driven = true }

// enter counts a user more, unless the Listener is closed.
func (b *books) enter() bool {
	if !b.closed {
		b.users++
	}
	return !b.closed
}

// release counts a user less, and reports whether it was the last.
func (b *books) release() (last bool) {
	b.users--
	return b.users == 0
}

// makeRoom decides whether the handshake of a new client may begin. at are the
// associations of its address. goes is the handshake that is displaced for it,
// if any; the caller ends that with the error why.
func (b *books) makeRoom(p *params, now time.Time, from peerAddr, at roster.At[Conn], proven bool) (goes *Conn, why error, ok bool) {
	s, prefix, before := &b.stats, from.Prefix(), at.Newest()
	restart := before != nil && before.standing.stage == stageEstablished // it will replace that one
	tooMany := s.HandshakesOpen >= p.maxHandshakes ||
		!restart && p.maxAssociations > 0 && s.HandshakesOpen+s.Associations >= p.maxAssociations
	switch {
	case b.closed:
		return nil, nil, false
	case before != nil && before.standing.stage != stageLingering && !proven && !at.Accepted.mayRestart(now):
		s.HandshakesRefused++
		return nil, nil, false
	case before != nil && before.standing.stage == stageHandshake && before.standing.busy:
		s.HandshakesRefused++
		return nil, nil, false
	case before != nil && before.standing.stage == stageHandshake:
		s.HandshakesFailed++
		b.displace(before)
		return before, ErrPeerRestarted, true
	case !restart && p.maxPerPrefix > 0 && b.crowd.Count(prefix) >= p.maxPerPrefix:
		if goes = b.crowd.Stalled(prefix, now); goes == nil {
			s.PrefixRefused++
			return nil, nil, false
		}
	case !tooMany:
		return nil, nil, true
	default:
		if goes = b.crowd.Victim(prefix, now); goes == nil {
			if s.HandshakesOpen >= p.maxHandshakes {
				s.HandshakesRefused++
			} else {
				s.AssociationsRefused++
			}
			return nil, nil, false
		}
	}
	if goes.standing.busy {
		s.HandshakesRefused++
		return nil, nil, false
	}
	s.HandshakesShed++
	b.displace(goes)
	return goes, ErrShed, true
}

// begin counts an association whose handshake begins, and queues it for
// AcceptHandshake if its caller runs it.
func (b *books) begin(c *Conn, now time.Time) {
	b.users++
	b.stats.HandshakesOpen++
	c.standing.entry = b.crowd.Begin(c, c.peer.Prefix(), now)
	if b.driven {
		b.offered.Push(c)
	}
}

// displace counts a handshake as ended. Its Conn goes on until the caller ends it.
func (b *books) displace(c *Conn) {
	c.standing.moveTo(stageDisplaced)
	b.offered.Remove(c)
	b.leaveCrowd(c)
	b.stats.HandshakesOpen--
}

// established counts an association whose handshake is complete.
func (b *books) established(c *Conn) {
	b.crowd.Complete(c.standing.entry)
	c.standing.entry = nil
	b.stats.HandshakesOpen--
	b.stats.HandshakesDone++
	b.stats.Associations++
}

// lingers counts an association that is closed and lingers. If more than limit
// do, it returns the one that has for longest, for the caller to end.
func (b *books) lingers(c *Conn, limit int) (goes *Conn) {
	b.stats.Associations--
	b.stats.Lingering++
	c.standing.entry, goes = b.crowd.Linger(c, c.peer.Prefix(), limit)
	return goes
}

// left counts an association that has ended, with c.mu held.
func (b *books) left(c *Conn) {
	switch c.standing.stage {
	case stageHandshake:
		b.offered.Remove(c)
		b.leaveCrowd(c)
		b.stats.HandshakesOpen--
		b.stats.HandshakesFailed++
	case stageLingering:
		b.leaveCrowd(c)
		b.stats.Lingering--
	case stageEstablished:
		b.leaveCrowd(c)
		b.stats.Associations--
		if c.received.Empty() && !c.end.left {
			b.ready.Remove(c) // Accept would return an association without data
		}
		if errors.Is(c.end.err, ErrIdleTimeout) {
			b.stats.IdleClosed++
		}
	default: // counted as ended already
	}
	if c.eng != nil && !c.turn.driver {
		b.ended.add(c.eng.Drops())
	}
	b.ended.Memory += c.received.Lost()
}

func (b *books) leaveCrowd(c *Conn) {
	b.crowd.Leave(c.standing.entry, c.peer.Prefix())
	c.standing.entry = nil
}

// maxBacklog bounds the associations that wait for Accept.
const maxBacklog = 1024

// enqueue queues an association, whose handshake is complete, for Accept. It
// reports false if there is no Listener or no room for it.
func (b *books) enqueue(c *Conn) bool {
	if b.closed {
		return false
	}
	if b.ready.Len() >= maxBacklog {
		b.stats.BacklogDropped++
		return false
	}
	b.ready.Push(c)
	return true
}

// next takes an association out of a queue: one that is ready, else one that is
// offered if those are asked for; nil if there is none.
func (b *books) next(offered bool) *Conn {
	c := b.ready.Pop()
	if c == nil && offered {
		c = b.offered.Pop()
	}
	if c != nil {
		c.standing.accepted = true
	}
	return c
}

// countDoor takes over the counters of the door.
func (b *books) countDoor(d DoorStats) {
	b.stats.CookiesSent, b.stats.CookiesRefused = d.Asked, d.Refused
	b.stats.StrangersDropped, b.stats.FragmentsHeld = d.Dropped, d.Held
	b.stats.HellosRejected, b.stats.HellosMalformed = d.Rejected, d.Malformed
}
