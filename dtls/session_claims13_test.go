package dtls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// resumed runs a handshake with the configs and returns the states of both sides
// after it. The client's next session is in client.Session.
func resumed(t *testing.T, client, server *Config) (c, s ConnectionState) {
	t.Helper()
	sim := newSim(t, client, server)
	sim.handshake()
	sim.settle()
	client.Session, _ = sim.eng[clientSide].Session()
	c, s = sim.eng[clientSide].ConnectionState(), sim.eng[serverSide].ConnectionState()
	if c.DidResume != s.DidResume {
		t.Errorf("the client has resumed: %v, the server: %v", c.DidResume, s.DidResume)
	}
	return c, s
}

// mutual are configs with certificates on both sides.
func mutual() (client, server *Config) {
	client, server = simConfigs13(dtlstest.P256, 0)
	client.Certificates, server.ClientAuth = server.Certificates, tls.RequireAndVerifyClientCert
	server.SetSessionTicketKeys([][32]byte{{1}})
	return client, server
}

// mixed are configs of a client that authenticates the server by certificate or
// pre-shared key, and of a server of certificates.
func mixed() (client, server *Config) {
	client, server = simConfigs13(dtlstest.P256, 0)
	client.MinVersion, client.MaxVersion = 0, 0
	client.CipherSuites = []uint16{0x1301, 0xc02b, 0xd001} // a suite of DTLS 1.2 says that certificates will do
	client.ClientPSK = pskOf(testPSK)
	server.SetSessionTicketKeys([][32]byte{{1}})
	return client, server
}

// onlyPSK takes the certificates of a server away.
func onlyPSK(server *Config) *Config {
	server = server.Clone()
	server.Certificates = nil
	server.ServerPSK = knowing(testPSK)
	return server
}

func knowing(known ...PSK) func(context.Context, ServerPSKInfo) (*PSK, error) {
	return func(_ context.Context, info ServerPSKInfo) (*PSK, error) {
		for _, k := range known {
			if string(k.Identity) == string(info.Identity) {
				return &k, nil
			}
		}
		return nil, nil
	}
}

// TestSessionClaims: whatever a session says of its full handshake has to hold under
// the Configs in force. If it does not, the handshake is a full one, and succeeds.
func TestSessionClaims(t *testing.T) {
	refuse := errors.New("revoked")
	refuseFirst := func(with bool) func([][]byte, [][]*x509.Certificate) error {
		calls := 0
		return func(raw [][]byte, _ [][]*x509.Certificate) error {
			if calls++; calls == 1 && len(raw) > 0 == with {
				return refuse
			}
			return nil
		}
	}
	other := PSK{Identity: testPSK.Identity, Key: []byte("a new key")}
	for _, test := range []struct {
		name    string
		configs func() (client, server *Config)
		change  func(client, server *Config) (*Config, *Config)
		resumes bool
	}{
		{"certificates of both", mutual, nil, true},
		{"the server calls no client by certificate any more", mutual, func(c, s *Config) (*Config, *Config) {
			s.ClientAuth = tls.NoClientCert
			return c, s
		}, false},
		{"VerifyPeerCertificate of the server refuses the chain of then", mutual, func(c, s *Config) (*Config, *Config) {
			s.VerifyPeerCertificate = refuseFirst(true)
			return c, s
		}, false},
		{"VerifyPeerCertificate of the client refuses the chain of then", mutual, func(c, s *Config) (*Config, *Config) {
			c.VerifyPeerCertificate = refuseFirst(true)
			return c, s
		}, false},
		{"VerifyPeerCertificate of the server refuses no certificate", mixed, func(c, s *Config) (*Config, *Config) {
			c.Certificates, s.ClientAuth, s.VerifyPeerCertificate = s.Certificates, tls.RequestClientCert, refuseFirst(false)
			return c, s
		}, false},
		{"an anonymous client", mixed, nil, true},
		{"an anonymous client at a server of pre-shared keys", mixed, func(c, s *Config) (*Config, *Config) {
			return c, onlyPSK(s)
		}, false},
		{"a pre-shared key", withOnlyPSK, nil, true},
		{"a pre-shared key at a server of certificates", withOnlyPSK, func(c, s *Config) (*Config, *Config) {
			_, certified := mixed()
			return c, certified
		}, false},
		{"a pre-shared key that is looked up by a store that fails", withOnlyPSK, func(c, s *Config) (*Config, *Config) {
			_, certified := mixed()
			certified.ServerPSK = func(context.Context, ServerPSKInfo) (*PSK, error) { return nil, refuse }
			c.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) { return nil, nil }
			return c, certified
		}, false},
		{"a pre-shared key that was replaced", withOnlyPSK, func(c, s *Config) (*Config, *Config) {
			c.ClientPSK, s.ServerPSK = pskOf(other), knowing(other)
			return c, s
		}, false},
		{"another application protocol", func() (client, server *Config) {
			client, server = mutual()
			client.NextProtos, server.NextProtos = []string{"one", "two"}, []string{"one"}
			return client, server
		}, func(c, s *Config) (*Config, *Config) {
			s.NextProtos = []string{"two"}
			return c, s
		}, false},
		{"an application protocol that the client has no more", func() (client, server *Config) {
			client, server = mutual()
			client.NextProtos, server.NextProtos = []string{"one"}, []string{"one", "two"}
			return client, server
		}, func(c, s *Config) (*Config, *Config) {
			c.NextProtos = []string{"two"}
			return c, s
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := test.configs()
			if resumed(t, client, server); client.Session == nil {
				t.Fatal("no session")
			}
			client, server = client.Clone(), server.Clone()
			if test.change != nil {
				client, server = test.change(client, server)
			}
			if c, _ := resumed(t, client, server); c.DidResume != test.resumes {
				t.Errorf("resumed: %v", c.DidResume)
			}
		})
	}
}

// withOnlyPSK are the configs of mixed, with a server of pre-shared keys alone.
func withOnlyPSK() (client, server *Config) {
	client, server = mixed()
	return client, onlyPSK(server)
}

// TestTicketLendsNoIdentity: a ticket that any client of a server of certificates gets
// is no substitute for the pre-shared key that another server demands, whatever keys
// of tickets they share.
func TestTicketLendsNoIdentity(t *testing.T) {
	client, server := mixed()
	client.ClientPSK, client.CipherSuites = nil, nil
	resumed(t, client, server)
	s := newSim(t, client.Clone(), onlyPSK(server))
	if s.run(time.Minute, s.established) {
		t.Errorf("a stranger is let in\n%s", s.history())
	}
}

// TestRevokedPSK: a pre-shared key that the server knows no more ends with it, however
// new the ticket is.
func TestRevokedPSK(t *testing.T) {
	client, server := withOnlyPSK()
	resumed(t, client, server)
	if c, s := resumed(t, client, server); !c.DidResume || string(c.PSKIdentity) != string(testPSK.Identity) || string(s.PSKIdentity) != string(testPSK.Identity) {
		t.Errorf("resumed %v, identities %q and %q", c.DidResume, c.PSKIdentity, s.PSKIdentity)
	}
	server = server.Clone()
	server.ServerPSK = knowing()
	s := newSim(t, client.Clone(), server)
	if s.run(time.Minute, s.established) {
		t.Errorf("a client without a key is let in\n%s", s.history())
	}
}

// TestCallbacksOnResumption: VerifyPeerCertificate is called with the chain of then, and
// VerifyConnection with what is known of it.
func TestCallbacksOnResumption(t *testing.T) {
	client, server := mutual()
	resumed(t, client, server)
	client, server = client.Clone(), server.Clone()
	var peer, connection [2]int
	for i, c := range []*Config{client, server} {
		c.VerifyPeerCertificate = func(raw [][]byte, verified [][]*x509.Certificate) error {
			if len(raw) > 0 && len(verified) > 0 {
				peer[i]++
			}
			return nil
		}
		c.VerifyConnection = func(s ConnectionState) error {
			if s.DidResume && len(s.PeerCertificates) > 0 && len(s.VerifiedChains) > 0 {
				connection[i]++
			}
			return nil
		}
	}
	if c, _ := resumed(t, client, server); !c.DidResume {
		t.Error("not resumed")
	}
	if want := [2]int{1, 1}; peer != want || connection != want {
		t.Errorf("VerifyPeerCertificate was called %v times, VerifyConnection %v times", peer, connection)
	}
}

// TestResumptionsEnd: resumptions in a row do not make the full handshake any younger.
func TestResumptionsEnd(t *testing.T) {
	client, server := mutual()
	at := client.Time()
	clock := func() time.Time { return at }
	client.Time, server.Time = clock, clock
	for hours, want := range []bool{0: false, 1: true, 2: true, 3: false, 4: true} {
		if c, _ := resumed(t, client, server); c.DidResume != want {
			t.Errorf("after %d hours: resumed %v", 10*hours, c.DidResume)
		}
		at = at.Add(10 * time.Hour)
		client = client.Clone()
	}
}

// TestTicketKeysOfConfigForClient: Configs of GetConfigForClient, which may be new ones
// for each client, use the ticket keys of the Config that has the callback, unless they
// have their own.
func TestTicketKeysOfConfigForClient(t *testing.T) {
	for _, own := range []bool{false, true} {
		client, server := mutual()
		calls := byte(0)
		server.GetConfigForClient = func(*tls.ClientHelloInfo) (*Config, error) {
			calls++
			c := &Config{
				Certificates: server.Certificates, ClientCAs: server.ClientCAs, ClientAuth: server.ClientAuth, Time: server.Time,
			}
			if own {
				c.SetSessionTicketKeys([][32]byte{{calls}})
			}
			return c, nil
		}
		resumed(t, client, server)
		if c, _ := resumed(t, client.Clone(), server); c.DidResume == own {
			t.Errorf("keys of their own %v: resumed %v", own, c.DidResume)
		}
	}
}
