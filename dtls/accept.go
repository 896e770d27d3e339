package dtls

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/cookie"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Door is the server's front door for strangers, without I/O and without
// state: a hello is answered with a cookie, and only the hello that brings the
// cookie back, and so proves that its sender receives what is sent to its
// address, is let in (RFC 6347, Section 4.2.1). Nothing is allocated for a
// stranger and no public key is touched. It is not safe for concurrent use.
type Door struct {
	p     *params
	jar   *cookie.Jar
	stats DoorStats
}

// DoorStats counts what a Door has done.
type DoorStats struct {
	Asked   uint64 // cookies sent
	Proven  uint64 // hellos let in
	Refused uint64 // cookies that were wrong or too old; those are asked anew
	Dropped uint64 // datagrams that do not begin with a hello
}

// ProvenHello is a hello that a Door let in. Hand it to NewServerEngine, and
// then Datagram to the engine's HandleDatagram.
type ProvenHello struct {
	From     netip.AddrPort
	Datagram []byte // a copy, the owner's

	recordSeq uint64        // record number to go on from
	rtt       time.Duration // from the cookie to its return
	rttKnown  bool
	proven    bool   // the address is; false with CookieNever
	cookie    []byte // that proved it, nil if none was asked
}

// NewDoor returns a door with a cookie secret of its own.
func NewDoor(config *Config, now time.Time) (*Door, error) {
	p, err := resolve(config, false)
	if err != nil {
		return nil, err
	}
	return newDoor(p, now)
}

func newDoor(p *params, now time.Time) (*Door, error) {
	jar, err := cookie.NewJar(now, p.cookieKeys...)
	if err != nil {
		return nil, err
	}
	return &Door{p: p, jar: jar}, nil
}

// Stats returns the counters.
func (d *Door) Stats() DoorStats { return d.stats }

// Handle looks at the datagram of a stranger: from is its address, to the one
// it was sent to, if known. A reply, to be sent back, is appended to dst and
// has fewer bytes than the datagram asked with; hello is not nil if the sender
// is let in. Neither: drop it.
func (d *Door) Handle(now time.Time, datagram []byte, from, to netip.AddrPort, dst []byte) (reply []byte, hello *ProvenHello) {
	h, fragment, ok := firstHello(datagram)
	if !ok {
		d.stats.Dropped++
		return nil, nil
	}
	if mode := d.p.cookieMode; mode == CookieNever || mode == AddressProven {
		d.stats.Proven++
		return nil, &ProvenHello{From: from, Datagram: bytes.Clone(datagram), recordSeq: h.Seq, proven: mode == AddressProven}
	}
	// The fields up to the cookie's neighbours are all it takes, and stand in
	// the first fragment even if the hello needs several.
	hello12, ok := message.PeekClientHello(fragment)
	if !ok {
		d.stats.Dropped++
		return nil, nil
	}
	if len(hello12.Cookie) > 0 {
		// RFC 6347, Section 4.2.1: the server checks version, random, session
		// id, suites and compression along with the address.
		rtt, known, right := d.jar.Check(now, hello12.Cookie, from, hello12.Covered[0], hello12.Covered[1])
		if right {
			d.stats.Proven++
			return nil, &ProvenHello{
				From: from, Datagram: bytes.Clone(datagram), recordSeq: h.Seq, rtt: rtt, rttKnown: known,
				proven: true, cookie: bytes.Clone(hello12.Cookie),
			}
		}
		d.stats.Refused++ // "treat as a ClientHello without cookie", as the RFC recommends
	}
	d.stats.Asked++
	return d.appendVerifyRequest(dst, now, h, from, hello12), nil
}

// firstHello returns the record header and the bytes of the ClientHello that a
// datagram begins with.
func firstHello(datagram []byte) (h record.Header, fragment []byte, ok bool) {
	h, payload, _, err := record.Next(datagram)
	if err != nil || h.Type != record.TypeHandshake || h.Epoch != 0 || h.Version != versionDTLS10 && h.Version != VersionDTLS12 {
		return h, nil, false
	}
	m, fragment, _, err := message.NextFragment(payload)
	if err != nil || m.Type != message.TypeClientHello || m.FragmentOffset != 0 {
		return h, nil, false
	}
	return h, fragment, true
}

// helloVerifyLen is the size of the body: version, cookie length, cookie.
const helloVerifyLen = 2 + 1 + cookie.Len

// appendVerifyRequest writes a HelloVerifyRequest. RFC 6347, Section 4.2.1: its
// version is DTLS 1.0 whatever comes later, and its record repeats the number
// of the hello's record, so that no number is used twice.
func (d *Door) appendVerifyRequest(dst []byte, now time.Time, h record.Header, from netip.AddrPort, p message.HelloPrefix) []byte {
	dst = record.AppendHeader(dst, record.Header{
		Type: record.TypeHandshake, Version: versionDTLS10, Number: record.Number{Seq: h.Seq},
		Length: message.HeaderLen + helloVerifyLen,
	})
	dst = message.Header{Type: message.TypeHelloVerifyRequest, Length: helloVerifyLen, FragmentLength: helloVerifyLen}.Append(dst)
	dst = append(dst, byte(versionDTLS10>>8), byte(versionDTLS10&0xff), cookie.Len)
	return d.jar.Mint(dst, now, from, p.Covered[0], p.Covered[1])
}
