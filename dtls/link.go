package dtls

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// link is all that a handshake can do with the association around it.
type link interface {
	// Now is the time of the input at hand.
	Now() time.Time
	// Peer is the address of the peer, invalid if it is not known.
	Peer() netip.AddrPort

	// SetMessageSeq sets the message_seq of the next message.
	SetMessageSeq(seq uint16)
	// Add numbers a message and appends it to the flight under preparation, for the
	// epoch that is written now. body is copied.
	Add(typ message.Type, body []byte) (seq uint16)
	// AddCCS appends a change_cipher_spec, which has no message_seq.
	AddCCS()
	// SendFlight sends the flight that was prepared in place of the one before. last:
	// the handshake ends with it.
	SendFlight(last bool)
	// FlightAnswered stops the retransmission of the flight before. sample: the answer
	// is to that flight and no other, so that it measures the round trip.
	FlightAnswered(sample bool)
	// NextRecord is the number of the next record of epoch 0.
	NextRecord() uint64

	// InstallRead and InstallWrite put keys in force for the records of the peer and
	// for what is added from here on. Keys of DTLS 1.2 are wiped.
	InstallRead(k keyMaterial) error
	InstallWrite(k keyMaterial) error
	// CloseMessagesBefore refuses messages of older epochs, also those that are here in
	// part.
	CloseMessagesBefore(epoch uint16)

	// VersionAgreed gives the version that both hellos agree on; 0: any may be yet.
	VersionAgreed(version uint16)
	// AddressProven: a cookie has proven the address of the peer.
	AddressProven()
	// RecallRetry returns the HelloRetryRequest that an earlier association sent, if
	// the cookie of that hello's body is genuine; else nil.
	RecallRetry(hello []byte) *retried
	// LimitRecords: both sides have sent record_size_limit (RFC 8449), the peer with
	// that value; 0: it has not.
	LimitRecords(peer uint16)
}

// keyMaterial are the keys of one epoch in one direction.
type keyMaterial struct {
	suite   *suite.Suite
	epoch   uint16 // of DTLS 1.3; 0: in DTLS 1.2, the epoch after the one that is written now
	secret  []byte // traffic secret of DTLS 1.3
	key, iv []byte // of DTLS 1.2
}

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
