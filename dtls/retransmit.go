package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
)

// flightState and flightEvent are those of RFC 6347, Section 4.2.4, Figure 3,
// and of RFC 9147, Section 5.8.1, Figure 11, which adds the ACKs.
type flightState uint8

const (
	flightPreparing flightState = iota // computing the next flight, or awaiting the first of the peer
	flightSending                      // handing it to the transport, which may take several calls
	flightWaiting                      // for the peer's next flight, with the timer running
	flightFinished                     // the handshake is complete on this side
	flightStates
)

type flightEvent uint8

const (
	flightReady     flightEvent = iota // a new flight is buffered
	flightSent                         // all of it was handed over, and more is expected
	flightSentLast                     // all of it was handed over, and the handshake ends with it
	flightTimer                        // the retransmission timer fired
	flightRepeated                     // the peer repeated its previous flight
	flightReceived                     // the peer's next flight is here and asks for one of ours
	flightCompleted                    // the peer's last flight is here
	flightAcked                        // all of it is acknowledged, and the peer's next flight is due (RFC 9147, Section 5.8.1)
	flightAckedLast                    // all of it is acknowledged, and nothing else is due, or the association is over
	flightExtended                     // messages were appended to it
	flightWithdrawn                    // a datagram of it was refused by the transport, or is too large for the path
	flightEvents
)

type flightAction uint8

const (
	doNothing  flightAction = iota
	doSend                  // a first transmission of all of it
	doResend                // all that is not acknowledged again, with new record numbers
	doContinue              // what was not sent in this transmission; the timer starts behind it
	doStop                  // timer off
)

type transition struct {
	next flightState
	do   flightAction
}

// flightTable is the figure. Events that a state has no row for change
// nothing.
//
//	            +-----------+
//	      +---> | PREPARING | <--------------------+
//	      |     +-----------+                      |
//	      |           | flight ready               |
//	      |          \|/                           |
//	      |     +-----------+                      |
//	      |     |  SENDING  |<------------------+  |
//	      |     +-----------+                   |  | next flight received
//	      |      |         | sent, more expected|  |
//	(next |      |        \|/                   |  |
//	hand- | last |     +-----------+  timer     |  |
//	shake)| sent |     |  WAITING  |------------+  |
//	      |      |     +-----------+ peer repeats, |
//	      |      |         |   |     partial ACK,  |
//	      |      |         |   |     extended,     |
//	      |      |         |   |     withdrawn     |
//	      |     \|/        |   +-------------------+
//	    +-----------+      | last flight received, or ACK for the last of ours
//	    | FINISHED  |<-----+
//	    +-----------+--- peer repeats: resend the last flight
var flightTable = [flightStates][flightEvents]transition{
	flightPreparing: {
		flightReady:     {flightSending, doSend},
		flightReceived:  {flightPreparing, doNothing},
		flightCompleted: {flightFinished, doStop},
		flightAckedLast: {flightPreparing, doStop},
		flightExtended:  {flightSending, doContinue},
	},
	flightSending: {
		flightReady:     {flightSending, doSend}, // the next flight replaces this one
		flightSent:      {flightWaiting, doNothing},
		flightSentLast:  {flightFinished, doNothing},
		flightTimer:     {flightSending, doNothing},
		flightRepeated:  {flightSending, doNothing},
		flightReceived:  {flightPreparing, doStop},
		flightCompleted: {flightFinished, doStop},
		flightAcked:     {flightWaiting, doStop},
		flightAckedLast: {flightFinished, doStop},
		flightExtended:  {flightSending, doNothing},
		flightWithdrawn: {flightSending, doNothing},
	},
	flightWaiting: {
		flightReady:     {flightSending, doSend},
		flightSent:      {flightWaiting, doNothing},
		flightTimer:     {flightSending, doResend},
		flightRepeated:  {flightSending, doResend},
		flightReceived:  {flightPreparing, doStop},
		flightCompleted: {flightFinished, doStop},
		flightAcked:     {flightWaiting, doStop},
		flightAckedLast: {flightFinished, doStop},
		flightExtended:  {flightSending, doContinue},
		flightWithdrawn: {flightSending, doContinue},
	},
	flightFinished: {
		flightReady:     {flightSending, doSend},
		flightSentLast:  {flightFinished, doNothing},
		flightRepeated:  {flightSending, doResend},
		flightCompleted: {flightFinished, doStop},
		flightSent:      {flightFinished, doNothing},
		flightTimer:     {flightFinished, doNothing},
		flightReceived:  {flightFinished, doNothing},
		flightAcked:     {flightFinished, doStop},
		flightAckedLast: {flightFinished, doStop},
		flightExtended:  {flightSending, doContinue},
		flightWithdrawn: {flightSending, doContinue},
	},
}

// paceInterval separates bursts of a large flight.
const paceInterval = time.Millisecond

// defaultBurst: RFC 9147, Section 5.8.3 has 10 records in a transmission.
const defaultBurst = 10

// outbox holds the flight that is being sent or may have to be sent again, as
// messages. Datagrams are cut from it when they go out and never kept.
type outbox struct {
	policy  RetransmitPolicy
	state   flightState
	msgs    []outMessage
	last    bool   // our last flight: nothing of the peer's follows it
	stalled bool   // a refusal waits for the caller's decision
	refusal bool   // the transport refused part of this transmission
	rumour  bool   // an unverified hint had part of this transmission sent again
	nextSeq uint16 // message_seq of the next message

	log     []sentDatagram // of this transmission
	biggest int            // largest datagram of it
	ledger  ledger         // which bytes went out in which record, where the peer acknowledges
	quotes  *quoteRing
	burst   int       // datagrams since the last pause
	paceAt  time.Time // the next burst, zero: now

	rto       time.Duration // where the timer of a flight begins
	measured  bool          // rto came from a round trip
	timeout   time.Duration // the timer's present value
	deadline  time.Time     // when it fires, zero: not running
	began     time.Time     // when the flight first went out, zero: not yet
	asked     time.Time     // when the row of tries began that runs now, zero: with the next datagram
	sentAt    time.Time     // end of the last transmission
	early     bool          // the timer was brought forward by an ACK: its expiry is no silence
	hinted    bool          // a plaintext ACK has had its say since the timer last fired
	tries     int           // timer expiries without a sign of life
	total     int           // transmissions of this flight
	ambiguous bool          // the answer may be to a flight before: no sample (Karn)
	missing   int           // times it was sent again because of an empty ACK in the clear
	answer    answerState   // what a server has of the client's next flight
	patience  time.Duration // of a server that has asked for the rest of it; 0: a client
}

// answerState: a client answers when it has all of the server's flight, so the
// first fragment of its answer says that nothing of ours is missing. From then on
// the client's own timer brings the rest. Repeating our flight reminds it, once;
// more of that keeps clients from repeating theirs which begin their timer anew
// with each record they get.
type answerState uint8

const (
	answerAwaited answerState = iota
	answerBegun
	answerAsked // and our flight was sent once more since
)

// patienceFactor times the first timer is long enough for a client that has
// doubled its own four times.
const patienceFactor = 16

// sentDatagram remembers what was in a datagram, in case it is refused.
type sentDatagram struct {
	id    uint64
	size  int
	parts []sentPart
}

type sentPart struct {
	msg    int
	lo, hi uint32
}

func (o *outbox) init(policy RetransmitPolicy, isClient bool) {
	o.policy = policy
	o.rto = policy.Initial
	if !isClient {
		o.patience = min(policy.Max, patienceFactor*policy.Initial)
	}
}

// apply runs one event through the table.
func (o *outbox) apply(ev flightEvent) flightAction {
	t := flightTable[o.state][ev]
	o.state = t.next
	switch t.do {
	case doSend, doResend:
		o.beginTransmission()
	case doContinue:
		o.deadline = time.Time{}
	case doStop:
		o.deadline, o.paceAt = time.Time{}, time.Time{}
		o.stalled = false
	case doNothing:
	}
	return t.do
}

// load replaces the flight. A new flight begins with the timer of the measured
// round trip, not with the doubled one of the flight before: RFC 6347, Section
// 4.2.4.1 and RFC 9147, Section 5.8.2 would keep that until a flight passes
// without loss, and one loss early on would cost every later flight seconds.
func (o *outbox) load(msgs []outMessage, last bool) {
	o.msgs, o.last = msgs, last
	o.ledger.clear()
	o.timeout = o.rto
	o.tries, o.total, o.missing, o.answer = 0, 0, 0, answerAwaited
	o.ambiguous = false
	o.hinted, o.began, o.asked = false, time.Time{}, time.Time{}
	o.apply(flightReady)
}

func (o *outbox) beginTransmission() {
	for i := range o.msgs {
		o.msgs[i].unsend()
	}
	o.log = o.log[:0]
	o.burst, o.biggest = 0, 0
	o.refusal, o.rumour, o.early = false, false, false
	o.paceAt, o.deadline = time.Time{}, time.Time{}
	o.stalled = false
	o.total++
}

// extend adds messages to what is outstanding: those that follow the handshake
// are sent and acknowledged one by one. The new ones get all the tries there are.
func (o *outbox) extend(msgs []outMessage) {
	if len(o.msgs) == 0 || o.state == flightFinished && o.arrived() {
		o.load(msgs, false)
		return
	}
	o.msgs = append(o.msgs, msgs...)
	o.tries, o.timeout, o.asked = 0, o.rto, time.Time{}
	o.apply(flightExtended)
}

// arrived reports whether the peer has acknowledged everything.
func (o *outbox) arrived() bool {
	for i := range o.msgs {
		if !o.msgs[i].arrived() {
			return false
		}
	}
	return true
}

// acknowledged reports whether it has acknowledged anything.
func (o *outbox) acknowledged() bool {
	for i := range o.msgs {
		if o.msgs[i].acked.Bytes() > 0 {
			return true
		}
	}
	return false
}

// unsent reports whether part of the flight waits to be handed over.
func (o *outbox) unsent() bool {
	for i := range o.msgs {
		if !o.msgs[i].done() {
			return true
		}
	}
	return false
}

// backwards: every other retransmission sends the fragments of a message last
// one first. Some peers keep only what adjoins the bytes they have. One that
// misses several fragments at the front gains a single one from each repetition
// in order, and all of them from one in the opposite order; one that misses
// them at the end, the other way round.
func (o *outbox) backwards() bool { return o.total > 1 && o.total%2 == 1 }

// finishTransmission starts the timer once everything was handed over, and
// reports whether it was.
func (o *outbox) finishTransmission(now time.Time) bool {
	if o.state != flightSending || o.unsent() {
		return false
	}
	o.sentAt = now
	if o.last {
		o.apply(flightSentLast)
		return true
	}
	o.apply(flightSent)
	o.deadline = now.Add(o.timeout)
	return true
}

// paced reports whether a pause is due before the next datagram.
func (o *outbox) paced(now time.Time) bool {
	if !o.paceAt.IsZero() {
		if now.Before(o.paceAt) {
			return true
		}
		o.paceAt, o.burst = time.Time{}, 0
	}
	if o.burst >= o.policy.Burst {
		o.paceAt = now.Add(paceInterval)
		return true
	}
	return false
}

// backOff doubles the timer, up to the policy's maximum (RFC 6347, Section
// 4.2.4.1). It saturates: a duration that wraps would be a storm.
func (o *outbox) backOff() {
	if o.timeout > o.policy.Max/2 {
		o.timeout = o.policy.Max
		return
	}
	o.timeout *= 2
}

// alive: the peer has shown that it is there. The timer is no longer the
// doubled one, and silence is counted from here. Only progress, a message that
// was complete and right, puts the timer off; mere fragments could come from
// anybody and would keep a lost one from ever being asked for again.
func (o *outbox) alive(now time.Time, progress bool) {
	o.tries = 0
	o.timeout = o.rto
	switch {
	case o.patience == 0 || o.ledger.on || o.state != flightWaiting: // with ACKs the client says what it has
	case o.answer == answerAwaited:
		o.answer = answerBegun
	case o.answer == answerAsked:
		o.timeout = o.patience
	}
	if o.deadline.IsZero() {
		return
	}
	if d := now.Add(o.timeout); progress || d.Before(o.deadline) {
		o.deadline = d
	}
}

// reaction is how long a peer may take to answer. It is the present timer but
// for a patient one: that the answer has begun may be forged, and must not keep
// us from what an honest peer asks for.
func (o *outbox) reaction() time.Duration {
	if o.answer == answerAsked {
		return o.policy.Initial
	}
	return max(o.timeout, o.rto)
}

// mayAnswerRepeat limits retransmissions on the peer's demand to one per half
// timer.
func (o *outbox) mayAnswerRepeat(now time.Time) bool {
	return o.sentAt.IsZero() || now.Sub(o.sentAt) >= o.reaction()/2
}

// sample learns the round trip that an answer to this flight shows. Karn's
// algorithm: a flight that was sent twice gives none, since the answer may be to
// either transmission; nor does one whose answer may be to an earlier flight.
func (o *outbox) sample(now time.Time) {
	if o.total == 1 && !o.ambiguous && !o.sentAt.IsZero() {
		o.learn(now.Sub(o.sentAt))
	}
}

// learn takes a round trip. The sample only ever lowers the first timer
// (RFC 9147, Section 5.8.2: 1.5 times the round trip).
func (o *outbox) learn(rtt time.Duration) {
	if o.policy.NoRTT || rtt < 0 || rtt > o.policy.Initial {
		return
	}
	o.rto = min(o.policy.Initial, max(o.policy.Min, rtt*3/2))
	o.measured = true
}

// wasSent notes a datagram that was just cut.
func (o *outbox) wasSent(id uint64, datagram []byte, parts []sentPart, records []sentRecord) {
	o.log = append(o.log, sentDatagram{id: id, size: len(datagram), parts: parts})
	o.ledger.note(id, len(datagram), records)
	o.biggest = max(o.biggest, len(datagram))
	o.burst++
	o.noteQuote(datagram)
}

// noteQuote remembers a datagram that a notice may quote. The smaller ones fit
// whatever is believed of a path.
func (o *outbox) noteQuote(datagram []byte) {
	if len(datagram) <= fallbackMTU4 {
		return
	}
	if o.quotes == nil {
		o.quotes = new(quoteRing)
	}
	o.quotes.note(datagram)
}

// has reports whether a datagram with that ID counts as sent. One that does not
// was withdrawn: what was in it goes out in others, or is not needed any more.
func (o *outbox) has(id uint64) bool {
	for i := len(o.log) - 1; i >= 0; i-- {
		if o.log[i].id == id {
			return true
		}
	}
	return false
}

// refused marks what was in that datagram as unsent.
func (o *outbox) refused(id uint64) (size int, ok bool) {
	for i := range o.log {
		if o.log[i].id == id {
			size = o.log[i].size
			o.unsendAt(i)
			return size, true
		}
	}
	return 0, false
}

// answered reports whether a change of the MTU answers a refusal: what the
// transport has taken by then needs no repetition.
func (o *outbox) answered() bool {
	refusal := o.refusal
	o.refusal = false
	return refusal
}

// unsendOver marks what was in every datagram larger than limit as unsent: the
// path has lost them, or will. It reports whether there were any.
func (o *outbox) unsendOver(limit int) (any bool) {
	for i := 0; i < len(o.log); {
		if o.log[i].size > limit {
			o.unsendAt(i)
			any = true
		} else {
			i++
		}
	}
	return any
}

func (o *outbox) unsendAt(i int) {
	for _, part := range o.log[i].parts {
		o.msgs[part.msg].unsendRange(part.lo, part.hi)
	}
	o.ledger.forget(o.log[i].id)
	o.log = append(o.log[:i], o.log[i+1:]...)
	o.biggest = 0
	for _, d := range o.log {
		o.biggest = max(o.biggest, d.size)
	}
	if o.burst > 0 {
		o.burst--
	}
	o.apply(flightWithdrawn)
}

func (o *outbox) nextTimeout() time.Time {
	if o.stalled {
		return time.Time{}
	}
	return earliest(o.deadline, o.paceAt)
}

// rest gives up repeating the flight. It is kept: messages that are added later
// are no use to a peer without it, and have all of it sent again.
func (o *outbox) rest() {
	o.deadline, o.tries = time.Time{}, 0
	o.timeout = o.rto
}

// drop forgets the flight: its peer has it, or nobody wants it any more.
func (o *outbox) drop() {
	o.msgs, o.log, o.quotes = nil, nil, nil
	o.ledger.records = nil
	o.apply(flightAckedLast)
}

// hello is the client's, if the flight is one.
func (o *outbox) hello() *outMessage {
	if len(o.msgs) != 1 || o.msgs[0].ccs || o.msgs[0].typ != message.TypeClientHello {
		return nil
	}
	return &o.msgs[0]
}

// names lists the messages of the flight for error texts.
func (o *outbox) names() string {
	if len(o.msgs) == 0 {
		return "nothing"
	}
	s := ""
	for i := range o.msgs {
		if i > 0 {
			s += ", "
		}
		if o.msgs[i].ccs {
			s += "change_cipher_spec"
		} else {
			s += o.msgs[i].typ.String()
		}
	}
	return s
}
