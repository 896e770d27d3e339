package interop

import (
	"slices"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// TestServerWithoutCookies: CookieNever answers the first hello with a
// handshake, and keeps to three times the client's bytes until that is over. The
// certificate takes the second hello of a client, for which GnuTLS is too quiet:
// it does not repeat its hello once a ServerHello has come.
func TestServerWithoutCookies(t *testing.T) {
	t.Parallel()
	for _, peer := range []Client{OpenSSL{}, GnuTLS{}, Pion{}, MbedTLS{}, WolfSSL{}} {
		for _, c := range []Case{
			{WeServe: true, Suite: 0xccab, MTU: 1232, Identity: LongIdentity},
			{WeServe: true, Suite: 0xccab, MTU: 300, Identity: TextIdentity, Hint: true, Loss: true},
			{WeServe: true, Suite: 0xc02b, MTU: 1232},
		} {
			if _, quiet := peer.(GnuTLS); quiet && c.Identity == NoIdentity {
				continue
			}
			t.Run(peer.Name()+"_"+c.Name(), func(t *testing.T) {
				t.Parallel()
				serving, dialing := c.options()
				serving.Ours = func(cfg *dtls.Config) { cfg.CookieMode = dtls.CookieNever }
				p := connect(t, Flightpath{}, peer, serving, dialing, c)
				converse(t, p.server, p.client)
				if p.sent(dtlstest.ToClient, "HelloVerifyRequest") {
					t.Error("a cookie was asked for")
				}
			})
		}
	}
}

// TestClientWithoutCookies: servers that ask for one, s_server in two ways, and
// one that does not.
func TestClientWithoutCookies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		server Server
		asks   bool
	}{
		{"s_server", OpenSSL{}, true},
		{"s_server -listen", OpenSSL{Stateless: true}, true},
		{"mbedtls", MbedTLS{}, true},
		{"mbedtls without", MbedTLS{NoCookie: true}, false},
	} {
		for _, c := range []Case{
			{Suite: 0xc02b, MTU: 548, LongChain: true},
			{Suite: 0xc0a8, MTU: 300, Identity: TextIdentity, Loss: true},
		} {
			t.Run(tt.name+"_"+c.Name(), func(t *testing.T) {
				t.Parallel()
				serving, dialing := c.options()
				p := connect(t, tt.server, Flightpath{}, serving, dialing, c)
				converse(t, p.server, p.client)
				if asked := p.sent(dtlstest.ToClient, "HelloVerifyRequest"); asked != tt.asks {
					t.Errorf("a cookie was asked for: %v", asked)
				}
			})
		}
	}
}

// sent reports whether a datagram with that message went that way.
func (p ends) sent(d dtlstest.Direction, message string) bool {
	return slices.ContainsFunc(p.trace.seen(d), func(datagram []byte) bool {
		return strings.Contains(describe(datagram), message)
	})
}
