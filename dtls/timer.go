package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/timeout"
)

// The retransmission timer (RFC 6347, Section 4.2.4.1; RFC 9147, Section 5.8.2).
//
//	event                                tries    timer          deadline
//	the flight is new, or was extended   0        rto            after the transmission
//	the timer expires                    +1       doubled, ≤ Max after the retransmission
//	…and that lowers the MTU             0        rto            after the retransmission
//	the timer expires early              –        –              after the retransmission
//	a fragment with new bytes            0        rto            not later than before
//	progress                             0        rto            from now
//	the peer repeats its flight          0        rto            after the retransmission
//	the caller is asked about the MTU    +1       –              none until it answers
//
// A try is an expiry of the timer, or a refusal that is reported to the caller
// (MTUManual). More than MaxTries of them end the association, or suspend the
// timer of messages that it can do without (giveRest). A timer that an ACK
// brought forward expires early, which is no try. Progress is a message of the
// peer that is complete and accepted, or an ACK for bytes that were not
// acknowledged before. A repetition of the peer's flight is answered at most once
// per half of the timer.
//
// The rto  is Initial or, once a round trip was measured, 1.5 times the round
// trip. This deviates from RFC 6347, Section 4.2.4.1 and RFC 9147, Section 5.8.2,
// which retain a doubled timer for the flights that follow until one passes
// without loss: one loss early in the handshake would cost every later flight
// seconds.
type timer struct {
	policy    *RetransmitPolicy
	rto       time.Duration // timeout of a new flight
	measured  bool          // rto comes from a round trip
	timeout   time.Duration // present value
	deadline  time.Time     // when it expires, zero: it is not running
	early     bool          // an ACK brought the deadline forward
	tries     int
	since     time.Time // first datagram of the tries that count, zero: none yet
	sentAt    time.Time // end of the last transmission
	ambiguous bool      // the answer may be to an earlier flight: it gives no sample
	answer    answerState
	patience  time.Duration // value once a client's answer was asked for again, see answerState; 0: for no client
}

// answerState is how much of the client's next flight a server of DTLS 1.2 has. A
// client answers when it has all of the server's flight, so the first fragment of
// its answer acknowledges ours, and the client's own timer brings the rest. Our
// flight is repeated once more as a reminder. Further repetitions would keep
// clients from retransmitting that restart their timer with each record received.
type answerState uint8

const (
	answerAwaited answerState = iota
	answerBegun
	answerAsked // and our flight was sent once more since
)

// patienceFactor times the first timer is long enough for a client that has
// doubled its own four times.
const patienceFactor = 16

func (t *timer) init(policy *RetransmitPolicy, isClient bool) {
	t.policy, t.rto = policy, policy.Initial
	if !isClient {
		t.patience = min(policy.Max, patienceFactor*policy.Initial)
	}
}

// ---- running ----------------------------------------------------------------

// start lets the timer run.
func (t *timer) start(now time.Time) { t.deadline = now.Add(t.timeout) }

// stop turns the timer off; it stays off until the next start.
func (t *timer) stop() { t.deadline = time.Time{} }

// transmissionBegins turns it off until the last datagram is sent.
func (t *timer) transmissionBegins() {
	t.stop()
	t.early = false
}

func (t *timer) running() bool { return !t.deadline.IsZero() }

func (t *timer) expired(now time.Time) bool { return t.running() && !now.Before(t.deadline) }

// datagramSent notes when a series of tries begins.
func (t *timer) datagramSent(now time.Time) { t.since = firstTime(t.since, now) }

// transmissionEnds notes when the last datagram of a transmission went out.
func (t *timer) transmissionEnds(now time.Time) { t.sentAt = now }

// ---- tries ------------------------------------------------------------------

// newFlight begins with rto and no tries.
func (t *timer) newFlight() {
	t.newTries()
	t.ambiguous, t.answer = false, answerAwaited
}

// newTries begins a series of tries for the flight.
func (t *timer) newTries() {
	t.reset()
	t.since = time.Time{}
}

// reset goes back to rto and no tries.
func (t *timer) reset() { t.tries, t.timeout = 0, t.rto }

// suspend ends the retransmissions of a flight that is kept.
func (t *timer) suspend() {
	t.reset()
	t.stop()
}

// try counts a try, and reports whether the policy allows it.
func (t *timer) try() bool {
	t.tries++
	return t.tries <= t.policy.MaxTries
}

// backOff doubles the value, up to the policy's maximum (RFC 6347, Section
// 4.2.4.1). It saturates: a duration that wraps would be a storm.
func (t *timer) backOff() {
	if t.timeout > t.policy.Max/2 {
		t.timeout = t.policy.Max
		return
	}
	t.timeout *= 2
}

// retry prepares the try after an expiry. smaller is set for the first one
// with smaller datagrams: nothing is known of these, so value and tries begin anew.
func (t *timer) retry(smaller bool) {
	if smaller {
		t.reset()
	} else {
		t.backOff()
	}
	if t.answer != answerAwaited {
		t.timeout, t.answer = t.patience, answerAsked
	}
}

// ---- signs of the peer ------------------------------------------------------

// fragmentReceived takes new bytes of the peer, which may still turn out to be
// forged. They bring the deadline forward but never put it off: forged fragments
// would keep lost ones from ever being sent again.
func (t *timer) fragmentReceived(now time.Time, answers bool) {
	t.received(answers)
	if d := now.Add(t.timeout); d.Before(t.deadline) {
		t.deadline = d
	}
}

// progress takes a message that was complete and accepted, or a new
// acknowledgement.
func (t *timer) progress(now time.Time, answers bool) {
	t.received(answers)
	if t.running() {
		t.start(now)
	}
}

// received resets the timer. answers is set for part of an answer to our
// flight that the peer cannot acknowledge otherwise (DTLS 1.2).
func (t *timer) received(answers bool) {
	t.reset()
	switch {
	case t.patience == 0 || !answers:
	case t.answer == answerAwaited:
		t.answer = answerBegun
	case t.answer == answerAsked:
		t.timeout = t.patience
	}
}

// peerRepeated takes a repetition of the peer's previous flight: it has none of
// ours.
func (t *timer) peerRepeated() {
	t.reset()
	t.answer = answerAwaited
}

// reaction is how long a peer may take to answer: the present timeout, but not
// patience. That the answer has begun may be forged, and must not keep the flight
// from an honest peer that repeats its own.
func (t *timer) reaction() time.Duration {
	if t.answer == answerAsked {
		return t.policy.Initial
	}
	return max(t.timeout, t.rto)
}

// mayAnswerRepeat limits retransmissions on the peer's demand to one per half
// timer.
func (t *timer) mayAnswerRepeat(now time.Time) bool {
	return t.sentAt.IsZero() || now.Sub(t.sentAt) >= t.reaction()/2
}

// mayAnswerACK limits retransmissions after an ACK to one per quarter timer.
func (t *timer) mayAnswerACK(now time.Time) bool { return now.Sub(t.sentAt) >= t.timeout/4 }

// expireEarly brings the deadline forward to the time at which an ACK may be
// answered.
func (t *timer) expireEarly() {
	if at := t.sentAt.Add(t.timeout / 4); at.Before(t.deadline) {
		t.early, t.deadline = true, at
	}
}

// ---- round trips ------------------------------------------------------------

// sample measures the round trip that an answer shows. Karn's algorithm: a flight
// that was sent twice gives no sample, because the answer may be to either
// transmission. Nor does one whose answer may be to an earlier flight.
func (t *timer) sample(now time.Time, transmission int) {
	if transmission == 1 && !t.ambiguous && !t.sentAt.IsZero() {
		t.learn(now.Sub(t.sentAt))
	}
}

// learn takes a round trip. The sample only ever lowers rto (RFC 9147,
// Section 5.8.2: 1.5 times the round trip).
func (t *timer) learn(rtt time.Duration) {
	if t.policy.NoRTT || rtt < 0 || rtt > t.policy.Initial {
		return
	}
	t.rto = min(t.policy.Initial, max(t.policy.Min, rtt*3/2))
	t.measured = true
}

// noSample notes that the answer to this flight may be to an earlier one.
func (t *timer) noSample() { t.ambiguous = true }

// firstTime returns t, or now if there was no time yet.
func firstTime(t, now time.Time) time.Time {
	if t.IsZero() {
		return now
	}
	return t
}

// ---- expiry -----------------------------------------------------------------

// handleFlightTimeout retransmits if the timer has expired.
func (e *Engine) handleFlightTimeout(now time.Time) {
	o := &e.out
	o.pacer.handleTimeout(now)
	if o.sent.stalled || !o.timer.expired(now) {
		return
	}
	if o.timer.early {
		e.sendAgain(flightRepeated, PeerRepeated)
		return
	}
	if o.sent.number == ticketTries && e.handshaking() && e.hs.dropTicket() {
		return
	}
	// While a restart is suspected its time decides, not that of hasty timers.
	if !o.timer.try() && !e.restart.suspects() {
		if e.suspend() {
			return
		}
		e.end(e.timeoutError())
		return
	}
	o.timer.retry(e.silence())
	o.plain.timerExpired()
	e.sendAgain(flightTimer, TimerExpired)
}

// transportSaid notes an error of the transport for timeoutError.
func (e *Engine) transportSaid(err error) {
	if e.handshaking() {
		e.hs.transport = err
	}
}

// timeoutError is the error of an association whose tries are used up.
func (e *Engine) timeoutError() error {
	if !e.handshaking() {
		return e.unanswered()
	}
	return &timeout.Handshake{
		Sent: e.out.flight.names(), Awaited: e.hs.awaited(), Tries: e.out.sent.number, Elapsed: e.now.Sub(e.hs.began),
		MTU: e.path.limit(), Received: int(e.hs.received), Refused: e.hs.suspicion.Err, Transport: e.hs.transport,
	}
}
