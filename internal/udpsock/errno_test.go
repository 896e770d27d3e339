package udpsock

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
)

func TestErrnos(t *testing.T) {
	tooLarge := errnosTooLarge[0]
	op := func(op string, err error) error {
		return &net.OpError{Op: op, Net: "udp", Err: os.NewSyscallError("call", err)}
	}
	for _, tt := range []struct {
		name                    string
		err                     error
		pending, tooLarge, busy bool
	}{
		{"none", nil, false, false, false},
		{"too large, bare", tooLarge, true, true, false},
		{"too large, by a write", op("write", tooLarge), true, true, false},
		{"too large, by a read: not about a datagram of ours", op("read", tooLarge), true, false, false},
		{"another, by a write", op("write", errnosPending[0]), true, false, false},
		{"another, by a read", op("read", errnosPending[0]), true, false, false},
		{"an error while the send buffer is full", &net.OpError{Op: "read", Net: "udp", Err: errors.New("not pollable")}, true, false, false},
		{"a firewall of our own", op("write", syscall.EPERM), false, false, true},
		{"no buffers", op("write", syscall.ENOBUFS), false, false, true},
		{"too large, as a transport of the caller's may say it", saysTooLarge{}, true, true, false},
		{"closed", op("read", net.ErrClosed), false, false, false},
		{"deadline", op("read", os.ErrDeadlineExceeded), false, false, false},
		{"end of file", io.EOF, false, false, false},
	} {
		if got := IsPending(tt.err); got != tt.pending {
			t.Errorf("%s: pending %v", tt.name, got)
		}
		if got := IsTooLarge(tt.err); got != tt.tooLarge {
			t.Errorf("%s: too large %v", tt.name, got)
		}
		if got := IsBusy(tt.err); got != tt.busy {
			t.Errorf("%s: busy %v", tt.name, got)
		}
	}
	for _, err := range errnosRefused {
		if !IsRefused(op("read", err)) || !IsPending(err) {
			t.Errorf("%v: refused %v, pending %v", err, IsRefused(op("read", err)), IsPending(err))
		}
	}
	for _, err := range []error{nil, tooLarge, syscall.EHOSTUNREACH, syscall.EACCES, net.ErrClosed} {
		if IsRefused(err) {
			t.Errorf("%v: a closed port", err)
		}
	}
	if runtime.GOOS != "windows" && !errors.Is(tooLarge, syscall.EMSGSIZE) {
		t.Errorf("too large is %v", tooLarge)
	}
}

type saysTooLarge struct{}

func (saysTooLarge) Error() string        { return "does not fit" }
func (saysTooLarge) Is(target error) bool { return target == errnosTooLarge[0] }
