package door

import (
	"encoding/binary"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// ID tells ClientHellos apart: by what their first fragment has, and by what
// every fragment has. Zero is that of none.
type ID struct {
	Mark uint64
	Size uint64
}

// IDOf is the ID of the ClientHello that a datagram begins with.
func IDOf(datagram []byte) ID { return ID{Mark(datagram), Size(datagram)} }

// Mark tells ClientHellos apart by part of their random; 0 if the datagram
// does not begin with a ClientHello. A repeated hello has the mark of the
// first, also behind a cookie (RFC 6347, Section 4.2.1: the parameters of the
// two are the same).
func Mark(datagram []byte) uint64 {
	const (
		fragment = record.HeaderLen + message.HeaderLen
		random   = fragment + 2      // after client_version
		middle   = random + (32-8)/2 // some begin it with the time
	)
	if h, ok := Header(datagram); !ok || h.FragmentOffset != 0 || len(datagram) < random+32 {
		return 0
	}
	return binary.LittleEndian.Uint64(datagram[middle:]) | 1
}

// MarkWithin is the Mark of the ClientHello that a datagram begins with a fragment of, also
// if the first fragment follows others in it; 0 if the first fragment is not there.
func MarkWithin(datagram []byte) uint64 {
	const middle = 2 + (32-8)/2 // as in Mark
	rest := FragmentsOf(datagram)
	for p, ok := rest.Next(); ok; p, ok = rest.Next() {
		if p.FragmentOffset == 0 && len(p.Body) >= 2+32 {
			return binary.LittleEndian.Uint64(p.Body[middle:]) | 1
		}
	}
	return 0
}

// IsTail reports whether a datagram begins with a fragment of a ClientHello
// that is not its first.
func IsTail(datagram []byte) bool {
	h, ok := Header(datagram)
	return ok && h.FragmentOffset > 0
}

// Size tells ClientHellos apart by what every fragment of one says, length and
// message_seq; 0 if the datagram does not begin with a ClientHello.
func Size(datagram []byte) uint64 {
	h, ok := Header(datagram)
	if !ok {
		return 0
	}
	return uint64(h.Length)<<16 | uint64(h.Seq)
}

// Header is that of the fragment of a ClientHello that a datagram
// begins with.
func Header(datagram []byte) (h message.Header, ok bool) {
	if len(datagram) < record.HeaderLen+message.HeaderLen || datagram[0] != byte(record.TypeHandshake) || !IsPlaintext(datagram) ||
		datagram[record.HeaderLen] != byte(message.TypeClientHello) {
		return h, false
	}
	h, _, _, err := message.NextFragment(datagram[record.HeaderLen:])
	return h, err == nil
}

// IsPlaintext reports whether the first record of a datagram is of epoch 0.
func IsPlaintext(datagram []byte) bool {
	const epoch = 3 // offset in the header
	return len(datagram) >= epoch+2 && !record.IsUnified(datagram[0]) && datagram[epoch] == 0 && datagram[epoch+1] == 0
}

// directions tells who may have sent the first record of a datagram in the
// clear. Most messages of a handshake are spoken by one side only.
func Directions(datagram []byte) (fromClient, fromServer bool) {
	if datagram[0] != byte(record.TypeHandshake) || len(datagram) <= record.HeaderLen {
		return true, true
	}
	switch message.Type(datagram[record.HeaderLen]) {
	case message.TypeClientHello, message.TypeClientKeyExchange, message.TypeCertificateVerify:
		return true, false
	case message.TypeHelloRequest, message.TypeHelloVerifyRequest, message.TypeServerHello,
		message.TypeServerKeyExchange, message.TypeCertificateRequest, message.TypeServerHelloDone:
		return false, true
	default:
		return true, true
	}
}
