package interop

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"testing"
)

// OpenSSL drives `openssl s_server` and `openssl s_client`.
type OpenSSL struct {
	Stateless bool // the server keeps nothing before it has seen its cookie
}

func (OpenSSL) Name() string     { return "openssl" }
func (OpenSSL) Suites() []uint16 { return allSuites() }

// PSK: its suites of RFC 8442 have CBC only. Identities are strings of C.
func (OpenSSL) PSK() Abilities {
	return Abilities{
		Suites:     suitesWithout(pskSuites, 0xd001, 0xd002, 0xd005, 0xd003),
		Identities: []Identity{TextIdentity, LongIdentity, OddIdentity},
		Hints:      true,
	}
}

// opensslMTU is the value of -mtu for datagrams of at most n bytes. The option
// counts a whole IPv4 packet; and a Finished that shares a datagram with what
// comes before is let in without its nonce and tag.
func opensslMTU(n int) string { return strconv.Itoa(n + 28 - 8 - 16) }

func (p OpenSSL) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	port := freePort(t)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	args := append([]string{"s_server", "-accept", addr}, p.common(t, o)...)
	if p.Stateless {
		args = append(args, "-listen")
	}
	if o.PSK != nil {
		args = append(args, "-nocert")
		if o.PSK.Hint != nil {
			args = append(args, "-psk_hint", string(o.PSK.Hint))
		}
	}
	if o.Roots != nil {
		args = append(args, "-Verify", "4", "-verify_return_error")
	}
	e := start(t, "openssl", "openssl", args...)
	e.established = "CIPHER is"
	e.agrees = append(e.agrees, "CIPHER is "+suiteByID(o.Suite).openssl)
	if o.ALPN != "" {
		e.agrees = append(e.agrees, "ALPN protocols selected: "+o.ALPN)
	}
	e.denies = []string{"PSK warning"} // the identity is not the one it expects
	e.waitBound(t, port)
	return e, addr
}

func (p OpenSSL) Dial(t testing.TB, addr string, o Options) Endpoint {
	t.Helper()
	args := append([]string{"s_client", "-connect", addr}, p.common(t, o)...)
	if o.Roots != nil {
		args = append(args, "-verify_return_error", "-servername", o.ServerName, "-verify_hostname", o.ServerName)
	}
	e := start(t, "openssl", "openssl", args...)
	e.established = "SSL-Session:"
	e.agrees = append(e.agrees,
		"Protocol  : DTLSv1.2",
		"Cipher    : "+suiteByID(o.Suite).openssl)
	if o.Roots != nil {
		e.agrees = append(e.agrees, "Verify return code: 0 (ok)")
	}
	if o.PSK != nil {
		hint := "None"
		if o.PSK.Hint != nil {
			hint = string(o.PSK.Hint)
		}
		e.agrees = append(e.agrees, "PSK identity hint: "+hint+"\n")
	}
	if o.ALPN != "" {
		e.agrees = append(e.agrees, "ALPN protocol: "+o.ALPN)
	}
	return e
}

func (OpenSSL) common(t testing.TB, o Options) []string {
	t.Helper()
	args := []string{
		"-dtls1_2",
		"-cipher", suiteByID(o.Suite).openssl + ":@SECLEVEL=0", // CCM-8 is below its default level
		"-mtu", opensslMTU(o.MTU),
	}
	if o.Chain != nil {
		f := files(t, o.Chain)
		args = append(args, "-cert", f.Leaf, "-key", f.Key)
		if f.Intermediates != "" {
			args = append(args, "-cert_chain", f.Intermediates)
		}
	}
	if o.Roots != nil {
		args = append(args, "-CAfile", files(t, o.Roots).Root)
	}
	if o.PSK != nil {
		args = append(args, "-psk", hex.EncodeToString(o.PSK.Key), "-psk_identity", string(o.PSK.Identity))
	}
	if o.ALPN != "" {
		args = append(args, "-alpn", o.ALPN)
	}
	return args
}
