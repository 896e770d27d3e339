package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/timeout"
)

// What is progress, what resets a timer, what counts as a try: see timing.Timer.

// handleFlightTimeout retransmits if the timer has expired.
func (e *Engine) handleFlightTimeout(now time.Time) {
	o := &e.out
	o.pacer.HandleTimeout(now)
	if o.sent.stalled || !o.timer.Expired(now) {
		return
	}
	if o.timer.Early {
		e.sendAgain(flightRepeated, PeerRepeated)
		return
	}
	if o.sent.number == ticketTries && e.handshaking() && e.hs.dropTicket() {
		return
	}
	// While a restart is suspected its time decides, not that of hasty timers.
	if !o.timer.Try() && !e.restart.suspects() {
		if e.suspend() {
			return
		}
		e.end(e.timeoutError())
		return
	}
	o.plain.timerExpired()
	e.expire(TimerExpired)
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
