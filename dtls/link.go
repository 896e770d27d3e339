package dtls

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// driver is the link of its Handshake. What that may do with the engine is here and
// nowhere else.
var _ handshake.Link = (*driver)(nil)

func (hs *driver) Now() time.Time       { return hs.e.now }
func (hs *driver) Peer() netip.AddrPort { return hs.e.path.addr }

func (hs *driver) HelloSource() handshake.HelloSource {
	return hs.e.sourceOf(hs.e.path.addr, hs.e.path.credit.unlimited)
}

func (hs *driver) Caller() handshake.Caller { return hs.caller }

func (hs *driver) SetMessageSeq(seq uint16) { hs.e.setMessageSeq(seq) }

func (hs *driver) Add(typ message.Type, body []byte) (seq uint16) {
	// A flight may wait for a minute: what it keeps is no larger than it must be.
	if len(hs.flight) == 4 {
		hs.flight = append(make([]outMessage, 0, 6), hs.flight...) // few have more
	}
	o := hs.e.newMessage(typ, hs.writing, bytes.Clone(body))
	hs.flight = append(hs.flight, o)
	return o.seq
}

func (hs *driver) AddCCS() {
	hs.flight = append(hs.flight, outMessage{ccs: true, epoch: hs.writing})
}

// SendFlight begins with the flight that was prepared. The peer's flight is complete,
// which acknowledges our flight before it; this flight acknowledges the peer's (RFC
// 9147, Section 7.1).
func (hs *driver) SendFlight(last bool) {
	e := hs.e
	e.keys.StartWriting(hs.writing)
	e.flightAnswered(true)
	e.nextFlight()
	e.out.load(hs.flight, last)
	hs.flight = nil
	if e.speaks13() && e.p.IsClient && e.keys.Write() > 0 {
		e.acks.Answer()
	} else {
		e.acks.Clear()
	}
}

func (hs *driver) FlightAnswered(sample bool) { hs.e.flightAnswered(sample) }
func (hs *driver) NextRecord() uint64         { return hs.e.keys.NextPlaintext() }

func (hs *driver) InstallRead(k handshake.Keys) (err error) {
	e, epoch := hs.e, k.Epoch
	if epoch == 0 {
		epoch = hs.next
		err = e.keys.InstallRead12(k.Suite.AEAD, epoch, k.Key, k.IV, e.p.replayWindow)
		keys.Wipe(k.Key, k.IV)
	} else {
		err = e.keys.InstallRead13(k.Suite, epoch, k.Secret, e.p.replayWindow)
	}
	if err == nil && epoch != epochData {
		e.trace.keys(epoch, k.Suite.ID)
		hs.retryHeld = true
	}
	return err
}

// InstallWrite: the messages that are added from here on are under these keys. Alerts
// are once the peer can have the keys: at once if it has sent all that they come from,
// else with the flight under preparation, which has the rest. A handshake that fails
// before drops that flight.
func (hs *driver) InstallWrite(k handshake.Keys) (err error) {
	e, epoch := hs.e, k.Epoch
	if epoch == 0 {
		epoch = hs.next
		err = e.keys.InstallWrite12(k.Suite.AEAD, epoch, k.Key, k.IV)
		keys.Wipe(k.Key, k.IV)
	} else {
		e.keys.InstallWrite13(k.Suite, epoch, k.Secret)
	}
	if err != nil {
		return err
	}
	if hs.writing = epoch; len(hs.flight) == 0 {
		e.keys.StartWriting(epoch)
	}
	return nil
}

func (hs *driver) CloseMessagesBefore(epoch uint16) { hs.in.CloseBefore(epoch) }

func (hs *driver) VersionAgreed(version uint16) {
	e := hs.e
	if e.established() {
		return // a later handshake has the version of the first
	}
	e.state.Version = version
	if version == VersionDTLS13 && e.p.IsClient && e.p.RecordSizeLimit > 0 {
		e.sizes.Await()
	}
	e.out.ledger.Enable(version == VersionDTLS13 || version == 0 && e.p.IsClient && e.p.Offers(VersionDTLS13))
}

func (hs *driver) AddressProven() { hs.e.path.addressProven(true) }

func (hs *driver) RecallRetry(hello []byte) *handshake.Retry { return hs.e.recallRetry(hello) }

func (hs *driver) LimitRecords(peer uint16) { hs.e.sizes.Agree(hs.e.p.RecordSizeLimit, peer) }
