package dtls

import (
	"bytes"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/transport"
	"github.com/flightpath-dtls/flightpath/internal/udpsock"
)

// kernelSocket is a UDP socket of a kernel that tells what it hears, as Linux
// does: an ICMP message is a notice in a queue, and an error for the next call,
// whatever that is.
type kernelSocket struct {
	*memSocket
	link int // what the first link takes; 0: everything

	mu      sync.Mutex
	notices []udpsock.Notice
	routes  map[netip.AddrPort]int // PathMTU
	asked   int                    // PathMTU calls
	whole   []bool                 // SetDontFragment calls
}

func (n *memNet) kernelListen(addr net.Addr) *kernelSocket {
	return &kernelSocket{memSocket: n.listen(addr), routes: map[netip.AddrPort]int{}}
}

// listenKernel is a Listener on such a socket.
func listenKernel(t *testing.T, config *Config) (*listening, *kernelSocket) {
	t.Helper()
	n := newMemNet()
	pc := n.kernelListen(memAddr(2, 4433))
	l, err := NewListener(pc, config)
	if err != nil {
		t.Fatal(err)
	}
	return &listening{Listener: l, net: n, socket: pc.memSocket}, pc
}

// kernelConn is a connected one.
type kernelConn struct {
	*kernelSocket
	to net.Addr
}

func (n *memNet) kernelDial(to net.Addr) *kernelConn {
	m := n.dial(to)
	return &kernelConn{&kernelSocket{memSocket: m.memSocket, routes: map[netip.AddrPort]int{}}, to}
}

func (c *kernelConn) Read(p []byte) (int, error) {
	n, _, err := c.ReadFrom(p)
	return n, err
}
func (c *kernelConn) Write(p []byte) (int, error) { return c.WriteTo(p, c.to) }
func (c *kernelConn) RemoteAddr() net.Addr        { return c.to }

func (s *kernelSocket) ReadMsg(b []byte) (n int, from netip.AddrPort, to netip.Addr, err error) {
	n, addr, err := s.ReadFrom(b)
	if err != nil {
		return 0, netip.AddrPort{}, netip.Addr{}, err
	}
	return n, addrOf(addr), addrOf(s.addr).Addr(), nil
}

func (s *kernelSocket) WriteMsg(b []byte, to netip.AddrPort, from netip.Addr) error {
	if from.IsValid() && from != addrOf(s.addr).Addr() {
		return opError(syscall.EINVAL)
	}
	if s.link > 0 && len(b) > s.link {
		s.note(udpsock.Notice{Peer: netip.AddrPortFrom(to.Addr(), 0), MTU: s.link, Origin: udpsock.Local, Errno: syscall.EMSGSIZE})
		return opError(syscall.EMSGSIZE)
	}
	_, err := s.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return err
}

func (s *kernelSocket) note(n udpsock.Notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notices = append(s.notices, n)
}

func (s *kernelSocket) Drain(f func(udpsock.Notice)) (n int) {
	for ; ; n++ {
		s.mu.Lock()
		if len(s.notices) == 0 {
			s.mu.Unlock()
			s.set(func(m *memSocket) { m.pending = nil })
			return n
		}
		notice := s.notices[0]
		s.notices = s.notices[1:]
		s.mu.Unlock()
		f(notice)
	}
}

func (s *kernelSocket) PathMTU(peer netip.AddrPort) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	mtu, ok := s.routes[peer]
	return mtu, ok
}

func (s *kernelSocket) SetDontFragment(on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.whole = append(s.whole, on)
	return nil
}

// AsUDP makes a front use the methods above.
func (s *kernelSocket) AsUDP() transport.UDP { return kernelView{s} }

type kernelView struct{ *kernelSocket }

func (kernelView) Close() {}

// icmp is a message that the network sends about a datagram for a peer.
func (s *kernelSocket) icmp(errno syscall.Errno, peer net.Addr, mtu int, quoted []byte) {
	s.note(udpsock.Notice{Peer: addrOf(peer), MTU: mtu, Origin: udpsock.ICMP, Errno: errno, Quoted: bytes.Clone(quoted)})
	s.set(func(m *memSocket) {
		m.pending = errno
		m.cond.Broadcast()
	})
}

// router drops what is larger than mtu and tells the sender, if that has a
// kernel. It counts what it dropped.
func (n *memNet) router(mtu int, kernels ...*kernelSocket) (dropped *atomic.Int64) {
	dropped = new(atomic.Int64)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.path = func(from, to net.Addr, p []byte) bool {
		if len(p) <= mtu {
			return true
		}
		dropped.Add(1)
		for _, k := range kernels {
			if k.addr == from {
				k.icmp(syscall.EMSGSIZE, to, mtu, p[:min(len(p), 520)])
			}
		}
		return false
	}
	return dropped
}

// largeConfigs need several large datagrams each way.
func largeConfigs() (client, server *Config) {
	client, server = simConfigs(dtlstest.P256, 6000)
	server.CookieMode = CookieAuto
	return client, server
}
