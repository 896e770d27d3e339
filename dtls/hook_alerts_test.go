package dtls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// TestHooksChooseAlerts: an *AlertError or a tls.AlertError in the error of a hook is
// the alert that goes out. One that came from the peer of another association is not:
// it is told by its field, wherever it stands in the chain.
func TestHooksChooseAlerts(t *testing.T) {
	errs := []struct {
		err  error
		want Alert // 0: that of the hook
	}{
		{&AlertError{Alert: alert.AccessDenied}, alert.AccessDenied},
		{fmt.Errorf("policy: %w", &AlertError{Alert: alert.CertificateRevoked, Cause: errors.New("listed")}), alert.CertificateRevoked},
		{fmt.Errorf("policy: %w", tls.AlertError(alert.UnknownCA)), alert.UnknownCA},
		{&AlertError{Alert: alert.CertificateRevoked, Remote: true}, 0},
		{fmt.Errorf("upstream: %w", &AlertError{Alert: alert.CertificateRevoked, Remote: true}), 0},
		{&AlertError{}, 0}, // close_notify refuses nothing
		{ErrHandshakeTimeout, 0},
	}
	hooks := []struct {
		name   string
		finder side
		own    Alert
		set    func(client, server *Config, err error)
	}{
		{"the client's VerifyPeerCertificate", clientSide, alert.BadCertificate, func(client, _ *Config, err error) {
			client.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return err }
		}},
		{"the client's VerifyConnection", clientSide, alert.BadCertificate, func(client, _ *Config, err error) {
			client.VerifyConnection = func(ConnectionState) error { return err }
		}},
		{"the server's VerifyConnection", serverSide, alert.BadCertificate, func(_, server *Config, err error) {
			server.VerifyConnection = func(ConnectionState) error { return err }
		}},
		{"GetCertificate", serverSide, alert.InternalError, func(_, server *Config, err error) {
			server.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, err }
		}},
		{"GetConfigForClient", serverSide, alert.InternalError, func(_, server *Config, err error) {
			server.GetConfigForClient = func(*tls.ClientHelloInfo) (*Config, error) { return nil, err }
		}},
		{"the server's VerifyPeerCertificate, without a certificate", serverSide, alert.BadCertificate, func(_, server *Config, err error) {
			server.ClientAuth = tls.RequestClientCert
			server.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return err }
		}},
	}
	for _, hook := range hooks {
		for _, test := range errs {
			for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
				client, server := certConfigs(dtlstest.P256)
				for _, c := range []*Config{client, server} {
					c.MinVersion, c.MaxVersion = version, version
				}
				hook.set(client, server, test.err)
				s := newSim(t, client, server)
				want := hook.own
				if test.want != 0 {
					want = test.want
				}
				s.run(time.Minute, func() bool { return s.eng[0].Err() != nil && s.eng[1].Err() != nil })
				for at, e := range s.eng {
					if a, remote := alertOf(t, e); a != want || remote == (side(at) == hook.finder) {
						t.Errorf("%s, %v, %s: %v ended with %v", hook.name, test.err, VersionName(version), side(at), e.Err())
					}
				}
				if !errors.Is(s.eng[hook.finder].Err(), test.err) {
					t.Errorf("%s: %v does not wrap %v", hook.name, s.eng[hook.finder].Err(), test.err)
				}
			}
		}
	}
}
