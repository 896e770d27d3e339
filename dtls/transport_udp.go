package dtls

import (
	"net"
	"net/netip"

	"github.com/flightpath-dtls/flightpath/internal/udpsock"
)

// udpSocket is a UDP socket and what the kernel knows about it: a
// *udpsock.Socket, but for tests.
type udpSocket interface {
	ReadMsg(b []byte) (n int, from netip.AddrPort, to netip.Addr, err error)
	WriteMsg(b []byte, to netip.AddrPort, from netip.Addr) error
	Drain(f func(udpsock.Notice)) (n int)
	PathMTU(peer netip.AddrPort) (payload int, ok bool)
	SetDontFragment(on bool) error
	Close()
}

// asUDP returns what a transport is as a UDP socket, nil if it is none. Tests
// have transports that bring a kernel of their own.
func asUDP(transport any) udpSocket {
	switch t := transport.(type) {
	case *net.UDPConn:
		return udpsock.New(t, udpsock.Options{Hints: true})
	case interface{ asUDP() udpSocket }:
		return t.asUDP()
	}
	return nil
}

// heard is what was learned from the notices that the kernel had for a socket.
type heard struct {
	anything bool
	icmp     bool // there were notices of the network
	link     int  // what the first link to the peer in question takes, 0: not said
}

// drain hears what became of earlier datagrams. The kernel's own notices are
// for whoever sends to that peer now; those of the network go to the
// association they are about.
func (s *socket) drain(to peerAddr) (h heard) {
	if s.udp == nil {
		return heard{}
	}
	s.udp.Drain(func(n udpsock.Notice) {
		h.anything = true
		if n.Origin == udpsock.ICMP {
			h.icmp = true
			s.noticed(n)
		} else if s.conn != nil || n.Peer.Addr() == to.ap.Addr() {
			h.link = n.MTU
		}
	})
	return h
}

// pathMTU is what the kernel believes to get through to a peer; see
// udpsock.Socket.PathMTU.
func (s *socket) pathMTU(peer peerAddr) (payload int, ok bool) {
	if s.udp == nil {
		return 0, false
	}
	return s.udp.PathMTU(peer.ap)
}

// allowCuts says whether IP may cut the datagrams of a Conn's own socket.
func (s *socket) allowCuts(yes bool) {
	if s.udp == nil || s.conn == nil || s.cut == yes {
		return
	}
	s.cut = yes
	_ = s.udp.SetDontFragment(!yes) // the last resort may fail
}

// linkError is a refusal of the kernel that says what would pass.
type linkError struct {
	err error
	mtu int
}

func (e *linkError) Error() string { return e.err.Error() }
func (e *linkError) Unwrap() error { return e.err }

// PathMTU is what the first link takes, bytes of UDP payload.
func (e *linkError) PathMTU() int { return e.mtu }
