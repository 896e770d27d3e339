package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// errLarge is what a transport says, other than the kernel, about a datagram that is too
// large.
type errLarge int

func (e errLarge) Error() string { return "too large" }
func (e errLarge) PathMTU() int  { return int(e) }

// errLargeFor is the same where the size is for large to find.
type errLargeFor int

func (e errLargeFor) Error() string { return "too large" }

func large(err error) (mtu int, ok bool) {
	var plain errLarge
	var sized errLargeFor
	if errors.As(err, &sized) {
		return int(sized), true
	}
	return 0, errors.As(err, &plain)
}

func opError(err error) error {
	return &net.OpError{Op: "write", Net: "udp", Err: os.NewSyscallError("sendto", err)}
}

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
		{"too large, as a custom transport says it", []error{errLarge(0)}, 2, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := &scripted{script: test.script}
			s := Own(conn, nil, large)
			err := s.Send([]byte("datagram"), Addr{}, nil)
			if conn.calls != test.calls {
				t.Errorf("%d calls, want %d", conn.calls, test.calls)
			}
			if (test.want == nil) != (err == nil) || !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if sent := s.Traffic() == (Traffic{DatagramsOut: 1, BytesOut: 8}); sent != (test.want == nil) {
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
		{"there is none", &scripted{}, opError(syscall.EMSGSIZE), 0},
		{"the error has it", &scripted{}, fmt.Errorf("wrapped: %w", errLarge(700)), 700},
		{"the transport has it", hintingConn{mtu: 800}, opError(syscall.EMSGSIZE), 800},
		{"the error goes before the transport", hintingConn{mtu: 800}, errLarge(700), 700},
		{"large knows the error", hintingConn{mtu: 800}, errLargeFor(600), 600},
		{"nonsense is no hint", hintingConn{mtu: -5}, opError(syscall.EMSGSIZE), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := Own(test.conn, nil, large)
			if got := s.PathHint(test.err); got != test.want {
				t.Errorf("hint %d, want %d", got, test.want)
			}
		})
	}
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
	s := Shared(both, nil, large)
	if !s.IsUDP() {
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
		n, from, err := s.Receive(buf)
		if err != nil || string(buf[:n]) != "ping" {
			t.Fatalf("%s: %q, %v", target, buf[:n], err)
		}
		if want := netip.MustParseAddr(target); from.AP.Addr() != want {
			t.Errorf("from %v, want %v", from.AP.Addr(), want)
		}
		if err := s.Send([]byte("pong"), from, nil); err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "pong" {
			t.Errorf("%s: answer %q, %v", target, buf[:n], err)
		}
	}
}
