package interop

import (
	"net"
	"path/filepath"
	"strconv"
	"testing"

	iana "github.com/flightpath-dtls/flightpath/internal/suite"
)

// Erlang drives the ssl application of Erlang/OTP 25 by a script of ours.
type Erlang struct{}

func (Erlang) Name() string     { return "erlang" }
func (Erlang) Suites() []uint16 { return allSuites() }

// Limits: its datagrams have 1199 bytes.
func (Erlang) Limits() Limits { return Limits{MTU: 1232, NoEMS: true} }

func (Erlang) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	port := freePort(t)
	e := startErlang(t, "server", strconv.Itoa(port), o)
	e.waitBound(t, port)
	return e, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func (Erlang) Dial(t testing.TB, addr string, o Options) Endpoint {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return startErlang(t, "client", port, o)
}

func startErlang(t testing.TB, role, port string, o Options) *process {
	t.Helper()
	args := []string{filepath.Join(sources, "dtls.escript"), role, "port=" + port, "suite=" + iana.Name(o.Suite)}
	args = append(args, o.arguments(t)...)
	e := start(t, "erlang-ssl", "escript", args...)
	e.established = "established "
	e.agrees = []string{"established dtlsv1.2 " + iana.Name(o.Suite)}
	if o.ALPN != "" {
		e.agrees = append(e.agrees, "alpn "+o.ALPN+"\n")
	}
	return e
}
