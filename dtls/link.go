package dtls

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// handshake is the link of its machine. What the machine may do with the engine is
// here and nowhere else.
var _ link = (*handshake)(nil)

func (hs *handshake) Now() time.Time       { return hs.e.now }
func (hs *handshake) Peer() netip.AddrPort { return hs.e.peer }

func (hs *handshake) SetMessageSeq(seq uint16) { hs.e.out.nextSeq = seq }

func (hs *handshake) Add(typ message.Type, body []byte) (seq uint16) {
	// A flight may wait for a minute: what it keeps is no larger than it must be.
	o := hs.e.newMessage(typ, bytes.Clone(body))
	hs.flight = append(hs.flight, o)
	return o.seq
}

func (hs *handshake) AddCCS() {
	hs.flight = append(hs.flight, outMessage{ccs: true, epoch: hs.e.keys.writeEpoch()})
}

func (hs *handshake) SendFlight(last bool)       { hs.sendFlight(last) }
func (hs *handshake) FlightAnswered(sample bool) { hs.e.flightPassed(sample) }
func (hs *handshake) NextRecord() uint64         { return hs.e.keys.nextPlaintext() }

func (hs *handshake) InstallRead(k keyMaterial) (err error) {
	e, epoch := hs.e, k.epoch
	if epoch == 0 {
		epoch = e.keys.writeEpoch() + 1
		err = e.keys.installRead12(k.suite.AEAD, epoch, k.key, k.iv, e.p.replayWindow)
		keys.Wipe(k.key, k.iv)
	} else {
		err = e.keys.installRead13(k.suite, epoch, k.secret, e.p.replayWindow)
	}
	if err == nil && epoch != epochData {
		e.trace.keys(epoch, k.suite.ID)
		hs.retryHeld = true
	}
	return err
}

func (hs *handshake) InstallWrite(k keyMaterial) (err error) {
	e, epoch := hs.e, k.epoch
	if epoch == 0 {
		epoch = e.keys.writeEpoch() + 1
		err = e.keys.installWrite12(k.suite.AEAD, epoch, k.key, k.iv)
		keys.Wipe(k.key, k.iv)
	} else {
		err = e.keys.installWrite13(k.suite, epoch, k.secret)
	}
	if err == nil {
		e.keys.startWriting(epoch)
	}
	return err
}

func (hs *handshake) CloseMessagesBefore(epoch uint16) { hs.in.closeBefore(epoch) }

func (hs *handshake) VersionAgreed(version uint16) {
	e := hs.e
	e.state.Version = version
	e.out.ledger.on = version == VersionDTLS13 || version == 0 && e.p.isClient && e.p.offers(VersionDTLS13)
}

func (hs *handshake) AddressProven() { hs.e.credit.unlimited = true }

func (hs *handshake) RecallRetry(hello []byte) *retried { return hs.e.recallRetry(hello) }

func (hs *handshake) LimitRecords(peer uint16) { hs.e.limitRecords13(peer) }
