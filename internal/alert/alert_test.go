package alert

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestEveryNamedAlertReadsLikeTheRFC(t *testing.T) {
	for a, name := range names {
		if a.String() != name {
			t.Errorf("alert %d reads %q, want %q", uint8(a), a, name)
		}
		if strings.ToLower(name) != name || strings.ContainsAny(name, " -") {
			t.Errorf("%q is not written as the RFC writes it", name)
		}
		if strings.HasPrefix(a.blame(), "sent ") {
			t.Errorf("%v blames nobody", a)
		}
	}
	if got := Alert(77).String(); got != "alert(77)" {
		t.Errorf("unknown alert reads %q", got)
	}
}

func TestErrorTellsWhoseFaultItIs(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  *Error
		want string
	}{
		{"a broken rule is misbehaviour", Errorf(DecodeError, "trailing bytes"), "peer misbehaved: trailing bytes (decode_error)"},
		{"no common ground is incompatibility", Errorf(HandshakeFailure, "no common suite"), "peer is incompatible: no common suite (handshake_failure)"},
		{"a refused certificate is a matter of trust", Errorf(UnknownCA, "issuer unknown"), "peer is not trusted: issuer unknown (unknown_ca)"},
		{"our own failure is ours", Errorf(InternalError, "no entropy"), "failed on this side: no entropy (internal_error)"},
		{"an alert without a cause still reads", &Error{Alert: ProtocolVersion}, "peer is incompatible: protocol_version"},
		{"an unknown alert still reads", Errorf(Alert(77), "as told"), "sent alert(77): as told (alert(77))"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

func TestOfFindsTheAlertInAChain(t *testing.T) {
	inner := Errorf(BadCertificate, "leaf: %w", io.ErrUnexpectedEOF)
	wrapped := fmt.Errorf("certificate 0: %w", inner)
	if got := Of(wrapped); got != BadCertificate {
		t.Errorf("wrapped error asks for %v", got)
	}
	if !errors.Is(wrapped, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
	if got := Of(Errorf(HandshakeFailure, "gave up: %w", inner)); got != HandshakeFailure {
		t.Errorf("the outer alert must win, got %v", got)
	}
	if got := Of(io.EOF); got != InternalError {
		t.Errorf("a plain error asks for %v", got)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    []byte
		fault Alert // 0: legal
	}{
		{"a closing peer", []byte{1, 0}, 0},
		{"a fatal alert", []byte{2, 40}, 0},
		{"an alert nobody has named yet", []byte{2, 200}, 0},
		{"an empty record", nil, DecodeError},
		{"half an alert", []byte{2}, DecodeError},
		{"two alerts in one record", []byte{1, 0, 2, 40}, DecodeError},
		{"level zero", []byte{0, 40}, IllegalParameter},
		{"level three", []byte{3, 40}, IllegalParameter},
	} {
		level, a, err := Parse(tt.in)
		if tt.fault != 0 {
			if err == nil || Of(err) != tt.fault {
				t.Errorf("%s: got %v, want %v", tt.name, err, tt.fault)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if got := Append(nil, level, a); !bytes.Equal(got, tt.in) {
			t.Errorf("%s: %v %v appends as %x, want %x", tt.name, level, a, got, tt.in)
		}
	}
}

func TestLevelString(t *testing.T) {
	if Warning.String() != "warning" || Fatal.String() != "fatal" || Level(9).String() != "level(9)" {
		t.Errorf("levels read %v, %v, %v", Warning, Fatal, Level(9))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{1, 0})
	f.Add([]byte{2, 40})
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		level, a, err := Parse(b)
		if err == nil && !bytes.Equal(Append(nil, level, a), b) {
			t.Fatalf("%x changed on the way", b)
		}
	})
}
