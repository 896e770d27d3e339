package udpsock

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// queueEntry is one recvmsg(MSG_ERRQUEUE) and what it returned:
//
//	name    the peer the datagram was for
//	control IP_RECVERR or IPV6_RECVERR: struct sock_extended_err, then the
//	        address of the router, which may be anyone's
//	data    the payload of the datagram, as much of it as was quoted
//
// It is a struct of its own, because unix.Recvmsg allocates the peer's address.
type queueEntry struct {
	header  unix.Msghdr
	iov     unix.Iovec
	name    unix.RawSockaddrInet6 // large enough for both
	control control
	data    [2048]byte

	receive func(fd uintptr) // made once: it sets n and errno
	n       int
	errno   syscall.Errno
}

var queueEntries = sync.Pool{New: func() any {
	e := new(queueEntry)
	e.receive = e.recvmsg
	return e
}}

func (e *queueEntry) recvmsg(fd uintptr) {
	e.iov.Base = &e.data[0]
	e.iov.SetLen(len(e.data))
	e.header = unix.Msghdr{
		Name:    (*byte)(unsafe.Pointer(&e.name)),
		Namelen: unix.SizeofSockaddrInet6,
		Iov:     &e.iov,
		Control: &e.control.b[0],
	}
	e.header.SetIovlen(1)
	e.header.SetControllen(len(e.control.b))
	e.name = unix.RawSockaddrInet6{}
	for {
		n, _, errno := unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&e.header)), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if errno != unix.EINTR {
			e.n, e.errno = int(n), errno
			return
		}
	}
}

// maxDrain bounds what one Drain reads, because the network may add entries as
// fast as they are read. While entries from ICMP are left, the next call on the
// socket returns a pending error again.
const maxDrain = 128

func (s *Socket) drain(f func(Notice)) (n int) {
	e := queueEntries.Get().(*queueEntry)
	defer queueEntries.Put(e)
	for range maxDrain {
		if err := s.raw.Control(e.receive); err != nil || e.errno != 0 {
			break
		}
		if notice, ok := e.notice(); ok {
			n++
			f(notice)
		}
	}
	return n
}

func (e *queueEntry) notice() (n Notice, ok bool) {
	ee, ok := extendedErr(e.control.b[:e.header.Controllen])
	if !ok {
		return Notice{}, false
	}
	n = Notice{Peer: sockaddr(&e.name), Errno: syscall.Errno(ee.errno), Quoted: e.data[:e.n]}
	switch ee.origin {
	case unix.SO_EE_ORIGIN_LOCAL:
		n.Origin = Local
		n.Quoted = nil
	case unix.SO_EE_ORIGIN_ICMP, unix.SO_EE_ORIGIN_ICMP6:
		n.Origin = ICMP
	default:
		return Notice{}, false // a timestamp or the like
	}
	if ee.errno == uint32(unix.EMSGSIZE) {
		n.MTU = payloadOf(ee.info, n.Peer.Addr())
	}
	return n, true
}

// extended is what we use of struct sock_extended_err.
type extended struct {
	errno  uint32
	origin uint8
	info   int // of EMSGSIZE: the MTU, with IP and UDP headers
}

func extendedErr(oob []byte) (ee extended, ok bool) {
	const size = 16 // errno 4, origin, type, code, pad, info 4, data 4
	for typ, data := range controlMessages(oob) {
		isErr := typ == messageType{unix.SOL_IP, unix.IP_RECVERR} || typ == messageType{unix.SOL_IPV6, unix.IPV6_RECVERR}
		if isErr && len(data) >= size {
			return extended{
				errno:  binary.NativeEndian.Uint32(data),
				origin: data[4],
				info:   int(min(binary.NativeEndian.Uint32(data[8:]), 1<<30)),
			}, true
		}
	}
	return extended{}, false
}

// sockaddr is an address as the kernel writes it, invalid if it is none of IP.
func sockaddr(sa *unix.RawSockaddrInet6) netip.AddrPort {
	switch sa.Family {
	case unix.AF_INET:
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(sa4.Addr), ntohs(sa4.Port))
	case unix.AF_INET6:
		a := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.Scope_id != 0 {
			// Package net writes zones by name. To look it up costs an
			// allocation, for link-local peers only.
			if ifi, err := net.InterfaceByIndex(int(sa.Scope_id)); err == nil {
				a = a.WithZone(ifi.Name)
			}
		}
		return netip.AddrPortFrom(a, ntohs(sa.Port))
	}
	return netip.AddrPort{}
}

// ntohs: ports are big-endian in a struct that is not.
func ntohs(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}
