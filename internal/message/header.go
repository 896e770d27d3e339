package message

import (
	"encoding/binary"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// HeaderLen is the size in bytes of the header in front of every handshake fragment.
const HeaderLen = 12

// Header13Len is the size in bytes of the header that a message has in the transcript of DTLS 1.3.
const Header13Len = 4

// Header stands in front of each fragment of a handshake message: RFC 6347, Section 4.2.2. Lengths and offsets count
// bytes of the message body and are 24 bits wide on the wire.
type Header struct {
	Type           Type
	Length         uint32 // of the whole body
	Seq            uint16 // message_seq
	FragmentOffset uint32 // where in the body this fragment begins
	FragmentLength uint32 // how much of the body it carries
}

// Field offsets in the header.
const (
	typeAt           = 0
	lengthAt         = 1
	seqAt            = 4
	fragmentOffsetAt = 6
	fragmentLengthAt = 9
)

// The faults of a fragment are prepared once: a stranger sends these by the million, and refusing them costs nothing.
var (
	errShortHeader    error = alert.Errorf(alert.DecodeError, "handshake fragment: header is cut short")
	errFragmentCut    error = alert.Errorf(alert.DecodeError, "handshake fragment: runs past the end of its record")
	errFragmentRange  error = alert.Errorf(alert.DecodeError, "handshake fragment: runs past the end of its message")
	errFragmentHollow error = alert.Errorf(alert.DecodeError, "handshake fragment: carries nothing of a message that is not empty")
)

// NextFragment takes one fragment off a handshake record's payload: its header, its bytes, and what follows (several
// fragments may share one record). The slices alias b. It never allocates, not even to refuse.
//
// A broken header or length leaves no way to find the next fragment, and rest is nil. A fragment that only contradicts
// its own message is refused with rest in place, so that a caller may drop it and go on with its neighbours.
func NextFragment(b []byte) (h Header, body, rest []byte, err error) {
	if len(b) < HeaderLen {
		return Header{}, nil, nil, errShortHeader
	}
	h = Header{
		Type:           Type(b[typeAt]),
		Length:         uint24(b[lengthAt:]),
		Seq:            binary.BigEndian.Uint16(b[seqAt:]),
		FragmentOffset: uint24(b[fragmentOffsetAt:]),
		FragmentLength: uint24(b[fragmentLengthAt:]),
	}
	b = b[HeaderLen:]
	// RFC 9147, Section 5.5: a fragment "MUST be delivered in a single UDP datagram", and so all of it is here or none.
	if uint32(len(b)) < h.FragmentLength {
		return h, nil, nil, errFragmentCut
	}
	body, rest = b[:h.FragmentLength:h.FragmentLength], b[h.FragmentLength:]
	switch {
	case h.FragmentOffset+h.FragmentLength > h.Length: // two 24-bit numbers: the sum cannot wrap
		return h, nil, rest, errFragmentRange
	case h.FragmentLength == 0 && h.Length != 0:
		// RFC 8446, Section 5.1: "Implementations MUST NOT send zero-length fragments of Handshake types". Only the
		// one fragment of an empty message is empty.
		return h, nil, rest, errFragmentHollow
	}
	return h, body, rest, nil
}

// Append adds the header to dst. Lengths and the offset must fit 24 bits, as those of any message do.
func (h Header) Append(dst []byte) []byte {
	dst = append(dst, byte(h.Type))
	dst = appendUint24(dst, h.Length)
	dst = binary.BigEndian.AppendUint16(dst, h.Seq)
	dst = appendUint24(dst, h.FragmentOffset)
	return appendUint24(dst, h.FragmentLength)
}

// AppendHeader13 adds to dst the header that the transcript of DTLS 1.3 has in front of a body of n bytes: the type and
// the length alone. RFC 9147, Section 5.2: it is "computed over the original TLS 1.3-style Handshake messages without the
// message_seq, fragment_offset, and fragment_length values". n must fit 24 bits, as that of any message does.
func AppendHeader13(dst []byte, t Type, n int) []byte {
	return appendUint24(append(dst, byte(t)), uint32(n))
}

func uint24(b []byte) uint32 {
	return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
}

func appendUint24(dst []byte, v uint32) []byte {
	return append(dst, byte(v>>16), byte(v>>8), byte(v))
}
