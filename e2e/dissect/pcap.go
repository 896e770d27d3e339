package dissect

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// packet is a UDP datagram that was sent.
type packet struct {
	at       time.Time
	from, to netip.AddrPort // IPv4
	payload  []byte
}

// The classic format of libpcap, in little endian, with packets that begin with
// their IP header.
const (
	pcapMagic   = 0xa1b2c3d4 // times in microseconds
	pcapSnaplen = 1 << 18
	linkRaw     = 101

	ipHeader  = 20
	udpHeader = 8
	protoUDP  = 17
)

// appendPcap writes a capture. Checksums stay zero, which for UDP means that
// there is none.
func appendPcap(b []byte, packets []packet) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, pcapMagic)
	b = le.AppendUint16(b, 2) // version 2.4
	b = le.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...) // time zone, accuracy
	b = le.AppendUint32(b, pcapSnaplen)
	b = le.AppendUint32(b, linkRaw)
	for _, p := range packets {
		size := uint32(ipHeader + udpHeader + len(p.payload))
		b = le.AppendUint32(b, uint32(p.at.Unix()))
		b = le.AppendUint32(b, uint32(p.at.Nanosecond()/1000))
		b = le.AppendUint32(b, size)
		b = le.AppendUint32(b, size)
		b = appendUDP(b, p)
	}
	return b
}

// appendUDP writes the headers of RFC 791 and RFC 768, and the datagram.
func appendUDP(b []byte, p packet) []byte {
	be := binary.BigEndian
	const version, ttl = 4, 64
	b = append(b, version<<4|ipHeader/4, 0)
	b = be.AppendUint16(b, uint16(ipHeader+udpHeader+len(p.payload)))
	b = append(b, 0, 0, 0, 0, ttl, protoUDP, 0, 0)
	b = append(b, p.from.Addr().AsSlice()...)
	b = append(b, p.to.Addr().AsSlice()...)
	b = be.AppendUint16(b, p.from.Port())
	b = be.AppendUint16(b, p.to.Port())
	b = be.AppendUint16(b, uint16(udpHeader+len(p.payload)))
	b = be.AppendUint16(b, 0)
	return append(b, p.payload...)
}
