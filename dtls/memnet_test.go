package dtls

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/transport"
)

// memNet carries datagrams between sockets at once, in order and without loss,
// but for what path and the sockets' hooks do.
type memNet struct {
	mu      sync.Mutex
	sockets map[string]*memSocket
	ports   int
	path    func(from, to net.Addr, p []byte) bool // false: lost
}

func newMemNet() *memNet { return &memNet{sockets: map[string]*memSocket{}} }

// memName is an address that is not UDP's.
type memName string

func (memName) Network() string  { return "mem" }
func (n memName) String() string { return string(n) }

func memAddr(host, port int) *net.UDPAddr {
	return &net.UDPAddr{IP: net.IPv4(192, 0, 2, byte(host)), Port: port}
}

// memSocket is a net.PacketConn.
type memSocket struct {
	net  *memNet
	addr net.Addr

	mu      sync.Mutex
	cond    *sync.Cond
	queue   []memDatagram
	closed  bool
	pending error // of the next call, whatever it is
	expired bool  // the read deadline is in the past
	deaf    bool  // to deadlines

	writes int                                // WriteTo calls that did not fail
	refuse func(p []byte, to net.Addr) error  // of WriteTo
	fault  func() error                       // of ReadFrom
	tap    func(n int, p []byte, to net.Addr) // sees what is written, numbered from 1
}

type memDatagram struct {
	from net.Addr
	p    []byte
}

func (n *memNet) listen(addr net.Addr) *memSocket {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &memSocket{net: n, addr: addr}
	s.cond = sync.NewCond(&s.mu)
	n.sockets[addr.String()] = s
	return s
}

// dial opens a socket of its own for a net.Conn to that address.
func (n *memNet) dial(to net.Addr) *memConn {
	n.mu.Lock()
	n.ports++
	port := 50000 + n.ports
	n.mu.Unlock()
	var addr net.Addr = memAddr(1, port)
	if _, ok := to.(memName); ok {
		addr = memName(fmt.Sprint("client ", port))
	}
	return &memConn{n.listen(addr), to}
}

// pair returns both ends of a connection.
func (n *memNet) pair() (a, b *memConn) {
	sa, sb := n.listen(memAddr(1, 1000)), n.listen(memAddr(2, 2000))
	return &memConn{sa, sb.addr}, &memConn{sb, sa.addr}
}

func (s *memSocket) WriteTo(p []byte, to net.Addr) (int, error) {
	s.mu.Lock()
	closed, pending, refuse := s.closed, s.pending, s.refuse
	s.pending = nil
	s.mu.Unlock()
	if closed {
		return 0, net.ErrClosed
	}
	if pending != nil {
		return 0, &net.OpError{Op: "write", Net: "udp", Err: pending}
	}
	if refuse != nil {
		if err := refuse(p, to); err != nil {
			return 0, &net.OpError{Op: "write", Net: "udp", Err: err}
		}
	}
	s.mu.Lock()
	s.writes++
	n, tap := s.writes, s.tap
	s.mu.Unlock()
	if tap != nil {
		tap(n, p, to)
	}
	s.net.mu.Lock()
	peer, path := s.net.sockets[to.String()], s.net.path
	s.net.mu.Unlock()
	if peer != nil && (path == nil || path(s.addr, to, p)) {
		peer.put(s.addr, p)
	}
	return len(p), nil
}

func (s *memSocket) put(from net.Addr, p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.queue = append(s.queue, memDatagram{from, slices.Clone(p)})
		s.cond.Broadcast()
	}
}

func (s *memSocket) ReadFrom(p []byte) (int, net.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil && !s.closed {
		if err := s.fault(); err != nil {
			return 0, nil, &net.OpError{Op: "read", Net: "udp", Err: err}
		}
	}
	for len(s.queue) == 0 && !s.closed && s.pending == nil && !s.expired {
		s.cond.Wait()
	}
	switch {
	case s.closed:
		return 0, nil, net.ErrClosed
	case s.expired:
		return 0, nil, &net.OpError{Op: "read", Net: "udp", Err: os.ErrDeadlineExceeded}
	}
	if err := s.pending; err != nil {
		s.pending = nil
		return 0, nil, &net.OpError{Op: "read", Net: "udp", Err: err}
	}
	d := s.queue[0]
	s.queue = s.queue[1:]
	return copy(p, d.p), d.from, nil
}

func (s *memSocket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.cond.Broadcast()
	return nil
}

func (s *memSocket) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *memSocket) sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func (s *memSocket) set(change func(s *memSocket)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *memSocket) LocalAddr() net.Addr              { return s.addr }
func (s *memSocket) SetDeadline(time.Time) error      { return nil }
func (s *memSocket) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline knows the past and never.
func (s *memSocket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expired = !s.deaf && !t.IsZero() && t.Before(time.Now())
	s.cond.Broadcast()
	return nil
}

// memConn is a net.Conn on a socket of its own.
type memConn struct {
	*memSocket
	to net.Addr
}

func (c *memConn) Read(p []byte) (int, error) {
	n, _, err := c.ReadFrom(p)
	return n, err
}
func (c *memConn) Write(p []byte) (int, error) { return c.WriteTo(p, c.to) }
func (c *memConn) RemoteAddr() net.Addr        { return c.to }

func addrOf(a net.Addr) netip.AddrPort { return transport.AddrPort(a) }

// ---- what tests do to it ---------------------------------------------------------

// inject delivers a datagram as if it came from there.
func (n *memNet) inject(from, to net.Addr, p []byte) {
	n.mu.Lock()
	peer := n.sockets[to.String()]
	n.mu.Unlock()
	if peer != nil {
		peer.put(from, p)
	}
}

// drop forgets a socket.
func (n *memNet) drop(addr net.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.sockets, addr.String())
}

// delay makes every datagram take that long.
func (n *memNet) delay(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.path = func(from, to net.Addr, p []byte) bool {
		p = bytes.Clone(p)
		time.AfterFunc(d, func() { n.inject(from, to, p) })
		return false
	}
}

// recordOf returns the datagram that do sends.
func recordOf(s *memConn, do func()) (datagram []byte) {
	s.set(func(s *memSocket) { s.tap = func(_ int, p []byte, _ net.Addr) { datagram = bytes.Clone(p) } })
	do()
	s.set(func(s *memSocket) { s.tap = nil })
	return datagram
}
