// Package timeout has the errors of associations whose peer does not answer.
package timeout

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Err matches all errors of this package.
var Err = errors.New("dtls: handshake timed out")

// Handshake ends a handshake whose tries or time are used up.
type Handshake struct {
	Sent     string        // last flight, as message names
	Awaited  string        // what the state machine expected
	Tries    int           // transmissions of that flight
	Elapsed  time.Duration // since the handshake began
	MTU      int           // limit of the last try
	Received int           // datagrams in the whole handshake

	Refused   error // an alert that may be forged, nil: none
	Transport error // its last error, such as ECONNREFUSED; nil: none
}

func (e *Handshake) Error() string {
	what := "nothing was ever received"
	if e.Received > 0 {
		what = fmt.Sprintf("%d datagrams were received", e.Received)
	}
	if e.Refused != nil {
		what += "; not authenticated: " + strings.TrimPrefix(e.Refused.Error(), "dtls: ")
	}
	if e.Transport != nil {
		what += "; the transport says: " + e.Transport.Error()
	}
	return fmt.Sprintf("dtls: handshake timed out after %v: sent %s %d times (last with MTU %d), awaiting %s; %s",
		e.Elapsed.Round(time.Millisecond), e.Sent, e.Tries, e.MTU, e.Awaited, what)
}

// Unwrap returns the errors that may have been the cause.
func (e *Handshake) Unwrap() (causes []error) {
	for _, err := range []error{e.Refused, e.Transport} {
		if err != nil {
			causes = append(causes, err)
		}
	}
	return causes
}

func (*Handshake) Is(target error) bool { return target == Err }
func (*Handshake) Timeout() bool        { return true }
func (*Handshake) Temporary() bool      { return false }

// ErrUnreachable matches Unreachable.
var ErrUnreachable = errors.New("dtls: the port of the peer is unreachable")

// Unreachable ends the handshake of a client whose server's port is closed.
type Unreachable struct {
	Sent      string        // last flight, as message names
	Tries     int           // transmissions of that flight
	Elapsed   time.Duration // since the handshake began
	Transport error         // its error, such as ECONNREFUSED; nil: none
}

func (e *Unreachable) Error() string {
	text := fmt.Sprintf("%v: nothing was ever received, and two ICMP messages quote %s, sent %d times in %v",
		ErrUnreachable, e.Sent, e.Tries, e.Elapsed.Round(time.Millisecond))
	if e.Transport != nil {
		text += ": " + e.Transport.Error()
	}
	return text
}

// Unwrap returns the error of the transport.
func (e *Unreachable) Unwrap() error      { return e.Transport }
func (*Unreachable) Is(target error) bool { return target == ErrUnreachable }

// Unanswered ends an association in which messages after the handshake were not
// acknowledged, and no record came from the peer. Err matches it.
type Unanswered struct {
	Sent    string // message names
	Tries   int
	Elapsed time.Duration // since they were sent first
	MTU     int           // limit of the last try
	Quiet   time.Duration // since the last authentic record
	Silent  bool          // none came since they were sent first
}

func (e *Unanswered) Error() string {
	quiet := "nothing was received meanwhile"
	if !e.Silent {
		quiet = fmt.Sprintf("the last record came %v ago", e.Quiet.Round(time.Millisecond))
	}
	return fmt.Sprintf("dtls: peer has not acknowledged %s, sent %d times in %v (last with MTU %d); %s",
		e.Sent, e.Tries, e.Elapsed.Round(time.Millisecond), e.MTU, quiet)
}

func (*Unanswered) Is(target error) bool { return target == Err }
func (*Unanswered) Timeout() bool        { return true }
func (*Unanswered) Temporary() bool      { return false }
