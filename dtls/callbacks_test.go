package dtls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// Who is trusted, and what callbacks see and decide.

var errCallback = errors.New("the callback says no")

// TestCertificateChecks: each fault of a server's certificate has its alert.
func TestCertificateChecks(t *testing.T) {
	other := dtlstest.MustChain(dtlstest.P256, 1400)
	chain := dtlstest.MustChain(dtlstest.P256, 0)
	for _, test := range []struct {
		name   string
		change func(client, server *Config)
		want   Alert // 0: the handshake succeeds
	}{
		{"the name fits", func(c, s *Config) {}, 0},
		{"an address fits", func(c, s *Config) { c.ServerName = "127.0.0.1" }, 0},
		{"an address in brackets fits", func(c, s *Config) { c.ServerName = "[::1]" }, 0},
		{"another name", func(c, s *Config) { c.ServerName = "example.org" }, alert.BadCertificate},
		{"another address", func(c, s *Config) { c.ServerName = "127.0.0.2" }, alert.BadCertificate},
		{"unknown authority", func(c, s *Config) { c.RootCAs = other.Pool() }, alert.UnknownCA},
		{"no authority at all", func(c, s *Config) { c.RootCAs = x509.NewCertPool() }, alert.UnknownCA},
		{"expired", func(c, s *Config) {
			c.Time = func() time.Time { return chain.Certificate.Leaf.NotAfter.Add(time.Second) }
		}, alert.CertificateExpired},
		{"not valid yet", func(c, s *Config) {
			c.Time = func() time.Time { return chain.Certificate.Leaf.NotBefore.Add(-time.Second) }
		}, alert.CertificateExpired},
		{"anything goes", func(c, s *Config) { c.RootCAs, c.InsecureSkipVerify = x509.NewCertPool(), true }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := certConfigs(dtlstest.P256)
			test.change(client, server)
			s := newSim(t, client, server)
			if test.want != 0 {
				s.refuses(clientSide, test.want)
				return
			}
			s.handshake()
			st := s.eng[clientSide].ConnectionState()
			if len(st.PeerCertificates) != 1 || (len(st.VerifiedChains) == 0) != client.InsecureSkipVerify {
				t.Errorf("state %+v", st)
			}
		})
	}
}

// TestClientAuth: every policy with every kind of client certificate.
func TestClientAuth(t *testing.T) {
	trusted, stranger := dtlstest.MustChain(dtlstest.P256, 0), dtlstest.MustChain(dtlstest.P384, 0)
	type outcome struct {
		alert Alert
		seen  bool // the server has the certificate
		chain bool // and a way to a root
	}
	type certificates [3]outcome // none, of an unknown authority, good
	refused := outcome{alert: alert.HandshakeFailure}
	unknown := outcome{alert: alert.UnknownCA}
	for policy, want := range map[tls.ClientAuthType]certificates{
		tls.NoClientCert:               {{}, {}, {}},
		tls.RequestClientCert:          {{}, {0, true, false}, {0, true, false}},
		tls.RequireAnyClientCert:       {refused, {0, true, false}, {0, true, false}},
		tls.VerifyClientCertIfGiven:    {{}, unknown, {0, true, true}},
		tls.RequireAndVerifyClientCert: {refused, unknown, {0, true, true}},
	} {
		for i, list := range [][]tls.Certificate{nil, certs(stranger), certs(trusted)} {
			t.Run(fmt.Sprintf("%v/%d", policy, i), func(t *testing.T) {
				client, server := certConfigs(dtlstest.P256)
				server.ClientAuth = policy
				asked := false
				client.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
					asked = true
					if len(info.AcceptableCAs) != 1 || len(info.SignatureSchemes) == 0 || info.Version != tls.VersionTLS12 {
						t.Errorf("info %+v", info)
					}
					if list == nil {
						return &tls.Certificate{}, nil
					}
					return &list[0], nil
				}
				s := newSim(t, client, server)
				if want[i].alert != 0 {
					s.refuses(serverSide, want[i].alert)
					return
				}
				s.handshake()
				st := s.eng[serverSide].ConnectionState()
				if len(st.PeerCertificates) > 0 != want[i].seen || len(st.VerifiedChains) > 0 != want[i].chain || asked != (policy != tls.NoClientCert) {
					t.Errorf("asked %v, state %+v", asked, st)
				}
			})
		}
	}
}

// TestClientCertificateKinds: a client signs with every kind of key.
func TestClientCertificateKinds(t *testing.T) {
	for key := dtlstest.P256; key <= dtlstest.RSA2048; key++ {
		client, server := certConfigs(dtlstest.P256)
		chain := dtlstest.MustChain(key, 0)
		client.Certificates, server.ClientCAs = certs(chain), chain.Pool()
		server.ClientAuth = tls.RequireAndVerifyClientCert
		s := newSim(t, client, server)
		s.handshake()
	}
}

// TestForgedCertificateVerify: a certificate without its key is nothing.
func TestForgedCertificateVerify(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*message.CertificateVerify)
		want   Alert
	}{
		{"signature", func(m *message.CertificateVerify) { m.Signature[8] ^= 1 }, alert.DecryptError},
		{"no signature", func(m *message.CertificateVerify) { m.Signature = nil }, alert.DecryptError},
		{"SHA-1", func(m *message.CertificateVerify) { m.Scheme = 0x0203 }, alert.IllegalParameter},
		{"scheme of another key", func(m *message.CertificateVerify) { m.Scheme = 0x0804 }, alert.IllegalParameter},
	} {
		client, server := certConfigs(dtlstest.P256)
		client.Certificates, server.ClientAuth = server.Certificates, tls.RequireAndVerifyClientCert
		s := newSim(t, client, server)
		rewriteAs(s, message.TypeCertificateVerify, 0, test.change)
		s.run(time.Minute, func() bool { return s.eng[serverSide].Err() != nil })
		if a, remote := alertOf(t, s.eng[serverSide]); a != test.want || remote {
			t.Errorf("%s: %v", test.name, s.eng[serverSide].Err())
		}
	}
}

// TestCertificateVerifyScheme: a client must sign with what the server asked
// for, not with what it was told on the way.
func TestCertificateVerifyScheme(t *testing.T) {
	client, server := certConfigs(dtlstest.P384)
	mine := dtlstest.MustChain(dtlstest.P256, 0)
	client.Certificates, server.ClientCAs = certs(mine), mine.Pool()
	server.ClientAuth = tls.RequireAndVerifyClientCert
	server.SignatureSchemes = []tls.SignatureScheme{tls.ECDSAWithP384AndSHA384}
	s := newSim(t, client, server)
	rewriteAs(s, message.TypeCertificateRequest, 0, func(m *message.CertificateRequest) { m.SignatureSchemes = []uint16{0x0403} })
	s.refuses(serverSide, alert.IllegalParameter)
}

// TestCallbacks: each is called once, with what it needs, in the order that
// Config promises; its error ends the handshake with the right alert and is the
// cause of the error.
func TestCallbacks(t *testing.T) {
	names := []string{
		"GetConfigForClient", "GetCertificate", "client VerifyPeerCertificate", "client VerifyConnection",
		"GetClientCertificate", "server VerifyPeerCertificate", "server VerifyConnection",
	}
	alerts := []Alert{
		alert.InternalError, alert.InternalError, alert.BadCertificate, alert.BadCertificate,
		alert.InternalError, alert.BadCertificate, alert.BadCertificate,
	}
	for failing := -1; failing < len(names); failing++ {
		var called []string
		call := func(i int) error {
			called = append(called, names[i])
			if i == failing {
				return errCallback
			}
			return nil
		}
		client, server := certConfigs(dtlstest.P256)
		chain := server.Certificates[0]
		server.Certificates, server.ClientAuth = nil, tls.RequireAndVerifyClientCert
		server.NextProtos, client.NextProtos = []string{"x"}, []string{"x"}
		server.GetConfigForClient = func(info *tls.ClientHelloInfo) (*Config, error) {
			if info.ServerName != "localhost" || !slices.Equal(info.SupportedProtos, []string{"x"}) || len(info.CipherSuites) == 0 {
				t.Errorf("info %+v", info)
			}
			return nil, call(0)
		}
		server.GetCertificate = func(info *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if err := info.SupportsCertificate(&chain); err != nil {
				t.Errorf("SupportsCertificate: %v", err)
			}
			return &chain, call(1)
		}
		verify := func(i int) func([][]byte, [][]*x509.Certificate) error {
			return func(raw [][]byte, verified [][]*x509.Certificate) error {
				if len(raw) != 1 || len(verified) != 1 {
					t.Errorf("%s: %d certificates, %d chains", names[i], len(raw), len(verified))
				}
				return call(i)
			}
		}
		connection := func(i int) func(ConnectionState) error {
			return func(st ConnectionState) error {
				if st.HandshakeComplete || len(st.PeerCertificates) != 1 || st.NegotiatedProtocol != "x" || st.CipherSuite == 0 {
					t.Errorf("%s: state %+v", names[i], st)
				}
				return call(i)
			}
		}
		client.VerifyPeerCertificate, client.VerifyConnection = verify(2), connection(3)
		server.VerifyPeerCertificate, server.VerifyConnection = verify(5), connection(6)
		client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &chain, call(4) }

		s := newSim(t, client, server)
		if failing < 0 {
			s.handshake()
			if !slices.Equal(called, names) {
				t.Errorf("called %q", called)
			}
			continue
		}
		finder := serverSide
		if failing >= 2 && failing <= 4 {
			finder = clientSide
		}
		s.refuses(finder, alerts[failing])
		if err := s.eng[finder].Err(); !errors.Is(err, errCallback) {
			t.Errorf("%s: error %v does not wrap the callback's", names[failing], err)
		}
		if !slices.Equal(called, names[:failing+1]) {
			t.Errorf("%s fails: called %q", names[failing], called)
		}
	}
}

// TestServerNameChoosesCertificate: the chain that names the host, else the
// first that fits; GetCertificate goes first.
func TestServerNameChoosesCertificate(t *testing.T) {
	first, second := dtlstest.MustChain(dtlstest.P384, 0), dtlstest.MustChain(dtlstest.P256, 0)
	leaf := *first.Certificate.Leaf
	leaf.DNSNames, leaf.IPAddresses = []string{"elsewhere"}, nil
	renamed := first.Certificate
	renamed.Leaf = &leaf // what the server thinks the chain is for
	for name, want := range map[string]string{"localhost": "P-256", "elsewhere": "P-384", "nowhere": "P-384", "": "P-384"} {
		client, server := certConfigs(dtlstest.P256)
		client.ServerName, client.InsecureSkipVerify = name, true
		server.Certificates = []tls.Certificate{renamed, second.Certificate}
		s := newSim(t, client, server)
		s.handshake()
		got := second
		if want == "P-384" {
			got = first
		}
		peer := s.eng[clientSide].ConnectionState().PeerCertificates[0]
		if !slices.Equal(peer.Raw, got.Certificate.Certificate[0]) {
			t.Errorf("%q is answered with another certificate than %s", name, want)
		}
		if sni := s.eng[serverSide].ConnectionState().ServerName; sni != name {
			t.Errorf("server name %q, want %q", sni, name)
		}
	}
}

// TestForgedHelloDoesNotChooseConfig: GetConfigForClient answers the hello that
// is taken, not one that was refused before it.
func TestForgedHelloDoesNotChooseConfig(t *testing.T) {
	client, server := hostileConfigs()
	client.ServerName = "honest"
	wrong := server.Clone()
	wrong.ServerPSK = func(context.Context, ServerPSKInfo) (*PSK, error) { return nil, nil }
	server.GetConfigForClient = func(info *tls.ClientHelloInfo) (*Config, error) {
		if info.ServerName == "forged" {
			return wrong, nil
		}
		return nil, nil
	}
	s := newSim(t, client, server)
	forged := &message.ClientHello{Version: VersionDTLS12, CipherSuites: []uint16{0x1301}, Compression: []byte{0}, ServerName: "forged", ExtendedMasterSecret: true}
	body, err := forged.AppendBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.inject(serverSide, forgeMessage(message.TypeClientHello, 0, body...))
	if s.eng[serverSide].Drops().Fragment != 1 {
		t.Fatalf("drops %+v", s.eng[serverSide].Drops())
	}
	s.handshake()
}

// TestConfigForClient: another config brings its own certificates and rules,
// but not its timers; a bad one is our own failure.
func TestConfigForClient(t *testing.T) {
	client, server := certConfigs(dtlstest.P256)
	other := server.Clone()
	other.NextProtos, client.NextProtos = []string{"y"}, []string{"x", "y"}
	other.HandshakeTimeout = time.Nanosecond
	other.GetConfigForClient = nil
	server.Certificates = nil
	server.GetConfigForClient = func(*tls.ClientHelloInfo) (*Config, error) { return other, nil }
	s := newSim(t, client, server)
	s.handshake()
	if p := s.eng[clientSide].ConnectionState().NegotiatedProtocol; p != "y" {
		t.Errorf("protocol %q", p)
	}
	other.ClientAuth = tls.RequireAnyClientCert
	s = newSim(t, client, server)
	s.refuses(serverSide, alert.HandshakeFailure)
	other.MTU = 1
	s = newSim(t, client, server)
	s.refuses(serverSide, alert.InternalError)
}

// TestWrongPSK: a wrong key and an unknown identity look alike to whoever asks:
// the same datagrams of the same sizes at the same times, and decrypt_error (RFC
// 4279, Section 2).
func TestWrongPSK(t *testing.T) {
	wire := func(psk PSK) (log []string) {
		client, server := pskConfigs()
		client.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) { return []PSK{psk}, nil }
		s := newSim(t, client, server)
		s.path = func(from side, n int, d []byte) []time.Duration {
			log = append(log, fmt.Sprintf("%v %v %s", s.now.Sub(s.start), from, describeDatagram(d)))
			return []time.Duration{simRTT / 2}
		}
		if s.run(3*time.Minute, s.established) {
			t.Errorf("%q is let in", psk.Identity)
		}
		for at, e := range s.eng {
			if a, remote := alertOf(t, e); a != alert.DecryptError || remote != (side(at) == clientSide) {
				t.Errorf("%v", e.Err())
			}
		}
		return log
	}
	wrongKey := wire(PSK{Identity: testPSK.Identity, Key: []byte{4, 3, 2, 1}})
	identity := slices.Clone(testPSK.Identity)
	identity[0] ^= 1
	unknown := wire(PSK{Identity: identity, Key: testPSK.Key})
	if !slices.Equal(wrongKey, unknown) {
		t.Errorf("wrong key:\n%q\nunknown identity:\n%q", wrongKey, unknown)
	}
}

// TestPSKIdentities are bytes, compared whole (THREATS 57).
func TestPSKIdentities(t *testing.T) {
	huge := make([]byte, 65535)
	for _, identity := range [][]byte{nil, {0}, []byte("id"), []byte("id\x00"), []byte("id\x00x"), {0xff, 0xfe}, huge} {
		client, server := pskConfigs()
		client.MaxMTU, server.MaxHandshakeSize = 0, 1<<17
		client.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) {
			return []PSK{{Identity: identity, Key: []byte{9}}}, nil
		}
		server.ServerPSK = func(_ context.Context, info ServerPSKInfo) (*PSK, error) {
			if string(info.Identity) != string(identity) {
				t.Errorf("asked for %d bytes, want %d", len(info.Identity), len(identity))
			}
			if !info.RemoteAddr.IsValid() {
				t.Error("asked without an address")
			}
			return &PSK{Key: []byte{9}}, nil
		}
		s := newSim(t, client, server)
		s.handshake()
		if got := s.eng[serverSide].ConnectionState().PSKIdentity; string(got) != string(identity) {
			t.Errorf("identity %q, want %q", got, identity)
		}
	}
}

// TestPSKCallbackErrors are our own failures.
func TestPSKCallbackErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(client, server *Config)
		finder side
	}{
		{"ServerPSK fails", func(c, s *Config) {
			s.ServerPSK = func(context.Context, ServerPSKInfo) (*PSK, error) { return nil, errCallback }
		}, serverSide},
		{"ServerPSK without a key", func(c, s *Config) {
			s.ServerPSK = func(context.Context, ServerPSKInfo) (*PSK, error) { return &PSK{}, nil }
		}, serverSide},
		{"ClientPSK fails", func(c, s *Config) {
			c.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) { return nil, errCallback }
		}, clientSide},
		{"ClientPSK without keys", func(c, s *Config) {
			c.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) { return nil, nil }
		}, clientSide},
		{"an identity that is too long", func(c, s *Config) {
			c.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) {
				return []PSK{{Identity: make([]byte, 65536), Key: []byte{1}}}, nil
			}
		}, clientSide},
	} {
		client, server := pskConfigs()
		client.PlaintextAlerts, server.PlaintextAlerts = AlertsImmediate, AlertsImmediate
		test.change(client, server)
		s := newSim(t, client, server)
		s.refuses(test.finder, alert.InternalError)
	}
}

// TestVerifyPeerCertificateWithoutOne: a client that was asked for a certificate and
// shows none is judged by VerifyPeerCertificate, which gets an empty list. A server
// that pins certificates by it must not let such a client in. Where ClientAuth
// requires a certificate the client is refused before.
func TestVerifyPeerCertificateWithoutOne(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		for _, test := range []struct {
			auth  tls.ClientAuthType
			err   error
			calls int
			want  Alert // 0: the handshake succeeds
		}{
			{tls.NoClientCert, errCallback, 0, 0},
			{tls.RequestClientCert, errCallback, 1, alert.BadCertificate},
			{tls.VerifyClientCertIfGiven, errCallback, 1, alert.BadCertificate},
			{tls.RequestClientCert, nil, 1, 0},
			{tls.VerifyClientCertIfGiven, nil, 1, 0},
			{tls.RequireAnyClientCert, nil, 0, map[uint16]Alert{VersionDTLS12: alert.HandshakeFailure, VersionDTLS13: alert.CertificateRequired}[version]},
		} {
			t.Run(fmt.Sprintf("%s/%v/%v", VersionName(version), test.auth, test.err), func(t *testing.T) {
				client, server := certConfigs(dtlstest.P256)
				client.MinVersion, client.MaxVersion, server.MinVersion, server.MaxVersion = version, version, version, version
				calls := 0
				server.ClientAuth = test.auth
				server.VerifyPeerCertificate = func(raw [][]byte, verified [][]*x509.Certificate) error {
					if calls++; len(raw)+len(verified) != 0 {
						t.Errorf("%d certificates, %d chains", len(raw), len(verified))
					}
					return test.err
				}
				s := newSim(t, client, server)
				if test.want != 0 {
					s.refuses(serverSide, test.want)
				} else {
					s.handshake()
				}
				if calls != test.calls {
					t.Errorf("VerifyPeerCertificate was called %d times, want %d", calls, test.calls)
				}
			})
		}
	}
}
