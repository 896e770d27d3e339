package dtls

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/timeout"
	"github.com/flightpath-dtls/flightpath/internal/transport"
)

// TestIsFatal: each kind of error, plain and wrapped.
func TestIsFatal(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		name  string
		err   error
		fatal bool
	}{
		{"nil", nil, false},
		{"the deadline passed", ErrAgain, false},
		{"the context ended", interrupted(ctx), false},
		{"application data waits", ErrGotApplicationData, false},
		{"a datagram was too large, a smaller one may pass", &LargePacketError{Op: "handshake", Size: 1232}, false},
		{"a datagram was too large, the path is known", &LargePacketError{Op: "handshake", Size: 1232, PathMTU: 300}, false},
		{"nothing smaller can work", &LargePacketError{Op: "handshake", Size: 228}, true},
		{"the path is too small", &LargePacketError{Op: "handshake", Size: 1232, PathMTU: 100}, true},
		{"a Write was too large", &LargePacketError{Op: "write", Size: 200}, false},
		{"a warning of the peer", &AlertError{Warning: true, Remote: true}, false},
		{"a fatal alert of the peer", &AlertError{Remote: true, Alert: 40}, true},
		{"a fault of the peer", &AlertError{Alert: 47}, true},
		{"SetMTU(5)", errBelowMinimumMTU, false},
		{"SetMaxData too early", errMaxDataRange, false},
		{"a short buffer", ErrShortBuffer, false},
		{"Rehandshake of DTLS 1.2", errNoRenegotiation, false},
		{"UpdateKeys of DTLS 1.2", errNoKeyUpdate, false},
		{"UpdateKeys too often", errTooManyUpdates, false},
		{"an exporter without extended master secret", errExporterNeedsEMS, false},
		{"no probe carrier", ErrNoProbeCarrier, false},
		{"an ICMP error of the transport", &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.ECONNREFUSED)}, false},
		{"handshake time-out", &timeout.Handshake{}, true},
		{"handshake time-out behind ICMP errors", &timeout.Handshake{Transport: syscall.ECONNREFUSED}, true},
		{"silence after the handshake", &timeout.Unanswered{}, true},
		{"a KeyUpdate that is not acknowledged", errKeysKept, false},
		{"closed", errConnClosed, true},
		{"the keys are used up", errKeysExhausted, true},
		{"a wrong config", badConfig("x"), true},
		{"the peer has restarted", ErrPeerRestarted, true},
		{"the transport is gone", &transport.Error{Err: io.EOF, Closed: true}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if IsFatal(tt.err) != tt.fatal {
				t.Errorf("IsFatal(%v) is not %v", tt.err, tt.fatal)
			}
			if tt.err != nil && IsFatal(errors.Join(errors.New("outer"), tt.err)) != tt.fatal {
				t.Errorf("wrapped, IsFatal(%v) is not %v", tt.err, tt.fatal)
			}
		})
	}
}

// TestErrorsSayWhatTheyAre: the standard library's questions get answers.
func TestErrorsSayWhatTheyAre(t *testing.T) {
	var again net.Error
	if !errors.As(ErrAgain, &again) || !again.Timeout() || !errors.Is(ErrAgain, os.ErrDeadlineExceeded) {
		t.Error("ErrAgain is no time-out")
	}
	cause := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	if err := interrupted(ctx); !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if !errors.Is(errConnClosed, net.ErrClosed) || !errors.Is(ErrServerClosed, net.ErrClosed) {
		t.Error("closed is not net.ErrClosed")
	}
	large := error(&LargePacketError{Op: "handshake", Size: 1232, Err: syscall.EMSGSIZE})
	if !errors.Is(large, ErrLargePacket) || !errors.Is(large, syscall.EMSGSIZE) {
		t.Errorf("%v", large)
	}
	timeout := error(&timeout.Handshake{Sent: "client_hello", Awaited: "server_hello", Tries: 3, MTU: 1232, Transport: syscall.ECONNREFUSED})
	var ne net.Error
	if !errors.Is(timeout, ErrHandshakeTimeout) || !errors.As(timeout, &ne) || !ne.Timeout() {
		t.Errorf("%v", timeout)
	}
	for _, want := range []string{"client_hello", "server_hello", "3 times", "1232", "connection refused"} {
		if !strings.Contains(timeout.Error(), want) {
			t.Errorf("%q does not say %q", timeout, want)
		}
	}
}

// TestDialToAClosedPort: with IgnoreUnreachable the time-out names the error of the kernel.
func TestDialToAClosedPort(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := pc.LocalAddr().String()
	_ = pc.Close()
	ended, text := 0, ""
	_, err = Dial("udp", addr, &Config{
		Trace:             &Trace{Ended: func(err error) { ended++; text = err.Error() }},
		IgnoreUnreachable: true, InsecureSkipVerify: true, HandshakeTimeout: 300 * time.Millisecond,
		Retransmit: RetransmitPolicy{Initial: 50 * time.Millisecond},
	})
	if !errors.Is(err, ErrHandshakeTimeout) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v", err)
	}
	if ended != 1 {
		t.Errorf("the association ended %d times", ended)
	}
	if text != err.Error() {
		t.Errorf("the hook was told %q, the caller %q", text, err)
	}
}
