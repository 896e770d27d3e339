package dtlstest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"
)

var (
	captured4 = Packet{
		Time:    time.Unix(1_700_000_000, 123_456_000).UTC(),
		Src:     netip.MustParseAddrPort("192.0.2.1:1024"),
		Dst:     netip.MustParseAddrPort("192.0.2.2:65535"),
		Payload: []byte("a datagram over IPv4"),
	}
	captured6 = Packet{
		Time:    time.Unix(1_700_000_001, 0).UTC(),
		Src:     netip.MustParseAddrPort("[2001:db8::1]:1"),
		Dst:     netip.MustParseAddrPort("[2001:db8::2]:2"),
		Payload: []byte{},
	}
)

// pcapFile writes a capture by hand.
type pcapFile struct {
	order binary.ByteOrder
	nano  bool
	link  uint32
	buf   bytes.Buffer
}

func newPcap(order binary.ByteOrder, nano bool, link uint32) *pcapFile {
	f := &pcapFile{order: order, nano: nano, link: link}
	magic := uint32(0xa1b2c3d4)
	if nano {
		magic = 0xa1b23c4d
	}
	f.put(magic, 2|4<<16, 0, 0, 1<<16, link)
	return f
}

func (f *pcapFile) put(values ...uint32) {
	for _, v := range values {
		var b [4]byte
		f.order.PutUint32(b[:], v)
		f.buf.Write(b[:])
	}
}

// frame writes an IP packet behind a link header; lost is how many of its bytes
// the capture left out.
func (f *pcapFile) frame(at time.Time, ip []byte, lost int) {
	fraction := uint32(at.Nanosecond())
	if !f.nano {
		fraction /= 1000
	}
	frame := append(bytes.Repeat([]byte{0xee}, linkHeaders[f.link]), ip...)
	f.put(uint32(at.Unix()), fraction, uint32(len(frame)-lost), uint32(len(frame)))
	f.buf.Write(frame[:len(frame)-lost])
}

// ipPacket lays out headers of IP and UDP by RFC 791, 8200 and 768.
func ipPacket(p Packet) []byte {
	be := binary.BigEndian
	udp := be.AppendUint16(nil, p.Src.Port())
	udp = be.AppendUint16(udp, p.Dst.Port())
	udp = be.AppendUint16(udp, uint16(8+len(p.Payload)))
	udp = append(append(udp, 0, 0), p.Payload...)
	var ip []byte
	if p.Src.Addr().Is4() {
		ip = append([]byte{0x46, 0}, be.AppendUint16(nil, uint16(24+len(udp)))...)
		ip = append(ip, 0, 0, 0x40, 0, 64, 17, 0, 0) // don't fragment
		ip = append(append(ip, p.Src.Addr().AsSlice()...), p.Dst.Addr().AsSlice()...)
		ip = append(ip, 1, 1, 1, 1) // an option, to skip
	} else {
		ip = append([]byte{0x60, 0, 0, 0}, be.AppendUint16(nil, uint16(len(udp)))...)
		ip = append(ip, 17, 64)
		ip = append(append(ip, p.Src.Addr().AsSlice()...), p.Dst.Addr().AsSlice()...)
	}
	return append(ip, udp...)
}

// changed is a copy with one byte replaced.
func changed(b []byte, at int, to byte) []byte {
	b = bytes.Clone(b)
	b[at] = to
	return b
}

func samePackets(a, b []Packet) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].Time.Equal(b[i].Time) || a[i].Src != b[i].Src || a[i].Dst != b[i].Dst || !bytes.Equal(a[i].Payload, b[i].Payload) {
			return false
		}
	}
	return true
}

// TestReadPcap: all kinds of files hold the same datagrams, between others that
// are left out.
func TestReadPcap(t *testing.T) {
	ip4, ip6 := ipPacket(captured4), ipPacket(captured6)
	for link := range linkHeaders {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			for _, nano := range []bool{false, true} {
				f := newPcap(order, nano, link)
				f.frame(time.Unix(0, 0), nil, 0)
				f.frame(time.Unix(0, 0), []byte{0, 1, 8, 0, 6, 4}, 0)     // ARP
				f.frame(time.Unix(0, 0), changed(ip4, 9, 6), 0)           // TCP
				f.frame(time.Unix(0, 0), changed(ip4, 9, 6), 20)          // cut, but TCP
				f.frame(captured4.Time, append(ip4, "filling"...), 0)     // Ethernet has a least size
				f.frame(time.Unix(0, 0), changed(ip6, 6, 58), len(ip6)/9) // ICMPv6
				f.frame(captured6.Time, ip6, 0)
				got, err := ReadPcap(f.buf.Bytes())
				if err != nil || !samePackets(got, []Packet{captured4, captured6}) {
					t.Errorf("link type %d, %v, nanoseconds %v: %v, %v", link, order, nano, got, err)
				}
			}
		}
	}
}

func TestReadPcapRefuses(t *testing.T) {
	ip4, ip6 := ipPacket(captured4), ipPacket(captured6)
	capture := func(ip []byte, lost int) []byte {
		f := newPcap(binary.LittleEndian, false, 1)
		f.frame(captured4.Time, ip, lost)
		return f.buf.Bytes()
	}
	good := capture(ip4, 0)
	for _, c := range []struct {
		what string
		file []byte
		want error
	}{
		{"nothing", nil, errNotPcap},
		{"half a file header", good[:23], errNotPcap},
		{"a pcapng file", append([]byte{0x0a, 0x0d, 0x0d, 0x0a}, good[4:]...), errNotPcap},
		{"half a packet header", good[:24+15], errPcapCut},
		{"a packet cut short", good[:len(good)-1], errPcapCut},
		{"a packet of 4 GiB", changed(good, 24+8+3, 0xff), errPcapCut},
		{"a datagram that was not kept whole", capture(ip4, 1), errFrameCut},
		{"an IP header that was not kept whole", capture(ip4, len(ip4)-10), errFrameCut},
		{"an IPv6 header that was not kept whole", capture(ip6, len(ip6)-39), errFrameCut},
		{"a first fragment", capture(changed(ip4, 6, 0x20), 0), errIPFragments},
		{"a last fragment", capture(changed(ip4, 7, 1), 0), errIPFragments},
		{"a fragment of IPv6", capture(changed(ip6, 6, 44), 0), errIPFragments},
		{"an IP packet that says it is longer", capture(changed(ip4, 2, 1), 0), errFrameCut},
		{"an IP packet that says it is shorter than its header", capture(changed(ip4, 3, 9), 0), errFrameCut},
		{"an IP header of 16 bytes", capture(changed(ip4, 0, 0x44), 0), errFrameCut},
		{"an IPv6 packet that says it is longer", capture(changed(ip6, 5, 200), 0), errFrameCut},
		{"an IPv6 packet without room for UDP", capture(changed(ip6, 5, 7), 0), errFrameCut},
		{"a UDP length past the packet", capture(changed(ip4, 24+4, 1), 0), errFrameCut},
		{"a UDP length that reaches into the filling", capture(append(changed(ip4, 24+5, byte(8+len(captured4.Payload)+1)), "filling"...), 0), errFrameCut},
		{"a UDP length shorter than its header", capture(changed(ip6, 40+5, 7), 0), errFrameCut},
	} {
		if got, err := ReadPcap(c.file); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v, %v; want %v", c.what, got, err, c.want)
		}
	}
	if _, err := ReadPcap(changed(good, 20, 147)); err == nil {
		t.Error("a link type nobody assigned was read")
	}
}

// TestReadPcapPrefixes: a file cut anywhere is an error or has fewer packets.
func TestReadPcapPrefixes(t *testing.T) {
	f := newPcap(binary.BigEndian, true, 113)
	ends := map[int]int{f.buf.Len(): 0}
	for i := range 3 {
		f.frame(captured4.Time, ipPacket(captured4), 0)
		ends[f.buf.Len()] = i + 1
	}
	file := f.buf.Bytes()
	for n := range len(file) + 1 {
		got, err := ReadPcap(file[:n])
		if want, ok := ends[n]; ok != (err == nil) || len(got) != want {
			t.Errorf("%d of %d bytes: %d packets, %v", n, len(file), len(got), err)
		}
	}
}
