//go:build linux

package browser

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// What is plain to see of records: RFC 9147, Section 4 and 4.1. The first byte of
// a protected record of DTLS 1.3 is 001CSLEE.
const (
	recordHeader    = 13
	handshakeHeader = 12
	typeHandshake   = 22
	unifiedMask     = 0xe0
	unified         = 0x20
	epochMask       = 0x03
)

// ofEpoch4 reports whether a datagram begins with a record of DTLS 1.3 of epoch
// 4, the first after a KeyUpdate. Nothing here gets as far as epoch 8.
func ofEpoch4(datagram []byte) bool {
	return len(datagram) > 0 && datagram[0]&(unifiedMask|epochMask) == unified|4&epochMask
}

// describe names the records of a datagram.
func describe(datagram []byte) string {
	var out []string
	for p := datagram; len(p) > 0; {
		if p[0]&unifiedMask == unified {
			out = append(out, fmt.Sprintf("epoch …%d and %d bytes to the end", p[0]&epochMask, len(p)))
			break
		}
		if len(p) < recordHeader {
			out = append(out, fmt.Sprintf("%d stray bytes", len(p)))
			break
		}
		n := min(recordHeader+int(binary.BigEndian.Uint16(p[11:])), len(p))
		out = append(out, fmt.Sprintf("type %d, epoch %d, %d bytes", p[0], binary.BigEndian.Uint16(p[3:]), n))
		p = p[n:]
	}
	return strings.Join(out, "; ")
}

// hello is the first ClientHello of an association, joined from its fragments.
type hello struct {
	body      []byte
	have      []bool // bytes of body that are there
	datagrams int    // that had fragments of it, until it was complete
}

func (h *hello) complete() bool { return h.have != nil && !slices.Contains(h.have, false) }

// see looks for fragments of the hello in plaintext records.
func (h *hello) see(datagram []byte) {
	if h.complete() {
		return
	}
	found := false
	for p := datagram; len(p) >= recordHeader; {
		n := min(recordHeader+int(binary.BigEndian.Uint16(p[11:])), len(p))
		if p[0] == typeHandshake && binary.BigEndian.Uint16(p[3:]) == 0 && h.add(p[recordHeader:n]) {
			found = true
		}
		p = p[n:]
	}
	if found {
		h.datagrams++
	}
}

// add takes a record's message if it is a fragment of a ClientHello with
// message_seq 0 (RFC 9147, Section 5.2).
func (h *hello) add(m []byte) bool {
	const clientHello, seq = 1, 0
	if len(m) < handshakeHeader || m[0] != clientHello || binary.BigEndian.Uint16(m[4:]) != seq {
		return false
	}
	length, offset, n := uint24(m[1:]), uint24(m[6:]), uint24(m[9:])
	m = m[handshakeHeader:]
	if h.have == nil {
		h.body, h.have = make([]byte, length), make([]bool, length)
	}
	if length != len(h.body) || n > len(m) || offset+n > length {
		return false
	}
	copy(h.body[offset:], m[:n])
	for i := range n {
		h.have[offset+i] = true
	}
	return true
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

// extensions are what a complete hello has, by type (RFC 8446, Section 4.1.2).
func (h *hello) extensions() map[uint16][]byte {
	s := cryptobyte.String(h.body)
	var sessionID, cookie, suites, compression, all cryptobyte.String
	if !s.Skip(2+32) || !s.ReadUint8LengthPrefixed(&sessionID) || !s.ReadUint8LengthPrefixed(&cookie) ||
		!s.ReadUint16LengthPrefixed(&suites) || !s.ReadUint8LengthPrefixed(&compression) || !s.ReadUint16LengthPrefixed(&all) {
		return nil
	}
	found := make(map[uint16][]byte)
	for !all.Empty() {
		var typ uint16
		var data cryptobyte.String
		if !all.ReadUint16(&typ) || !all.ReadUint16LengthPrefixed(&data) {
			return nil
		}
		found[typ] = data
	}
	return found
}
