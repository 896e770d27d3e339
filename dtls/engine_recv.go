package dtls

import (
	"errors"
	"net/netip"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// recordNumber is an epoch and a sequence number.
type recordNumber = record.Number

// handleRecords opens the records of a datagram one after the other. A record
// that is no good is skipped; only one whose length lies ends the datagram
// (RFC 6347, Section 4.1.2.7: "invalid records SHOULD be silently discarded").
func (e *Engine) handleRecords(datagram []byte) {
	if len(datagram) == 0 {
		e.drops.Malformed++
		return
	}
	for len(datagram) > 0 && e.err == nil {
		whole := datagram
		h, fragment, rest, err := record.Next(datagram)
		if err != nil {
			e.drops.Malformed++
			return
		}
		datagram = rest
		e.handleRecord(h, fragment, whole[:len(whole)-len(rest)])
	}
}

// handleRecord opens one record; raw is all of it.
func (e *Engine) handleRecord(h record.Header, fragment, raw []byte) {
	if !e.versionFits(h) {
		e.drops.Version++
		return
	}
	if e.holdsEarly(h) {
		e.hs.hold(raw)
		return
	}
	opener := e.keys.opener(h.Epoch)
	if opener == nil {
		e.drops.UnknownEpoch++
		return
	}
	plaintext, err := opener.Open(h, fragment)
	if err != nil {
		e.recordFault(h, err)
		return
	}
	protected := h.Epoch > 0
	if protected {
		e.heard = e.now
	}
	switch h.Type {
	case record.TypeHandshake:
		if e.hs != nil {
			e.hs.record = h.Seq
		}
		e.handleHandshakeRecord(uint16(h.Epoch), plaintext)
	case record.TypeAlert:
		e.handleAlert(h.Number, plaintext)
	case record.TypeApplicationData:
		e.handleData(h.Number, plaintext)
	case record.TypeChangeCipherSpec:
		// RFC 6347 numbers epochs in every record, so the message itself
		// decides nothing: keys come into force when an exchange is complete,
		// and the Finished proves them. One per handshake is expected.
		if protected || e.hs == nil || len(plaintext) != 1 || plaintext[0] != 1 || !e.hs.countCCS() {
			e.drops.CCS++
		}
	default:
		// RFC 6347, Section 4.1: an unknown type is discarded.
		e.drops.UnknownType++
	}
}

// recognizes reports whether the first record of a datagram was protected with
// keys that this association reads. The bytes of the datagram are gone
// afterwards; nothing else changes.
func (e *Engine) recognizes(datagram []byte) bool {
	h, fragment, _, err := record.Next(datagram)
	if err != nil || h.Epoch == 0 {
		return false
	}
	opener := e.keys.opener(h.Epoch)
	return opener != nil && opener.Authentic(h, fragment)
}

// versionFits: RFC 6347, Section 4.1 has DTLS 1.0 in the records of the first
// flights, so before a version is agreed on both are let in. A client that
// repeats its hello does not know yet what was agreed.
func (e *Engine) versionFits(h record.Header) bool {
	repeats := !e.p.isClient && e.hs != nil && h.Epoch == 0
	return h.Version == VersionDTLS12 || h.Version == versionDTLS10 && (e.state.Version == 0 || repeats)
}

// holdsEarly reports whether a record of the epoch to come, or data that
// overtook the Finished, should wait for it (THREATS: never delivered before
// the Finished verifies, never fatal).
func (e *Engine) holdsEarly(h record.Header) bool {
	if e.hs == nil || h.Epoch != 1 {
		return false
	}
	return e.keys.opener(1) == nil || h.Type == record.TypeApplicationData
}

func (e *Engine) recordFault(h record.Header, err error) {
	switch {
	case errors.Is(err, record.ErrOverflow) && h.Epoch > 0:
		// RFC 5246, Section 6.2.1: authentic and over 2^14 bytes.
		e.fail(alert.Errorf(alert.RecordOverflow, "record of more than %d bytes", record.MaxPlaintext))
	case errors.Is(err, record.ErrForgeryLimit):
		e.drops.BadMAC++
		e.fail(alert.Errorf(alert.InternalError, "too many forged records for these keys"))
	case errors.Is(err, record.ErrReplayed), errors.Is(err, record.ErrStale):
		e.drops.Replayed++
	case errors.Is(err, record.ErrBadMAC):
		// RFC 6347, Section 4.1.2.7: no alert, which would be an oracle.
		e.drops.BadMAC++
	default:
		e.drops.Size++
	}
}

// handleData takes authentic application data.
func (e *Engine) handleData(n recordNumber, plaintext []byte) {
	switch {
	case n.Epoch == 0:
		// Nobody vouched for it: never delivered, in no state.
		e.drops.PlaintextData++
	case e.closing.received && n.Seq > e.closing.seq:
		e.drops.AfterClose++
	default:
		e.confirmLastFlight()
		e.events.push(Event{Kind: EventData, Data: plaintext})
	}
}

// confirmLastFlight: data under the new keys proves that the peer has our last
// flight, so it need not be kept.
func (e *Engine) confirmLastFlight() {
	if e.out.msgs == nil || e.out.unsent() {
		return // nothing was sent yet that it could prove: the data came early
	}
	e.path.deliveredSize(e.out.biggest)
	e.out.drop()
	e.keys.forgetPlaintext()
}

// handleHandshakeRecord takes the fragments of a record: several may share one.
func (e *Engine) handleHandshakeRecord(epoch uint16, b []byte) {
	if len(b) == 0 {
		e.drops.Fragment++
		return
	}
	for len(b) > 0 && e.err == nil {
		h, body, rest, err := message.NextFragment(b)
		if err != nil {
			e.drops.Fragment++
			if epoch > 0 {
				e.fail(err)
				return
			}
		} else if e.hs != nil {
			e.hs.handleFragment(epoch, h, body)
		} else {
			e.handlePostHandshake(epoch, h, body)
		}
		b = rest
	}
}

// handlePostHandshake takes a fragment that comes when no handshake is under
// way.
func (e *Engine) handlePostHandshake(epoch uint16, h message.Header, body []byte) {
	if epoch == 0 {
		// An honest peer may repeat its flights, anybody may invent one.
		e.drops.Fragment++
		return
	}
	switch {
	case h.Type == message.TypeFinished:
		// The peer misses our last flight; RFC 6347, Section 4.2.4. A client
		// sends no last flight and has nothing to repeat.
		e.drops.Repeated++
		e.peerRepeated()
	case h.Type == message.TypeHelloRequest && e.p.isClient, h.Type == message.TypeClientHello && !e.p.isClient:
		// RFC 5246, Section 7.4.1.1 and RFC 5746, Section 4.5: refused with a
		// warning, once, so that a flood of requests is not answered.
		if e.drops.Refused == 0 {
			e.sendAlert(alert.Warning, alert.NoRenegotiation)
		}
		e.drops.Refused++
	default:
		e.fail(alert.Errorf(alert.UnexpectedMessage, "%s after the handshake", h.Type))
	}
}

// handleAtDoor asks for a cookie and begins the handshake once it is right.
func (e *Engine) handleAtDoor(datagram []byte, from netip.AddrPort) error {
	reply, hello := e.door.Handle(e.now, datagram, from, netip.AddrPort{}, nil)
	if reply != nil && len(e.replies) < maxQueuedReplies {
		e.replies = append(e.replies, reply)
	}
	if hello != nil {
		e.door = nil
		e.admit(hello)
		return e.HandleDatagram(e.now, hello.Datagram, from)
	}
	return nil
}

const maxQueuedReplies = 4
