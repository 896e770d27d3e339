package dtls

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/acks"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/timing"
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

// outbox has the handshake messages that are sent, or may have to be sent again.
// Datagrams are cut from them when they go out and never kept. Each part owns its
// fields; outbox brings an event of the flight to the parts it concerns.
type outbox struct {
	flight flight
	sent   transmission
	ledger acks.Ledger
	timer  timing.Timer
	pacer  timing.Pacer
	plain  plaintextACKs
}

func (o *outbox) init(policy *RetransmitPolicy, isClient bool) {
	o.timer.Init((*timing.Policy)(policy), isClient)
	o.pacer = timing.Pacer{Limit: int32(min(policy.Burst, math.MaxInt32))}
}

// apply runs one event through the table.
func (o *outbox) apply(ev flightEvent) {
	switch o.flight.apply(ev) {
	case doSend, doResend:
		o.beginTransmission()
	case doContinue:
		o.timer.Stop()
	case doStop:
		o.timer.Stop()
		o.pacer.Stop()
		o.sent.resume()
	case doNothing:
	}
}

// load replaces the flight.
func (o *outbox) load(msgs []outMessage, last bool) {
	o.flight.load(msgs, last)
	o.sent.number = 0
	o.ledger.Clear()
	o.timer.NewFlight()
	o.plain = plaintextACKs{}
	o.apply(flightReady)
}

func (o *outbox) beginTransmission() {
	o.flight.unsend()
	o.sent.begin()
	o.timer.TransmissionBegins()
	if o.sent.number == 1 {
		o.pacer.Begin(timing.PaceFirst)
	} else {
		o.pacer.Begin(timing.PaceRepeat)
	}
}

// extend appends messages to the outstanding ones: those after the handshake are
// sent and acknowledged one by one. The new messages get all tries.
func (o *outbox) extend(msgs []outMessage) {
	if len(o.flight.msgs) == 0 || o.flight.state == flightFinished && !o.flight.awaitsACK() {
		o.load(msgs, false)
		return
	}
	o.flight.msgs = append(o.flight.msgs, msgs...)
	o.timer.NewTries()
	o.apply(flightExtended)
}

// datagramSent notes a datagram that was just cut, with count records.
func (o *outbox) datagramSent(now time.Time, id uint64, size, count int, parts []acks.Part, records []acks.Record) {
	o.flight.began = cmp.Or(o.flight.began, now)
	o.sent.note(id, size, parts)
	o.ledger.Note(now, id, size, records)
	o.timer.DatagramSent(now)
	o.pacer.DatagramSent(count)
}

// finishTransmission starts the timer once everything was handed over, and
// reports whether it was.
func (o *outbox) finishTransmission(now time.Time) bool {
	if o.flight.state != flightSending || o.flight.unsent() {
		return false
	}
	o.timer.TransmissionEnds(now)
	if o.flight.last {
		o.apply(flightSentLast)
		return true
	}
	o.apply(flightSent)
	o.timer.Start(now)
	return true
}

// fragmentReceived takes new bytes of the peer.
func (e *Engine) fragmentReceived() {
	o := &e.out
	t := &o.timer
	inTime := o.flight.state == flightWaiting && e.now.Sub(t.SentAt) <= t.RTO
	if o.flight.state == flightSending && len(o.sent.log) > 0 {
		// Of a flight whose large datagrams are all lost nearly everything has to go out again.
		inTime = o.flight.unsentBytes() <= defaultMTU
	}
	e.path.answerBegins(t.Measured() && inTime)
	t.FragmentReceived(e.now, o.answers())
	if o.flight.hello() != nil {
		t.HeardAgain() // a server may not send more to an unproven address
	}
}

// progress takes a message of the peer that was accepted, or a new acknowledgement.
func (o *outbox) progress(now time.Time) { o.timer.Progress(now, o.answers()) }

// answers reports whether what the peer sends is the answer to our flight, and its
// only acknowledgement. With ACKs the peer lists what it has.
func (o *outbox) answers() bool { return o.flight.state == flightWaiting && !o.ledger.On() }

// sample measures the round trip that an answer to the flight shows.
func (o *outbox) sample(now time.Time) { o.timer.Sample(now, o.sent.number) }

// backwards: every other retransmission sends the fragments of a message last one
// first. Some peers keep only the fragments that adjoin the bytes they have. From
// a repetition in order, a peer that misses several fragments at the front gains
// one, and from one in the opposite order all of them. For fragments missing at
// the end it is the other way round.
func (o *outbox) backwards() bool { return o.sent.number > 1 && o.sent.number%2 == 1 }

// withdraw marks the content of a datagram that the transport refused as unsent.
func (o *outbox) withdraw(id uint64) (size int, ok bool) {
	i := o.sent.find(id)
	if i < 0 {
		return 0, false
	}
	size = o.sent.log[i].size
	o.withdrawAt(i)
	return size, true
}

// withdrawOver marks the content of every datagram larger than limit as unsent:
// the path loses them. It reports whether there were any.
func (o *outbox) withdrawOver(limit int) (any bool) {
	for i := 0; i < len(o.sent.log); {
		if o.sent.log[i].size > limit {
			o.withdrawAt(i)
			any = true
		} else {
			i++
		}
	}
	return any
}

func (o *outbox) withdrawAt(i int) {
	d := o.sent.remove(i)
	o.flight.withdraw(d.parts)
	o.ledger.Forget(d.id)
	o.pacer.Withdraw()
	o.apply(flightWithdrawn)
}

// drop forgets the flight, because the peer has it or the association is over.
func (o *outbox) drop() {
	o.flight.msgs, o.sent.log = nil, nil
	o.ledger.Drop()
	o.apply(flightAckedLast)
}

func (o *outbox) nextTimeout() time.Time {
	if o.sent.stalled {
		return time.Time{}
	}
	return earliest(o.timer.Deadline, o.pacer.Next)
}

// flight is a sequence of handshake messages (RFC 6347, Section 4.2.4), and what
// the peer has acknowledged of each.
type flight struct {
	state   flightState
	msgs    []outMessage
	last    bool      // of the handshake: no flight of the peer follows it
	began   time.Time // when its first datagram went out, zero: not yet
	nextSeq uint16    // message_seq of the next message
}

func (f *flight) apply(ev flightEvent) flightAction {
	t := flightTable[f.state][ev]
	f.state = t.next
	return t.do
}

func (f *flight) load(msgs []outMessage, last bool) {
	f.msgs, f.last, f.began = msgs, last, time.Time{}
}

// setNextSeq sets the message_seq of the next message.
func (f *flight) setNextSeq(seq uint16) { f.nextSeq = seq }

// takeSeq returns the message_seq of a new message.
func (f *flight) takeSeq() uint16 {
	f.nextSeq++
	return f.nextSeq - 1
}

// message returns one of the messages.
func (f *flight) message(i int) *outMessage { return &f.msgs[i] }

// unsend marks everything that is not acknowledged as unsent.
func (f *flight) unsend() {
	for i := range f.msgs {
		f.msgs[i].unsend()
	}
}

// withdraw marks parts as unsent.
func (f *flight) withdraw(parts []acks.Part) {
	for _, part := range parts {
		f.msgs[part.Msg].unsendRange(part.Lo, part.Hi)
	}
}

// hold marks a part as sent, so that this transmission is without it.
func (f *flight) hold(part acks.Part) { f.msgs[part.Msg].markSent(part.Lo, part.Hi) }

// acknowledge marks a part as acknowledged, and reports whether part of it is new.
func (f *flight) acknowledge(part acks.Part) bool {
	return f.msgs[part.Msg].acknowledge(part.Lo, part.Hi)
}

// awaitsACK reports whether a message is not acknowledged in full; those of the
// given types do not count.
func (f *flight) awaitsACK(except ...message.Type) bool {
	for i := range f.msgs {
		if m := &f.msgs[i]; !m.arrived() && !slices.Contains(except, m.typ) {
			return true
		}
	}
	return false
}

// acknowledged reports whether part of the flight is acknowledged.
func (f *flight) acknowledged() bool {
	for i := range f.msgs {
		if f.msgs[i].acked.Bytes() > 0 {
			return true
		}
	}
	return false
}

// unsent reports whether part of the flight waits to be handed over.
func (f *flight) unsent() bool {
	for i := range f.msgs {
		if !f.msgs[i].done() {
			return true
		}
	}
	return false
}

// unsentBytes is how many bytes of messages are not handed over.
func (f *flight) unsentBytes() (n int) {
	for i := range f.msgs {
		n += len(f.msgs[i].body) - int(f.msgs[i].sent.Bytes())
	}
	return n
}

// hello returns the ClientHello, if the flight is one.
func (f *flight) hello() *outMessage {
	if len(f.msgs) != 1 || f.msgs[0].ccs || f.msgs[0].typ != message.TypeClientHello {
		return nil
	}
	return &f.msgs[0]
}

// names lists the messages for error texts.
func (f *flight) names() string {
	if len(f.msgs) == 0 {
		return "nothing"
	}
	names := make([]string, len(f.msgs))
	for i := range f.msgs {
		if names[i] = f.msgs[i].typ.String(); f.msgs[i].ccs {
			names[i] = "change_cipher_spec"
		}
	}
	return strings.Join(names, ", ")
}

// transmission is one sending of the flight. A retransmission is another one.
type transmission struct {
	number  int // in the flight, the first is 1; 0: there is none
	log     []sentDatagram
	biggest int  // largest datagram
	stalled bool // a refusal awaits the caller's decision (MTUManual)
	refusal bool // the transport refused part of it, see answered
	hinted  bool // an unverified hint had part of it sent again
}

// sentDatagram is what went out in a datagram, in case it is refused.
type sentDatagram struct {
	id    uint64
	size  int
	parts []acks.Part
}

func (t *transmission) begin() {
	*t = transmission{number: t.number + 1, log: t.log[:0]}
}

func (t *transmission) note(id uint64, size int, parts []acks.Part) {
	t.log = append(t.log, sentDatagram{id, size, parts})
	t.biggest = max(t.biggest, size)
}

// find returns the index of a datagram in the log, −1 if it was never part of the
// flight or was withdrawn: its content goes out in others, or is obsolete.
func (t *transmission) find(id uint64) int {
	return slices.IndexFunc(t.log, func(d sentDatagram) bool { return d.id == id })
}

// has reports whether a datagram counts as sent.
func (t *transmission) has(id uint64) bool { return t.find(id) >= 0 }

func (t *transmission) remove(i int) sentDatagram {
	d := t.log[i]
	t.log = slices.Delete(t.log, i, i+1)
	t.biggest = 0
	for _, d := range t.log {
		t.biggest = max(t.biggest, d.size)
	}
	return d
}

// stall holds the transmission back until the caller has decided about the MTU;
// refusal says that the transport refused a datagram.
func (t *transmission) stall(refusal bool) { t.stalled, t.refusal = true, refusal }

func (t *transmission) resume() { t.stalled = false }

// answered reports whether a change of the MTU is the decision about a refusal:
// what the transport has taken by then needs no repetition.
func (t *transmission) answered() (refusal bool) {
	refusal, t.stalled, t.refusal = t.refusal, false, false
	return refusal
}

// hint notes that an unverified hint had part of the transmission sent again.
func (t *transmission) hint() { t.hinted = true }

// ---- the engine's flights -----------------------------------------------------

// sendAgain begins another transmission of the flight.
func (e *Engine) sendAgain(ev flightEvent, cause RetransmissionCause) {
	e.out.apply(ev)
	e.trace.retransmission(&e.out, cause, e.path.limit())
}

// expire begins the transmission that follows one without an answer.
func (e *Engine) expire(cause RetransmissionCause) {
	step, ev := e.silence(), flightTimer
	if cause == PeerRepeated {
		ev = flightRepeated
	}
	e.out.timer.Retry(step, cause == TimerExpired)
	e.sendAgain(ev, cause)
	if step == timing.StepDown {
		e.out.pacer.Begin(timing.PaceStep)
	}
}

// peerRepeated takes a repetition of a message that was complete: the peer misses
// our answer. RFC 6347, Section 4.2.4: it is retransmitted at once.
func (e *Engine) peerRepeated() {
	o := &e.out
	if s := o.flight.state; s != flightWaiting && s != flightFinished || len(o.flight.msgs) == 0 {
		return
	}
	// RFC 9147, Section 5.8.1: only "when none of the messages that it sent in
	// response to that flight have been acknowledged".
	if o.flight.acknowledged() {
		return
	}
	e.path.peerRepeated()
	limit := uint8(maxLastFlights)
	if e.handshaking() {
		limit = uint8(min(2*o.timer.Policy.MaxTries, 255)) // progress of the peer gives it new tries
	}
	if !o.timer.MayAnswerRepeat(e.now, limit) {
		return
	}
	if o.timer.AnswerRepeat(e.now, e.handshaking()) {
		e.expire(PeerRepeated)
		return
	}
	e.sendAgain(flightRepeated, PeerRepeated)
}

// maxLastFlights is how often the last flight is sent again after the handshake.
const maxLastFlights = 32

// flightAnswered takes the next flight of the peer as the acknowledgement of ours
// (RFC 9147, Section 7.1). sample is false if it may answer an earlier flight.
func (e *Engine) flightAnswered(sample bool) {
	o := &e.out
	if !sample {
		o.timer.NoSample()
	}
	if len(o.flight.msgs) > 0 {
		e.flightHeard()
		if o.flight.state == flightWaiting && !o.flight.acknowledged() {
			o.sample(e.now)
		}
	}
	o.apply(flightReceived)
}

// flightConfirmed drops a flight that the peer is known to have: its last flight
// is complete, or data under new keys shows it.
func (e *Engine) flightConfirmed() {
	if len(e.out.flight.msgs) > 0 {
		e.flightHeard()
	}
	e.out.apply(flightCompleted)
	e.dropFlight()
}

// dropFlight forgets the flight, and the quotes of its datagrams.
func (e *Engine) dropFlight() {
	e.out.drop()
	e.path.dropQuotes()
	e.nextFlight()
}

// setMessageSeq sets the message_seq of the next message.
func (e *Engine) setMessageSeq(seq uint16) { e.out.flight.setNextSeq(seq) }

// newMessage numbers a message of ours.
func (e *Engine) newMessage(typ message.Type, epoch uint16, body []byte) outMessage {
	return outMessage{
		typ: typ, seq: e.out.flight.takeSeq(), epoch: epoch, body: body,
		// Many peers cannot join the fragments of these.
		whole: typ == message.TypeClientHello || typ == message.TypeServerHello || typ == message.TypeHelloVerifyRequest,
	}
}
