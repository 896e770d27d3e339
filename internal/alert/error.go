package alert

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// Error is a fault that is answered with Alert.
type Error struct {
	Alert Alert
	Cause error // why, in words; nil when the alert says it all
}

// Errorf describes a fault and the alert that answers it. The format takes %w, so that causes can be matched.
func Errorf(a Alert, format string, args ...any) *Error {
	return &Error{Alert: a, Cause: fmt.Errorf(format, args...)}
}

// Hook describes the refusal of a hook of the caller. A [tls.AlertError] in its chain, or what is an [Error] there,
// chooses the alert; else it is a. A close_notify refuses nothing, and is no choice.
func Hook(a Alert, name string, err error) *Error {
	if chosen, ok := errors.AsType[tls.AlertError](err); ok && chosen != 0 {
		a = Alert(chosen)
	} else if chosen, ok := errors.AsType[*Error](err); ok && chosen.Alert != CloseNotify {
		a = chosen.Alert
	}
	return Errorf(a, "%s: %w", name, err)
}

// Of is the alert that err asks for: the one of the first [Error] in its chain. Any other error is a failure of our
// own, and RFC 8446, Section 6.2 has internal_error for a failure "unrelated to the peer".
func Of(err error) Alert {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Alert
	}
	return InternalError
}

// Error says whose fault it was, what happened, and the alert: "peer misbehaved: client_hello: trailing bytes
// (decode_error)".
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Alert.blame() + ": " + e.Alert.String()
	}
	return e.Alert.blame() + ": " + e.Cause.Error() + " (" + e.Alert.String() + ")"
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Cause }

// blame says whose fault it is when we are the ones who send a. The alert decides, because it already carries the
// RFC's own judgement.
func (a Alert) blame() string {
	switch a {
	case UnexpectedMessage, BadRecordMAC, RecordOverflow, DecompressionFailure, IllegalParameter, DecodeError,
		DecryptError, TooManyCIDsRequested, MissingExtension, UnsupportedExtension:
		return "peer misbehaved"
	case HandshakeFailure, ProtocolVersion, InsufficientSecurity, InappropriateFallback, NoRenegotiation,
		UnrecognizedName, NoApplicationProtocol:
		return "peer is incompatible"
	case BadCertificate, UnsupportedCertificate, CertificateRevoked, CertificateExpired, CertificateUnknown,
		UnknownCA, AccessDenied, CertificateUnobtainable, BadCertificateStatusResponse, BadCertificateHashValue,
		UnknownPSKIdentity, CertificateRequired:
		return "peer is not trusted"
	case CloseNotify, UserCanceled:
		return "closed on this side"
	case GeneralError: // RFC 9846, Section 6.2: for a sender that has no better word or keeps the reason to itself
		return "peer was refused"
	case InternalError:
		return "failed on this side"
	default:
		return "sent " + a.String() // not one of ours: a caller passed an alert through
	}
}
