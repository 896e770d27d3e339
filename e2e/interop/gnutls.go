package interop

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// GnuTLS drives gnutls-serv and gnutls-cli.
type GnuTLS struct{}

func (GnuTLS) Name() string     { return "gnutls" }
func (GnuTLS) Suites() []uint16 { return allSuites() }

// PSK: gnutls-cli ends with a segmentation fault when told to use ECDHE_PSK,
// which TestPSKGnuTLSServer therefore asks of gnutls-serv alone. Identities are
// strings of C.
func (GnuTLS) PSK() Abilities {
	return Abilities{
		Suites:     suitesWithout(pskSuites, 0xccac, 0xd001, 0xd002, 0xd005, 0xd003),
		Identities: []Identity{TextIdentity, LongIdentity, OddIdentity},
		Hints:      true,
	}
}

func (p GnuTLS) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	port := freePort(t)
	args := append([]string{"--udp", "--echo", "--port", strconv.Itoa(port)}, p.common(t, o)...)
	if o.Roots != nil {
		args = append(args, "--require-client-cert", "--verify-client-cert")
	} else {
		args = append(args, "--disable-client-cert")
	}
	if o.PSK != nil {
		// A # says that the identity is in hex, too.
		keys := filepath.Join(t.TempDir(), "psk.txt")
		if err := os.WriteFile(keys, fmt.Appendf(nil, "#%x:%x\n", o.PSK.Identity, o.PSK.Key), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--pskpasswd", keys)
		if o.PSK.Hint != nil {
			args = append(args, "--pskhint", string(o.PSK.Hint))
		}
	}
	if o.ALPN != "" {
		args = append(args, "--alpn-fatal")
	}
	e := start(t, "gnutls-bin", "gnutls-serv", args...)
	e.echoes = true // and prints nothing about what it negotiated
	e.waitBound(t, port)
	return e, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func (p GnuTLS) Dial(t testing.TB, addr string, o Options) Endpoint {
	t.Helper()
	return p.dial(t, addr, o)
}

// dial is Dial with more arguments.
func (p GnuTLS) dial(t testing.TB, addr string, o Options, more ...string) *process {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--udp", "--port", port}, p.common(t, o)...)
	agrees := []string{"Description: (DTLS1.2", "-(" + suiteByID(o.Suite).gnutls + ")"}
	if o.Roots != nil {
		args = append(args, "--sni-hostname", o.ServerName, "--verify-hostname", o.ServerName)
		agrees = append(agrees, "The certificate is trusted")
	}
	if o.PSK != nil {
		args = append(args, "--pskusername", string(o.PSK.Identity), "--pskkey", hex.EncodeToString(o.PSK.Key))
		agrees = append(agrees, "- PSK authentication.")
		if o.PSK.Hint != nil {
			agrees = append(agrees, "PSK hint '"+string(o.PSK.Hint)+"'")
		}
	}
	e := start(t, "gnutls-bin", "gnutls-cli", append(append(args, more...), host)...)
	e.established = "Handshake was completed"
	e.agrees = agrees
	if o.ALPN != "" {
		e.agrees = append(e.agrees, "Application protocol: "+o.ALPN)
	}
	return e
}

func (GnuTLS) common(t testing.TB, o Options) []string {
	t.Helper()
	s := suiteByID(o.Suite)
	exchange := "ECDHE-ECDSA"
	switch {
	case s.psk && strings.HasPrefix(s.name, "ECDHE"):
		exchange = "ECDHE-PSK"
	case s.psk:
		exchange = "PSK"
	case s.key == dtlstest.RSA2048:
		exchange = "ECDHE-RSA"
	}
	args := []string{
		"--priority", "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+" + exchange + ":-CIPHER-ALL:+" + s.gnutls,
		"--mtu", strconv.Itoa(o.MTU),
	}
	if o.Chain != nil {
		f := files(t, o.Chain)
		args = append(args, "--x509certfile", f.Chain, "--x509keyfile", f.Key)
	}
	if o.Roots != nil {
		args = append(args, "--x509cafile", files(t, o.Roots).Root)
	}
	if o.ALPN != "" {
		args = append(args, "--alpn", o.ALPN)
	}
	return args
}
