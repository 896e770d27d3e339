package record

import "encoding/binary"

// Sizes of DTLS 1.3 in bytes.
const (
	// HeaderLen13 is the length of the unified headers this package writes: a
	// number of 16 bits and a length, no connection ID.
	HeaderLen13 = 1 + 2 + lengthLen13

	// MaxCiphertext13 is the longest encrypted_record.
	// RFC 9846, Section 5.2: the length MUST NOT exceed 2^14 + 256.
	MaxCiphertext13 = MaxPlaintext + 256

	lengthLen13 = 2
)

// The first byte of a unified header: RFC 9147, Section 4.
const (
	unifiedBits  = 0b001_00000 // the three high bits
	cidBit       = 0b000_10000 // C: a connection ID is present
	seq16Bit     = 0b000_01000 // S: the sequence number has 16 bits, not 8
	lengthBit    = 0b000_00100 // L: a length is present
	epochBits    = 0b000_00011 // E: the low bits of the epoch
	unifiedShift = 5
)

// Unified is a record with a unified header: RFC 9147, Section 4. All slices
// are parts of the datagram it was cut off.
type Unified struct {
	EpochBits uint8  // the low two bits of the epoch
	SeqLen    int    // bytes of the encrypted sequence number, 1 or 2
	CID       []byte // the connection ID, nil if the C bit was clear
	Header    []byte // the whole header; [Opener13.Open] decrypts the number in it
	Body      []byte // encrypted_record
}

// IsUnified reports whether a record that begins with this byte has a unified
// header. RFC 9147, Section 4.1: its leading bits are 001, and no content type
// is between 32 and 63, to keep the two apart.
func IsUnified(first byte) bool { return first>>unifiedShift == unifiedBits>>unifiedShift }

// NextUnified cuts the first record off a datagram, one with a unified header
// as [IsUnified] tells from its first byte; a datagram may hold both kinds. It
// returns the record and the rest of the datagram. Neither header nor body has
// capacity beyond its end. A record without a length takes all that is left.
//
// The header does not tell the length of a connection ID. cidLen is that of the
// ones the peer was given to send, in bytes; 0 or less when it was given none. A
// record without one is no error here, whatever cidLen is.
//
// What can be read but makes no sense is the business of [Opener13.Open]. With
// an error nothing says where the next record begins: the datagram ends there,
// and records cut off before are good. (RFC 9147, Section 4.5.2: such records
// are discarded silently.)
//
//   - [ErrShortHeader]: the datagram ends within the header.
//   - [ErrLength]: the record would end past the datagram.
//   - [ErrLayout]: the first byte announces another header, or a connection ID
//     though cidLen says that there is none.
func NextUnified(datagram []byte, cidLen int) (u Unified, rest []byte, err error) {
	if len(datagram) == 0 {
		return Unified{}, nil, ErrShortHeader
	}
	first := datagram[0]
	withCID := first&cidBit != 0
	if !IsUnified(first) || withCID && cidLen <= 0 {
		return Unified{}, nil, ErrLayout
	}
	u = Unified{EpochBits: first & epochBits, SeqLen: 1}
	header := 1
	if withCID {
		header += min(cidLen, len(datagram)) // no overflow: more is too short anyway
	}
	if first&seq16Bit != 0 {
		u.SeqLen = 2
	}
	header += u.SeqLen
	if first&lengthBit != 0 {
		header += lengthLen13
	}
	if len(datagram) < header {
		return Unified{}, nil, ErrShortHeader
	}
	end := len(datagram)
	if first&lengthBit != 0 {
		end = header + int(binary.BigEndian.Uint16(datagram[header-lengthLen13:]))
	}
	if end > len(datagram) {
		return Unified{}, nil, ErrLength
	}
	if withCID {
		u.CID = datagram[1 : 1+cidLen : 1+cidLen]
	}
	u.Header = datagram[:header:header]
	u.Body = datagram[header:end:end]
	return u, datagram[end:], nil
}

// seq is the sequence number within the header.
func (u *Unified) seq() []byte {
	at := 1 + len(u.CID)
	return u.Header[at : at+u.SeqLen]
}

// appendUnified appends a header of [HeaderLen13] bytes, its number not yet
// encrypted.
func appendUnified(dst []byte, n Number, length int) []byte {
	dst = append(dst, unifiedBits|seq16Bit|lengthBit|byte(n.Epoch)&epochBits)
	dst = binary.BigEndian.AppendUint16(dst, uint16(n.Seq))
	return binary.BigEndian.AppendUint16(dst, uint16(length))
}
