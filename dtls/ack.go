package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/timing"
	"github.com/flightpath-dtls/flightpath/record"
)

// Acknowledgements of DTLS 1.3 (RFC 9147, Section 7). An ACK names records; the ledger
// maps them to byte ranges of messages, and only ranges that no ACK has covered are
// sent again.

// ---- ACKs received ---------------------------------------------------------

// handleACK takes an ACK that came in a record with number n (RFC 9147, Section
// 7.2).
func (e *Engine) handleACK(n recordNumber, body []byte) {
	if !e.speaks13() {
		// RFC 9147, Section 7: before the version is agreed on "ACK records
		// received in epoch 0 MUST be ignored".
		e.drops.ACK++
		return
	}
	list, err := message.ParseACK(body)
	if err != nil {
		e.doubtfulACK(n, err)
		return
	}
	highest := n.Epoch
	if n.Epoch >= epochData {
		// RFC 9147, Section 7.2 compares with the epoch of the ACK itself. After
		// the handshake the two directions have epochs of their own, and a peer
		// that has not changed its keys must be able to acknowledge our records
		// under new ones; so there it is what we have sent that counts.
		highest = max(highest, uint64(e.keys.Write()))
	}
	for i := range list.Len() {
		if list.At(i).Epoch > highest {
			e.doubtfulACK(n, alert.Errorf(alert.IllegalParameter, "ACK in epoch %d for a record of epoch %d", n.Epoch, list.At(i).Epoch))
			return
		}
	}
	if n.Epoch == 0 {
		e.handlePlaintextACK(list)
		return
	}
	e.handleAuthenticACK(list)
}

// doubtfulACK: RFC 9147, Section 7.2 has such an ACK end the association. In the
// clear anybody could have sent it, so there it is dropped; a deviation.
func (e *Engine) doubtfulACK(n recordNumber, err error) {
	e.drops.ACK++
	if n.Epoch > 0 {
		e.fail(err)
	}
}

// handlePlaintextACK handles an ACK that may be forged: it acknowledges nothing. It may
// have the rest of a ClientHello sent early, once; the timer sends all of it, and no
// flood of ACKs delays that.
func (e *Engine) handlePlaintextACK(list message.ACKList) {
	o := &e.out
	if e.handshaking() && !e.p.IsClient && list.Len() == 0 && e.missesHello() {
		return
	}
	if !e.handshaking() || e.keys.Write() > 0 || o.flight.state != flightWaiting || o.plain.hinted || !o.timer.MayAnswerACK(e.now) {
		e.drops.ACK++
		return
	}
	o.ledger.Name(list)
	o.plain.hint()
	o.apply(flightRepeated)
	for part := range o.ledger.TakeNamed(false, false) {
		o.flight.hold(part)
	}
	if !o.flight.unsent() {
		// All of it is said to be there: the timer asks again if it is not.
		o.finishTransmission(e.now)
	}
}

// plaintextACKs bounds what unauthenticated ACKs have a flight do.
type plaintextACKs struct {
	hinted bool // one had part of the flight sent again since the timer expired
	empty  int  // empty ones that had all of the flight sent again
}

// maxEmptyACKs is how often an empty ACK in epoch 0 has a flight sent again. Without
// a limit an attacker off the path could make this side send for ever.
const maxEmptyACKs = 2

func (p *plaintextACKs) hint() { p.hinted = true }

func (p *plaintextACKs) timerExpired() { p.hinted = false }

// missing counts an empty ACK, and reports whether the flight may be sent again.
func (p *plaintextACKs) missing() bool {
	if p.empty == maxEmptyACKs {
		return false
	}
	p.empty++
	return true
}

// missesHello takes an empty ACK of a client that has records of our flight, and
// no ServerHello to open them with (RFC 9147, Section 7.1: "Such an ACK [...] can
// trigger faster retransmission"). The ServerHello is the first and, with a
// post-quantum share, often the largest of the flight, so the path may be too
// small for it.
func (e *Engine) missesHello() bool {
	o := &e.out
	if o.flight.state != flightWaiting || o.flight.acknowledged() || !o.timer.MayAnswerACK(e.now) || !o.plain.missing() {
		return false
	}
	smaller := o.sent.biggest > e.path.fallback() && e.path.fallBack(rungFallback, false, e.now)
	if smaller {
		e.pathChanged()
	}
	e.sendAgain(flightRepeated, PeerRepeated)
	if smaller {
		o.pacer.Begin(timing.PaceStep)
	}
	return true
}

// awaitsHello has a client say so, see missesHello, when records of the server
// have come that it cannot open yet. RFC 9147, Section 7: not before DTLS 1.3 is
// selected, which a HelloRetryRequest does.
func (e *Engine) awaitsHello() {
	e.acks.Disrupted = true
	if e.p.IsClient && e.speaks13() && e.keys.Write() == 0 {
		e.acks.Begin(e.now, e.out.timer.RTO/4)
	}
}

func (e *Engine) handleAuthenticACK(list message.ACKList) {
	o := &e.out
	e.path.addressProven(true) // RFC 9147, Section 5.1: the address has answered under its keys
	// A record that is not in the ledger is of an earlier flight, or was never sent.
	news := false
	sent, named := o.ledger.Name(list)
	if named {
		for part := range o.ledger.TakeNamed(true, o.backwards()) {
			if o.flight.acknowledge(part) {
				news = true
			}
		}
	}
	if news {
		o.timer.Learn(e.now.Sub(sent)) // each transmission has record numbers of its own
		o.progress(e.now)
		e.pathEvidence()
	}
	if len(o.flight.msgs) == 0 {
		return
	}
	if !o.flight.awaitsACK() {
		e.flightArrived()
		return
	}
	e.path.peerRepeated() // it misses the rest
	if news || list.Len() == 0 {
		e.resendMissing()
	}
}

// pathEvidence takes evidence of the path MTU from an ACK. Large datagrams that it
// covers are confirmed; if it covers small ones, and none of two or more large ones sent
// before, the path is too small for those. Below the fallback that is evidence only for
// a flight that was cut for the floor already.
func (e *Engine) pathEvidence() {
	for rung := rungFallback; rung <= max(rungFallback, e.path.rung); rung++ {
		largest, missing := e.out.ledger.Sizes(rungSizes[rung])
		if largest > rungSizes[rung] {
			e.path.deliveredSize(largest)
			return
		}
		if missing >= 2 && e.path.fallBack(rung, true, e.now) {
			e.out.withdrawOver(e.path.flightLimit())
			e.pathChanged()
		}
	}
}

// flightArrived: everything outstanding is acknowledged.
func (e *Engine) flightArrived() {
	o := &e.out
	if e.handshaking() {
		// RFC 9147, Section 5.8.1: "cancels all retransmissions and [...]
		// remains in WAITING", for the flight that answers.
		o.apply(flightAcked)
		return
	}
	o.drop()
	e.messagesArrived()
}

// flightAckedImplicitly: RFC 9147, Section 7.1: "receiving a message from a
// handshake flight implicitly acknowledges all messages from the previous
// flight(s)". A server's flight is acknowledged by a message in epoch 2, which
// only a client with its ServerHello can send.
func (e *Engine) flightAckedImplicitly() {
	o := &e.out
	if len(o.flight.msgs) == 0 || o.flight.unsent() {
		return
	}
	e.flightAnswered(true)
	e.dropFlight()
}

// resendMissing sends at once what is not acknowledged, or, if that has only
// just left, a quarter of the timer after it did.
func (e *Engine) resendMissing() {
	o := &e.out
	if o.flight.state != flightWaiting {
		return
	}
	if !o.timer.MayAnswerACK(e.now) {
		o.timer.ExpireEarly()
		return
	}
	e.sendAgain(flightRepeated, PeerRepeated)
}

// ---- what we have ----------------------------------------------------------------

// acknowledge schedules the ACK of a handshake record, where it has to have one.
func (e *Engine) acknowledge(n recordNumber, got reception) {
	a := &e.acks
	answered := a.Answered
	if !e.speaks13() || e.over() || !got.kept {
		return
	}
	if e.established() {
		// RFC 9147, Section 7.1: "All other flights MUST be ACKed", also when
		// they are repeated. A server's flight is answered by the client's.
		if got.lost || answered || n.Epoch < epochData && e.p.IsClient {
			return
		}
		if a.Received(n, true, got.disorder, e.now, e.out.timer.RTO); !got.fresh || a.Full() || e.post.in.Idle() {
			a.SendNow() // there is nothing to wait for
		}
		return
	}
	switch {
	case answered, !e.handshaking():
		return // our next flight acknowledges it
	case n.Epoch == 0:
		// A plaintext record may be forged. It is acknowledged only after its message
		// was accepted, while the rest of the flight is awaited.
		if !e.p.IsClient || e.keys.Write() == 0 || !got.fresh {
			return
		}
	}
	a.Received(n, !got.lost, got.disorder, e.now, e.out.timer.Timeout)
}

// handleACKTimeout sends the ACK that is due. One that brings nothing is a try.
func (e *Engine) handleACKTimeout(now time.Time) {
	e.acks.HandleTimeout(now, e.out.timer.RTO, e.p.retransmit.Max)
	if e.handshaking() && int(e.acks.Unheard) > e.p.retransmit.MaxTries+1 {
		e.end(e.timeoutError())
	}
}

// Sizes of an ACK: RFC 9147, Section 7.
const (
	ackHeaderLen = 2
	ackEntryLen  = 16
)

// appendACK seals an ACK with as many of the newest numbers as there is room for
// and appends it to dst.
func (e *Engine) appendACK(dst []byte) ([]byte, bool) {
	a, epoch := &e.acks, e.keys.Write()
	if a.InFront {
		epoch = epochHandshake // the peer has no later keys before our flight
	}
	all := a.Take()
	s := e.keys.SealerOf(epoch)
	room := min(min(e.path.room(), maxUDPPayload)-s.Overhead(), e.maxContent(epoch)) - ackHeaderLen
	if room < 0 {
		return dst, false
	}
	numbers := all[max(0, len(all)-room/ackEntryLen):]
	// RFC 9147, Section 7: "ACK records MUST be sent with an epoch which is equal
	// to or higher than the record which is being acknowledged".
	out, _, err := e.seal(s, dst, record.TypeACK, message.AppendACK(nil, numbers))
	if err != nil {
		return dst, false
	}
	a.SentIn(e.nextID+1, len(out)-len(dst))
	if !e.handshaking() {
		a.Said() // said once; said again if the peer repeats itself
	}
	if e.out.flight.state != flightSending { // else behind the flight
		e.followWithCloseNotify()
	}
	return out, true
}
