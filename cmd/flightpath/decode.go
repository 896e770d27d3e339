package main

import (
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// part is what one record, or one fragment in it, adds to a datagram.
type part struct {
	name  string // of the message in the RFC, or of the protected content
	key   partKey
	lo    uint32 // fragment [lo, hi) of total bytes; all 0 for what has no fragments
	hi    uint32
	total uint32
}

// partKey tells messages of one side apart. It is zero for protected records:
// nobody on the path can tell those apart.
type partKey struct {
	content record.ContentType
	typ     message.Type
	seq     uint16
}

// decode lists what is in a datagram, protected records of DTLS 1.3 included,
// since the demo has their keys.
func (u *unsealer) decode(from side, datagram []byte) []part {
	var parts []part
	for len(datagram) > 0 {
		if record.IsUnified(datagram[0]) {
			r, rest, err := record.NextUnified(datagram, 0)
			if err != nil {
				return append(parts, part{name: "not a record"})
			}
			datagram = rest
			parts = u.appendProtected(parts, from, r)
			continue
		}
		h, fragment, rest, err := record.Next(datagram)
		if err != nil {
			return append(parts, part{name: "not a record"})
		}
		datagram = rest
		switch {
		case h.Epoch > 0:
			parts = append(parts, part{name: protectedName(h.Type)})
		case h.Type == record.TypeHandshake:
			parts = u.appendHandshake(parts, fragment)
		default:
			parts = append(parts, part{name: h.Type.String(), key: partKey{content: h.Type}})
		}
	}
	return parts
}

func protectedName(t record.ContentType) string {
	if t == record.TypeApplicationData {
		return "application data"
	}
	return "protected " + t.String()
}

// appendProtected opens a record of DTLS 1.3.
func (u *unsealer) appendProtected(parts []part, from side, r record.Unified) []part {
	typ, plaintext, ok := u.open(from, r)
	switch {
	case !ok:
		return append(parts, part{name: "protected record"})
	case typ == record.TypeHandshake:
		return u.appendHandshake(parts, plaintext)
	case typ == record.TypeApplicationData:
		return append(parts, part{name: protectedName(typ)})
	}
	return append(parts, part{name: typ.String()})
}

func (u *unsealer) appendHandshake(parts []part, payload []byte) []part {
	for len(payload) > 0 {
		h, body, rest, err := message.NextFragment(payload)
		if err != nil {
			return append(parts, part{name: "not a handshake message"})
		}
		payload = rest
		name := h.Type.String()
		if h.Type == message.TypeClientHello && h.FragmentOffset == 0 {
			if s, ok := message.ScanClientHello(body); ok && len(s.RetryCookie) > 0 {
				name += " with cookie"
			} else if p, ok := message.PeekClientHello(body); ok && len(p.Cookie) > 0 {
				name += " with cookie"
			}
		}
		if h.Type == message.TypeServerHello && h.FragmentLength == h.Length {
			if isRetry(body) {
				name = "hello_retry_request"
			} else {
				u.sawServerHello(body)
			}
		}
		parts = append(parts, part{
			name:  name,
			key:   partKey{record.TypeHandshake, h.Type, h.Seq},
			lo:    h.FragmentOffset,
			hi:    h.FragmentOffset + h.FragmentLength,
			total: h.Length,
		})
	}
	return parts
}

// isRetry: RFC 8446, Section 4.1.3 gives a HelloRetryRequest a random of its own.
func isRetry(serverHello []byte) bool {
	const random = 2 // behind the version
	return len(serverHello) >= random+32 && [32]byte(serverHello[random:]) == message.RetryRandom
}

// follows reports whether a datagram goes on where the one before it, of the
// same side, ended: both are of one transmission of a flight.
func follows(before, e event) bool {
	if len(before.parts) == 0 || len(e.parts) == 0 {
		return false
	}
	a, b := before.parts[len(before.parts)-1], e.parts[0]
	const ccs = record.TypeChangeCipherSpec
	switch {
	case a.key == b.key && a.key.content == record.TypeHandshake:
		return a.hi == b.lo
	case isProtected(e): // Finished alone
		return a.key.content == ccs
	case b.name == "hello_retry_request":
		return false
	case b.key.content == ccs:
		return e.from == client && a.key.content == record.TypeHandshake
	case a.key.content != record.TypeHandshake || b.key.content != record.TypeHandshake:
		return false
	case a.key.typ == message.TypeClientHello, a.key.typ == message.TypeHelloVerifyRequest:
		return false // each a flight of its own
	}
	return b.key.seq == a.key.seq+1 && a.hi == a.total && b.lo == 0
}

func isProtected(e event) bool { return e.parts[0].key == partKey{} }
