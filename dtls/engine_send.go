package dtls

import (
	"bytes"
	"errors"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/acks"
	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/epochs"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

var errMaxDataRange = errors.New("dtls: SetMaxData before the handshake is complete, or with a size that no MTU allows")

// PollTransmit cuts and seals the next datagram and appends it to dst, which
// need not have more than MTU bytes of capacity. ok is false when nothing is to
// be sent now. A datagram counts as sent unless TransmitRefused says otherwise.
func (e *Engine) PollTransmit(now time.Time, dst []byte) (tx Transmit, ok bool) {
	e.tick(now)
	if tx, ok = e.pollNext(dst); !ok && e.over() {
		tx, ok = e.pollNext(dst) // the keys are used up: the close_notify
	}
	return tx, ok
}

func (e *Engine) pollNext(dst []byte) (tx Transmit, ok bool) {
	e.pollDue = false
	if len(e.out.flight.msgs) > 0 {
		// What was left to send may have been acknowledged meanwhile.
		e.out.finishTransmission(e.now)
	}
	tx = Transmit{To: e.path.addr}
	switch {
	case len(e.replies) > 0:
		tx.Data = append(dst, e.replies[0]...)
		e.replies = e.replies[1:]
	case !e.alerts.Empty():
		if tx.Data, ok = e.appendAlert(dst); !ok {
			return Transmit{}, false
		}
	case e.over():
		return Transmit{}, false
	case e.out.flight.state == flightSending && e.flightMayGo() && (!e.acks.Now || e.joinsACK()):
		return e.pollFlight(dst)
	case e.acks.Now:
		if tx.Data, ok = e.appendACK(dst); !ok {
			return Transmit{}, false
		}
	case len(e.data) > 0 && e.maySendData():
		return e.pollData(dst)
	default:
		return Transmit{}, false
	}
	if e.over() && e.alerts.Empty() {
		e.keys.Wipe() // that was the last word
	}
	e.nextID++
	tx.ID = e.nextID
	e.path.credit.sent(len(tx.Data) - len(dst))
	return tx, true
}

// ---- flights ----------------------------------------------------------------

// flightMayGo reports whether nothing holds the flight back now.
func (e *Engine) flightMayGo() bool { return !e.out.sent.stalled && !e.out.pacer.Pauses(e.now) }

// pollFlight fills a datagram with the unsent part of the flight, in order.
func (e *Engine) pollFlight(dst []byte) (Transmit, bool) {
	o := &e.out
	whole := e.flightLimit()
	d := datagram{e: e, start: len(dst), buf: dst, limit: e.path.credit.left(whole), whole: whole}
	if e.acks.Now {
		d.buf, _ = e.appendACK(dst)
	}
	for i := range o.flight.msgs {
		if !o.flight.message(i).done() && !d.put(i) {
			break
		}
	}
	if e.over() || !d.flush() || len(d.buf) == len(dst) {
		return Transmit{}, false
	}
	e.nextID++
	tx := Transmit{Data: d.buf, To: e.path.addr, ID: e.nextID}
	sent := d.buf[len(dst):]
	o.datagramSent(e.now, tx.ID, len(sent), d.count, d.parts, d.records)
	e.path.noteQuote(sent)
	if e.handshaking() {
		e.hs.hellos.Note(sent, o.sent.number)
	}
	e.path.credit.sent(len(sent))
	if o.finishTransmission(e.now) {
		e.trace.flight(o, e.path.limit())
		e.followWithCloseNotify()
	} else {
		o.pacer.Pause(e.now)
	}
	return tx, true
}

// joinsACK reports whether the rest of the flight, in three records, fits the datagram of
// an ACK, and that datagram every path.
func (e *Engine) joinsACK() bool {
	o := &e.out
	n := ackHeaderLen + ackEntryLen*len(e.acks.Numbers) + o.flight.unsentBytes() + len(o.flight.msgs)*message.HeaderLen
	return n+4*e.keys.Sealer().Overhead() <= min(fallbackMTU4, e.path.room())
}

// flightLimit is how large the next datagram of the flight may be. A ClientHello that
// needs several datagrams anyway, as with a post-quantum share, is cut for the
// fallback from the start: one datagram more on a wide path saves the time-outs on a
// narrow one.
func (e *Engine) flightLimit() int {
	limit := e.path.flightLimit()
	hello := e.out.flight.hello()
	if hello == nil || e.path.mode != MTUAuto || e.path.confirmed > e.path.fallback() {
		return limit
	}
	if hello.datagram() > limit {
		limit = min(limit, e.path.fallback())
	}
	return limit
}

// datagram is filled with records of the flight.
type datagram struct {
	e     *Engine
	start int // of this datagram in buf
	buf   []byte
	limit int
	whole int // limit without the credit, which grows: it is no reason to cut
	parts []acks.Part

	shared  []byte        // fragments that share the record being collected, epoch > 0
	epoch   uint16        // of that record
	first   int           // of its parts
	count   int           // of records
	records []acks.Record // where ACKs may name them
}

// room is how much the record being collected has left. RFC 6347, Section
// 4.1: no record has more than 2^14 bytes, however large the datagram.
func (d *datagram) room(m *outMessage, s epochs.Sealer) int {
	return min(d.limit-(len(d.buf)-d.start)-s.Overhead(), d.e.maxContent(m.epoch)) - len(d.shared)
}

// maxContent is the longest content of a record.
func (e *Engine) maxContent(epoch uint16) int { return e.sizes.Content(epoch, e.speaks13()) }

// put adds the unsent fragments of message i that fit. It reports whether none is
// left, so that the next message may follow.
func (d *datagram) put(i int) bool {
	m := d.e.out.flight.message(i)
	s := d.e.keys.SealerOf(m.epoch)
	if m.ccs {
		return d.putCCS(i, m, s)
	}
	if len(d.shared) > 0 && m.epoch != d.epoch && !d.flush() {
		return false
	}
	fresh := min(d.whole-s.Overhead(), d.e.maxContent(m.epoch)) - message.HeaderLen
	for !m.done() {
		if len(d.shared) > 0 && !d.shares(m, s) && !d.flush() {
			return false
		}
		if d.count > 0 && d.count >= d.e.out.pacer.Left() {
			return false
		}
		lo, hi, ok := m.next(d.room(m, s)-message.HeaderLen, fresh, d.e.out.backwards())
		if !ok {
			return false
		}
		d.shared = append(m.header(lo, hi).Append(d.shared), m.body[lo:hi]...)
		d.epoch = m.epoch
		m.markSent(lo, hi)
		d.parts = append(d.parts, acks.Part{Msg: i, Lo: lo, Hi: hi})
		alone := m.epoch == 0 || int(hi-lo) < len(m.body) // many peers read one message of a plaintext record
		if alone && !d.flush() {
			return false
		}
	}
	return true
}

// shares reports whether a message may go into the record that is being collected:
// whole messages of an epoch above 0 in the first transmission. Fragments and
// retransmissions have a record each: NSS 3.125 skips the rest of a record behind a
// message that it has already, and would do so for ever with the same record.
func (d *datagram) shares(m *outMessage, s epochs.Sealer) bool {
	return m.sent.Bytes() == 0 && d.e.out.sent.number == 1 && message.HeaderLen+len(m.body) <= d.room(m, s)
}

func (d *datagram) putCCS(i int, m *outMessage, s epochs.Sealer) bool {
	if !d.flush() || d.room(m, s) < 1 {
		return false
	}
	if !d.seal(s, record.TypeChangeCipherSpec, []byte{1}) {
		return false
	}
	m.markSent(0, 0)
	d.parts = append(d.parts, acks.Part{Msg: i})
	return true
}

// flush seals the record that was collected. It reports false if the keys are
// used up, which ends the association.
func (d *datagram) flush() bool {
	if len(d.shared) == 0 {
		return true
	}
	ok := d.seal(d.e.keys.SealerOf(d.epoch), record.TypeHandshake, d.shared)
	d.shared = d.shared[:0]
	return ok
}

func (d *datagram) seal(s epochs.Sealer, typ record.ContentType, payload []byte) bool {
	buf, n, err := d.e.seal(s, d.buf, typ, payload)
	if err != nil {
		return false
	}
	d.buf = buf
	if d.e.out.ledger.On() {
		for _, part := range d.parts[d.first:] {
			d.records = append(d.records, acks.Of(n, part))
		}
	}
	d.first = len(d.parts)
	d.count++
	return true
}

// seal protects a record and appends it to dst. The last one that the keys can protect
// (RFC 9147, Section 4.5.3) is kept for a close_notify, with which the association ends.
func (e *Engine) seal(s epochs.Sealer, dst []byte, typ record.ContentType, payload []byte) ([]byte, recordNumber, error) {
	if s.Remaining() <= 1 {
		e.sendAlert(alert.Warning, alert.CloseNotify)
		e.end(e.exhausted())
		return dst, recordNumber{}, e.err
	}
	return s.Seal(dst, typ, e.recordVersion(), payload)
}

// recordVersion: RFC 6347, Section 4.1 lets the first hello carry DTLS 1.0,
// which every peer takes; once the version is agreed it is in all records.
func (e *Engine) recordVersion() uint16 {
	if e.state.Version == 0 {
		return message.Version10
	}
	return VersionDTLS12 // RFC 9147, Section 4: also in plaintext records of DTLS 1.3
}

// ---- application data -------------------------------------------------------

// MaxData is the largest Write that fits one datagram, bytes of application
// data; 0 before the handshake is complete.
func (e *Engine) MaxData() int {
	if !e.maySendData() {
		return 0
	}
	return e.maxDataIn(e.path.limit())
}

// maxDataIn is the largest Write whose datagram has at most n bytes.
func (e *Engine) maxDataIn(n int) int {
	n = min(max(n-e.keys.Sealer().Overhead(), 0), e.maxContent(e.keys.Write()))
	if e.maxData > 0 {
		n = min(n, e.maxData)
	}
	return n
}

// SetMaxData bounds Writes to n bytes of application data, whatever the MTU
// would allow; 0 lifts that. It is an error before the handshake is complete,
// and for n above 16384 or below 0.
func (e *Engine) SetMaxData(n int) error {
	if e.over() {
		return e.err
	}
	if !e.maySendData() || n < 0 || n > record.MaxPlaintext {
		return errMaxDataRange
	}
	e.maxData = n
	return nil
}

// Write queues one record of application data, possibly empty; p is copied.
// Before the handshake is complete it is an error, and so is more than MaxData.
func (e *Engine) Write(now time.Time, p []byte) error {
	e.tick(now)
	if err := e.mayWrite(len(p)); err != nil {
		return err
	}
	e.data = append(e.data, bytes.Clone(p))
	return nil
}

func (e *Engine) mayWrite(n int) error {
	switch {
	case e.over():
		return e.err
	case !e.maySendData():
		return errHandshakeOngoing
	case e.closing.begun():
		return errEngineClosed
	case n > e.MaxData():
		s := e.keys.Sealer()
		return &LargePacketError{
			Op: "write", Size: n + s.Overhead(), MTU: e.path.limit(), PathMTU: e.path.limit(),
			MaxData: e.MaxData(), Source: e.path.source,
		}
	case e.path.notice > 0: // else without a look at the keys
		if size := n + e.keys.Sealer().Overhead(); e.tooLarge(size) {
			return e.tooLargeError(size, nil)
		}
	}
	return nil
}

// appendData seals one record of application data and appends it to dst.
func (e *Engine) appendData(now time.Time, dst, p []byte) ([]byte, error) {
	e.tick(now)
	if err := e.mayWrite(len(p)); err != nil {
		return dst, err
	}
	s := e.keys.Sealer()
	if e.speaks13() && s.Remaining() < rekeyBefore {
		e.rekey()
	}
	out, _, err := e.seal(s, dst, record.TypeApplicationData, p)
	if err != nil {
		return dst, err
	}
	e.path.noteQuote(out[len(dst):])
	return out, nil
}

func (e *Engine) pollData(dst []byte) (Transmit, bool) {
	p := e.data[0]
	if e.data = e.data[1:]; len(e.data) == 0 {
		e.data = nil
	}
	out, err := e.appendData(e.now, dst, p)
	if errors.Is(err, ErrLargePacket) { // the limit fell since Write
		e.events.push(Event{Kind: EventLargePacket, Err: err})
	}
	if err != nil {
		return Transmit{}, false
	}
	e.nextID++
	e.dataID, e.dataSize = e.nextID, len(out)-len(dst)
	return Transmit{Data: out, To: e.path.addr, ID: e.nextID}, true
}

// writeRefused lowers the limit, where the mode allows, for data of size bytes
// of UDP payload that the transport did not take.
func (e *Engine) writeRefused(size, hint int, cause error) *LargePacketError {
	lp := e.largePacket("write", size, hint, FromKernel)
	lp.Err = cause
	if e.path.refused(size, hint, e.now) {
		e.pathChanged()
		lp.PathMTU = e.path.limit()
	}
	return e.withMaxData(lp)
}

// withMaxData fills in what a Write may have.
func (e *Engine) withMaxData(lp *LargePacketError) *LargePacketError {
	room := lp.MTU
	if lp.PathMTU > 0 {
		room = lp.PathMTU
	}
	if e.maySendData() {
		lp.MaxData = e.maxDataIn(room)
	}
	return lp
}

// dataRefused is writeRefused for owners that send appendData themselves.
func (e *Engine) dataRefused(now time.Time, size, hint int, cause error) *LargePacketError {
	e.tick(now)
	return e.writeRefused(size, hint, cause)
}

// ExportKeyingMaterial derives length bytes for the application (RFC 5705; RFC
// 8446, Section 7.5). A nil and an empty context give different bytes in DTLS 1.2,
// and the same in 1.3. In DTLS 1.2 it needs the extended master secret, without
// which the bytes are not bound to this association (RFC 7627, Section 5.4).
func (e *Engine) ExportKeyingMaterial(label string, context []byte, length int) ([]byte, error) {
	switch {
	case e.over():
		return nil, e.err
	case !e.established():
		return nil, errHandshakeOngoing
	case e.lingers():
		return nil, errEngineClosed // the secrets are wiped
	case e.speaks13():
		return keys.Exporter13(e.post.suite.Hash, e.post.exporter, label, context, length)
	case !e.state.ExtendedMasterSecret:
		return nil, errExporterNeedsEMS
	}
	s := e.secrets
	return keys.Exporter12(s.Suite.Hash, s.Master, s.ClientRandom, s.ServerRandom, label, context, length)
}

var errExporterNeedsEMS = errors.New("dtls: exporter needs the extended master secret, which the peer did not offer")
