package timing

import (
	"cmp"
	"time"
)

// Policy has the fields of the RetransmitPolicy of a Config.
type Policy struct {
	Initial, Min, Max time.Duration
	MaxTries, Burst   int
	NoRTT             bool
}

// The retransmission timer (RFC 6347, Section 4.2.4.1; RFC 9147, Section 5.8.2).
//
// What is progress: a message of the peer that is accepted, a fragment with new bytes,
// an ACK of bytes that were not acknowledged. What counts as a try: an expiry without
// any of these since the last; a refusal that is reported to the caller (MTUManual).
// What resets a timer: a new flight. All else leaves the doubled value:
//
//	event                                  tries    timer               deadline
//	the flight is new, or was extended     0        rto                 after the transmission
//	the timer expires                      +1       doubled, ≤ Max      after the retransmission
//	… and a smaller rung is tried, as      0        rto                 after the retransmission
//	  the peer repeats its flight
//	… or a hello is cut for the floor      0        doubled, ≤ 3 times  after the retransmission
//	                                                Initial
//	… and the next expiry leads to the     +1       a round trip and    after the retransmission
//	  smaller rung                                  an eighth of rto
//	the timer expires early                –        –                   after the retransmission
//	a fragment with new bytes              0        –; of a hello: rto  from now, see below
//	progress                               0        –                   from now
//	the peer repeats its flight            –        –; a client's that  as it was; in its second half:
//	                                                was 8 times rto: rto after the retransmission
//	a refusal is reported (MTUManual)      +1       –                   none until SetMTU
//
// More than MaxTries tries end the association, or suspend the timer of messages that
// the association can do without (Suspend). A timer that an ACK brought forward expires early, which
// is no try. The first repetition of the peer's flight is answered at once, later ones
// at most once per half of the timer or once per rto, and twice MaxTries of them for each
// flight.
//
// A flight that is coming in has ours not repeated: each fragment puts the deadline off.
// As fragments in epoch 0 may be forged, not beyond patienceFactor times the first timer.
//
// The rto is Initial or, once a round trip was measured, 1.5 times the round trip. This
// deviates from RFC 6347, Section 4.2.4.1 and RFC 9147, Section 5.8.2, which retain a
// doubled timer for the flights that follow until one passes without loss: one loss early
// in the handshake would cost every later flight seconds.
type Timer struct {
	Policy    *Policy
	RTO       time.Duration // timeout of a new flight
	rtt       time.Duration // that was measured, 0: none
	Timeout   time.Duration // present value
	next      time.Duration // value behind the next transmission alone, 0: timeout
	Deadline  time.Time     // when it expires, zero: it is not running
	Since     time.Time     // first datagram of the tries that count, zero: none yet
	SentAt    time.Time     // end of the last transmission
	Tries     int
	answers   uint8 // to repetitions of the peer's flight
	Early     bool  // an ACK brought the deadline forward
	ambiguous bool  // the answer may be to an earlier flight: it gives no sample
	answer    answerState
	client    bool // else the timer is patient with a client, see answerState
}

// Step is what silence does to the size of a flight.
type Step uint8

const (
	StepNone  Step = iota
	StepNext       // the next silence lowers it, and the peer is known to miss part of the flight
	StepDown       // smaller datagrams are tried, of which nothing is known yet
	StepHello      // a hello is cut for the floor
)

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

// longTimer times rto is the timer of a client that a repetition of the server sets back.
const longTimer = 8

func (t *Timer) Init(policy *Policy, isClient bool) {
	t.Policy, t.RTO, t.client = policy, policy.Initial, isClient
}

// patience is the value once our flight was repeated for the rest of an answer.
func (t *Timer) patience() time.Duration {
	return min(t.Policy.Max, patienceFactor*t.Policy.Initial)
}

// ---- running ----------------------------------------------------------------

// Start lets the timer run.
func (t *Timer) Start(now time.Time) {
	wait := t.Timeout
	if t.next > 0 {
		wait = t.next
	}
	t.Deadline, t.next = now.Add(wait), 0
}

// Stop turns the timer off; it stays off until the next start.
func (t *Timer) Stop() { t.Deadline = time.Time{} }

// TransmissionBegins turns it off until the last datagram is sent.
func (t *Timer) TransmissionBegins() {
	t.Stop()
	t.Early = false
}

func (t *Timer) Running() bool { return !t.Deadline.IsZero() }

func (t *Timer) Expired(now time.Time) bool { return t.Running() && !now.Before(t.Deadline) }

// DatagramSent notes when a series of tries begins.
func (t *Timer) DatagramSent(now time.Time) { t.Since = cmp.Or(t.Since, now) }

// TransmissionEnds notes when the last datagram of a transmission went out.
func (t *Timer) TransmissionEnds(now time.Time) { t.SentAt = now }

// ---- tries ------------------------------------------------------------------

// NewFlight begins with rto and no tries.
func (t *Timer) NewFlight() {
	t.NewTries()
	t.ambiguous, t.answer, t.answers = false, answerAwaited, 0
}

// NewTries begins a series of tries for the flight.
func (t *Timer) NewTries() {
	t.Reset()
	t.Since = time.Time{}
}

// Reset goes back to rto and no tries.
func (t *Timer) Reset() { t.Tries, t.Timeout, t.next = 0, t.RTO, 0 }

// Suspend ends the retransmissions of a flight that is kept.
func (t *Timer) Suspend() {
	t.Reset()
	t.Stop()
}

// Try counts a try, and reports whether the policy allows it.
func (t *Timer) Try() bool {
	t.Tries++
	return t.Tries <= t.Policy.MaxTries
}

// backOff doubles the value, up to the policy's maximum (RFC 6347, Section
// 4.2.4.1). It saturates: a duration that wraps would be a storm.
func (t *Timer) backOff() {
	if t.Timeout > t.Policy.Max/2 {
		t.Timeout = t.Policy.Max
		return
	}
	t.Timeout *= 2
}

// Retry prepares the transmission after an expiry, or after a repetition of the peer that
// takes its place.
func (t *Timer) Retry(s Step, expired bool) {
	if expired && s <= StepNext {
		t.backOff()
	}
	switch s {
	case StepNone:
	case StepNext:
		t.next = t.rtt + t.RTO/8
	case StepDown:
		t.Tries, t.Timeout = 0, t.RTO
	case StepHello:
		t.Tries, t.Timeout = 0, min(2*t.Timeout, 3*t.Policy.Initial)
	}
	if t.answer != answerAwaited {
		t.Timeout, t.answer, t.next = t.patience(), answerAsked, 0
	}
}

// ---- signs of the peer ------------------------------------------------------

// FragmentReceived takes new bytes of the peer, which may still turn out to be forged.
func (t *Timer) FragmentReceived(now time.Time, answers bool) {
	last := t.SentAt.Add(patienceFactor * t.Policy.Initial)
	t.received(answers)
	if d := now.Add(t.Timeout); t.Running() && (d.Before(t.Deadline) || !t.Early && !d.After(last)) {
		t.Deadline = d
	}
}

// Progress takes a message that was complete and accepted, or a new
// acknowledgement.
func (t *Timer) Progress(now time.Time, answers bool) {
	t.received(answers)
	if t.Running() {
		t.Start(now)
	}
}

// HeardAgain goes back to rto: what the peer sends shows that it has our transmission.
func (t *Timer) HeardAgain() { t.Timeout = t.RTO }

// received ends a series of tries. answers is set for part of an answer to our
// flight that the peer cannot acknowledge otherwise (DTLS 1.2).
func (t *Timer) received(answers bool) {
	t.Tries = 0
	switch {
	case t.client || !answers:
	case t.answer == answerAwaited:
		t.answer = answerBegun
	case t.answer == answerAsked:
		t.Timeout = t.patience()
	}
}

// Reaction is how long a peer may take to answer: the present timeout, but not
// patience. That the answer has begun may be forged, and must not keep the flight
// from an honest peer that repeats its own.
func (t *Timer) Reaction() time.Duration {
	if t.answer == answerAsked {
		return t.Policy.Initial
	}
	return max(t.Timeout, t.RTO)
}

// MayAnswerRepeat limits retransmissions on the peer's demand, of which there were
// answers, to limit. Copies that the network makes come right behind their originals.
func (t *Timer) MayAnswerRepeat(now time.Time, limit uint8) bool {
	wait := min(t.Reaction()/2, t.RTO)
	if t.answers == 0 {
		wait = t.RTO / 8
	}
	return t.answers < limit && (t.SentAt.IsZero() || now.Sub(t.SentAt) >= wait)
}

// AnswerRepeat counts such a retransmission. In the second half of the timer it is the
// one that the timer would have made.
func (t *Timer) AnswerRepeat(now time.Time, handshaking bool) (expired bool) {
	t.answers++
	if t.answer != answerAwaited || handshaking && t.client && t.Timeout >= longTimer*t.RTO {
		// The answer was none, or a server repeats its flight after its patience.
		t.answer, t.Timeout = answerAwaited, t.RTO
		return false
	}
	left := t.Deadline.Sub(now)
	if expired = t.Running() && left <= t.Timeout/2; !expired && t.Running() {
		t.next = left
	}
	return expired
}

// MayAnswerACK limits retransmissions after an ACK to one per quarter timer.
func (t *Timer) MayAnswerACK(now time.Time) bool { return now.Sub(t.SentAt) >= t.Timeout/4 }

// ExpireWithin brings the deadline forward to d from now.
func (t *Timer) ExpireWithin(now time.Time, d time.Duration) {
	if at := now.Add(d); at.Before(t.Deadline) {
		t.Early, t.Deadline = true, at
	}
}

// ExpireEarly brings the deadline forward to the time at which an ACK may be
// answered.
func (t *Timer) ExpireEarly() {
	t.ExpireWithin(t.SentAt, t.Timeout/4)
}

// ---- round trips ------------------------------------------------------------

// Sample measures the round trip that an answer shows. Karn's algorithm: a flight
// that was sent twice gives no sample, because the answer may be to either
// transmission. Nor does one whose answer may be to an earlier flight.
func (t *Timer) Sample(now time.Time, transmission int) {
	if transmission == 1 && !t.ambiguous && !t.SentAt.IsZero() {
		t.Learn(now.Sub(t.SentAt))
	}
}

// Learn takes a round trip. The sample only ever lowers rto (RFC 9147,
// Section 5.8.2: 1.5 times the round trip).
func (t *Timer) Learn(rtt time.Duration) {
	if t.Policy.NoRTT || rtt < 0 || rtt > t.Policy.Initial {
		return
	}
	before := t.RTO
	t.RTO, t.rtt = min(t.Policy.Initial, max(t.Policy.Min, rtt*3/2)), max(rtt, 1)
	if t.Timeout == before { // it was not doubled
		t.Timeout = t.RTO
	}
}

// Measured reports whether rto comes from a round trip.
func (t *Timer) Measured() bool { return t.rtt > 0 }

// NoSample notes that the answer to this flight may be to an earlier one.
func (t *Timer) NoSample() { t.ambiguous = true }
