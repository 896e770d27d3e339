package dtls

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// ---- a network in memory -----------------------------------------------------

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

// ---- the rule for sending -------------------------------------------------------

// scripted is a net.Conn whose Writes say what a script tells.
type scripted struct {
	net.Conn
	script []error
	calls  int
}

func (s *scripted) Write(p []byte) (int, error) {
	s.calls++
	if len(s.script) == 0 {
		return len(p), nil
	}
	err := s.script[0]
	s.script = s.script[1:]
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

type errTooLargeFor int

func (e errTooLargeFor) Error() string        { return "too large" }
func (e errTooLargeFor) Is(target error) bool { return target == ErrLargePacket }
func (e errTooLargeFor) PathMTU() int         { return int(e) }

func opError(err error) error {
	return &net.OpError{Op: "write", Net: "udp", Err: os.NewSyscallError("sendto", err)}
}

func TestSendRepeatsWhatMayBelongToAnotherDatagram(t *testing.T) {
	odd := errors.New("odd")
	for _, test := range []struct {
		name   string
		script []error
		calls  int
		want   error // nil: sent
	}{
		{"nothing wrong", nil, 1, nil},
		{"a pending EMSGSIZE", []error{opError(syscall.EMSGSIZE)}, 2, nil},
		{"a second EMSGSIZE is about this datagram", []error{opError(syscall.EMSGSIZE), opError(syscall.EMSGSIZE)}, 2, syscall.EMSGSIZE},
		{"a pending ECONNREFUSED", []error{opError(syscall.ECONNREFUSED)}, 2, nil},
		{"a pending EHOSTUNREACH, then a pending EMSGSIZE", []error{opError(syscall.EHOSTUNREACH), opError(syscall.EMSGSIZE)}, 3, nil},
		{"a pending EHOSTUNREACH, then EMSGSIZE twice", []error{opError(syscall.EHOSTUNREACH), opError(syscall.EMSGSIZE), opError(syscall.EMSGSIZE)}, 3, syscall.EMSGSIZE},
		{"ENETUNREACH twice", []error{opError(syscall.ENETUNREACH), opError(syscall.ENETUNREACH)}, 2, syscall.ENETUNREACH},
		{"a firewall's EACCES", []error{opError(syscall.EACCES)}, 2, nil},
		{"a full buffer is not repeated", []error{opError(syscall.ENOBUFS)}, 1, syscall.ENOBUFS},
		{"an unknown error is not repeated", []error{odd}, 1, odd},
		{"a closed socket is not repeated", []error{net.ErrClosed}, 1, net.ErrClosed},
		{"too large, as a custom transport says it", []error{errTooLargeFor(0)}, 2, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := &scripted{script: test.script}
			s := ownSocket(conn, nil)
			err := s.send([]byte("datagram"), peerAddr{}, nil)
			if conn.calls != test.calls {
				t.Errorf("%d calls, want %d", conn.calls, test.calls)
			}
			if (test.want == nil) != (err == nil) || !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if sent := s.traffic.datagramsOut.Load() == 1; sent != (test.want == nil) {
				t.Errorf("counted as sent: %v", sent)
			}
		})
	}
}

type hintingConn struct {
	net.Conn
	mtu int
}

func (c hintingConn) PathMTU() int { return c.mtu }

func TestPathHint(t *testing.T) {
	for _, test := range []struct {
		name string
		conn net.Conn
		err  error
		want int
	}{
		{"nobody tells", &scripted{}, opError(syscall.EMSGSIZE), 0},
		{"the error tells", &scripted{}, fmt.Errorf("wrapped: %w", errTooLargeFor(700)), 700},
		{"the transport tells", hintingConn{mtu: 800}, opError(syscall.EMSGSIZE), 800},
		{"the error knows better than the transport", hintingConn{mtu: 800}, errTooLargeFor(700), 700},
		{"one of our own errors tells", &scripted{}, &LargePacketError{PathMTU: 600}, 600},
		{"nonsense is no hint", hintingConn{mtu: -5}, opError(syscall.EMSGSIZE), 0},
		{"a Conn of this package has another PathMTU", &Conn{}, opError(syscall.EMSGSIZE), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := (&socket{conn: test.conn}).pathHint(test.err); got != test.want {
				t.Errorf("hint %d, want %d", got, test.want)
			}
		})
	}
}

func TestErrorsOfTheTransport(t *testing.T) {
	for _, test := range []struct {
		err                         error
		large, pending, fatal, gone bool
	}{
		{err: opError(syscall.EMSGSIZE), large: true, pending: true},
		{err: errTooLargeFor(1), large: true, pending: true},
		{err: opError(syscall.ECONNREFUSED), pending: true},
		{err: opError(syscall.EPROTO), pending: true},
		{err: opError(syscall.ENOPROTOOPT), pending: true},
		{err: opError(syscall.EHOSTDOWN), pending: true},
		{err: opError(syscall.EOPNOTSUPP), pending: true},
		{err: opError(syscall.ENOBUFS)},
		{err: opError(syscall.EAGAIN)},
		{err: opError(syscall.EINTR)},
		{err: opError(syscall.EPERM)},
		{err: opError(syscall.ENOMEM)},
		{err: &transportError{err: errors.New("odd")}},
		{err: net.ErrClosed, fatal: true, gone: true},
		{err: io.EOF, fatal: true, gone: true},
		{err: io.ErrClosedPipe, fatal: true, gone: true},
		{err: &transportError{err: io.EOF, closed: true}, fatal: true, gone: true},
		{err: errors.New("odd"), fatal: true},
	} {
		for _, err := range []error{test.err, fmt.Errorf("wrapped: %w", test.err)} {
			if isTooLarge(err) != test.large || isPending(err) != test.pending || IsFatal(err) != test.fatal || isClosed(err) != test.gone {
				t.Errorf("%v: too large %v, pending %v, fatal %v, closed %v", err, isTooLarge(err), isPending(err), IsFatal(err), isClosed(err))
			}
		}
	}
	closed := &transportError{err: io.EOF, closed: true}
	if !errors.Is(closed, net.ErrClosed) {
		t.Error("a transport that said io.EOF does not match net.ErrClosed")
	}
}

// TestReaderDoesNotSpin: a socket that only has errors costs a few calls per
// second, and none of them ends the listener.
func TestReaderDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, server := quickConfigs()
		calls := 0
		pc := newMemNet().listen(memAddr(2, 4433))
		pc.fault = func() error { calls++; return syscall.ECONNREFUSED }
		l, err := NewListener(pc, server)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		pc.set(func(*memSocket) {
			if calls < freeErrors || calls > 150 {
				t.Errorf("%d reads in 10 s", calls)
			}
		})
		l.Close()
		time.Sleep(time.Second) // the reader must have noticed
	})
}

// TestUDPAddresses: IPv4 peers of a socket for both families are known by their
// IPv4 address, and can be answered.
func TestUDPAddresses(t *testing.T) {
	both, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Skip(err)
	}
	defer both.Close()
	port := both.LocalAddr().(*net.UDPAddr).Port
	s := sharedSocket(both, nil)
	if s.udp == nil {
		t.Fatal("a UDP socket was not recognised")
	}
	for _, target := range []string{"127.0.0.1", "::1"} {
		conn, err := net.Dial("udp", net.JoinHostPort(target, fmt.Sprint(port)))
		if err != nil {
			t.Logf("no %s here: %v", target, err)
			continue
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("ping")); err != nil {
			t.Logf("no %s here: %v", target, err)
			continue
		}
		buf := make([]byte, 100)
		_ = both.SetReadDeadline(time.Now().Add(time.Minute))
		n, from, err := s.receive(buf)
		if err != nil || string(buf[:n]) != "ping" {
			t.Fatalf("%s: %q, %v", target, buf[:n], err)
		}
		if want := netip.MustParseAddr(target); from.ap.Addr() != want {
			t.Errorf("from %v, want %v", from.ap.Addr(), want)
		}
		if err := s.send([]byte("pong"), from, nil); err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "pong" {
			t.Errorf("%s: answer %q, %v", target, buf[:n], err)
		}
	}
}

// quickConfigs are a client and a server that trust each other and are quick.
func quickConfigs() (client, server *Config) {
	client, server = &Config{}, &Config{}
	withPSK(client, server)
	return client, server
}
