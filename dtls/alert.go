package dtls

import (
	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/record"
)

// Alerts (RFC 5246, Section 7.2; RFC 8446, Section 6). They are sent once and not
// repeated by a timer.

// ---- received ----------------------------------------------------------------------

// handleAlert takes an alert of the peer in record n.
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
	case level == alert.Fatal || e.isError13(a):
		e.end(&AlertError{Alert: a, Remote: true})
	default:
		e.events.push(Event{Kind: EventWarning, Err: &AlertError{Alert: a, Warning: true, Remote: true}})
	}
}

// isError13: RFC 9846, Section 6: in DTLS 1.3 all but the closure alerts "MUST be
// treated as error alerts when received regardless of the AlertLevel in the message.
// Unknown Alert types MUST be treated as error alerts."
func (e *Engine) isError13(a alert.Alert) bool {
	return e.speaks13() && a != alert.CloseNotify && a != alert.UserCanceled
}

// handlePlaintextAlert takes an alert without protection, which may be forged. After
// the first handshake it is discarded; within, PlaintextAlerts decides, until a record
// of the peer was deprotected: it has keys for its alerts then. Nor can a server that
// has sent nothing yet be the cause of an alert.
func (e *Engine) handlePlaintextAlert(level alert.Level, a alert.Alert, malformed error) {
	if !e.handshaking() || e.established() || e.out.sent.number == 0 || malformed != nil ||
		e.hs.suspicion.Authentic || e.hs.params().plaintextAlerts == AlertsIgnored {
		e.drops.PlaintextAlert++
		return
	}
	if level == alert.Fatal || a == alert.CloseNotify || e.isError13(a) {
		e.hs.suspectAlert(a)
		return
	}
	if e.hs.warned {
		e.drops.PlaintextAlert++
		return
	}
	e.hs.warned = true
	e.events.push(Event{Kind: EventWarning, Err: &AlertError{Alert: a, Warning: true, Remote: true}})
}

// ---- sent --------------------------------------------------------------------------

func (e *Engine) sendAlert(level alert.Level, a alert.Alert) {
	if e.alerts.Add(level, a) {
		e.trace.alert(AlertError{Alert: a, Warning: level == alert.Warning})
	}
}

// appendAlert seals the next alert in the present epoch and appends it to dst.
func (e *Engine) appendAlert(dst []byte) ([]byte, bool) {
	next := e.alerts.Next()
	s := e.keys.Sealer()
	if s == nil {
		return dst, false
	}
	out, _, err := s.Seal(dst, record.TypeAlert, e.recordVersion(), alert.Append(nil, next.Level, next.Alert))
	return out, err == nil && e.path.credit.left(maxUDPPayload) >= len(out)-len(dst)
}
