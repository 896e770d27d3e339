package dtls

import (
	"errors"
	"net/netip"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/reassembly"
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
	for len(datagram) > 0 && !e.over() {
		var ok bool
		if record.IsUnified(datagram[0]) {
			datagram, ok = e.nextUnified(datagram)
		} else {
			datagram, ok = e.nextRecord(datagram)
		}
		if !ok {
			e.drops.Malformed++
			return
		}
	}
}

// nextRecord handles the first record of a datagram, one with the header of DTLS
// 1.2 or of a plaintext record of DTLS 1.3.
func (e *Engine) nextRecord(datagram []byte) (rest []byte, ok bool) {
	h, fragment, rest, err := record.Next(datagram)
	if err != nil {
		return nil, false
	}
	e.handleRecord(h, fragment, datagram[:len(datagram)-len(rest)])
	return rest, true
}

// nextUnified does so for a protected record of DTLS 1.3.
func (e *Engine) nextUnified(datagram []byte) (rest []byte, ok bool) {
	u, rest, err := record.NextUnified(datagram, 0)
	if err != nil {
		return nil, false
	}
	e.handleUnified(u, datagram[:len(datagram)-len(rest)])
	return rest, true
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
	opener := e.keys.Opener(h.Epoch)
	if opener == nil {
		e.drops.UnknownEpoch++
		return
	}
	plaintext, err := opener.Open(h, fragment)
	if err != nil {
		e.recordFault(err, h.Epoch)
		return
	}
	if h.Epoch == 0 || !e.exceeds(len(plaintext)) {
		e.handleContent(h.Type, h.Number, plaintext)
	}
}

// handleUnified opens one record of DTLS 1.3; raw is all of it.
func (e *Engine) handleUnified(u record.Unified, raw []byte) {
	if e.holdsEarly13(u) {
		e.hs.hold(raw)
		e.awaitsHello()
		return
	}
	opener := e.keys.OpenerByBits(u.EpochBits)
	if opener == nil {
		e.drops.UnknownEpoch++
		return
	}
	typ, plaintext, n, err := opener.Open(u)
	if err != nil {
		e.recordFault(err, opener.Epoch())
		if errors.Is(err, record.ErrBadMAC) && opener.Failed() >= opener.Remaining() {
			e.rekeyPeer()
		}
		return
	}
	e.opened13(n)
	if size := len(u.Body) - opener.AEAD().TagLen(); !e.exceeds(size) { // padding counts
		e.handleContent(typ, n, plaintext)
		e.exceeds(size) // if the record had the record_size_limit of the peer
	}
}

// exceeds: RFC 8449, Section 4 has plaintext over our limit answered with record_overflow.
func (e *Engine) exceeds(size int) bool {
	if limit := e.sizes.Excess(size); limit > 0 {
		e.fail(alert.Errorf(alert.RecordOverflow, "record of %d bytes, RecordSizeLimit is %d", size, limit))
		return true
	}
	return false
}

// handleContent takes what was in a record.
func (e *Engine) handleContent(typ record.ContentType, n recordNumber, plaintext []byte) {
	protected := n.Epoch > 0
	if protected {
		e.lastRecord = e.now
		e.restart.authentic()
		if e.handshaking() {
			e.hs.suspicion.Verified()
		}
	}
	if protected && e.speaks13() && len(plaintext) == 0 && (typ == record.TypeHandshake || typ == record.TypeAlert) {
		// RFC 8446, Section 5.4: "MUST NOT send Handshake and Alert records that
		// have a zero-length TLSInnerPlaintext.content".
		e.fail(alert.Errorf(alert.UnexpectedMessage, "empty record of %v", typ))
		return
	}
	switch typ {
	case record.TypeHandshake:
		if e.handshaking() {
			e.hs.record = n.Seq
		}
		e.handleHandshakeRecord(n, plaintext)
	case record.TypeAlert:
		e.handleAlert(n, plaintext)
	case record.TypeApplicationData:
		e.handleData(n, plaintext)
	case record.TypeACK:
		e.handleACK(n, plaintext)
	case record.TypeChangeCipherSpec:
		// RFC 6347 numbers epochs in every record, so the message itself
		// decides nothing: keys come into force when an exchange is complete,
		// and the Finished proves them. One per handshake is expected. DTLS 1.3
		// has none at all (RFC 9147, Section 5).
		if protected || !e.handshaking() || e.speaks13() || len(plaintext) != 1 || plaintext[0] != 1 || !e.hs.countCCS() {
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
	if len(datagram) > 0 && record.IsUnified(datagram[0]) {
		u, _, err := record.NextUnified(datagram, 0)
		if err != nil {
			return false
		}
		opener := e.keys.OpenerByBits(u.EpochBits)
		return opener != nil && opener.Authentic(u)
	}
	h, fragment, _, err := record.Next(datagram)
	if err != nil || h.Epoch == 0 {
		return false
	}
	opener := e.keys.Opener(h.Epoch)
	return opener != nil && opener.Authentic(h, fragment)
}

// versionFits judges the version of a record once DTLS 1.2 is agreed on. RFC 9147,
// Section 4: in DTLS 1.3 legacy_record_version "MUST be ignored for all purposes", so
// before the agreement it is ignored, too. RFC 5246, Appendix E.1 has servers accept any
// minor version with a ClientHello, which a client may repeat.
func (e *Engine) versionFits(h record.Header) bool {
	repeats := !e.p.IsClient && e.handshaking() && h.Epoch == 0 && h.Version>>8 == VersionDTLS12>>8
	return e.state.Version != VersionDTLS12 || h.Version == VersionDTLS12 || repeats
}

// holdsEarly reports whether a record of the epoch to come, or application data that
// came before the Finished, has to wait for it: it is not delivered before the
// Finished is verified, nor is it fatal.
func (e *Engine) holdsEarly(h record.Header) bool {
	if !e.handshaking() || h.Epoch != uint64(e.hs.next) || e.speaks13() {
		return false
	}
	return e.keys.Opener(h.Epoch) == nil || h.Type == record.TypeApplicationData
}

// holdsEarly13 does so for DTLS 1.3: records of the handshake that overtook the
// ServerHello, and those of epoch 3 before the Finished (RFC 9147, Section
// 4.2.1: "MAY either buffer or discard").
func (e *Engine) holdsEarly13(u record.Unified) bool {
	if !e.handshaking() || e.p.MaxVersion != VersionDTLS13 || e.state.Version == VersionDTLS12 {
		return false
	}
	return (u.EpochBits == epochHandshake || u.EpochBits == epochData) && e.keys.OpenerByBits(u.EpochBits) == nil
}

func (e *Engine) recordFault(err error, epoch uint64) {
	switch {
	case errors.Is(err, record.ErrOverflow) && epoch > 0:
		// RFC 5246, Section 6.2.1: authentic and over 2^14 bytes.
		e.fail(alert.Errorf(alert.RecordOverflow, "record of more than %d bytes", record.MaxPlaintext))
	case errors.Is(err, record.ErrInner):
		// RFC 9147, Section 4.5.2 has it discarded; nothing was processed.
		e.drops.UnknownType++
	case errors.Is(err, record.ErrForgeryLimit):
		e.drops.BadMAC++
		if e.superseded(epoch) {
			e.keys.CloseReadBefore(uint16(epoch) + 1)
			return
		}
		e.fail(alert.Errorf(alert.InternalError, "too many forged records for these keys"))
	case errors.Is(err, record.ErrReplayed), errors.Is(err, record.ErrStale):
		e.drops.Replayed++
	case errors.Is(err, record.ErrBadMAC):
		// RFC 6347, Section 4.1.2.7: no alert, which would be an oracle.
		e.drops.BadMAC++
		if e.handshaking() {
			e.hs.unopened(uint16(epoch))
		}
	default:
		e.drops.Size++
	}
}

// handleData takes authentic application data.
func (e *Engine) handleData(n recordNumber, plaintext []byte) {
	switch {
	case n.Epoch == 0:
		// Unprotected application data is delivered in no state.
		e.drops.PlaintextData++
	case e.closing.excludes(n):
		e.drops.AfterClose++
	case e.speaks13() && (n.Epoch < epochData || e.handshaking()):
		// RFC 9147, Section 6.1: no data under the keys of the handshake.
		e.fail(alert.Errorf(alert.UnexpectedMessage, "application data in epoch %d", n.Epoch))
	default:
		if !e.speaks13() {
			e.confirmLastFlight()
		}
		e.events.push(Event{Kind: EventData, Data: plaintext})
	}
}

// confirmLastFlight: data under the new keys proves that the peer has our last
// flight, so it need not be kept.
func (e *Engine) confirmLastFlight() {
	if e.handshaking() || e.out.flight.msgs == nil || e.out.flight.unsent() {
		return // of a later handshake, or nothing was sent yet: the data proves nothing
	}
	e.flightConfirmed()
	e.keys.ForgetSealBefore(e.keys.Write())
}

// handleHandshakeRecord takes the fragments of a record: several may share one.
func (e *Engine) handleHandshakeRecord(n recordNumber, b []byte) {
	epoch := uint16(n.Epoch)
	if len(b) == 0 {
		e.drops.Fragment++
		return
	}
	var got reception
	e.acks.RecordBegins()
	for len(b) > 0 && !e.over() {
		h, body, rest, err := message.NextFragment(b)
		b = rest
		if err != nil {
			e.drops.Fragment++
			got.lost = true
			if epoch > 0 {
				e.fail(err)
				return
			}
			continue
		}
		var v reassembly.Verdict
		var disorder bool
		switch {
		case e.handshaking():
			v, disorder = e.hs.handleFragment(epoch, h, body)
		case e.speaks13():
			v, disorder = e.post.handleFragment(e, epoch, h, body)
		default:
			e.handlePostHandshake12(epoch, h, body)
			continue
		}
		got.add(v, disorder)
		e.drops.fragment(v)
	}
	if e.handshaking() && e.hs.suspicion.Refused() {
		return // RFC 9147, Section 7.1: what is not accepted is not acknowledged
	}
	e.acknowledge(n, got)
}

// reception is what became of the fragments of a record.
type reception struct {
	kept     bool // at least one was processed or buffered, now or before
	fresh    bool // now
	lost     bool // at least one was not
	disorder bool // one came before its turn
}

func (r *reception) add(v reassembly.Verdict, disorder bool) {
	switch v {
	case reassembly.Kept:
		r.kept, r.fresh = true, true
	case reassembly.Old, reassembly.Repeated:
		r.kept = true
	case reassembly.Refused, reassembly.NoRoom, reassembly.TooLong:
		r.lost = true
	}
	r.disorder = r.disorder || disorder
}

// handlePostHandshake12 takes a fragment that comes when no handshake is under
// way.
func (e *Engine) handlePostHandshake12(epoch uint16, h message.Header, body []byte) {
	if epoch == 0 {
		// An honest peer may repeat its flights, anybody may invent one.
		e.drops.Fragment++
		return
	}
	switch {
	case h.Type == message.TypeFinished && h.Seq == e.lastSeq12:
		// The peer misses our last flight; RFC 6347, Section 4.2.4. A client
		// sends no last flight and has nothing to repeat.
		e.drops.Repeated++
		e.peerRepeated()
	case h.Type == message.TypeHelloRequest && e.p.IsClient, h.Type == message.TypeClientHello && !e.p.IsClient:
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
func (e *Engine) handleAtDoor(datagram []byte, from netip.AddrPort) {
	who := from
	if !who.IsValid() {
		who = e.cookieAddr()
	}
	reply, hello, q := e.door.handle(e.now, datagram, who, netip.AddrPort{}, nil)
	if q != nil {
		c, err := q.Call(&e.p.Config, e.sourceOf(from, false))
		reply = e.door.answer(nil, e.now, q, c, err)
	}
	if reply != nil && len(e.replies) < maxQueuedReplies {
		e.replies = append(e.replies, reply)
	}
	if hello != nil {
		e.door, hello.From = nil, from
		e.admit(hello)
		e.handleDatagram(e.now, hello.Datagram, from)
	}
}

const maxQueuedReplies = 4
