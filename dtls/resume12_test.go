package dtls

import (
	"crypto/tls"
	"testing"
	"testing/synctest"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// TestResume12: an Engine fills its cache and resumes from it, as often as it likes,
// with certificates of the server, of both, and with a pre-shared key.
func TestResume12(t *testing.T) {
	for name, configs := range map[string]func() (*Config, *Config){
		"certificate": func() (*Config, *Config) { return certConfigs(dtlstest.P256) },
		"mutual": func() (*Config, *Config) {
			client, server := certConfigs(dtlstest.P256)
			client.Certificates, server.ClientAuth = server.Certificates, tls.RequireAndVerifyClientCert
			server.ClientCAs = client.RootCAs
			return client, server
		},
		"PSK": pskConfigs,
	} {
		client, server := configs()
		client.MaxVersion, client.ClientSessionCache = VersionDTLS12, NewClientSessionCache(0)
		for i := range 4 {
			s := newSim(t, client, server)
			s.handshake()
			for at, e := range s.eng {
				c := e.ConnectionState()
				if c.DidResume != (i > 0) || !c.ExtendedMasterSecret {
					t.Fatalf("%s, %d: %v resumed: %v", name, i, side(at), c.DidResume)
				}
				if side(at) == serverSide && (name == "mutual") != (len(c.PeerCertificates) > 0) {
					t.Errorf("%s, %d: %d certificates of the client", name, i, len(c.PeerCertificates))
				}
			}
			a, errA := s.eng[clientSide].ExportKeyingMaterial("EXPORTER-test", nil, 32)
			b, errB := s.eng[serverSide].ExportKeyingMaterial("EXPORTER-test", nil, 32)
			if errA != nil || errB != nil || string(a) != string(b) {
				t.Errorf("%s, %d: exporters %x %v, %x %v", name, i, a, errA, b, errB)
			}
		}
	}
}

// TestResumeOverConn12: Config.Session, OnSession, Conn.Session and the cache of DTLS
// 1.2 are those of DTLS 1.3.
func TestResumeOverConn12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept []byte
		l := listen(t, func(client, _ *Config) {
			client.MaxVersion = VersionDTLS12
			client.OnSession = func(_ *Conn, blob []byte) { kept = blob }
		})
		defer l.Close()
		for i := range 3 {
			c, _ := l.dial(t)
			server := l.accept(t)
			if got := c.ConnectionState().DidResume; got != (i > 0) || server.ConnectionState().DidResume != got {
				t.Errorf("%d: resumed is %v", i, got)
			}
			synctest.Wait()
			if kept == nil {
				t.Fatal("no session")
			}
			l.client.Session = kept
			closeAll(c, server)
		}
	})
}

// TestTicketBothVersions: a session of DTLS 1.2 is offered beside DTLS 1.3, and the
// server that has learned DTLS 1.3 since makes a full handshake.
func TestTicketBothVersions(t *testing.T) {
	client, server := certConfigs(dtlstest.P256)
	server.MinVersion, server.MaxVersion = VersionDTLS12, VersionDTLS12
	client.ClientSessionCache = NewClientSessionCache(0)
	client.MinVersion, client.MaxVersion = VersionDTLS12, VersionDTLS13
	newSim(t, client, server).handshake()
	s := newSim(t, client, server)
	s.handshake()
	if !s.eng[serverSide].ConnectionState().DidResume {
		t.Error("not resumed")
	}
	server.MaxVersion = VersionDTLS13
	s = newSim(t, client, server)
	s.handshake()
	if c := s.eng[clientSide].ConnectionState(); c.DidResume || c.Version != VersionDTLS13 {
		t.Errorf("%+v", c)
	}
}
