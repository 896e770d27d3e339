package interop

import (
	"net"
	"strconv"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// GnuTLS drives gnutls-serv and gnutls-cli.
type GnuTLS struct{}

func (GnuTLS) Name() string     { return "gnutls" }
func (GnuTLS) Suites() []uint16 { return allSuites() }

func (p GnuTLS) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	port := freePort(t)
	args := append([]string{"--udp", "--echo", "--port", strconv.Itoa(port)}, p.common(t, o)...)
	if o.Roots != nil {
		args = append(args, "--require-client-cert", "--verify-client-cert")
	} else {
		args = append(args, "--disable-client-cert")
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
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--udp", "--port", port}, p.common(t, o)...)
	args = append(args, "--sni-hostname", o.ServerName, "--verify-hostname", o.ServerName, host)
	e := start(t, "gnutls-bin", "gnutls-cli", args...)
	e.established = "Handshake was completed"
	e.agrees = append(e.agrees, "Description: (DTLS1.2", "-("+suiteByID(o.Suite).gnutls+")", "The certificate is trusted")
	if o.ALPN != "" {
		e.agrees = append(e.agrees, "Application protocol: "+o.ALPN)
	}
	return e
}

func (GnuTLS) common(t testing.TB, o Options) []string {
	t.Helper()
	s := suiteByID(o.Suite)
	exchange := "ECDHE-ECDSA"
	if s.key == dtlstest.RSA2048 {
		exchange = "ECDHE-RSA"
	}
	args := []string{
		"--priority", "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+" + exchange + ":-CIPHER-ALL:+" + s.gnutls,
		"--mtu", strconv.Itoa(o.MTU),
	}
	if o.Chain != nil {
		f, err := o.Chain.Write(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "--x509certfile", f.Chain, "--x509keyfile", f.Key)
	}
	if o.Roots != nil {
		f, err := o.Roots.Write(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "--x509cafile", f.Root)
	}
	if o.ALPN != "" {
		args = append(args, "--alpn", o.ALPN)
	}
	return args
}
