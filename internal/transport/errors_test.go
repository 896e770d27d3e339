package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestMeaningOfErrors(t *testing.T) {
	for _, test := range []struct {
		err                               error
		large, pending, transient, closed bool
	}{
		{err: opError(syscall.EMSGSIZE), large: true, pending: true, transient: true},
		{err: errLarge(1), large: true, pending: true, transient: true},
		{err: opError(syscall.ECONNREFUSED), pending: true, transient: true},
		{err: opError(syscall.ENOBUFS), transient: true},
		{err: &Error{Err: errors.New("odd")}, transient: true},
		{err: &Error{Err: io.EOF, Closed: true}, closed: true},
		{err: net.ErrClosed, closed: true},
		{err: io.EOF, closed: true},
		{err: io.ErrClosedPipe, closed: true},
		{err: errors.New("odd")},
	} {
		for _, err := range []error{test.err, fmt.Errorf("wrapped: %w", test.err)} {
			l := Large(large)
			if l.IsTooLarge(err) != test.large || l.IsPending(err) != test.pending || l.IsTransient(err) != test.transient || IsClosed(err) != test.closed {
				t.Errorf("%v: too large %v, pending %v, transient %v, closed %v", err, l.IsTooLarge(err), l.IsPending(err), l.IsTransient(err), IsClosed(err))
			}
		}
	}
}

// TestBackOff: the first errors cost no time, many of them ten calls per second.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b BackOff
		began := time.Now()
		for range freeErrors {
			b.Pause()
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the first errors took %v", took)
		}
		for range 100 {
			b.Pause()
		}
		began = time.Now()
		if b.Pause(); time.Since(began) != maxPause {
			t.Errorf("a pause of %v", time.Since(began))
		}
	})
}
