package dtls

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/transport"
)

type errTooLargeFor int

func (e errTooLargeFor) Error() string        { return "too large" }
func (e errTooLargeFor) Is(target error) bool { return target == ErrLargePacket }
func (e errTooLargeFor) PathMTU() int         { return int(e) }

func opError(err error) error {
	return &net.OpError{Op: "write", Net: "udp", Err: os.NewSyscallError("sendto", err)}
}

// TestPathHintOfLargePacket: the transport may be an association of this package.
func TestPathHintOfLargePacket(t *testing.T) {
	for _, test := range []struct {
		name string
		conn net.Conn
		err  error
		want int
	}{
		{"one of our own errors has it", nil, fmt.Errorf("wrapped: %w", &LargePacketError{PathMTU: 600}), 600},
		{"one of our own errors has none", nil, &LargePacketError{}, 0},
		{"a Conn of this package has another PathMTU", &Conn{}, opError(syscall.EMSGSIZE), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := transport.Own(test.conn, nil, largePacket)
			if got := s.PathHint(test.err); got != test.want {
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
		{err: &transport.Error{Err: errors.New("odd")}},
		{err: net.ErrClosed, fatal: true, gone: true},
		{err: io.EOF, fatal: true, gone: true},
		{err: io.ErrClosedPipe, fatal: true, gone: true},
		{err: &transport.Error{Err: io.EOF, Closed: true}, fatal: true, gone: true},
		{err: errors.New("odd"), fatal: true},
	} {
		for _, err := range []error{test.err, fmt.Errorf("wrapped: %w", test.err)} {
			if isTooLarge(err) != test.large || transport.Large(largePacket).IsPending(err) != test.pending || IsFatal(err) != test.fatal || transport.IsClosed(err) != test.gone {
				t.Errorf("%v: too large %v, pending %v, fatal %v, closed %v", err, isTooLarge(err), transport.Large(largePacket).IsPending(err), IsFatal(err), transport.IsClosed(err))
			}
		}
	}
	closed := &transport.Error{Err: io.EOF, Closed: true}
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
			if calls < 16 || calls > 150 {
				t.Errorf("%d reads in 10 s", calls)
			}
		})
		l.Close()
		time.Sleep(time.Second) // the reader must have noticed
	})
}

// quickConfigs are a client and a server that trust each other and are quick.
func quickConfigs() (client, server *Config) {
	client, server = &Config{}, &Config{}
	withPSK(client, server)
	return client, server
}
