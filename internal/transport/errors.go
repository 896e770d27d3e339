package transport

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/udpsock"
)

// Large tells, beside the errors of the kernel, which errors mean that a transport
// refused a datagram for its size, and the size that would pass if the error has it, in
// bytes of UDP payload; else 0.
type Large func(err error) (mtu int, ok bool)

// IsTooLarge reports whether a transport refused a datagram for its size.
func (l Large) IsTooLarge(err error) bool { return l.knows(err) || udpsock.IsTooLarge(err) }

// IsPending reports whether an error may belong to an earlier datagram.
func (l Large) IsPending(err error) bool { return l.knows(err) || udpsock.IsPending(err) }

func (l Large) knows(err error) bool {
	_, ok := l(err)
	return ok
}

// IsTransient reports whether an error of the transport passes, so that the
// association it happened to lives on.
func (l Large) IsTransient(err error) bool {
	var t *Error
	if errors.As(err, &t) {
		return !t.Closed
	}
	return l.IsPending(err) || udpsock.IsBusy(err)
}

// IsClosed reports whether an error means that the transport is closed.
func IsClosed(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)
}

// Error is an error of a transport: for one datagram, which is not fatal, or because
// the transport is closed, which is.
type Error struct {
	Err    error
	Closed bool
}

func (e *Error) Error() string {
	if e.Closed {
		return "dtls: transport closed: " + e.Err.Error()
	}
	return "dtls: transport: " + e.Err.Error()
}

// Unwrap returns the error of the transport.
func (e *Error) Unwrap() error { return e.Err }

// Is makes the error of a closed transport match net.ErrClosed, whatever it was.
func (e *Error) Is(target error) bool { return e.Closed && target == net.ErrClosed }

// Timeout reports whether the transport timed out.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// Temporary reports whether the error is of one datagram.
func (e *Error) Temporary() bool { return !e.Closed }

// BackOff slows a reader down whose socket only has errors. Its value is how many there
// were, with nothing received in between: set it to 0 after a datagram.
type BackOff int

const (
	freeErrors = 16                     // pending errors of that many peers cost no time
	maxPause   = 100 * time.Millisecond // also how long Close may go unnoticed
)

// Pause follows an error of Receive.
func (b *BackOff) Pause() {
	if *b++; *b <= freeErrors {
		return
	}
	time.Sleep(min(maxPause, time.Millisecond<<min(*b-freeErrors-1, 10)))
}
