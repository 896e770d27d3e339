package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// closing keeps what close_notify, sent and received, does.
type closing struct {
	sent     bool // ours is on its way
	received bool
	number   recordNumber // of the peer's
	until    time.Time    // the end of Linger

	farewells int       // close_notify sent since there is nothing else to repeat
	again     time.Time // when the next one is due
}

// Close queues a close_notify and ends the association; the next PollTransmit
// gives the alert.
func (e *Engine) Close(now time.Time) { e.close(now, errEngineClosed) }

// close is Close for the reason why.
func (e *Engine) close(now time.Time, why error) {
	e.advance(now)
	if e.over() {
		return
	}
	if !e.closing.sent {
		e.closing.sent = true
		e.sendAlert(alert.Warning, alert.CloseNotify)
	}
	e.end(why)
}

// peerClosed takes an authentic close_notify. RFC 5246, Section 7.2.1: it is
// answered with one of ours, and nothing is sent after it.
func (e *Engine) peerClosed(n recordNumber) {
	switch {
	case !e.established() && e.p.IsClient:
		// A server writes under these keys once its handshake is complete. Its
		// last flight was lost, or is late; it repeats it when asked.
		if e.hs.closed.Epoch == 0 || n.Seq < e.hs.closed.Seq {
			e.hs.closed = n
		}
		return
	case !e.established():
		e.end(&AlertError{Alert: alert.CloseNotify, Remote: true})
		return
	}
	if e.closing.received {
		return
	}
	if e.post == nil {
		e.confirmLastFlight()
	}
	e.closing.received, e.closing.number = true, n
	if !e.closing.sent {
		e.closing.sent = true
		e.sendAlert(alert.Warning, alert.CloseNotify)
	}
	e.events.push(Event{Kind: EventClosed})
}

// Linger is Close for an owner that goes on for a while. If the peer may still
// miss our last flight, the engine keeps it, and repeats it with another
// close_notify until something of the peer proves that it has it, or Config.Linger
// has passed. Without it a peer that lost our Finished would run into its time-out,
// although we thought all was well. (RFC 6347, Section 4.2.4: whoever sends the
// last flight must be able to send it again.)
//
// In DTLS 1.2 that is a server's, and repeated when the client repeats its own. In
// DTLS 1.3 a client repeats its Finished by its timer until it is acknowledged,
// and a server its tickets, and its ACK when the client repeats the Finished (RFC
// 9147, Section 5.8.1).
//
// Linger reports whether that is so; Err is nil until it is over. If not, it was
// Close. Events of an engine that lingers mean nothing any more, and Close ends
// it at once.
func (e *Engine) Linger(now time.Time) bool {
	e.advance(now)
	if !e.established() || e.p.linger <= 0 || !e.owes() {
		e.Close(now)
		return false
	}
	e.closing.sent = true
	e.closing.until = e.now.Add(e.p.linger)
	if e.post != nil {
		e.closing.again = e.now.Add(e.out.timer.rto)
	}
	if !e.out.flight.unsent() && !e.acks.now { // else behind it
		e.sendAlert(alert.Warning, alert.CloseNotify)
	}
	// What is needed from here on is the flight and its keys.
	e.data = nil
	e.state.PeerCertificates, e.state.VerifiedChains = nil, nil
	keys.Wipe(e.secrets.master)
	e.secrets.master = nil
	return true
}

// owes reports whether the peer may miss something of ours that belongs to the
// handshake.
func (e *Engine) owes() bool {
	if e.post == nil {
		return len(e.out.flight.msgs) > 0
	}
	// Nothing says that the ACK of a client's Finished has arrived, but what the
	// client sends after it. One that has closed itself needs nothing any more.
	unheard := !e.p.IsClient && e.post.seenEpoch < epochData
	return !e.closing.received && (unheard || e.repeats13())
}

// repeats13 reports whether something of ours is sent again until it is
// acknowledged. New keys are no use to a peer whom nothing is sent any more.
func (e *Engine) repeats13() bool {
	return e.out.flight.awaitsACK(message.TypeKeyUpdate) && !e.out.suspended()
}

func (e *Engine) lingers() bool { return !e.over() && !e.closing.until.IsZero() }

// lingerOn follows each input of an engine that lingers.
func (e *Engine) lingerOn() {
	if !e.lingers() {
		return
	}
	e.events = events{}
	switch {
	case e.closing.received:
	case e.post != nil:
		e.farewell()
	case !e.owes():
		e.sendAlert(alert.Warning, alert.CloseNotify) // it speaks on: the first was lost
	}
	waits := e.owes() || e.post != nil && !e.closing.received && e.closing.farewells < maxFarewells
	if !waits || !e.now.Before(e.closing.until) {
		e.end(errEngineClosed)
	}
}

// maxFarewells is how often close_notify is sent again in DTLS 1.3 when nothing is
// left that it could follow. A peer that was waited for would never learn of the
// end if the first one was lost: it is told three times at least, unless it answers
// before.
const maxFarewells = 2

// farewell says once more that this is the end, if it is time.
func (e *Engine) farewell() {
	c := &e.closing
	if c.farewells == maxFarewells || e.now.Before(c.again) {
		return
	}
	c.again = e.now.Add(e.out.timer.rto)
	if e.repeats13() {
		return // it comes behind that
	}
	e.sendAlert(alert.Warning, alert.CloseNotify)
	if c.farewells++; c.farewells == maxFarewells {
		c.again = time.Time{}
	}
}

// lastWords follows what may be lost with the close_notify that may be lost with
// it.
func (e *Engine) lastWords() {
	if e.lingers() {
		e.sendAlert(alert.Warning, alert.CloseNotify)
	}
}
