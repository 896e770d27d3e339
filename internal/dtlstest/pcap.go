package dtlstest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Packet is a UDP datagram of a capture.
type Packet struct {
	Time     time.Time
	Src, Dst netip.AddrPort
	Payload  []byte // of the UDP datagram, a slice of the file
}

// What ReadPcap refuses rather than leave out.
var (
	errNotPcap     = errors.New("dtlstest: not a pcap file (a pcapng file is none)")
	errPcapCut     = errors.New("dtlstest: pcap file ends within a packet")
	errFrameCut    = errors.New("dtlstest: the capture has only the beginning of a packet")
	errIPFragments = errors.New("dtlstest: the capture has fragments of IP packets")
)

// Sizes in a pcap file, in bytes.
const (
	pcapFileHeader   = 24
	pcapPacketHeader = 16
)

// linkHeaders has the link types we know and the bytes they put before the IP
// packet.
var linkHeaders = map[uint32]int{
	0:   4,  // NULL, the loopback of BSD
	1:   14, // Ethernet, and the loopback of Linux
	101: 0,  // raw IP
	113: 16, // Linux cooked, the "any" device
	276: 20, // Linux cooked, version 2
}

// ReadPcap returns the UDP datagrams of a capture in the classic format of
// libpcap, in the order of the file. Packets that are not UDP over IP are left
// out. IP packets cut by the capture or fragmented on their way are errors: who
// counts datagrams wants to know.
func ReadPcap(file []byte) ([]Packet, error) {
	if len(file) < pcapFileHeader {
		return nil, errNotPcap
	}
	order, tick, err := pcapMagic(file)
	if err != nil {
		return nil, err
	}
	link := order.Uint32(file[20:])
	skip, ok := linkHeaders[link]
	if !ok {
		return nil, fmt.Errorf("dtlstest: link type %d of the capture is not known", link)
	}
	var packets []Packet
	for rest := file[pcapFileHeader:]; len(rest) > 0; {
		if len(rest) < pcapPacketHeader {
			return nil, errPcapCut
		}
		kept := order.Uint32(rest[8:]) // maybe less than the packet had
		at := time.Unix(int64(order.Uint32(rest)), int64(order.Uint32(rest[4:]))*tick.Nanoseconds()).UTC()
		rest = rest[pcapPacketHeader:]
		if uint64(kept) > uint64(len(rest)) {
			return nil, errPcapCut
		}
		frame := rest[:kept]
		rest = rest[kept:]
		if len(frame) < skip {
			continue
		}
		p, ok, err := parseIP(frame[skip:])
		if err != nil {
			return nil, err
		}
		if ok {
			p.Time = at
			packets = append(packets, p)
		}
	}
	return packets, nil
}

// pcapMagic tells the byte order of a file and the unit of the fractions of its
// seconds.
func pcapMagic(file []byte) (binary.ByteOrder, time.Duration, error) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(file) {
		case 0xa1b2c3d4:
			return order, time.Microsecond, nil
		case 0xa1b23c4d:
			return order, time.Nanosecond, nil
		}
	}
	return nil, 0, errNotPcap
}

const protocolUDP = 17

// parseIP returns the datagram in an IP packet, and whether it is one of UDP.
func parseIP(b []byte) (p Packet, ok bool, err error) {
	if len(b) == 0 {
		return p, false, nil
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b)
	case 6:
		return parseIPv6(b)
	}
	return p, false, nil
}

// parseIPv4: RFC 791, Section 3.1. What lies behind the packet is filling.
func parseIPv4(b []byte) (p Packet, ok bool, err error) {
	const header = 20
	if len(b) < header {
		return p, false, errFrameCut
	}
	begin, end := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case b[9] != protocolUDP:
		return p, false, nil
	case binary.BigEndian.Uint16(b[6:])&0x3fff != 0: // offset, or more fragments
		return p, false, errIPFragments
	case begin < header || end < begin || len(b) < end:
		return p, false, errFrameCut
	}
	return parseUDP(netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:])), b[begin:end])
}

// parseIPv6: RFC 8200, Section 3.
func parseIPv6(b []byte) (p Packet, ok bool, err error) {
	const (
		header         = 40
		fragmentHeader = 44
	)
	if len(b) < header {
		return p, false, errFrameCut
	}
	end := header + int(binary.BigEndian.Uint16(b[4:]))
	switch {
	case b[6] == fragmentHeader:
		return p, false, errIPFragments
	case b[6] != protocolUDP:
		return p, false, nil
	case len(b) < end:
		return p, false, errFrameCut
	}
	return parseUDP(netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:])), b[header:end])
}

// parseUDP: RFC 768.
func parseUDP(src, dst netip.Addr, b []byte) (p Packet, ok bool, err error) {
	const header = 8
	if len(b) < header {
		return p, false, errFrameCut
	}
	end := int(binary.BigEndian.Uint16(b[4:]))
	if end < header || len(b) < end {
		return p, false, errFrameCut
	}
	return Packet{
		Src:     netip.AddrPortFrom(src, binary.BigEndian.Uint16(b)),
		Dst:     netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:])),
		Payload: b[header:end:end],
	}, true, nil
}
