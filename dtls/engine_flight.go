package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
)

// How the engine drives the outbox of retransmit.go: timers, repetitions by the
// peer, and the flights of a handshake.

// handleFlightTimeout retransmits if the timer has fired.
func (e *Engine) handleFlightTimeout(now time.Time) {
	o := &e.out
	if !o.paceAt.IsZero() && !now.Before(o.paceAt) {
		o.paceAt, o.burst = time.Time{}, 0
	}
	if o.stalled || o.deadline.IsZero() || now.Before(o.deadline) {
		return
	}
	if o.early {
		e.sendAgain(flightRepeated, PeerRepeated)
		return
	}
	// While a restart is suspected its time decides, not that of hasty timers.
	if o.tries++; o.tries > o.policy.MaxTries && !e.restart.suspects() {
		if e.giveRest() {
			return
		}
		e.fail(e.timeoutError())
		return
	}
	if e.silence() {
		// Smaller datagrams are a first try, not the next one of a row that
		// nobody answered: timer and count begin anew.
		o.timeout, o.tries = o.rto, 0
	} else {
		o.backOff()
	}
	o.hinted = false
	if o.answer != answerAwaited {
		o.timeout, o.answer = o.patience, answerAsked
	}
	e.sendAgain(flightTimer, TimerExpired)
}

// sendAgain begins another transmission of the flight, and tells why.
func (e *Engine) sendAgain(ev flightEvent, cause RetransmissionCause) {
	e.out.apply(ev)
	e.trace.retransmission(&e.out, cause, e.path.limit())
}

// silence tells the ladder of the MTU that a transmission was not answered. It
// reports whether a smaller limit is to be tried now.
func (e *Engine) silence() bool {
	o := &e.out
	if hello := o.hello(); hello != nil && hello.datagram() <= e.path.limitAt(rungFallback) {
		changed, first := e.path.silentHello(hello.datagram(), e.now)
		if changed {
			hello.rejoin() // its cuts at the floor are the same each time
			e.pathChanged()
		}
		return first
	}
	e.path.rttTimer = o.measured
	if !e.path.silence(o.biggest, o.timeout, e.now) {
		return false
	}
	e.pathChanged()
	return true
}

// peerRepeated: the peer sent again what was complete here, so it misses our
// answer. RFC 6347, Section 4.2.4: retransmit at once.
func (e *Engine) peerRepeated() {
	o := &e.out
	if o.state != flightWaiting && o.state != flightFinished || !o.mayAnswerRepeat(e.now) || len(o.msgs) == 0 {
		return
	}
	// RFC 9147, Section 5.8.1: only "when none of the messages that it sent in
	// response to that flight have been acknowledged".
	if o.acknowledged() {
		return
	}
	if !e.handshaking() && !e.repeats.allow() {
		return
	}
	e.silence()
	o.tries = 0
	o.timeout, o.answer = o.rto, answerAwaited
	e.sendAgain(flightRepeated, PeerRepeated)
}

// repeatGuard bounds how often the last flight is sent again after the
// handshake.
type repeatGuard uint8

const maxLastFlights = 32

func (g *repeatGuard) allow() bool {
	if *g >= maxLastFlights {
		return false
	}
	*g++
	return true
}

// timeoutError says what the handshake died waiting for, or what came after it.
func (e *Engine) timeoutError() error {
	if !e.handshaking() {
		return e.unanswered()
	}
	return &handshakeTimeoutError{
		sent: e.out.names(), awaited: e.hs.awaited(), tries: e.out.total, elapsed: e.now.Sub(e.hs.began),
		mtu: e.path.limit(), heard: e.hs.heard, transport: e.hs.trouble,
	}
}

// transportSaid notes an error that may explain why nothing comes.
func (e *Engine) transportSaid(err error) {
	if e.handshaking() {
		e.hs.trouble = err
	}
}

// flightAnswered takes the next flight of the peer as the acknowledgement of ours
// (RFC 9147, Section 7.1). sample is false if it may answer an earlier flight.
func (e *Engine) flightAnswered(sample bool) {
	o := &e.out
	o.ambiguous = o.ambiguous || !sample
	if len(o.msgs) > 0 {
		e.path.answered(o.biggest)
		if o.state == flightWaiting && !o.acknowledged() {
			o.sample(e.now)
		}
	}
	o.apply(flightReceived)
}

// sendFlight begins with the flight that was prepared: the peer's flight is
// complete, so the one before it has arrived.
func (hs *driver) sendFlight(last bool) {
	e := hs.e
	e.flightAnswered(true)
	e.out.load(hs.flight, last)
	if e.path.follow(e.out.hello() != nil, e.now) {
		e.pathChanged()
	}
	hs.flight = nil
	e.acks.clear() // RFC 9147, Section 7.1: this flight acknowledges the peer's
}

// newMessage numbers a message of ours, for the epoch that is written now.
func (e *Engine) newMessage(typ message.Type, body []byte) outMessage {
	o := outMessage{typ: typ, seq: e.out.nextSeq, epoch: e.keys.writeEpoch(), body: body}
	switch typ {
	case message.TypeClientHello, message.TypeServerHello, message.TypeHelloVerifyRequest:
		o.whole = true // many peers cannot join the fragments of these
	default:
	}
	e.out.nextSeq++
	return o
}
