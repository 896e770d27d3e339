package dtls

import (
	"context"
	"errors"

	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/outcome"
	"github.com/flightpath-dtls/flightpath/internal/timeout"
)

var (
	// ErrAgain is returned when the deadline passed before the call was done. Extend
	// the deadline and call again: it goes on where it stood. It also matches
	// os.ErrDeadlineExceeded and is a net.Error whose Timeout is true.
	ErrAgain error = &outcome.Retry{Text: "dtls: deadline passed, call again", Passed: true}

	// ErrInterrupted is returned when the context ended before the call was done.
	// Nothing is lost; call again or Close. The error also matches the
	// context's error and its cause.
	ErrInterrupted error = &outcome.Retry{Text: "dtls: interrupted, call again"}

	// ErrGotApplicationData would be returned when application data has to be read
	// before a second handshake can go on. It belongs to renegotiation, which is
	// refused so far, so no call returns it yet.
	ErrGotApplicationData error = &outcome.Retry{Text: "dtls: application data is waiting, read it and call again"}

	// ErrServerClosed is returned by Listener methods after Close or Shutdown.
	// It matches net.ErrClosed.
	ErrServerClosed error = &closedError{"dtls: listener closed"}

	// ErrShed ends a handshake of a Listener that makes room for another client's:
	// see Config.MaxHandshakes. It is fatal; no alert is sent.
	ErrShed = errors.New("dtls: handshake given up to make room for another client's")

	// ErrIdleTimeout ends an association that has received no authentic record for
	// Config.IdleTimeout. It is a net.Error whose
	// Timeout is true.
	ErrIdleTimeout error = outcome.Idle("dtls: association ended, its peer was silent for the IdleTimeout")

	// ErrAlreadyDialed is returned by Endpoint.Dial while an association that it
	// has dialed to the same address is not over; Close that first.
	ErrAlreadyDialed = errors.New("dtls: endpoint has dialed this address already")

	// ErrInHandler is for blocking methods called inside a handler that serves a
	// listener. There are no handlers so far: nothing returns it.
	ErrInHandler = errors.New("dtls: blocking call inside a handler")

	errConnClosed           = errEngineClosed
	errEndpointClosed error = &closedError{"dtls: endpoint closed"}

	errAlreadyListening = errors.New("dtls: endpoint has a Listener already")
)

func interrupted(ctx context.Context) error { return outcome.Interrupt(ctx, ErrInterrupted) }

// IsFatal reports whether the association that returned err is over, so that
// every later call on it returns the same error. It is false for nil, for
// ErrAgain, ErrInterrupted, ErrGotApplicationData and ErrLargePacket (unless
// nothing smaller can work), for a warning alert of the peer, for a key update
// that it does not acknowledge while it is there, for mistakes of
// the caller such as SetMTU(5), and for transient errors of the transport. It
// sees through wrapping.
func IsFatal(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, ErrHandshakeTimeout) || errors.Is(err, timeout.ErrUnreachable) {
		return true // whatever the error of the transport was
	}
	var large *LargePacketError
	if errors.As(err, &large) {
		return large.Op != "write" && large.Suggest() == 0
	}
	for _, retry := range []error{
		ErrAgain, ErrInterrupted, ErrGotApplicationData, ErrShortBuffer, ErrInHandler,
		ErrNoProbeCarrier, ErrNoSession, errBelowMinimumMTU, errHandshakeOngoing, errMaxDataRange,
		errNoRenegotiation, errNoKeyUpdate, errTooManyUpdates, errKeysKept, errExporterNeedsEMS,
	} {
		if errors.Is(err, retry) {
			return false
		}
	}
	var input keys.InputError
	if errors.As(err, &input) {
		return false
	}
	var a *AlertError
	if errors.As(err, &a) {
		return !a.Warning
	}
	return !isTransient(err)
}
