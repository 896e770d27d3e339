package handshake

import (
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// Link is all that a handshake can do with the association around it.
type Link interface {
	// Now is the time of the input at hand.
	Now() time.Time
	// Peer is the address of the peer, invalid if it is not known.
	Peer() netip.AddrPort
	// HelloSource is where the ClientHello at hand came from.
	HelloSource() HelloSource
	// Caller is the call that runs the handshake; nil: one without a context.
	Caller() Caller

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
	InstallRead(k Keys) error
	InstallWrite(k Keys) error
	// CloseMessagesBefore refuses messages of older epochs, also those that are here in
	// part.
	CloseMessagesBefore(epoch uint16)

	// VersionAgreed gives the version that both hellos agree on; 0: any may be yet.
	VersionAgreed(version uint16)
	// AddressProven: a cookie has proven the address of the peer.
	AddressProven()
	// RecallRetry returns the HelloRetryRequest that an earlier association sent, if
	// the cookie of that hello's body is genuine; else nil.
	RecallRetry(hello []byte) *Retry
	// LimitRecords: both sides have sent record_size_limit (RFC 8449), the peer with
	// that value; 0: it has not.
	LimitRecords(peer uint16)
}

// Keys are the keys of one epoch in one direction.
type Keys struct {
	Suite   *suite.Suite
	Epoch   uint16 // of DTLS 1.3; 0: in DTLS 1.2, the epoch after the one that is written now
	Secret  []byte // traffic secret of DTLS 1.3
	Key, IV []byte // of DTLS 1.2
}

// Epochs of DTLS 1.3 (RFC 9147, Section 6.1).
const (
	EpochHandshake = 2
	EpochData      = 3 // the first of those for data
)
