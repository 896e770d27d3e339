package dtls

import (
	"bytes"
	"errors"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/quotes"
	"github.com/flightpath-dtls/flightpath/internal/reassembly"
	"github.com/flightpath-dtls/flightpath/internal/suspicion"
)

// driver feeds a Handshake with messages and has what else is needed only until the
// association is established.
type driver struct {
	e      *Engine
	m      *handshake.Handshake
	caller handshake.Caller // nil: the engine has no front

	began  time.Time
	record uint64 // number of the record that is being handled
	in     reassembly.Joiner
	flight []outMessage // under preparation

	suspicion suspicion.Suspicion
	held      [][]byte // records received before their keys

	received  uint32 // datagrams
	heldBytes uint16
	answer    uint16 // message_seq of the first message that answers our flight
	next      uint16 // DTLS 1.2: epoch of the keys that this handshake makes
	writing   uint16 // epoch of the messages that are added to flight
	ccs       uint8  // change_cipher_spec received
	cookie    bool   // the door accepted the ClientHello for its cookie
	whole     bool   // and received all of it in one datagram
	warned    bool   // a plaintext warning was reported
	retryHeld bool
	paused    bool           // until an ACK was sent: a callback may block
	ackedOnce bool           // it was, and no message waits for another
	hellos    *quotes.Hellos // that were sent, until something is received; nil: ICMP messages change nothing

	transport error // last error of the transport, for the text of a time-out
}

func newHandshake(e *Engine, caller handshake.Caller, now time.Time) *driver {
	hs := &driver{e: e, caller: caller, began: now, next: e.keys.Write() + 1, writing: e.keys.Write()}
	hs.m = handshake.New(&e.p.Config, hs)
	begins := message.SetOf(message.TypeClientHello)
	if e.p.IsClient {
		begins = message.SetOf(message.TypeServerHello, message.TypeHelloVerifyRequest)
	}
	hs.in = reassembly.New(begins, e.p.maxHandshakeSize)
	return hs
}

// params are those of the association, or of the Config that GetConfigForClient
// returned.
func (hs *driver) params() *params { return hs.m.Config.Owner.(*params) }

// awaited names the messages that may come.
func (hs *driver) awaited() string { return hs.m.Expects().String() }

// handleFragment takes a fragment and, if it completes messages, goes through
// their states.
func (hs *driver) handleFragment(epoch uint16, h message.Header, body []byte) (v reassembly.Verdict, disorder bool) {
	e := hs.e
	if hs.suspicion.Refused() {
		if epoch > 0 {
			hs.refuse(nil)
		}
		return reassembly.Refused, false
	}
	if !hs.epochFits(h.Type, epoch) {
		// RFC 5246, Section 7.4.1.1: a HelloRequest is ignored during a handshake.
		if epoch > 0 && h.Type != message.TypeHelloRequest {
			e.fail(alert.Errorf(alert.UnexpectedMessage, "%s in epoch %d while awaiting %s", h.Type, epoch, hs.awaited()))
		}
		return reassembly.Refused, false
	}
	disorder = !hs.in.InOrder(h)
	switch v = hs.in.Add(epoch, h, body); v {
	case reassembly.Kept:
		if epoch == epochHandshake && !e.p.IsClient {
			e.flightAckedImplicitly()
		}
		e.fragmentReceived()
		hs.drive()
	case reassembly.Old:
		// A copy of a message that answered our flight does not show that the peer
		// misses the flight (RFC 6347, Section 4.2.4).
		if h.Seq-hs.answer >= 1<<15 {
			e.peerRepeated()
		}
	case reassembly.TooLong:
		if err := tooLong(&hs.in, h); epoch > 0 {
			e.fail(err)
		} else {
			hs.suspectMessage(err)
		}
	case reassembly.Repeated, reassembly.Refused, reassembly.NoRoom:
	}
	return v, disorder
}

// tooLong is the fault of a message over MaxHandshakeSize.
func tooLong(in *reassembly.Joiner, h message.Header) error {
	return alert.Errorf(alert.IllegalParameter, "%s of %d bytes, MaxHandshakeSize is %d", h.Type, h.Length, in.Limit())
}

// epochFits reports whether a message has its place in the epoch of its record.
func (hs *driver) epochFits(t message.Type, epoch uint16) bool {
	if hs.e.speaks13() {
		// RFC 9147, Section 6.1: "There are three unencrypted messages in DTLS,
		// namely ClientHello, ServerHello, and HelloRetryRequest."
		plain := t == message.TypeClientHello || t == message.TypeServerHello || t == message.TypeHelloVerifyRequest
		return plain == (epoch == 0) && (epoch == 0 || epoch == epochHandshake)
	}
	// RFC 5246, Section 7.4.9: Finished is the first message under the new keys,
	// and the only one of the handshake.
	if t == message.TypeFinished {
		return epoch == hs.next
	}
	return epoch == hs.next-1
}

// drive takes the messages that are complete, in order.
func (hs *driver) drive() {
	e := hs.e
	for !e.over() && e.runs(hs) && !hs.suspicion.Refused() && !hs.paused {
		m, ok := hs.in.Take()
		if !ok {
			break
		}
		if hs.paused = hs.awaitsACK(m); hs.paused {
			hs.ackedOnce = true
			e.acks.SendNow()
			break
		}
		awaited := hs.m.Expects()
		sent := e.out.flight.nextSeq
		err := hs.m.Take(m.Type, m.Raw, m.Seq, hs.record)
		e.trace.message(m, awaited, err)
		if errors.Is(err, handshake.ErrIgnore) {
			hs.in.Reject(m)
			e.drops.Repeated++
			continue
		}
		if err != nil {
			hs.fault(m, err)
			continue
		}
		hs.in.Accept(m)
		if e.out.flight.nextSeq != sent {
			hs.answer = hs.in.Awaited()
		}
		hs.suspicion.Clear()
		e.out.progress(e.now)
		e.state.learn(&hs.m.Info)
		if hs.m.IsComplete() {
			hs.finish()
		}
	}
	if hs.retryHeld && !e.over() {
		hs.retryHeld = false
		hs.handleHeld()
	}
}

// awaitsACK reports whether a message has to wait until an ACK was sent. RFC 9147, Section
// 7.1: a flight that the next one acknowledges has an ACK if "the responding flight cannot
// be generated immediately", as when a callback verifies the server. A server answers the
// client's last flight with the verdict.
func (hs *driver) awaitsACK(m *reassembly.Message) bool {
	e := hs.e
	return !hs.ackedOnce && m.Type == message.TypeCertificate && e.p.IsClient && e.speaks13() && hs.m.Config.JudgesPeer()
}

// resume goes on behind the ACK.
func (hs *driver) resume() {
	hs.paused = false
	hs.drive()
}

// finish ends the handshake: the association is established.
func (hs *driver) finish() {
	e, r := hs.e, hs.m.Result
	if e.speaks13() {
		hs.finish13(r)
		return
	}
	e.secrets, e.lastSeq12 = r, hs.in.Awaited()-1
	e.state.HandshakeComplete = true
	e.complete()
	if !e.out.flight.last {
		e.flightConfirmed()
		e.keys.ForgetSealBefore(hs.next)
	}
	e.keys.CloseReadBefore(hs.next)
	hs.announce()
	e.sessionMade12()
}

// announce reports the completed handshake, and handles the records that were held.
func (hs *driver) announce() {
	e := hs.e
	before := e.path.limit()
	e.path.settle()
	e.limitWas(before)
	e.trace.established(e.state)
	e.events.push(Event{Kind: EventEstablished})
	hs.m.Release()
	hs.handleHeld()
	e.closedEarly()
}

func (hs *driver) nextTimeout() time.Time {
	if hs.paused {
		return hs.e.now
	}
	t := earliest(hs.suspicion.Deadline, hs.hellos.NextTimeout())
	if hs.e.p.handshakeTimeout > 0 {
		t = earliest(t, hs.began.Add(hs.e.p.handshakeTimeout))
	}
	return t
}

func (hs *driver) handleTimeout(now time.Time) {
	if hs.e.p.handshakeTimeout > 0 && !now.Before(hs.began.Add(hs.e.p.handshakeTimeout)) {
		hs.e.end(hs.e.timeoutError())
		return
	}
	if hs.suspicion.Due(now) {
		hs.conclude()
	}
	if hs.hellos.Due(now) && hs.e.out.flight.state == flightWaiting {
		hs.e.sendAgain(flightRepeated, TimerExpired)
	}
	if hs.paused && !hs.e.over() && hs.e.runs(hs) {
		hs.resume()
	}
}

// maxHeld bounds the records that wait for their keys, in bytes.
const maxHeld = 4096

// hold keeps a record whose keys are not installed yet.
func (hs *driver) hold(raw []byte) {
	if int(hs.heldBytes)+len(raw) > maxHeld {
		hs.e.drops.Memory++
		return
	}
	hs.heldBytes += uint16(len(raw))
	hs.held = append(hs.held, bytes.Clone(raw))
}

// handleHeld handles the records that were held; some may be held once more.
func (hs *driver) handleHeld() {
	held := hs.held
	hs.held, hs.heldBytes = nil, 0
	for _, raw := range held {
		if !hs.e.over() {
			hs.e.handleRecords(raw)
		}
	}
}

// maxCCS is as many change_cipher_spec as retransmissions of an honest peer could need.
const maxCCS = 16

func (hs *driver) countCCS() bool {
	if hs.ccs == maxCCS {
		return false
	}
	hs.ccs++
	return true
}
