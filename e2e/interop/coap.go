package interop

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
)

// coapMessage is as much of RFC 7252 as a GET and its answer need.
type coapMessage struct {
	kind    byte // confirmable 0, acknowledgement 2
	code    byte // class and detail: GET 0.01, Content 2.05
	id      uint16
	token   []byte
	path    string // of the Uri-Path options, without the first slash
	payload []byte
}

const (
	coapConfirmable     = 0
	coapAcknowledgement = 2
	coapGet             = 0<<5 | 1
	coapContent         = 2<<5 | 5
	coapVersion         = 1 << 6
	coapURIPath         = 11 // option number
	coapPayload         = 0xff
)

// append adds the message as it is sent; RFC 7252, Section 3. Segments of the
// path have at most 12 bytes.
func (m coapMessage) append(b []byte) []byte {
	b = append(b, coapVersion|m.kind<<4|byte(len(m.token)), m.code)
	b = binary.BigEndian.AppendUint16(b, m.id)
	b = append(b, m.token...)
	if m.path != "" {
		delta := byte(coapURIPath)
		for _, segment := range strings.Split(m.path, "/") {
			b = append(b, delta<<4|byte(len(segment)))
			b = append(b, segment...)
			delta = 0
		}
	}
	if len(m.payload) > 0 {
		b = append(append(b, coapPayload), m.payload...)
	}
	return b
}

var errCoAP = errors.New("not a CoAP message")

// parseCoAP reads what is received; options but Uri-Path are skipped.
func parseCoAP(b []byte) (coapMessage, error) {
	if len(b) < 4 || b[0]&0xc0 != coapVersion || int(b[0]&15) > len(b)-4 {
		return coapMessage{}, errCoAP
	}
	n := 4 + int(b[0]&15)
	m := coapMessage{kind: b[0] >> 4 & 3, code: b[1], id: binary.BigEndian.Uint16(b[2:]), token: slices.Clone(b[4:n])}
	var path []string
	for number := 0; n < len(b); {
		if b[n] == coapPayload {
			m.payload = slices.Clone(b[n+1:])
			break
		}
		delta, length := int(b[n]>>4), int(b[n]&15)
		n++
		for _, field := range []*int{&delta, &length} { // Section 3.1
			switch {
			case *field == 13 && n < len(b):
				*field = 13 + int(b[n])
				n++
			case *field == 14 && n+1 < len(b):
				*field = 269 + int(binary.BigEndian.Uint16(b[n:]))
				n += 2
			case *field > 12:
				return coapMessage{}, errCoAP
			}
		}
		if length > len(b)-n {
			return coapMessage{}, errCoAP
		}
		if number += delta; number == coapURIPath {
			path = append(path, string(b[n:n+length]))
		}
		n += length
	}
	m.path = strings.Join(path, "/")
	return m, nil
}
