package dtls

import (
	"bytes"
	"errors"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/reassembly"
)

// driver feeds a Handshake with messages and has what else is needed only until the
// association is established.
type driver struct {
	e *Engine
	m *handshake.Handshake

	began  time.Time
	heard  int    // datagrams
	record uint64 // number of the record at hand
	in     reassembly.Joiner
	flight []outMessage // under preparation

	cookie    bool // the door accepted the hello for its cookie
	vouched   bool // and saw the whole of it in one datagram
	suspicion suspicion
	warned    bool // a plaintext warning was reported
	ccs       int

	held      [][]byte // records that came before their keys
	heldBytes int
	retryHeld bool

	trouble error // what the transport said last, for the error of a time-out
}

// suspicion is a fault in unauthenticated plaintext. It is believed if no
// valid progress follows until its deadline, see PlaintextAlerts.
type suspicion struct {
	err      error
	deadline time.Time
}

func newHandshake(e *Engine, now time.Time) *driver {
	hs := &driver{e: e, began: now}
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
	if !hs.epochFits(h.Type, epoch) {
		return reassembly.Refused, false
	}
	disorder = !hs.in.InOrder(h)
	switch v = hs.in.Add(epoch, h, body); v {
	case reassembly.Kept:
		if epoch == epochHandshake && !e.p.IsClient {
			e.flightAckedImplicitly()
		}
		e.out.fragmentReceived(e.now)
		hs.drive()
	case reassembly.Old:
		e.peerRepeated()
	case reassembly.Repeated, reassembly.Refused, reassembly.NoRoom:
	}
	return v, disorder
}

// epochFits: a message comes in the epoch its place in the handshake has.
func (hs *driver) epochFits(t message.Type, epoch uint16) bool {
	if epoch >= epochHandshake || hs.e.speaks13() {
		// RFC 9147, Section 6.1: "There are three unencrypted messages in DTLS,
		// namely ClientHello, ServerHello, and HelloRetryRequest."
		plain := t == message.TypeClientHello || t == message.TypeServerHello || t == message.TypeHelloVerifyRequest
		return plain == (epoch == 0) && (epoch == 0 || epoch == epochHandshake)
	}
	// RFC 5246, Section 7.4.9: Finished is the first message under the new
	// keys, and in a first handshake the only one.
	return (t == message.TypeFinished) == (epoch == 1)
}

// drive takes the messages that are complete, in order.
func (hs *driver) drive() {
	e := hs.e
	for !e.over() && e.runs(hs) {
		m, ok := hs.in.Take()
		if !ok {
			break
		}
		awaited := hs.m.Expects()
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
		hs.suspicion = suspicion{}
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

// fault deals with a message that cannot be right. What a key vouched for, or
// what is our own failure, ends the handshake; plaintext is put aside, and so
// is the suspicion until it proves true.
func (hs *driver) fault(m *reassembly.Message, err error) {
	var peers *alert.Error
	if !errors.As(err, &peers) || peers.Alert == alert.InternalError || m.Epoch > 0 || hs.broughtCookie(m) {
		hs.e.fail(err)
		return
	}
	hs.in.Reject(m)
	hs.e.drops.Fragment++
	hs.suspect(err)
}

// broughtCookie reports whether m is the very hello that the door let in: nobody
// else knows its cookie. If it came in several datagrams, some of its fragments
// may be another's all the same.
func (hs *driver) broughtCookie(m *reassembly.Message) bool {
	return hs.vouched && hs.m.AwaitsHello() && hs.m.HasCookie(m.Body())
}

// suspect notes an unauthenticated reason to end the handshake.
func (hs *driver) suspect(err error) {
	switch hs.params().plaintextAlerts {
	case AlertsImmediate:
		hs.e.fail(err)
	case AlertsDelayed:
		wait := hs.e.out.timer.reaction()
		if hs.cookie && hs.e.out.sent.number == 0 {
			// It is the client's timer that brings the rest of the hello again.
			// That has learned nothing of ours, and begins with Initial as a rule.
			wait = max(wait, 2*hs.m.Config.FirstTimer)
		}
		if hs.m.AwaitsSecondHello() {
			wait *= 2 // likewise, and our own timer first, which tells it what was asked for
		}
		if hs.suspicion.err == nil {
			hs.suspicion = suspicion{err, hs.e.now.Add(wait)}
		}
	case AlertsIgnored:
	}
}

// finish leaves the handshake behind: the association is established.
func (hs *driver) finish() {
	e, r := hs.e, hs.m.Result
	if e.speaks13() {
		hs.finish13(r)
		return
	}
	e.secrets = secrets12{r.Suite.Hash, r.Master, r.ClientRandom, r.ServerRandom}
	e.state.HandshakeComplete = true
	e.complete()
	if !e.out.flight.last {
		e.flightConfirmed()
		e.keys.ForgetSealBefore(1)
	}
	e.keys.CloseReadBefore(1)
	hs.announce()
}

// announce tells the world, and goes on with what came early.
func (hs *driver) announce() {
	e := hs.e
	e.trace.established(e.state)
	e.events.push(Event{Kind: EventEstablished})
	hs.m.Release()
	hs.handleHeld()
	e.closedEarly()
}

func (hs *driver) nextTimeout() time.Time {
	t := hs.suspicion.deadline
	if hs.e.p.handshakeTimeout > 0 {
		t = earliest(t, hs.began.Add(hs.e.p.handshakeTimeout))
	}
	return t
}

func (hs *driver) handleTimeout(now time.Time) {
	if hs.e.p.handshakeTimeout > 0 && !now.Before(hs.began.Add(hs.e.p.handshakeTimeout)) {
		hs.e.fail(hs.e.timeoutError())
		return
	}
	if s := hs.suspicion; s.err != nil && !now.Before(s.deadline) {
		hs.believe(s.err)
	}
}

// believe ends the handshake, unless the present state can restart it. Then the
// reason is kept, for the case that the server answers nothing from here on.
func (hs *driver) believe(err error) {
	if hs.m.Restart() {
		hs.suspicion = suspicion{err, hs.e.now.Add(restartPatience * hs.m.Config.FirstTimer)}
		return
	}
	hs.e.fail(err)
}

// restartPatience is how long a server has to answer the first hello of a restart,
// in initial timers: with the next ones doubled, for three hellos.
const restartPatience = 4

// maxHeld bounds the records that wait for their keys, in bytes.
const maxHeld = 4096

// hold keeps a record that overtook what its keys are made of.
func (hs *driver) hold(raw []byte) {
	if hs.heldBytes+len(raw) > maxHeld {
		hs.e.drops.Memory++
		return
	}
	hs.heldBytes += len(raw)
	hs.held = append(hs.held, bytes.Clone(raw))
}

// handleHeld tries what was held; some of it may be held once more.
func (hs *driver) handleHeld() {
	held := hs.held
	hs.held, hs.heldBytes = nil, 0
	for _, raw := range held {
		if !hs.e.over() {
			hs.e.handleRecords(raw)
		}
	}
}

// countCCS lets through as many change_cipher_spec as retransmissions of an
// honest peer could need.
func (hs *driver) countCCS() bool {
	hs.ccs++
	return hs.ccs <= 16
}
