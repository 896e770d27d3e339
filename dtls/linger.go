package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/keys"
)

// Linger is Close for an owner that goes on for a while. If the peer may still
// miss our last flight, the engine keeps it, and repeats it with another
// close_notify when the peer repeats its own, until something of the peer proves
// that it has it, or Config.Linger has passed. Without it a peer that lost our
// Finished would run into its time-out, although we thought all was well.
// (RFC 6347, Section 4.2.4: whoever sends the last flight must be able to send
// it again.)
//
// In DTLS 1.3 flights are acknowledged: what its owner does not wait for is not
// sent again.
//
// Linger reports whether that is so; Err is nil until it is over. If not, it was
// Close. Events of an engine that lingers mean nothing any more, and Close ends
// it at once.
func (e *Engine) Linger(now time.Time) bool {
	e.advance(now)
	if e.err != nil || e.hs != nil || len(e.out.msgs) == 0 || e.p.linger <= 0 || e.post != nil {
		e.Close(now)
		return false
	}
	e.closing.sent = true
	e.closing.until = e.now.Add(e.p.linger)
	if !e.out.unsent() { // else behind it
		e.sendAlert(alert.Warning, alert.CloseNotify)
	}
	// What is needed from here on is the flight and its keys.
	e.data = nil
	e.state.PeerCertificates, e.state.VerifiedChains = nil, nil
	keys.Wipe(e.secrets.master)
	e.secrets.master = nil
	return true
}

func (e *Engine) lingers() bool { return e.err == nil && !e.closing.until.IsZero() }

// lingerOn follows each input of an engine that lingers.
func (e *Engine) lingerOn() {
	if !e.lingers() {
		return
	}
	e.events = events{}
	confirmed := len(e.out.msgs) == 0
	if confirmed && !e.closing.received {
		e.sendAlert(alert.Warning, alert.CloseNotify) // it speaks on: the first was lost
	}
	if confirmed || !e.now.Before(e.closing.until) {
		e.end(errEngineClosed)
	}
}

// lastWords follows the last flight with the close_notify that may be lost with
// it.
func (e *Engine) lastWords() {
	if e.lingers() {
		e.sendAlert(alert.Warning, alert.CloseNotify)
	}
}
