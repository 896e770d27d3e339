package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/acks"
	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// closing is the state of close_notify in both directions (RFC 5246, Section 7.2.1;
// RFC 8446, Section 6.1), and of an engine that lingers.
type closing struct {
	sent     bool         // ours is queued or sent
	received bool         // that of the peer is in force
	number   recordNumber // of its record; it may have come before the handshake is complete
	until    time.Time    // the end of Linger, zero: the engine does not linger

	repeats int       // close_notify sent again with nothing else to repeat
	again   time.Time // when the next of these is due
}

// begun reports whether a close_notify of either side ends application data.
func (c *closing) begun() bool { return c.sent || c.received }

// excludes reports whether a record was numbered after the close_notify of the peer.
func (c *closing) excludes(n recordNumber) bool {
	return c.received && acks.Compare(n, c.number) > 0
}

// early notes a close_notify that came before the handshake is complete.
func (c *closing) early(n recordNumber) {
	if c.number.Epoch == 0 || n.Seq < c.number.Seq {
		c.number = n
	}
}

func (c *closing) nextTimeout() time.Time { return earliest(c.until, c.again) }

// Close queues a close_notify and ends the association; the next PollTransmit
// gives the alert.
func (e *Engine) Close(now time.Time) { e.close(now, errEngineClosed) }

// close is Close with another error for later calls.
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

// endSilently is end without an alert: one would reach another association, or none.
func (e *Engine) endSilently(err error) {
	e.alerts.Clear()
	e.replies = nil
	e.end(err)
}

// peerClosed takes an authentic close_notify in record n. RFC 5246, Section 7.2.1:
// the answer is a close_notify, and nothing is sent after it.
func (e *Engine) peerClosed(n recordNumber) {
	switch {
	case !e.established() && (e.p.IsClient || !e.speaks13() && e.keys.Write() == e.hs.next):
		// The server's handshake is complete, or it would not write under these
		// keys; in an abbreviated one of DTLS 1.2, where the server is first to do so, the
		// client's. Its last flight is lost or late; its repetition completes ours.
		e.closing.early(n)
		return
	case !e.established():
		e.end(&AlertError{Alert: alert.CloseNotify, Remote: true})
		return
	case e.closing.received:
		return
	}
	if !e.speaks13() {
		e.confirmLastFlight()
	}
	e.closing.received, e.closing.number = true, n
	if !e.closing.sent {
		e.closing.sent = true
		e.sendAlert(alert.Warning, alert.CloseNotify)
	}
	e.events.push(Event{Kind: EventClosed})
}

// closedEarly takes the close_notify that came before the handshake was complete.
func (e *Engine) closedEarly() {
	if n := e.closing.number; n.Epoch > 0 && !e.over() {
		e.peerClosed(n)
	}
}

// Linger is Close for an owner that keeps the engine for a while. If the peer may
// lack our last flight, the engine keeps that flight and repeats it, with a
// close_notify behind it, until an authentic record proves that the peer has it, or
// Config.Linger has passed. Otherwise a peer that lost our Finished would end in its
// time-out. RFC 6347, Section 4.2.4: the sender of the last flight must be able to
// retransmit it.
//
// In DTLS 1.2 that is the server, which repeats its flight when the client repeats
// its own. In DTLS 1.3 the client repeats its Finished by its timer until it is
// acknowledged; the server repeats its tickets likewise, and its ACK when the client
// repeats the Finished (RFC 9147, Section 5.8.1).
//
// Linger returns true if the engine lingers: Err is nil until that is over, events
// are empty, and Close ends it at once. It returns false if it was Close.
func (e *Engine) Linger(now time.Time) bool {
	e.advance(now)
	if !e.established() || e.p.linger <= 0 || !e.mayLackFlight() {
		e.Close(now)
		return false
	}
	e.closing.sent = true
	e.closing.until = e.now.Add(e.p.linger)
	if e.speaks13() {
		e.closing.again = e.now.Add(e.out.timer.RTO)
	}
	if !e.out.flight.unsent() && !e.acks.Now { // else behind these
		e.sendAlert(alert.Warning, alert.CloseNotify)
	}
	// Only the flight and its keys are needed from here on.
	e.data = nil
	e.state.PeerCertificates, e.state.VerifiedChains = nil, nil
	e.secrets.Wipe()
	return true
}

// mayLackFlight reports whether a flight of the handshake, or the ACK of one, may not
// have arrived.
func (e *Engine) mayLackFlight() bool {
	if !e.speaks13() {
		return len(e.out.flight.msgs) > 0
	}
	// The ACK of a client's Finished has no ACK; a record of the client under the
	// keys of data proves that it has arrived. After the close_notify of the peer
	// nothing is needed any more.
	unproven := !e.p.IsClient && e.post.seenEpoch < epochData
	return !e.closing.received && (unproven || e.repeatsMessages13())
}

// repeatsMessages13 reports whether messages are repeated until they are
// acknowledged. A KeyUpdate does not count: nothing follows it under new keys.
func (e *Engine) repeatsMessages13() bool {
	return e.out.flight.awaitsACK(message.TypeKeyUpdate) && !e.out.suspended()
}

// lingers reports whether Linger keeps the engine.
func (e *Engine) lingers() bool { return !e.over() && !e.closing.until.IsZero() }

// continueLinger follows each input of an engine that lingers.
func (e *Engine) continueLinger() {
	if !e.lingers() {
		return
	}
	e.events = events{}
	switch {
	case e.closing.received:
	case e.speaks13():
		e.repeatCloseNotify13()
	case !e.mayLackFlight():
		e.sendAlert(alert.Warning, alert.CloseNotify) // the peer still sends: the first was lost
	}
	waits := e.mayLackFlight() || e.speaks13() && !e.closing.received && e.closing.repeats < maxCloseNotifyRepeats
	if !waits || !e.now.Before(e.closing.until) {
		e.end(errEngineClosed)
	}
}

// maxCloseNotifyRepeats is how often close_notify is sent again in DTLS 1.3 when there
// are no other messages that it could follow: without it, the loss of the first one
// would leave the peer in its idle time-out. So a peer that does not answer gets
// three of them at least.
const maxCloseNotifyRepeats = 2

// repeatCloseNotify13 sends another close_notify if it is due.
func (e *Engine) repeatCloseNotify13() {
	c := &e.closing
	if c.repeats == maxCloseNotifyRepeats || e.now.Before(c.again) {
		return
	}
	c.again = e.now.Add(e.out.timer.RTO)
	if e.repeatsMessages13() {
		return // one follows each repetition
	}
	e.sendAlert(alert.Warning, alert.CloseNotify)
	if c.repeats++; c.repeats == maxCloseNotifyRepeats {
		c.again = time.Time{}
	}
}

// followWithCloseNotify repeats close_notify after a retransmission of the last
// flight, or an ACK: both may be lost.
func (e *Engine) followWithCloseNotify() {
	if e.lingers() {
		e.sendAlert(alert.Warning, alert.CloseNotify)
	}
}
