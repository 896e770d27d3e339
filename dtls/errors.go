package dtls

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/timeout"
)

// Alert is a TLS alert description (RFC 5246, Section 7.2). Its String is the
// name in the RFC, such as "handshake_failure".
type Alert = alert.Alert

var (
	// ErrLargePacket matches every *LargePacketError.
	ErrLargePacket = errors.New("dtls: packet too large for the path")

	// ErrHandshakeTimeout matches the fatal error that ends a handshake whose
	// retransmissions or time are used up, or an association of DTLS 1.3 whose peer
	// does not acknowledge a post-handshake message. The text has the last flight
	// and the message that was awaited; its Timeout method returns true.
	ErrHandshakeTimeout = timeout.Err

	// ErrNoProbeCarrier is returned by ProbeMTU: no message that the peer would
	// acknowledge can carry a path MTU probe yet. ReportDelivered and ReportLost
	// always work.
	ErrNoProbeCarrier = errors.New("dtls: nothing negotiated that could carry an MTU probe")

	// ErrNoSession is returned by Session if there is none to resume, or not yet.
	ErrNoSession = errors.New("dtls: no session")

	// ErrShortBuffer is returned by Read when the record was longer than p.
	ErrShortBuffer = errors.New("dtls: buffer shorter than the record, the rest is discarded")

	// ErrPeerRestarted ends an association whose peer has begun a new one from the
	// same address (RFC 6347, Section 4.2.8; RFC 9147, Section 5.11). On a Listener
	// the new handshake is complete by then. With a Server over a net.Conn, the peer
	// has returned a cookie and has been silent since: pass the net.Conn to another
	// Server with the same Config, which answers the next hello. The old Conn does
	// not read it any more; its Close would close it.
	ErrPeerRestarted = errors.New("dtls: peer has restarted from the same address")

	// errEngineClosed is what calls return after Close; net.ErrClosed matches it.
	errEngineClosed error = &closedError{"dtls: association closed"}

	errHandshakeOngoing = errors.New("dtls: handshake not complete")
	errKeysExhausted    = errors.New("dtls: record limit of the keys reached, a new association is needed")
	errBelowMinimumMTU  = fmt.Errorf("dtls: MTU below %d bytes of UDP payload", minMTU)
)

// closedError is the error of something that its owner has closed.
type closedError struct{ text string }

func (e *closedError) Error() string        { return e.text }
func (e *closedError) Is(target error) bool { return target == net.ErrClosed }

// AlertError is an alert that the peer sent (Remote) or a fault of this
// association that was answered with one. A hook of the Config, such as
// VerifyConnection, chooses the alert that its error is answered with by an
// *AlertError or a tls.AlertError in the chain of that error; one that is Remote, of
// another association, chooses nothing.
type AlertError struct {
	Alert   Alert // code on the wire
	Warning bool  // level warning: the association goes on
	Remote  bool  // sent by the peer
	Cause   error // what was found; of a remote alert, what may be the reason, nil as a rule
}

func (e *AlertError) Error() string {
	if e.Remote {
		level := "fatal alert"
		if e.Warning {
			level = "warning alert"
		}
		text := fmt.Sprintf("dtls: peer sent %s %s", level, e.Alert)
		if e.Cause != nil {
			text += ": " + e.Cause.Error()
		}
		return text
	}
	if e.Cause == nil {
		return fmt.Sprintf("dtls: ended with alert %s", e.Alert)
	}
	return fmt.Sprintf("dtls: %v", e.Cause) // which names the alert
}

// Unwrap returns the cause.
func (e *AlertError) Unwrap() error { return e.Cause }

// As makes the error of a hook choose the alert.
func (e *AlertError) As(target any) bool {
	own, ok := target.(**alert.Error)
	if ok = ok && !e.Remote; ok {
		*own = &alert.Error{Alert: e.Alert, Cause: e.Cause}
	}
	return ok
}

// LargePacketError is returned when a record did not fit into one datagram. Unless
// Suggest is 0 it is not fatal: nothing of the association's state is lost, and
// after SetMTU the same handshake, or the next Write, goes on.
// errors.Is(err, ErrLargePacket) holds. All sizes are bytes of UDP payload,
// but MaxData, which is bytes of application data.
type LargePacketError struct {
	Op      string    // "handshake", "write" or "alert"
	Size    int       // what did not fit
	MTU     int       // limit in force when it was tried
	PathMTU int       // largest size known to pass, 0: unknown
	MaxData int       // largest Write that would fit PathMTU (or MTU); 0 in a handshake
	Source  MTUSource // where the limit comes from
	Err     error     // of the transport, such as syscall.EMSGSIZE; may be nil
}

func (e *LargePacketError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "dtls: %s of %d bytes is too large for the path (MTU %d", e.Op, e.Size, e.MTU)
	if e.PathMTU > 0 {
		fmt.Fprintf(&b, ", path %d", e.PathMTU)
	}
	fmt.Fprintf(&b, ", said by %s", e.Source)
	if e.Op == "write" {
		fmt.Fprintf(&b, "; a Write may have %d bytes", e.MaxData)
	} else if e.Suggest() == 0 {
		fmt.Fprintf(&b, "; the smallest usable MTU is %d", minMTU)
	}
	b.WriteString(")")
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Is makes errors.Is(e, ErrLargePacket) hold.
func (e *LargePacketError) Is(target error) bool { return target == ErrLargePacket }

// Unwrap returns the error of the transport.
func (e *LargePacketError) Unwrap() error { return e.Err }

// Suggest returns the next MTU to try: what the path is known to carry, else
// half of what did not fit, but never less than 228. It returns 0 when nothing
// smaller can work; IsFatal(e) is true then.
func (e *LargePacketError) Suggest() int {
	switch {
	case e.PathMTU >= minMTU:
		return e.PathMTU
	case e.PathMTU > 0, e.Size <= minMTU:
		return 0
	}
	return max(minMTU, e.Size/2)
}

// configError is a fault of the caller's Config, found before anything is sent.
type configError struct{ text string }

func (e *configError) Error() string { return "dtls: config: " + e.text }

func badConfig(format string, args ...any) error {
	return &configError{fmt.Sprintf(format, args...)}
}
