package transport

import (
	"net"
	"net/netip"

	"github.com/flightpath-dtls/flightpath/internal/udpsock"
)

// UDP is a UDP socket with the notices of its kernel: a *udpsock.Socket, but for tests.
type UDP interface {
	ReadMsg(b []byte) (n int, from netip.AddrPort, to netip.Addr, err error)
	WriteMsg(b []byte, to netip.AddrPort, from netip.Addr) error
	Drain(f func(udpsock.Notice)) (n int)
	PathMTU(peer netip.AddrPort) (payload int, ok bool)
	SetDontFragment(on bool) error
	Close()
}

// asUDP returns what a transport is as a UDP socket, nil if it is none. The transports
// of tests have a method AsUDP.
func asUDP(transport any) UDP {
	switch t := transport.(type) {
	case *net.UDPConn:
		return udpsock.New(t, udpsock.Options{Hints: true})
	case interface{ AsUDP() UDP }:
		return t.AsUDP()
	}
	return nil
}

// notices are what drain has found.
type notices struct {
	any  bool
	icmp bool // there were notices of the network
	link int  // MTU of the first link to the peer in question, 0: unknown
}

// drain reads the notices about earlier datagrams. The kernel's own notices are about
// the peer that the caller sends to; those of the network are passed on.
func (s *Socket) drain(to Addr) (found notices) {
	if s.udp == nil {
		return notices{}
	}
	s.udp.Drain(func(n udpsock.Notice) {
		found.any = true
		if n.Origin == udpsock.ICMP {
			found.icmp = true
			s.noticed(n)
		} else if s.conn != nil || n.Peer.Addr() == to.AP.Addr() {
			found.link = n.MTU
		}
	})
	return found
}

// PathMTU is the kernel's path MTU to a peer; see udpsock.Socket.PathMTU.
func (s *Socket) PathMTU(peer Addr) (payload int, ok bool) {
	if s.udp == nil {
		return 0, false
	}
	return s.udp.PathMTU(peer.AP)
}

// AllowCuts sets whether IP may fragment the datagrams. It does nothing for a shared
// socket, whose peers are on paths of different MTUs.
func (s *Socket) AllowCuts(yes bool) {
	if s.udp == nil || s.conn == nil || s.cut == yes {
		return
	}
	s.cut = yes
	_ = s.udp.SetDontFragment(!yes) // the last resort may fail
}

// linkError is a refusal of the kernel, with the size that would pass.
type linkError struct {
	err error
	mtu int
}

func (e *linkError) Error() string { return e.err.Error() }
func (e *linkError) Unwrap() error { return e.err }

// PathMTU is what the first link takes, bytes of UDP payload.
func (e *linkError) PathMTU() int { return e.mtu }
