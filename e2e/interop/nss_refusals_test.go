package interop

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// TestNSSRefusals: a side that cannot go on says why, and the other side hears
// it.
func TestNSSRefusals(t *testing.T) {
	t.Parallel()
	chain, other := dtlstest.MustChain(dtlstest.P256, 0), dtlstest.MustChain(dtlstest.P256, 1)
	for _, c := range []struct {
		name   string
		change func(server, client *Options)
		alert  dtls.Alert // that crosses the wire
		theirs [2]string  // what NSS says where we dial and where we serve
	}{
		{
			name:   "the client does not know the server's root",
			change: func(_, client *Options) { client.Roots = other },
			alert:  48, // unknown_ca
			theirs: [2]string{"SSL_ERROR_UNKNOWN_CA_ALERT", "SEC_ERROR_UNKNOWN_ISSUER"},
		},
		{
			name:   "the client expects another name",
			change: func(_, client *Options) { client.ServerName = "other.example" },
			alert:  42, // bad_certificate
			theirs: [2]string{"SSL_ERROR_BAD_CERT_ALERT", "SSL_ERROR_BAD_CERT_DOMAIN"},
		},
		{
			name:   "the server does not know the client's root",
			change: func(server, client *Options) { server.Roots, client.Chain = other, chain },
			alert:  48, // unknown_ca
			theirs: [2]string{"SEC_ERROR_UNKNOWN_ISSUER", "SSL_ERROR_UNKNOWN_CA_ALERT"},
		},
		{
			name:   "the client has no certificate",
			change: func(server, _ *Options) { server.Roots = other },
			alert:  116, // certificate_required
			theirs: [2]string{"SSL_ERROR_NO_CERTIFICATE", "SSL_ERROR_RX_CERTIFICATE_REQUIRED_ALERT"},
		},
		{
			name:   "no common protocol",
			change: func(server, client *Options) { server.ALPN, client.ALPN = "h3", "coap" },
			alert:  120, // no_application_protocol
			theirs: [2]string{"SSL_ERROR_RX_MALFORMED_CLIENT_HELLO", "SSL_ERROR_NEXT_PROTOCOL_NO_PROTOCOL"},
		},
		{
			name:   "no common suite",
			change: func(server, client *Options) { server.Suite, client.Suite = 0x1301, 0x1302 },
			alert:  40, // handshake_failure
			theirs: [2]string{"SSL_ERROR_NO_CYPHER_OVERLAP", "SSL_ERROR_NO_CYPHER_OVERLAP"},
		},
	} {
		for i, r := range []role{weDial, weServe} {
			t.Run(c.name+", "+r.String(), func(t *testing.T) {
				t.Parallel()
				server := Options{Version: dtls.VersionDTLS13, Chain: chain}
				client := Options{Version: dtls.VersionDTLS13, Roots: chain, ServerName: "localhost"}
				c.change(&server, &client)
				us, them := client, server
				if r == weServe {
					us, them = server, client
				}
				us.Ours = func(cfg *dtls.Config) {
					cfg.MinVersion, cfg.CurvePreferences = dtls.VersionDTLS13, []tls.CurveID{tls.X25519}
				}
				s := play(t, r == weServe, us, them, NSS{Args: []string{"groups=1d"}}, network{})
				waitUntil(t, "refusal", func() bool {
					// A listener refuses a first hello without a word but to the client.
					told := strings.Contains(s.ours.Log(), c.alert.String()) ||
						strings.Contains(s.trace.String(), fmt.Sprintf("alert %d]", c.alert))
					return told && s.theirs.Failed() != nil
				})
				if !s.theirs.says(c.theirs[i]) {
					t.Errorf("nss does not say %s", c.theirs[i])
				}
			})
		}
	}
}
