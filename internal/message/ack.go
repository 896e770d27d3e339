package message

import (
	"encoding/binary"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/record"
)

// Sizes of an ACK in bytes: RFC 9147, Section 7.
const (
	ackPrefixLen    = 2  // the length of record_numbers
	recordNumberLen = 16 // epoch and sequence number, 64 bits each: RFC 9147, Section 4
	maxACKNumbers   = max16 / recordNumberLen
)

// AppendACK adds the payload of an ACK record to dst. RFC 9147, Section 7 wants the numbers in increasing order. Of more
// than fit, 4095, it takes the last.
func AppendACK(dst []byte, numbers []record.Number) []byte {
	numbers = numbers[max(0, len(numbers)-maxACKNumbers):]
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(numbers)*recordNumberLen))
	for _, n := range numbers {
		dst = binary.BigEndian.AppendUint64(dst, n.Epoch)
		dst = binary.BigEndian.AppendUint64(dst, n.Seq)
	}
	return dst
}

// ACKList is the list of record numbers in an ACK, as it came: in any order, perhaps with numbers twice, and with any value
// that 64 bits hold. It aliases the payload.
type ACKList struct {
	numbers []byte // a multiple of recordNumberLen
}

// The faults of an ACK are prepared once, so that refusing one costs nothing.
var (
	errACKLength error = alert.Errorf(alert.DecodeError, "ack: the length of record_numbers is not that of the record")
	errACKNumber error = alert.Errorf(alert.DecodeError, "ack: record_numbers hold no whole number of entries")
)

// ParseACK reads the payload of an ACK record: RFC 9147, Section 7. An empty list is legal. It never allocates.
func ParseACK(body []byte) (ACKList, error) {
	if len(body) < ackPrefixLen {
		return ACKList{}, errACKLength
	}
	numbers := body[ackPrefixLen:]
	if int(binary.BigEndian.Uint16(body)) != len(numbers) {
		return ACKList{}, errACKLength
	}
	if len(numbers)%recordNumberLen != 0 {
		return ACKList{}, errACKNumber
	}
	return ACKList{numbers: numbers}, nil
}

// Len is how many numbers there are.
func (l ACKList) Len() int { return len(l.numbers) / recordNumberLen }

// At is the i-th number, from 0.
func (l ACKList) At(i int) record.Number {
	entry := l.numbers[i*recordNumberLen:][:recordNumberLen]
	return record.Number{Epoch: binary.BigEndian.Uint64(entry), Seq: binary.BigEndian.Uint64(entry[8:])}
}
