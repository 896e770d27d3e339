package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/antechamber"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Restarts, where one association is all there is: a Server over a net.Conn, an
// engine without a Door before it. Its peer may lose its state and say hello
// again, and the hello may be anybody's. RFC 9147, Section 5.11 (RFC 6347,
// Section 4.2.8): the server "MUST NOT destroy the existing association until the
// client has demonstrated reachability either by completing a cookie exchange or
// by completing a complete handshake". A Listener does the second, with a
// handshake beside the association. Here there is no place for one, so the cookie
// exchange has to do, and more than that is asked for:
//
//	hello            → cookie, no state
//	hello and cookie → suspicion: the old peer is asked for a sign of life
//	it gives one     → the association goes on; the next suspicion has to wait
//	silence          → ErrPeerRestarted, and a new Server takes the next hello
//
// A cookie proves that whoever sends the hello can read what is sent to the peer.
// The silence is there for the peer that is well while somebody else can.

const (
	// quietAsked is how long the old peer has for a sign of life after a KeyUpdate,
	// which it has to acknowledge: enough for three of them, and less than a
	// client that has restarted goes on asking. Where timers are long it is two of
	// them, for two.
	quietAsked = 5 * time.Second

	// quietUnasked is how long it must have been silent where it cannot be asked,
	// as in DTLS 1.2.
	quietUnasked = 10 * time.Second

	// restartPause is the least time between two restarts of an association that
	// are looked into, where nothing but a plaintext ClientHello asks for them.
	restartPause = 10 * time.Second

	// maxRestartAnswers bounds the cookies of a second.
	maxRestartAnswers = 10
)

// restartWatch is what such a server knows of hellos since its handshake.
type restartWatch struct {
	door  *Door     // for the fragments of a hello; nil: none came lately
	leave time.Time // when the door goes

	answers int // since second
	second  time.Time

	since time.Time // when a hello came with its cookie
	until time.Time // when the silence since is long enough, zero: nobody is suspected
	alive bool      // the old peer has been heard since
}

// handleRestartHello takes a datagram that begins with a ClientHello after the
// handshake. It returns false for any other.
func (e *Engine) handleRestartHello(datagram []byte) bool {
	w := e.restart
	if w == nil || !e.established() || e.closing.begun() {
		return false
	}
	if _, ok := helloHeader(datagram); !ok {
		return false
	}
	e.drops.Fragment++ // an honest peer may repeat its own, anybody may invent one
	if e.ownHello(datagram) {
		return true
	}
	door := e.restartDoor()
	if door == nil {
		return true
	}
	w.leave = e.now.Add(antechamber.Life)
	reply, hello := door.Handle(e.now, datagram, e.cookieAddr(), e.path.addr, nil)
	switch {
	case hello != nil:
		e.suspectRestart()
	case reply != nil && w.mayAnswer(e.now) && len(e.replies) < maxQueuedReplies:
		e.replies = append(e.replies, reply)
	}
	return true
}

// ownHello reports whether a datagram has the beginning of the hello that the
// association itself began with, late or repeated by somebody.
func (e *Engine) ownHello(datagram []byte) bool {
	random := e.secrets.clientRandom
	if e.speaks13() {
		random = e.post.clientRandom
	}
	const at = record.HeaderLen + message.HeaderLen + 2 // after client_version
	return helloMark(datagram) != 0 && [32]byte(datagram[at:at+32]) == random
}

// restartDoor is a door that asks for cookies whatever CookieMode says, nil if
// there cannot be one. It stays while fragments may come.
func (e *Engine) restartDoor() *Door {
	w := e.restart
	if w.door == nil {
		p := e.p.recognizing()
		p.cookieMode = CookieAlways
		door, err := newDoor(p, e.now)
		if err != nil {
			return nil
		}
		w.door = door
	}
	return w.door
}

// recognizing are the params for a door whose cookies are good at all servers of
// the Config over a net.Conn, if CookieKeys has none: what the association that
// ends has asked for comes back to the one that takes its place.
func (p params) recognizing() *params {
	if len(p.cookieKeys) == 0 {
		p.cookieKeys = p.restartKeys
	}
	return &p
}

func (w *restartWatch) suspects() bool { return w != nil && !w.until.IsZero() }

func (w *restartWatch) mayAnswer(now time.Time) bool {
	if now.Sub(w.second) >= time.Second {
		w.second, w.answers = now, 0
	}
	w.answers++
	return w.answers <= maxRestartAnswers
}

// suspectRestart: somebody reads what is sent to the peer, and says that its state
// is lost.
func (e *Engine) suspectRestart() {
	w := e.restart
	if w.suspects() || !w.since.IsZero() && e.now.Sub(w.since) < restartPause {
		return
	}
	w.since, w.alive = e.now, false
	if e.asksForLife() {
		w.until = e.now.Add(max(quietAsked, 2*e.out.timer.rto))
	} else {
		w.until = e.now.Add(quietUnasked)
	}
}

// asksForLife has the peer acknowledge something, and reports whether that can be
// done: DTLS 1.3 has KeyUpdates, 1.2 has nothing that every peer answers.
func (e *Engine) asksForLife() bool {
	if !e.speaks13() {
		return false
	}
	if !e.post.update.out {
		return e.startUpdate(false) == nil
	}
	if e.out.suspended() {
		return false // this peer does not answer that
	}
	e.askAgain()
	return true
}

// askAgain sends what is out once more, now: its timer may have been doubled until
// it does not fire in time.
func (e *Engine) askAgain() {
	e.out.timer.reset()
	e.sendAgain(flightRepeated, TimerExpired)
}

// heard notes that an authentic record came.
func (w *restartWatch) heard() {
	if w != nil {
		w.alive = true
	}
}

// handleTimeout ends the association whose peer has not been heard since another
// hello proved itself.
func (w *restartWatch) handleTimeout(e *Engine) {
	if w == nil {
		return
	}
	if !w.leave.IsZero() && !e.now.Before(w.leave) {
		w.door, w.leave = nil, time.Time{}
	}
	if !w.suspects() || e.now.Before(w.until) {
		return
	}
	w.until = time.Time{}
	if !w.alive {
		e.endSilently(ErrPeerRestarted)
	}
}

func (w *restartWatch) nextTimeout() time.Time {
	if w == nil {
		return time.Time{}
	}
	return earliest(w.leave, w.until)
}

// recallRetry finds out what a HelloRetryRequest of an association before this one
// has asked for, in the first hello that comes; nil if its cookie is not ours.
func (e *Engine) recallRetry(hello []byte) *handshake.Retry {
	s, ok := message.ScanClientHello(hello)
	if e.restart == nil || !ok {
		return nil
	}
	door, err := newDoor(e.p.recognizing(), e.now)
	if err != nil {
		return nil
	}
	if j := door.checkRetry(e.now, e.cookieAddr(), &s, judgement{hello: s.HelloPrefix}); j.byWord {
		return j.retry.retried(j.retryCookie)
	}
	return nil
}
