package interop

import "testing"

// WolfSSL drives wolfSSL 5.5, as Debian builds it, by a program of ours.
type WolfSSL struct{}

var wolfSSL = &compiled{name: "wolfssl", pkg: "libwolfssl-dev", libs: []string{"-lwolfssl"}}

func (WolfSSL) Name() string { return "wolfssl" }

// Suites: it has no ECDHE_ECDSA with AES-256-CCM but for CCM-8.
func (WolfSSL) Suites() []uint16 { return suitesWithout(suites, 0xc0ad) }

// Limits: this build has no call to set the MTU, a change_cipher_spec that
// overtakes what comes before it is an unexpected_message to it, and a server that
// is established does not answer a Finished that comes again.
func (WolfSSL) Limits() Limits { return Limits{MTU: 1400, InOrder: true, SaysOnce: true} }

// PSK: suites of plain PSK are left out of this build, but for ChaCha20.
// Identities and hints are strings of C.
func (WolfSSL) PSK() Abilities {
	return Abilities{
		Suites:     []uint16{0xccab, 0xccac, 0xd001},
		Identities: []Identity{TextIdentity, LongIdentity, OddIdentity},
		Hints:      true,
	}
}

func (WolfSSL) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	return wolfSSL.serve(t, o, suiteByID(o.Suite).openssl)
}

func (WolfSSL) Dial(t testing.TB, addr string, o Options) Endpoint {
	t.Helper()
	return wolfSSL.dial(t, addr, o, suiteByID(o.Suite).openssl)
}
