package dtls

import (
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/antechamber"
	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// Restarts, where one association is all there is: a Server over a net.Conn, an
// engine without a Door before it. Its peer may lose its state and say hello
// again, and the hello may be forged. RFC 9147, Section 5.11 (RFC 6347,
// Section 4.2.8): the server "MUST NOT destroy the existing association until the
// client has demonstrated reachability either by completing a cookie exchange or
// by completing a complete handshake". A Listener does the second, with a
// handshake beside the association. Here there is no place for one, so the cookie
// exchange has to do, and more than that is asked for:
//
//	ClientHello             → cookie, no state
//	ClientHello with cookie → a probe: DTLS 1.3 sends a KeyUpdate
//	authentic record        → the association goes on; restartPause until the next probe
//	silence                 → ErrPeerRestarted, and a new Server takes the next ClientHello
//
// The cookie proves that its sender receives what is sent to the address of the peer.
// An attacker on the path does, too: the silence shows that the peer itself is gone.

const (
	// silence13 is the time without an authentic record after a KeyUpdate, which has to
	// be acknowledged, before a restart is accepted in DTLS 1.3. It has room for three
	// transmissions, and is shorter than the handshake of a restarted client. With
	// long timers it is two of them, for two transmissions.
	silence13 = 5 * time.Second

	// silence12 is the silence required where no message has to be answered, as in
	// DTLS 1.2.
	silence12 = 10 * time.Second

	// restartPause is the least time between two restarts of an association that
	// are looked into, where nothing but a plaintext ClientHello asks for them.
	restartPause = 10 * time.Second

	// maxRestartAnswers bounds the cookies of a second.
	maxRestartAnswers = 10
)

// restartWatch is the state of a server for ClientHellos after its handshake.
type restartWatch struct {
	door  *Door     // joins the fragments of a hello; nil: none came lately
	leave time.Time // when the door is dropped

	answers door.Rate

	since time.Time // when a hello came with its cookie
	until time.Time // when the silence since then is long enough, zero: no probe is out
	alive bool      // an authentic record of the peer has come since
}

// handleRestartHello takes a datagram that begins with a ClientHello after the
// handshake. It returns false for any other.
func (e *Engine) handleRestartHello(datagram []byte) bool {
	w := e.restart
	if w == nil || !e.established() || e.closing.begun() {
		return false
	}
	if _, ok := door.Header(datagram); !ok {
		return false
	}
	e.drops.Fragment++ // a repetition, or forged
	if e.ownHello(datagram) {
		return true
	}
	d := e.restartDoor()
	if d == nil {
		return true
	}
	w.leave = e.now.Add(antechamber.Life)
	reply, hello, q := d.handle(e.now, datagram, e.cookieAddr(), netip.AddrPort{}, nil)
	if q != nil {
		// It may be forged. The handshake of the next Server calls GetConfigForClient.
		reply = d.answer(nil, e.now, q, &e.p.Config, nil)
	}
	switch {
	case hello != nil:
		e.suspectRestart()
	case reply != nil && w.answers.Allow(e.now, maxRestartAnswers) && len(e.replies) < maxQueuedReplies:
		e.replies = append(e.replies, reply)
	}
	return true
}

// ownHello reports whether a datagram has the ClientHello of this association, one that
// was delayed or repeated, with its fragments in any order.
func (e *Engine) ownHello(datagram []byte) bool {
	var random [32]byte
	if e.speaks13() {
		random = e.post.clientRandom
	} else {
		random = e.secrets.ClientRandom
	}
	const at = 2 // after client_version
	rest := door.FragmentsOf(datagram)
	for p, ok := rest.Next(); ok; p, ok = rest.Next() {
		if p.FragmentOffset == 0 && len(p.Body) >= at+32 && [32]byte(p.Body[at:at+32]) == random {
			return true
		}
	}
	return false
}

// restartDoor is a door that requires cookies in every CookieMode, nil if there cannot
// be one. It stays while fragments may come.
func (e *Engine) restartDoor() *Door {
	w := e.restart
	if w.door == nil {
		p := e.p.recognizing()
		p.cookieMode = CookieAlways
		d, err := newDoor(p, e.now)
		if err != nil {
			return nil
		}
		w.door = d
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

// suspectRestart follows a ClientHello with a cookie: the peer has lost its state, or an
// attacker can read what is sent to its address.
func (e *Engine) suspectRestart() {
	w := e.restart
	if w.suspects() || !w.since.IsZero() && e.now.Sub(w.since) < restartPause {
		return
	}
	w.since, w.alive = e.now, false
	if e.probePeer() {
		w.until = e.now.Add(max(silence13, 2*e.out.timer.RTO))
	} else {
		w.until = e.now.Add(silence12)
	}
}

// probePeer sends a message that the peer has to acknowledge, and reports whether
// there is one: a KeyUpdate of DTLS 1.3. DTLS 1.2 has none that every peer answers.
func (e *Engine) probePeer() bool {
	if !e.speaks13() {
		return false
	}
	if !e.post.update.out {
		return e.startUpdate(false) == nil
	}
	if e.out.suspended() {
		return false // this peer has not acknowledged it
	}
	e.repeatProbe()
	return true
}

// repeatProbe sends the KeyUpdate that is outstanding once more: its timer may have
// been doubled beyond silence13.
func (e *Engine) repeatProbe() {
	e.out.timer.Reset()
	e.sendAgain(flightRepeated, TimerExpired)
}

// authentic notes that an authentic record came.
func (w *restartWatch) authentic() {
	if w != nil {
		w.alive = true
	}
}

// handleTimeout ends the association if no authentic record has come since a
// ClientHello with a cookie.
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

// recallRetry returns what a HelloRetryRequest of an earlier association asked for, by
// the cookie in the first ClientHello; nil if the cookie is not of this Config.
func (e *Engine) recallRetry(hello []byte) *handshake.Retry {
	s, ok := message.ScanClientHello(hello)
	if e.restart == nil || !ok {
		return nil
	}
	d, err := newDoor(e.p.recognizing(), e.now)
	if err != nil {
		return nil
	}
	return d.d.Recall(e.now, e.cookieAddr(), &s)
}
