package record

import "encoding/binary"

// Sizes in bytes, and the last record number.
const (
	// HeaderLen is the length of a record header.
	HeaderLen = 13

	// MaxPlaintext is the longest plaintext of a record.
	// RFC 5246, Section 6.2.1: the length MUST NOT exceed 2^14.
	MaxPlaintext = 1 << 14

	// MaxCiphertext12 is the longest fragment of a protected record.
	// RFC 5246, Section 6.2.3: the length MUST NOT exceed 2^14 + 2048.
	MaxCiphertext12 = MaxPlaintext + 2048

	// MaxSeq is the last sequence number of an epoch: RFC 6347, Section 4.1.
	MaxSeq = 1<<48 - 1
)

// Where the fields of a header begin: RFC 6347, Section 4.1.
const (
	typeAt    = 0
	versionAt = 1
	numberAt  = 3 // epoch and sequence number, read as one
	lengthAt  = 11
)

// Number is a record number: the epoch, which names the keys, and the sequence
// number within it. DTLS 1.2 has 16 and 48 bits for them, DTLS 1.3 has 64 each;
// we end at 48 bits of sequence number in both.
type Number struct {
	Epoch uint64
	Seq   uint64
}

// pack12 is the number as the eight bytes that stand in the header, in the
// additional data and in the nonces. Higher bits of either part are cut off.
func (n Number) pack12() uint64 { return n.Epoch<<48 | n.Seq&MaxSeq }

func unpack12(packed uint64) Number {
	return Number{Epoch: packed >> 48, Seq: packed & MaxSeq}
}

// Header is a record header: RFC 6347, Section 4.1. Length is that of the
// fragment in bytes.
type Header struct {
	Type    ContentType
	Version uint16
	Number
	Length int
}

// Next cuts the first record off a datagram. It returns the header, the
// fragment that belongs to it and the rest of the datagram, both as slices of
// the datagram; the fragment has no capacity beyond its end. It allocates
// nothing and takes the same time for every record.
//
// Where the length field can be believed, the record can be passed over and the
// next one read. So an unknown content type, a foreign version and a fragment
// of odd length are no errors here: what they mean depends on the state of the
// association, and the caller decides. Where the length is missing or a lie,
// nothing says where the next record begins, and Next returns an error and
// neither fragment nor rest: the datagram ends there. Records cut off before
// are good. (RFC 6347, Section 4.1.2.7: invalid records SHOULD be silently
// discarded.)
//
//   - [ErrShortHeader]: fewer than [HeaderLen] bytes are left, or none at all.
//   - [ErrLength]: the fragment would end past the datagram; the header is
//     returned as it was read.
//   - [ErrLayout]: the first byte announces another header than this one.
func Next(datagram []byte) (h Header, fragment, rest []byte, err error) {
	if len(datagram) > 0 && otherLayout(datagram[typeAt]) {
		return Header{}, nil, nil, ErrLayout
	}
	if len(datagram) < HeaderLen {
		return Header{}, nil, nil, ErrShortHeader
	}
	h = Header{
		Type:    ContentType(datagram[typeAt]),
		Version: binary.BigEndian.Uint16(datagram[versionAt:]),
		Number:  unpack12(binary.BigEndian.Uint64(datagram[numberAt:])),
		Length:  int(binary.BigEndian.Uint16(datagram[lengthAt:])),
	}
	end := HeaderLen + h.Length
	if end > len(datagram) {
		return h, nil, nil, ErrLength
	}
	return h, datagram[HeaderLen:end:end], datagram[end:], nil
}

// otherLayout reports whether a record that begins with this byte has no length
// field at offset 11, where it would be misread from other fields.
func otherLayout(first byte) bool {
	// RFC 9146, Section 4: a connection ID stands between number and length.
	if ContentType(first) == TypeTLS12CID {
		return true
	}
	return IsUnified(first)
}

// AppendHeader appends the 13 bytes of a header to dst. The lower 16 bits of
// Epoch and Length and the lower 48 bits of Seq are written. It appends no
// fragment; h.Length is not checked against one.
func AppendHeader(dst []byte, h Header) []byte {
	dst = append(dst, byte(h.Type))
	dst = binary.BigEndian.AppendUint16(dst, h.Version)
	dst = binary.BigEndian.AppendUint64(dst, h.pack12())
	return binary.BigEndian.AppendUint16(dst, uint16(h.Length))
}
