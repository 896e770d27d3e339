package dtls

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// greet takes the datagram of a stranger to the door. It is called by the
// socket's reader; reply is a buffer, and returned for the next time.
func (l *Listener) greet(now time.Time, datagram []byte, from peerAddr, reply []byte) []byte {
	if from.addr == nil && !from.ap.IsValid() {
		return reply // from nowhere
	}
	called := l.local
	if from.local.IsValid() {
		called = netip.AddrPortFrom(from.local, called.Port())
	}
	out, hello := l.door.Handle(now, datagram, from.key(), called, reply)
	if out != nil {
		_ = l.d.sock.send(out, from, nil) // if it is lost, the client asks again
		reply = out
	}
	if hello != nil {
		hello.From = from.ap
		l.open(now, hello, from)
	}
	door := l.door.Stats()
	l.d.mu.Lock()
	l.stats.CookiesSent, l.stats.CookiesRefused = door.Asked, door.Refused
	l.stats.StrangersDropped, l.stats.FragmentsHeld = door.Dropped, door.Held
	l.d.mu.Unlock()
	return reply
}

// open lets in a client that the door has checked.
func (l *Listener) open(now time.Time, hello *ProvenHello, from peerAddr) {
	l.d.mu.Lock()
	before := l.d.conns.At(from.key()).Newest()
	goes, why, ok := l.makeRoom(now, from, before, hello.proven)
	if !ok {
		l.d.mu.Unlock()
		return
	}
	c := &Conn{sock: l.d.sock, owner: l, peer: from, hello: helloMark(hello.Datagram), size: helloSize(hello.Datagram)}
	c.hs = &opening{p: l.p, proof: hello, admitted: now}
	c.hs.inbox.push(hello.Datagram)
	l.stats.HandshakesOpen++
	l.d.add(c, before)
	c.inCrowd = l.crowd.Begin(c, from.prefix(), now)
	driven := l.driven
	if driven {
		l.offer(c)
	}
	l.d.mu.Unlock()

	if goes != nil {
		goes.fail(why)
	}
	if !driven {
		go l.handshake(c)
	}
}

// makeRoom decides whether a newcomer is let in, with d.mu held; before is the
// newest association of its address. goes is the handshake that is off the books
// for it, if any, for the caller to end.
func (l *Listener) makeRoom(now time.Time, from peerAddr, before *Conn, proven bool) (goes *Conn, why error, ok bool) {
	s, p, prefix := &l.stats, l.p, from.prefix()
	restart := before != nil && before.stage == stageEstablished // it replaces its own
	tooMany := s.HandshakesOpen >= p.maxHandshakes ||
		!restart && p.maxAssociations > 0 && s.HandshakesOpen+s.Associations >= p.maxAssociations
	switch {
	case l.closed:
		return nil, nil, false
	case before != nil && before.stage != stageLingering && !proven && !l.mayRestart(now, from):
		s.HandshakesRefused++
		return nil, nil, false
	case before != nil && before.stage == stageHandshake:
		s.HandshakesFailed++
		l.displace(before)
		return before, ErrPeerRestarted, true
	case !restart && p.maxPerPrefix > 0 && l.crowd.Count(prefix) >= p.maxPerPrefix:
		if goes = l.crowd.Stalled(prefix, now); goes == nil {
			s.PrefixRefused++
			return nil, nil, false
		}
	case !tooMany:
		return nil, nil, true
	default:
		if goes = l.crowd.Victim(prefix, now); goes == nil {
			if s.HandshakesOpen >= p.maxHandshakes {
				s.HandshakesRefused++
			} else {
				s.AssociationsRefused++
			}
			return nil, nil, false
		}
	}
	s.HandshakesShed++
	l.displace(goes)
	return goes, ErrShed, true
}

// mayRestart reports, with d.mu held, whether a client without proof may begin
// anew from an address that is in use: anybody could invent it. The first
// handshake of an address goes on undisturbed. Beside an established association
// one may try, and after a pause another, in its place.
func (l *Listener) mayRestart(now time.Time, from peerAddr) bool {
	c := l.d.conns.At(from.key()).Accepted
	if c == nil || c.stage != stageEstablished || c.restart != 0 && now.UnixNano()-c.restart < int64(restartPause) {
		return false
	}
	c.restart = now.UnixNano()
	return true
}

// displace takes a handshake off the books, with d.mu held; its Conn does not
// know yet.
func (l *Listener) displace(c *Conn) {
	c.stage = stageDisplaced
	l.offered.Remove(c)
	l.leavesCrowd(c)
	l.stats.HandshakesOpen--
}

// offer gives an association that nobody else knows yet to AcceptHandshake, with
// d.mu held. The alarm ends its handshake in time, even if its caller does not.
func (l *Listener) offer(c *Conn) {
	if l.p.handshakeTimeout > 0 {
		c.alarm = newAlarm(c)
		l.d.sock.alarms.set(c.alarm, c.hs.admitted.Add(l.p.handshakeTimeout))
	}
	l.offered.Push(c)
}

// handshake runs one on its own goroutine.
func (l *Listener) handshake(c *Conn) {
	if err := c.handshake(context.Background(), 0, true); err != nil || !l.enqueue(c) {
		_ = c.Close()
	}
}

// maxBacklog bounds the associations that wait for Accept.
const maxBacklog = 1024

// enqueue gives an association to Accept. It reports false if nobody will take
// it.
func (l *Listener) enqueue(c *Conn) bool {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if l.closed {
		return false
	}
	if l.ready.Len() >= maxBacklog {
		l.stats.BacklogDropped++
		return false
	}
	l.ready.Push(c)
	return true
}

// established counts an association whose handshake is complete, with d.mu
// held.
func (l *Listener) established(c *Conn) {
	l.crowd.Complete(c.inCrowd)
	c.inCrowd = nil
	l.stats.HandshakesOpen--
	l.stats.HandshakesDone++
	l.stats.Associations++
}

// lingers counts an association that is closed and stays for its peer's sake,
// with d.mu held. It returns one that has stayed for too long for that, for the
// caller to end.
func (l *Listener) lingers(c *Conn) (goes *Conn) {
	l.stats.Associations--
	l.stats.Lingering++
	c.inCrowd, goes = l.crowd.Linger(c, c.peer.prefix(), l.p.maxHandshakes)
	return goes
}

// leavesCrowd stops counting an association by its prefix, with d.mu held.
func (l *Listener) leavesCrowd(c *Conn) {
	l.crowd.Leave(c.inCrowd, c.peer.prefix())
	c.inCrowd = nil
}

// left counts an association that has ended, with d.mu and c.mu held.
func (l *Listener) left(c *Conn) {
	switch c.stage {
	case stageHandshake:
		l.offered.Remove(c)
		l.leavesCrowd(c)
		l.stats.HandshakesOpen--
		l.stats.HandshakesFailed++
	case stageLingering:
		l.leavesCrowd(c)
		l.stats.Lingering--
	case stageEstablished:
		l.leavesCrowd(c)
		l.stats.Associations--
		if c.queue == nil {
			l.ready.Remove(c) // it has nothing to say to Accept
		}
		if errors.Is(c.err, ErrIdleTimeout) {
			l.stats.IdleClosed++
		}
	default: // off the books already
	}
	if c.eng != nil && !c.flags.busy {
		l.ended.add(c.eng.Drops())
	}
	l.ended.Memory += c.lost
}
