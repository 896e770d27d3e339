package dtls

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// What each side may choose, and the alert when the other one chooses
// otherwise. The man in the middle rewrites one plaintext message, so that an
// honest engine becomes a malicious peer.

type (
	clientHello = *message.ClientHello
	serverHello = *message.ServerHello
	serverKey   = *message.ServerKeyExchangeECDHE
)

func onClientHello(change func(clientHello)) func(*sim) {
	return func(s *sim) { rewriteAs(s, message.TypeClientHello, 0, change) }
}

func onServerHello(change func(serverHello)) func(*sim) {
	return func(s *sim) { rewriteAs(s, message.TypeServerHello, 0, change) }
}

func onServerKey(change func(serverKey)) func(*sim) {
	return func(s *sim) { rewriteAs(s, message.TypeServerKeyExchange, message.ECDHE, change) }
}

// withExtension adds an empty extension to a ServerHello.
func withExtension(t uint16, data ...byte) func(*sim) {
	return func(s *sim) {
		s.rewrite(message.TypeServerHello, func(body []byte) []byte {
			at := 2 + 32 + 1 + int(body[34]) + 3
			if at == len(body) {
				body = append(body, 0, 0)
			}
			body = append(body, byte(t>>8), byte(t), byte(len(data)>>8), byte(len(data)))
			body = append(body, data...)
			n := len(body) - at - 2
			body[at], body[at+1] = byte(n>>8), byte(n)
			return body
		})
	}
}

func no() *bool { return new(bool) }

// TestMaliciousPeers: nothing that was not offered is taken (THREATS 30, 32).
func TestMaliciousPeers(t *testing.T) {
	for _, test := range []struct {
		name           string
		client, server func(*Config)
		middle         func(*sim)
		finder         side
		want           Alert
	}{
		// The hello that the server sees offers more than the client did.
		{
			"suite that was not offered", func(c *Config) { c.CipherSuites = []uint16{0xc02b} }, nil,
			onClientHello(func(h clientHello) { h.CipherSuites = []uint16{0xc02c} }), clientSide, alert.IllegalParameter,
		},
		{
			"suite that nobody speaks", nil, nil,
			onServerHello(func(h serverHello) { h.CipherSuite = 0x002f }), clientSide, alert.IllegalParameter,
		},
		{
			"signalling suite chosen", nil, nil,
			onServerHello(func(h serverHello) { h.CipherSuite = 0x00ff }), clientSide, alert.IllegalParameter,
		},
		{
			"group that was not offered", func(c *Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} }, nil,
			onClientHello(func(h clientHello) { h.SupportedGroups = []uint16{24, 23} }), clientSide, alert.IllegalParameter,
		},
		{
			"group that nobody speaks", nil, nil,
			onServerKey(func(m serverKey) { m.Group = 0x7a7a }), clientSide, alert.DecryptError,
		},
		{
			"scheme that was not offered", func(c *Config) { c.SignatureSchemes = []tls.SignatureScheme{tls.ECDSAWithP384AndSHA384} }, nil,
			onClientHello(func(h clientHello) { h.SignatureSchemes = []uint16{0x0403} }), clientSide, alert.IllegalParameter,
		},
		{
			"SHA-1 scheme", nil, nil,
			onServerKey(func(m serverKey) { m.Scheme = 0x0203 }), clientSide, alert.IllegalParameter,
		},
		{
			"MD5 scheme", nil, nil,
			onServerKey(func(m serverKey) { m.Scheme = 0x0101 }), clientSide, alert.IllegalParameter,
		},
		{
			"scheme of another key", nil, nil,
			onServerKey(func(m serverKey) { m.Scheme = 0x0804 }), clientSide, alert.IllegalParameter,
		},
		{
			"signature of another handshake", nil, nil,
			onServerKey(func(m serverKey) { m.Signature[9] ^= 1 }), clientSide, alert.DecryptError,
		},
		{
			"share of another handshake", nil, nil,
			onServerKey(func(m serverKey) { m.Public[9] ^= 1 }), clientSide, alert.DecryptError,
		},
		{
			"protocol that was not offered", func(c *Config) { c.NextProtos = []string{"a"} }, func(c *Config) { c.NextProtos = []string{"b"} },
			onClientHello(func(h clientHello) { h.ALPN = []string{"b"} }), clientSide, alert.IllegalParameter,
		},
		{
			"protocol when none was offered", nil, func(c *Config) { c.NextProtos = []string{"b"} },
			onClientHello(func(h clientHello) { h.ALPN = []string{"b"} }), clientSide, alert.UnsupportedExtension,
		},
		{
			"extended master secret that was not offered", func(c *Config) { c.DisableExtendedMasterSecret = true }, nil,
			onClientHello(func(h clientHello) { h.ExtendedMasterSecret = true }), clientSide, alert.UnsupportedExtension,
		},
		{"encrypt_then_mac", nil, nil, withExtension(message.ExtensionEncryptThenMAC), clientSide, alert.UnsupportedExtension},
		{"session_ticket", nil, nil, withExtension(message.ExtensionSessionTicket), clientSide, alert.UnsupportedExtension},
		{"use_srtp", nil, nil, withExtension(message.ExtensionUseSRTP, 0, 2, 0, 1, 0), clientSide, alert.UnsupportedExtension},
		{"connection_id", nil, nil, withExtension(message.ExtensionConnectionID, 0), clientSide, alert.UnsupportedExtension},
		{"supported_versions", nil, nil, withExtension(message.ExtensionSupportedVersions, 0xfe, 0xfd), clientSide, alert.UnsupportedExtension},
		{"supported_groups", nil, nil, withExtension(message.ExtensionSupportedGroups, 0, 2, 0, 29), clientSide, alert.UnsupportedExtension},
		{"unknown extension", nil, nil, withExtension(0x7a7a, 1, 2), clientSide, alert.UnsupportedExtension},
		{"extension twice", nil, nil, withExtension(message.ExtensionExtendedMasterSecret), clientSide, alert.IllegalParameter},
		{"server of DTLS 1.0", nil, nil, onServerHello(func(h serverHello) { h.Version = message.Version10 }), clientSide, alert.ProtocolVersion},
		{
			"server of DTLS 1.3", nil, nil,
			onServerHello(func(h serverHello) {
				*h = message.ServerHello{Version: h.Version, Random: h.Random, CipherSuite: h.CipherSuite, SupportedVersion: VersionDTLS13}
			}), clientSide, alert.ProtocolVersion,
		},
		{"server of TLS 1.2", nil, nil, onServerHello(func(h serverHello) { h.Version = tls.VersionTLS12 }), clientSide, alert.ProtocolVersion},
		{
			"renegotiation_info of a server", nil, nil,
			onServerHello(func(h serverHello) { h.RenegotiationInfo = make([]byte, 24) }), clientSide, alert.HandshakeFailure,
		},
		{
			"renegotiation_info of a client", nil, nil,
			onClientHello(func(h clientHello) { h.RenegotiationInfo = make([]byte, 12) }), serverSide, alert.HandshakeFailure,
		},
		{
			"server without extended master secret", nil, nil,
			onServerHello(func(h serverHello) { h.ExtendedMasterSecret = false }), clientSide, alert.HandshakeFailure,
		},
		{"client without extended master secret", func(c *Config) { c.DisableExtendedMasterSecret = true }, nil, nil, serverSide, alert.HandshakeFailure},
		{"client of DTLS 1.0", nil, nil, onClientHello(func(h clientHello) { h.Version = message.Version10 }), serverSide, alert.ProtocolVersion},
		{"client of TLS 1.2", nil, nil, onClientHello(func(h clientHello) { h.Version = tls.VersionTLS12 }), serverSide, alert.ProtocolVersion},
		{
			"client of DTLS 1.3 only", nil, nil,
			onClientHello(func(h clientHello) { h.SupportedVersions = []uint16{VersionDTLS13, 0x7a7a} }), serverSide, alert.ProtocolVersion,
		},
		{
			"client without our suites", nil, nil,
			onClientHello(func(h clientHello) { h.CipherSuites = []uint16{0x002f, 0xc013, 0x1301, 0x00ff} }), serverSide, alert.HandshakeFailure,
		},
		{
			"client without our groups", nil, nil,
			onClientHello(func(h clientHello) { h.SupportedGroups = []uint16{256, 0x11ec} }), serverSide, alert.HandshakeFailure,
		},
		{
			"client that does not know our curve", nil, nil,
			onClientHello(func(h clientHello) { h.SupportedGroups = []uint16{29} }), serverSide, alert.HandshakeFailure,
		},
		{
			"client that asks for SHA-1", nil, nil,
			onClientHello(func(h clientHello) { h.SignatureSchemes = []uint16{0x0203, 0x0201} }), serverSide, alert.HandshakeFailure,
		},
		{
			"client without signature_algorithms", nil, nil,
			onClientHello(func(h clientHello) { h.SignatureSchemes = nil }), serverSide, alert.HandshakeFailure,
		},
		{
			"no protocol in common", func(c *Config) { c.NextProtos = []string{"a", "b"} }, func(c *Config) { c.NextProtos = []string{"c"} }, nil,
			serverSide, alert.NoApplicationProtocol,
		},
		{
			"certificate of another kind", nil, nil,
			onServerHello(func(h serverHello) { h.CipherSuite = 0xc02f }), clientSide, alert.UnsupportedCertificate,
		},
		{"hello changed on the way", nil, nil, func(s *sim) {
			onClientHello(func(h clientHello) { h.CipherSuites = append(h.CipherSuites, 0x1301) })(s)
		}, clientSide, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := certConfigs(dtlstest.P256)
			for _, f := range []struct {
				change func(*Config)
				config *Config
			}{{test.client, client}, {test.server, server}} {
				if f.change != nil {
					f.change(f.config)
				}
			}
			s := newSim(t, client, server)
			if test.middle != nil {
				test.middle(s)
			}
			if test.want == 0 { // keys that differ: nobody can say anything
				if s.run(3*time.Minute, s.established) {
					t.Error("the handshake succeeds")
				}
				return
			}
			s.refuses(test.finder, test.want)
		})
	}
}

// TestTolerated: what an honest, other implementation may do.
func TestTolerated(t *testing.T) {
	for _, test := range []struct {
		name   string
		middle func(clientHello)
	}{
		{"versions of which some are unknown", func(h clientHello) { h.SupportedVersions = []uint16{0x0303, 0x7a7a, VersionDTLS13, VersionDTLS12} }},
		{"a version above ours, as of a client of the future", func(h clientHello) { h.Version = 0xfefb }},
		{"unknown suites, groups and schemes", func(h clientHello) {
			h.CipherSuites = append([]uint16{0x0a0a, 0x1301}, h.CipherSuites...)
			h.SupportedGroups = append([]uint16{0x1a1a, 0x11ec}, h.SupportedGroups...)
			h.SignatureSchemes = append([]uint16{0x2a2a}, h.SignatureSchemes...)
		}},
		{"the signalling suite instead of renegotiation_info", func(h clientHello) {
			h.CipherSuites, h.HasRenegotiationInfo = append(h.CipherSuites, 0x00ff), false
		}},
		{"no supported_groups", func(h clientHello) { h.SupportedGroups, h.PointFormats = nil, nil }},
		{"a session id", func(h clientHello) { h.SessionID = bytes.Repeat([]byte{7}, 32) }},
		{"a ticket", func(h clientHello) { h.SessionTicket = []byte("some other server's") }},
		{"encrypt_then_mac", func(h clientHello) { h.EncryptThenMAC = true }},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := certConfigs(dtlstest.P256)
			s := newSim(t, client, server)
			onClientHello(test.middle)(s)
			// The transcripts differ now, so the handshake cannot complete; that
			// the server answers is what counts.
			var hello serverHello
			onServerHello(func(h serverHello) { hello = h })(s)
			s.run(10*time.Second, func() bool { return hello != nil || s.over() })
			if hello == nil || hello.Version != VersionDTLS12 || !hello.HasRenegotiationInfo || hello.SupportedVersion != 0 ||
				hello.EncryptThenMAC || hello.SessionTicketAck != (test.name == "a ticket") || len(hello.SessionID) > 0 {
				t.Errorf("server hello %+v, error %v", hello, s.eng[serverSide].Err())
			}
		})
	}
}

// TestWithoutExtendedMasterSecret: where both opted out, or one does not
// require it, the handshake works and the exporter does not.
func TestWithoutExtendedMasterSecret(t *testing.T) {
	for _, test := range []struct {
		name           string
		client, server Config // EMS fields only
		ems            bool
	}{
		{"disabled on both", Config{DisableExtendedMasterSecret: true}, Config{DisableExtendedMasterSecret: true}, false},
		{"disabled on the client", Config{DisableExtendedMasterSecret: true}, Config{RequireExtendedMasterSecret: no()}, false},
		{"disabled on the server", Config{RequireExtendedMasterSecret: no()}, Config{DisableExtendedMasterSecret: true}, false},
		{"not required on both", Config{RequireExtendedMasterSecret: no()}, Config{RequireExtendedMasterSecret: no()}, true},
	} {
		client, server := certConfigs(dtlstest.P256)
		for c, from := range map[*Config]Config{client: test.client, server: test.server} {
			c.DisableExtendedMasterSecret, c.RequireExtendedMasterSecret = from.DisableExtendedMasterSecret, from.RequireExtendedMasterSecret
		}
		s := newSim(t, client, server)
		s.handshake()
		for _, e := range s.eng {
			st := e.ConnectionState()
			_, err := st.ExportKeyingMaterial("EXPORTER-test", nil, 32)
			if st.ExtendedMasterSecret != test.ems || (err == nil) != test.ems {
				t.Errorf("%s: %v: EMS %v, exporter %v", test.name, e, st.ExtendedMasterSecret, err)
			}
		}
	}
}

// TestDefaultSuites is the list that is offered unless the config names suites
// (THREATS 48, 49): AEAD only, forward secrecy but for pre-shared keys, no
// short tags.
func TestDefaultSuites(t *testing.T) {
	const want = `
certificates: TLS_AES_128_GCM_SHA256
certificates: TLS_AES_256_GCM_SHA384
certificates: TLS_CHACHA20_POLY1305_SHA256
certificates: TLS_AES_128_CCM_SHA256
certificates: TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
certificates: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
certificates: TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
certificates: TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
certificates: TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
certificates: TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
certificates: TLS_ECDHE_ECDSA_WITH_AES_128_CCM
certificates: TLS_ECDHE_ECDSA_WITH_AES_256_CCM
psk: TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256
psk: TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384
psk: TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256
psk: TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256
psk: TLS_PSK_WITH_AES_128_GCM_SHA256
psk: TLS_PSK_WITH_AES_256_GCM_SHA384
psk: TLS_PSK_WITH_CHACHA20_POLY1305_SHA256
psk: TLS_PSK_WITH_AES_128_CCM
psk: TLS_PSK_WITH_AES_256_CCM
schemes: ECDSAWithP256AndSHA256 ECDSAWithP384AndSHA384 ECDSAWithP521AndSHA512 Ed25519 PSSWithSHA256 PSSWithSHA384 PSSWithSHA512 SignatureScheme(2057) SignatureScheme(2058) SignatureScheme(2059) PKCS1WithSHA256 PKCS1WithSHA384 PKCS1WithSHA512
groups: X25519MLKEM768 X25519 CurveP256 CurveP384 CurveP521 SecP256r1MLKEM768 SecP384r1MLKEM1024
`
	var got strings.Builder
	fmt.Fprintln(&got)
	offer := func(config *Config) clientHello {
		e, err := NewClientEngine(config, simStart)
		if err != nil {
			t.Fatal(err)
		}
		return helloOf(e)
	}
	certificate := offer(&Config{ServerName: "localhost"})
	client, server := simConfigs(dtlstest.P256, 0)
	withPSK(client, server)
	for _, list := range []struct {
		name  string
		hello clientHello
	}{{"certificates", certificate}, {"psk", offer(client)}} {
		for _, id := range list.hello.CipherSuites {
			fmt.Fprintf(&got, "%s: %s\n", list.name, suite.Name(id))
			for _, bad := range []string{"CBC", "CCM_8", "SHA1", "_RSA_WITH_RSA", "TLS_RSA"} {
				if strings.Contains(suite.Name(id), bad) {
					t.Errorf("%s is offered", suite.Name(id))
				}
			}
		}
	}
	var list []tls.SignatureScheme
	for _, id := range certificate.SignatureSchemes {
		list = append(list, tls.SignatureScheme(id))
	}
	fmt.Fprintln(&got, "schemes:", strings.Trim(fmt.Sprint(list), "[]"))
	var groups []string
	for _, g := range certificate.SupportedGroups {
		groups = append(groups, tls.CurveID(g).String())
	}
	fmt.Fprintln(&got, "groups:", strings.Join(groups, " "))
	if got.String() != want {
		t.Errorf("got %s\nwant %s", got.String(), want)
	}
	for _, s := range suite.All() {
		if strings.Contains(s.Name, "CBC") || s.AEAD.TagLen() < 16 && !s.OnRequest {
			t.Errorf("%s can be negotiated without being named", s.Name)
		}
	}
	if !slices.IsSortedFunc(suite.All(), func(a, b *suite.Suite) int { return boolInt(a.OnRequest) - boolInt(b.OnRequest) }) {
		t.Error("suites with short tags come before others")
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestKeysAndGroups: every kind of certificate and every group.
func TestKeysAndGroups(t *testing.T) {
	t.Parallel()
	for key := dtlstest.P256; key <= dtlstest.RSA2048; key++ {
		for _, group := range []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521} {
			t.Run(fmt.Sprintf("%v/%v", key, group), func(t *testing.T) {
				client, server := certConfigs(key)
				server.CurvePreferences = []tls.CurveID{group}
				s := newSim(t, client, server)
				s.handshake()
				for _, e := range s.eng {
					if st := e.ConnectionState(); st.CurveID != group || st.SignatureScheme == 0 {
						t.Errorf("state %+v", st)
					}
				}
			})
		}
	}
}

// TestPreferences: the server's order decides suite, group and protocol, the
// client's the signature scheme.
func TestPreferences(t *testing.T) {
	client, server := certConfigs(dtlstest.RSA2048)
	client.CipherSuites, server.CipherSuites = []uint16{0xc02f, 0xc030}, []uint16{0xc030, 0xc02f}
	client.CurvePreferences, server.CurvePreferences = []tls.CurveID{24, 23}, []tls.CurveID{29, 23, 24}
	client.NextProtos, server.NextProtos = []string{"a", "b"}, []string{"c", "b", "a"}
	client.SignatureSchemes = []tls.SignatureScheme{tls.PKCS1WithSHA256, tls.PSSWithSHA512}
	s := newSim(t, client, server)
	s.handshake()
	for _, e := range s.eng {
		st := e.ConnectionState()
		if st.CipherSuite != 0xc030 || st.CurveID != 23 || st.NegotiatedProtocol != "b" || st.SignatureScheme != tls.PKCS1WithSHA256 {
			t.Errorf("%+v", st)
		}
	}
	// A peer that offers none gets none.
	client.NextProtos = nil
	s = newSim(t, client, server)
	s.handshake()
	if p := s.eng[serverSide].ConnectionState().NegotiatedProtocol; p != "" {
		t.Errorf("protocol %q for a client that offers none", p)
	}
}
