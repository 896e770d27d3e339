package dtls

import (
	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/record"
)

// handleAlert takes an alert of the peer.
func (e *Engine) handleAlert(n recordNumber, b []byte) {
	level, a, err := alert.Parse(b)
	if err == nil {
		e.trace.alert(AlertError{Alert: a, Warning: level == alert.Warning, Remote: true})
	}
	switch {
	case n.Epoch == 0:
		e.handlePlaintextAlert(level, a, err)
	case err != nil:
		e.fail(err)
	case a == alert.CloseNotify:
		e.peerClosed(n)
	case level == alert.Fatal:
		e.end(&AlertError{Alert: a, Remote: true})
	default:
		e.events.push(Event{Kind: EventWarning, Err: &AlertError{Alert: a, Warning: true, Remote: true}})
	}
}

// handlePlaintextAlert takes an alert that anybody may have sent.
func (e *Engine) handlePlaintextAlert(level alert.Level, a alert.Alert, malformed error) {
	// A server that has said nothing yet cannot be meant by it.
	unasked := e.handshaking() && e.out.sent.number == 0
	if e.established() || unasked || malformed != nil || e.hs.params().plaintextAlerts == AlertsIgnored {
		e.drops.PlaintextAlert++
		return
	}
	if level == alert.Fatal || a == alert.CloseNotify {
		e.hs.suspect(&AlertError{Alert: a, Remote: true})
		return
	}
	if e.hs.warned {
		e.drops.PlaintextAlert++
		return
	}
	e.hs.warned = true
	e.events.push(Event{Kind: EventWarning, Err: &AlertError{Alert: a, Warning: true, Remote: true}})
}

// queuedAlert waits for PollTransmit.
type queuedAlert struct {
	level alert.Level
	alert alert.Alert
}

// maxQueuedAlerts bounds what a peer can make us say before the owner sends.
const maxQueuedAlerts = 4

func (e *Engine) sendAlert(level alert.Level, a alert.Alert) {
	if len(e.alerts) < maxQueuedAlerts {
		e.alerts = append(e.alerts, queuedAlert{level, a})
		e.trace.alert(AlertError{Alert: a, Warning: level == alert.Warning})
	}
}

func (e *Engine) appendAlert(dst []byte) ([]byte, bool) {
	next := e.alerts[0]
	if e.alerts = e.alerts[1:]; len(e.alerts) == 0 {
		e.alerts = nil
	}
	s := e.keys.sealer()
	if s == nil {
		return dst, false
	}
	out, _, err := s.Seal(dst, record.TypeAlert, e.recordVersion(), alert.Append(nil, next.level, next.alert))
	return out, err == nil && e.path.credit.left(maxUDPPayload) >= len(out)-len(dst)
}
