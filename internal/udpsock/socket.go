package udpsock

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// Socket is a UDP socket, connected or not, and what the kernel knows about it.
// Its methods may be called by several goroutines at once.
type Socket struct {
	conn   *net.UDPConn
	raw    syscall.RawConn
	local  netip.Addr     // where all datagrams come to; invalid: see pktinfo
	remote netip.AddrPort // the peer of a connected socket, else invalid
	hints  bool
	kernel kernel
	err    error
}

// Options says what to ask of the kernel. The zero value asks only for the
// addresses that datagrams come to.
type Options struct {
	// Hints makes the kernel tell what it hears about paths, for Drain and
	// PathMTU, and send every datagram whole: IP must not cut it, on this host
	// or on the way.
	Hints bool
}

// New sets a socket up. A kernel that refuses an option does without; see Err.
// The socket stays the caller's, to close and to set deadlines on.
func New(conn *net.UDPConn, opts Options) *Socket {
	s := &Socket{conn: conn, hints: opts.Hints}
	if local := addrPort(conn.LocalAddr()).Addr(); !local.IsUnspecified() && !local.IsMulticast() {
		s.local = local
	}
	s.remote = addrPort(conn.RemoteAddr())
	raw, err := conn.SyscallConn()
	if err != nil {
		s.hints, s.err = false, err
		return s
	}
	s.raw = raw
	var errs []error
	err = raw.Control(func(fd uintptr) {
		errs = s.kernel.open(fd, !s.local.IsValid() && !s.remote.IsValid(), opts)
	})
	s.err = errors.Join(append(errs, err)...)
	return s
}

// Err is what the kernel refused of the options, nil if nothing. It is there to
// be logged.
func (s *Socket) Err() error { return s.err }

// Close gives back what New and PathMTU took. It does not close the UDP socket.
func (s *Socket) Close() { s.kernel.close() }

// SetDontFragment says whether IP may cut the datagrams of this socket. Options
// with Hints have set it. A client may let go of it as the last resort, where
// nothing but fragments gets through.
func (s *Socket) SetDontFragment(on bool) error {
	if s.raw == nil {
		return errors.ErrUnsupported
	}
	var errs []error
	err := s.raw.Control(func(fd uintptr) { errs = s.kernel.dontFragment(fd, on) })
	return errors.Join(append(errs, err)...)
}

// ReadMsg reads one datagram. A datagram longer than b is cut off. from is the
// peer; to is the address of ours that it called, invalid if unknown. Both have
// IPv4 as IPv4, also on a socket for both families. to is good for WriteMsg; the
// zone of a link-local address is the number of the interface.
//
// An error for which IsPending holds is not about reading; see the package
// comment.
func (s *Socket) ReadMsg(b []byte) (n int, from netip.AddrPort, to netip.Addr, err error) {
	if s.kernel.pktinfo {
		n, from, to, err = s.readPktinfo(b)
	} else {
		n, from, err = s.conn.ReadFromUDPAddrPort(b)
		to = s.local
	}
	if err != nil {
		return 0, netip.AddrPort{}, netip.Addr{}, err
	}
	return n, unmap(from), to, nil
}

// WriteMsg sends one datagram to a peer, from an address of ours that ReadMsg has
// told; if that is invalid or the system knows no such choice, the kernel
// chooses. A connected socket takes its own peer or none. An address that the
// host has lost since is an error each time, ENETUNREACH or EINVAL on Linux.
//
// An error for which IsPending holds may be about an earlier datagram; see the
// package comment.
func (s *Socket) WriteMsg(b []byte, to netip.AddrPort, from netip.Addr) (err error) {
	switch {
	case s.remote.IsValid() && (!to.IsValid() || unmap(to) == s.remote):
		_, err = s.conn.Write(b)
	case s.kernel.pktinfo && from.IsValid():
		err = s.writePktinfo(b, to, from)
	default:
		_, err = s.conn.WriteToUDPAddrPort(b, to)
	}
	return err
}

// PathMTU is the largest datagram for a peer that the kernel believes to get
// through: what the route says, lowered by what ICMP said to any program on this
// host. Not authenticated, and a route without news says what the first link
// takes. A connected socket is asked about its own peer, whatever peer says.
func (s *Socket) PathMTU(peer netip.AddrPort) (payload int, ok bool) {
	if !s.hints {
		return 0, false
	}
	if s.remote.IsValid() {
		peer = s.remote
	}
	link, ok := s.linkMTU(unmap(peer))
	if !ok {
		return 0, false
	}
	payload = payloadOf(link, peer.Addr())
	return payload, payload > 0
}

// payloadOf is the UDP payload of an IP packet as large as the MTU of a link to
// addr, 0 if nothing is left. UDP lengths have 16 bits, and so has the length of
// an IPv4 packet (RFC 768; RFC 791, Section 3.1; RFC 8200, Section 3).
func payloadOf(link int, addr netip.Addr) int {
	const ip4, ip6, udp = 20, 40, 8
	if addr.Unmap().Is4() {
		return max(min(link, 1<<16-1)-ip4-udp, 0)
	}
	return max(min(link-ip6, 1<<16-1)-udp, 0)
}

// addrPort is invalid for a nil address.
func addrPort(a net.Addr) netip.AddrPort {
	if udp, ok := a.(*net.UDPAddr); ok && udp != nil {
		return unmap(udp.AddrPort())
	}
	return netip.AddrPort{}
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
