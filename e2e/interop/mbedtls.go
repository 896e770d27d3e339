package interop

import (
	"fmt"
	"testing"
)

// MbedTLS drives Mbed TLS 2.28 by a program of ours.
type MbedTLS struct {
	NoCookie bool // the server asks for none
	Tickets  bool // the server gives them, and serves one association after the other
}

var mbedTLS = &compiled{name: "mbedtls", pkg: "libmbedtls-dev", libs: []string{"-lmbedtls", "-lmbedx509", "-lmbedcrypto"}}

func (MbedTLS) Name() string     { return "mbedtls" }
func (MbedTLS) Suites() []uint16 { return allSuites() }

// Limits: with the first retransmission its MTU falls to 508, its server refuses a
// hello in fragments, and its client makes none.
func (MbedTLS) Limits() Limits { return Limits{Hello: 548, Cautious: true} }

// PSK: its suites of RFC 8442 have CBC only, and its server has no hint.
func (MbedTLS) PSK() Abilities {
	return Abilities{
		Suites:     suitesWithout(pskSuites, 0xd001, 0xd002, 0xd005, 0xd003),
		Identities: []Identity{TextIdentity, LongIdentity, OddIdentity, ZeroIdentity},
	}
}

func (p MbedTLS) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	more := []string{fmt.Sprintf("cookie=%t", !p.NoCookie)}
	if p.Tickets {
		more = append(more, "tickets=true")
	}
	return mbedTLS.serve(t, o, fmt.Sprintf("%04x", o.Suite), more...)
}

func (p MbedTLS) Dial(t testing.TB, addr string, o Options) Endpoint {
	t.Helper()
	return p.dial(t, addr, o)
}

// dial is Dial with more arguments.
func (MbedTLS) dial(t testing.TB, addr string, o Options, more ...string) *process {
	t.Helper()
	return mbedTLS.dial(t, addr, o, fmt.Sprintf("%04x", o.Suite), more...)
}
