package dtls

import (
	"errors"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/reassembly"
)

// Faults that may be forged. What the peer authenticates ends the handshake at once.
// What anybody can have sent is noted, and ends it when nothing valid follows:
//
//	                                    sent at once    ends the handshake after
//	plaintext alert                     –               one timer
//	fault in a plaintext message        –               one timer
//	… in a ClientHello without a cookie –               a quarter of the first timer
//	… in pieces, with the right cookie  the alert       the first timer of a client
//	records that do not open (DTLS 1.2) –               the second, and one timer
//
// The last flight of a client of DTLS 1.3 is refused with an alert that may be lost, while
// the client takes the handshake for complete. Such a fault ends the server when the
// flight is not repeated any more; a repetition is answered with the alert.
//
// A valid message, and any authentic record, clears it. Alerts go out under the newest
// keys that the peer can have.

// fault handles an illegal message. An authentic one ends the handshake, and so does
// a failure of this side. One in plaintext may be forged: it is rejected, and its
// fault noted.
func (hs *driver) fault(m *reassembly.Message, err error) {
	var peers *alert.Error
	ours := !errors.As(err, &peers) || peers.Alert == alert.InternalError
	if !ours && m.Epoch > 0 && !hs.e.p.IsClient && hs.e.speaks13() && hs.m.Expects().Has(m.Type) {
		hs.in.Reject(m)
		hs.e.dropFlight()
		hs.e.acks.Clear()
		hs.refuse(err)
		return
	}
	if ours || m.Epoch > 0 || hs.broughtCookie(m) {
		hs.e.fail(err)
		return
	}
	hs.in.Reject(m)
	hs.e.drops.Fragment++
	hs.suspectMessage(err)
}

// refuse answers the client's last flight, or a repetition of it, with the alert. RFC 9147,
// Section 5.10: an implementation "SHOULD generate a new alert message if the offending
// record is received again", and end "when a peer is persistently sending bad messages".
func (hs *driver) refuse(err error) {
	first, rto := hs.m.Config.FirstTimer, hs.e.out.timer.RTO
	if s := &hs.suspicion; s.Refuse(hs.e.now, err, first+first/4, rto/2) {
		hs.e.sendAlert(alert.Fatal, alert.Of(s.Err))
	}
}

// broughtCookie reports whether m is the ClientHello that the door accepted: its
// cookie is not known to others. Of a hello in several datagrams some fragments may
// be forged all the same.
func (hs *driver) broughtCookie(m *reassembly.Message) bool {
	return hs.whole && hs.m.HasCookie(m.Body())
}

// suspectMessage notes the fault of a plaintext message. The alert against a ClientHello
// with the right cookie, of which some fragments may be forged all the same, goes out at
// once: its address is proven. In case it was forged, the timer of the client repeats the
// hello; without a round trip to go by that is the initial one.
func (hs *driver) suspectMessage(err error) {
	o := &hs.e.out
	wait, first := o.timer.Reaction(), hs.m.Config.FirstTimer
	switch {
	case hs.m.AwaitsHello() && hs.cookie:
		wait = first + first/4
		if hs.suspicion.Err == nil && hs.params().plaintextAlerts == AlertsDelayed {
			hs.e.sendAlert(alert.Fatal, alert.Of(err))
		}
	case hs.m.AwaitsHello():
		wait = first / 4
	case hs.m.AwaitsSecondHello():
		wait *= 2 // after our timer has repeated the HelloRetryRequest
	case hs.m.Hello() == nil:
		// The rest of the peer's flight is on its way, and asked for once more.
		wait = min(wait, max(o.timer.Policy.Min, wait*2/5, 3*hs.sinceFlight()/2))
		if hs.suspicion.Err == nil {
			o.timer.ExpireEarly()
		}
	}
	hs.suspect(err, wait)
}

// suspectAlert notes an alert. What shows it to be forged may have to be asked for by our
// timer, which expires early for that, and takes a round trip from then on: a timer that
// comes from one is short.
func (hs *driver) suspectAlert(a Alert) {
	o := &hs.e.out
	wait := o.timer.RTO
	o.timer.ExpireWithin(hs.e.now, wait/2)
	if o.timer.Measured() {
		wait += min(2*hs.sinceFlight(), wait/2)
	}
	hs.suspect(&AlertError{Alert: a, Remote: true, Cause: hs.m.RefusedGroups(a)}, wait)
}

// sinceFlight is the time since the last transmission.
func (hs *driver) sinceFlight() time.Duration { return hs.e.now.Sub(hs.e.out.timer.SentAt) }

// suspect notes a reason to end the handshake that may be forged.
func (hs *driver) suspect(err error, wait time.Duration) {
	switch hs.params().plaintextAlerts {
	case AlertsImmediate:
		hs.e.fail(err)
	case AlertsDelayed:
		hs.suspicion.Note(err, hs.e.now.Add(wait))
	case AlertsIgnored:
	}
}

// conclude ends the handshake for what was noted, unless the present state can begin
// anew. Then the reason is kept for the time-out. RFC 9147, Section 5.1: the alert that
// "allows the client to restart the connection from scratch" is illegal_parameter.
func (hs *driver) conclude() {
	err := hs.suspicion.Err
	var refused *AlertError
	if errors.As(err, &refused) && refused.Alert != alert.IllegalParameter || !hs.m.Restart() {
		hs.e.fail(err)
		return
	}
	hs.suspicion.Keep()
}

// unopened takes a record of the epoch to come that did not open. A peer with another
// pre-shared key sends nothing else, and repeats it. RFC 4279, Section 2 has
// decrypt_error for that.
func (hs *driver) unopened(epoch uint16) {
	t := hs.e.out.timer
	if hs.e.speaks13() || epoch != hs.next || hs.suspicion.Authentic || !hs.suspicion.Unopens(hs.e.now, min(t.RTO, t.Policy.Min)) {
		return
	}
	hs.suspect(errUnopened, t.Reaction())
}

var errUnopened = alert.Errorf(alert.DecryptError, "its records do not open: the keys differ, as with another pre-shared key")
