package interop

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// trace writes down what crosses a relay, for a failed test.
type trace struct {
	start time.Time

	mu        sync.Mutex
	lines     strings.Builder
	datagrams [2][][]byte // by dtlstest.Direction, lost ones too
}

func (tr *trace) tap(d dtlstest.Direction, datagram []byte, v dtlstest.Verdict) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.datagrams[d] = append(tr.datagrams[d], datagram)
	fmt.Fprintf(&tr.lines, "%7.3f %v, %d bytes, %v:%s\n", time.Since(tr.start).Seconds(), d, len(datagram), v, describe(datagram))
}

func (tr *trace) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.lines.String()
}

// seen lists what went that way.
func (tr *trace) seen(d dtlstest.Direction) [][]byte {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.datagrams[d])
}

// RFC 6347, Section 4.1 and 4.2.2: type, version, epoch and sequence number,
// length; and inside, in epoch 0, the handshake header.
const (
	recordHeader    = 13
	handshakeHeader = 12
	typeCCS         = 20
	typeAlert       = 21
	typeHandshake   = 22
	typeData        = 23
	typeACK         = 26 // RFC 9147, Section 7
)

var messageNames = map[byte]string{
	0: "HelloRequest", 1: "ClientHello", 2: "ServerHello", 3: "HelloVerifyRequest", 4: "NewSessionTicket",
	11: "Certificate", 12: "ServerKeyExchange", 13: "CertificateRequest", 14: "ServerHelloDone",
	15: "CertificateVerify", 16: "ClientKeyExchange", 20: "Finished",
}

// describe names the records of a datagram: epoch.sequence number and content.
func describe(datagram []byte) string {
	var out strings.Builder
	for p := datagram; len(p) > 0; {
		if unified(p[0]) {
			var text string
			text, p = describe13(p)
			fmt.Fprintf(&out, " [%s]", text)
			continue
		}
		if len(p) < recordHeader {
			fmt.Fprintf(&out, " [%d stray bytes]", len(p))
			break
		}
		epoch := binary.BigEndian.Uint16(p[3:])
		seq := binary.BigEndian.Uint64(p[3:]) & (1<<48 - 1)
		body := p[recordHeader:]
		n := min(int(binary.BigEndian.Uint16(p[11:])), len(body))
		fmt.Fprintf(&out, " [%d.%d %s]", epoch, seq, content(p[0], epoch, body[:n]))
		p = body[n:]
	}
	return out.String()
}

func content(recordType byte, epoch uint16, body []byte) string {
	switch recordType {
	case typeCCS:
		return "ChangeCipherSpec"
	case typeAlert:
		if epoch == 0 && len(body) == 2 {
			return fmt.Sprintf("alert %d", body[1])
		}
		return "alert"
	case typeACK:
		return "ACK"
	case typeData:
		return fmt.Sprintf("data, %d bytes", len(body))
	case typeHandshake:
		if epoch > 0 || len(body) < handshakeHeader {
			return fmt.Sprintf("handshake, %d bytes", len(body))
		}
		var parts []string
		for len(body) >= handshakeHeader {
			length := uint24(body[1:])
			offset, size := uint24(body[6:]), uint24(body[9:])
			name := messageNames[body[0]]
			if name == "ServerHello" && offset == 0 && isRetryRequest(body[handshakeHeader:]) {
				name = "HelloRetryRequest"
			}
			if name == "" {
				name = fmt.Sprintf("message type %d", body[0])
			}
			part := fmt.Sprintf("%s #%d", name, binary.BigEndian.Uint16(body[4:]))
			if size < length {
				part += fmt.Sprintf(" %d…%d of %d", offset, offset+size, length)
			}
			parts = append(parts, part)
			body = body[min(handshakeHeader+size, len(body)):]
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprintf("type %d", recordType)
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
