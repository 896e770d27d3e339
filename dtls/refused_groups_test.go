package dtls

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// TestRefusedGroups: the error of a client that leaves out groups has those that it has
// offered, and the certificate where that may be the reason; with all groups it has neither.
func TestRefusedGroups(t *testing.T) {
	rsaOnly := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for _, test := range []struct {
		name           string
		version        uint16 // 0: both
		client, server []tls.CurveID
		suites         []uint16 // of the client; nil: all
		words, without string
	}{
		{"no group in common", VersionDTLS12, []tls.CurveID{tls.CurveP384, tls.CurveP521}, []tls.CurveID{tls.X25519}, nil, "CurveP384, CurveP521", "X25519"},
		{"no group in common", VersionDTLS13, []tls.CurveID{tls.CurveP384, tls.CurveP521}, []tls.CurveID{tls.X25519}, nil, "CurveP384, CurveP521", "certificate"},
		{"no group in common", 0, []tls.CurveID{tls.CurveP384}, []tls.CurveID{tls.X25519}, nil, "CurveP384, or a certificate", "X25519"},
		{"the curve of the certificate", VersionDTLS12, []tls.CurveID{tls.X25519}, nil, nil, "X25519, or a certificate that needs another", "P256"},
		{"another reason, all groups", VersionDTLS12, nil, nil, rsaOnly, "handshake_failure", "group"},
	} {
		for _, mode := range []CookieMode{CookieAuto, CookieAlways} {
			client, server := simConfigs(dtlstest.P256, 0)
			for _, c := range []*Config{client, server} {
				c.MinVersion, c.MaxVersion = test.version, test.version
			}
			client.CurvePreferences, server.CurvePreferences = test.client, test.server
			client.CipherSuites, server.CookieMode = test.suites, mode
			s := newSim(t, client, server)
			s.run(defaultHandshakeTimeout, func() bool { return s.eng[clientSide].Err() != nil })
			var a *AlertError
			err := s.eng[clientSide].Err()
			if !errors.As(err, &a) || !a.Remote || a.Alert != alert.HandshakeFailure || !IsFatal(err) {
				t.Errorf("%s, %s: %v", test.name, VersionName(test.version), err)
				continue
			}
			if text := err.Error(); !strings.Contains(text, test.words) || strings.Contains(text, test.without) {
				t.Errorf("%s, %s: %q should have %q, without %q", test.name, VersionName(test.version), text, test.words, test.without)
			}
		}
	}
}
