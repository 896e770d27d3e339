package udpsock

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// control is a buffer for control messages, aligned as their headers are. There
// is room for what else the socket's owner may have asked for.
type control struct {
	_ [0]unix.Cmsghdr
	b [256]byte
}

// controls are kept, because what is given to package net is allocated.
var controls = sync.Pool{New: func() any { return new(control) }}

func (s *Socket) readPktinfo(b []byte) (n int, from netip.AddrPort, to netip.Addr, err error) {
	c := controls.Get().(*control)
	defer controls.Put(c)
	n, oobn, _, from, err := s.conn.ReadMsgUDPAddrPort(b, c.b[:])
	if err != nil {
		return 0, netip.AddrPort{}, netip.Addr{}, err
	}
	return n, from, calledAddr(c.b[:oobn]), nil
}

func (s *Socket) writePktinfo(b []byte, to netip.AddrPort, from netip.Addr) error {
	c := controls.Get().(*control)
	defer controls.Put(c)
	_, _, err := s.conn.WriteMsgUDPAddrPort(b, c.sourceAddr(from), to)
	return err
}

// calledAddr is the address of ours in the control messages of a datagram.
func calledAddr(oob []byte) (to netip.Addr) {
	for typ, data := range controlMessages(oob) {
		switch {
		case typ == messageType{unix.SOL_IP, unix.IP_PKTINFO} && len(data) >= unix.SizeofInet4Pktinfo:
			// struct in_pktinfo: interface, address to answer from, address
			// in the header. The two differ for broadcasts.
			return netip.AddrFrom4([4]byte(data[4:]))
		case typ == messageType{unix.SOL_IPV6, unix.IPV6_PKTINFO} && len(data) >= unix.SizeofInet6Pktinfo:
			// struct in6_pktinfo: address in the header, interface. With
			// IPv4, on a socket for both families, the other message is
			// there too, and knows better.
			a := netip.AddrFrom16([16]byte(data))
			switch {
			case a.Is4In6() || a.IsMulticast():
				continue
			case a.IsLinkLocalUnicast():
				a = a.WithZone(strconv.Itoa(int(binary.NativeEndian.Uint32(data[16:]))))
			}
			to = a
		}
	}
	return to
}

// sourceAddr is the control message that sends from an address of ours, in c.
func (c *control) sourceAddr(from netip.Addr) []byte {
	from = from.Unmap()
	if from.Is4() {
		data := c.message(messageType{unix.SOL_IP, unix.IP_PKTINFO}, unix.SizeofInet4Pktinfo)
		a := from.As4()
		copy(data[4:], a[:])
		return c.b[:unix.CmsgSpace(unix.SizeofInet4Pktinfo)]
	}
	data := c.message(messageType{unix.SOL_IPV6, unix.IPV6_PKTINFO}, unix.SizeofInet6Pktinfo)
	a := from.As16()
	copy(data, a[:])
	if zone := from.Zone(); zone != "" {
		index, _ := strconv.ParseUint(zone, 10, 32)
		binary.NativeEndian.PutUint32(data[16:], uint32(index))
	}
	return c.b[:unix.CmsgSpace(unix.SizeofInet6Pktinfo)]
}

type messageType struct{ level, typ int32 }

// message begins a control message at the start of c and returns its n bytes of
// data, all zero.
func (c *control) message(t messageType, n int) []byte {
	clear(c.b[:unix.CmsgSpace(n)])
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c.b))
	h.Level, h.Type = t.level, t.typ
	h.SetLen(unix.CmsgLen(n))
	return c.b[unix.CmsgLen(0):unix.CmsgLen(n)]
}

// controlMessages yields the messages in oob, up to the first that is cut off.
func controlMessages(oob []byte) func(yield func(messageType, []byte) bool) {
	return func(yield func(messageType, []byte) bool) {
		for len(oob) >= unix.SizeofCmsghdr {
			h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
			if err != nil || !yield(messageType{h.Level, h.Type}, data) {
				return
			}
			oob = rest
		}
	}
}
