package handshake

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// both gives a server a pre-shared key beside its certificate, and a client the same
// key.
func both(client, server *Config) {
	certs := server.Certificates
	usePSK(client, server, 1, 2, 3, 4)
	server.Certificates, server.Certified = certs, true
}

// TestSuitesPassedOver: a client offers a certificate suite and a suite for pre-shared
// keys, and no signature_algorithms. The server has both, and takes the suite that it
// can serve, in whatever order (RFC 5246, Section 7.4.1.3).
func TestSuitesPassedOver(t *testing.T) {
	for _, reversed := range []bool{false, true} {
		client, server := configs(message.Version12)
		both(client, server)
		suites := []*suite.Suite{suite.Lookup(0xc0ae), suite.Lookup(0xc0a8)} // ECDHE_ECDSA and PSK
		server.Suites, client.Suites = suites, slices.Clone(suites)
		if reversed {
			slices.Reverse(client.Suites)
		}
		client.Schemes = nil
		c, s := begin(t, client, server)
		finish(t, c, s)
		if c.Info.CipherSuite != 0xc0a8 || string(s.Info.PSKIdentity) != "device" {
			t.Errorf("suite %04x, %+v", c.Info.CipherSuite, s.Info)
		}
	}
}

// TestSuiteOfTheKey: suite and pre-shared key have the same hash (RFC 8446, Section
// 4.2.11), whatever the server prefers.
func TestSuiteOfTheKey(t *testing.T) {
	for _, certified := range []bool{false, true} {
		client, server := configs(message.Version13)
		if certified {
			both(client, server)
		} else {
			usePSK(client, server, 1, 2, 3, 4)
		}
		server.Suites13 = []*suite.Suite{suite.Lookup(0x1302), suite.Lookup(0x1301)}
		c, s := begin(t, client, server)
		finish(t, c, s)
		if c.Info.CipherSuite != 0x1301 || string(s.Info.PSKIdentity) != "device" {
			t.Errorf("certificates: %v: suite %04x, %+v", certified, c.Info.CipherSuite, s.Info)
		}
	}
	client, server := configs(message.Version13) // without keys the order stands
	server.ServerPSK = func(context.Context) (func(PSKQuery) (*PSK, error), func()) {
		return func(PSKQuery) (*PSK, error) { return nil, nil }, func() {}
	}
	server.Suites13 = []*suite.Suite{suite.Lookup(0x1302), suite.Lookup(0x1301)}
	c, s := begin(t, client, server)
	if finish(t, c, s); c.Info.CipherSuite != 0x1302 {
		t.Errorf("suite %04x", c.Info.CipherSuite)
	}
}

// TestRefusedHellos: hellos that no choice can be made for, with the alerts of their
// RFCs.
func TestRefusedHellos(t *testing.T) {
	x25519 := message.KeyShare{Group: uint16(kex.X25519), Data: make([]byte, 32)}
	p256 := message.KeyShare{Group: uint16(kex.P256), Data: make([]byte, 65)}
	asked := &Choice{Version: message.Version13, Suite: suite.Lookup(0x1301), Group: kex.X25519}
	_, server := configs(message.Version13)
	server.MinVersion, server.PSKAlone = message.Version12, true
	for _, test := range []struct {
		name   string
		change func(*message.ClientHello)
		before *Choice
		want   alert.Alert // 0: accepted
	}{
		{"good", func(*message.ClientHello) {}, nil, 0},
		{"legacy_version DTLS 1.3", func(h *message.ClientHello) { h.Version = message.Version13 }, nil, alert.ProtocolVersion},
		{"legacy_version DTLS 1.0", func(h *message.ClientHello) { h.Version = message.Version10 }, nil, alert.ProtocolVersion},
		{"supported_groups without key_share", func(h *message.ClientHello) { h.KeyShares, h.HasKeyShares = nil, false }, nil, alert.MissingExtension},
		{"the same with a key", func(h *message.ClientHello) {
			h.KeyShares, h.HasKeyShares = nil, false
			h.PSKs, h.Binders, h.PSKModes = []message.PSKIdentity{{Identity: []byte("x")}}, [][]byte{make([]byte, 32)}, []uint8{0, 1}
		}, nil, alert.MissingExtension},
		{"key_share without supported_groups", func(h *message.ClientHello) { h.SupportedGroups = nil }, nil, alert.MissingExtension},
		{"the share that was asked for", func(*message.ClientHello) {}, asked, 0},
		{"one more", func(h *message.ClientHello) { h.KeyShares = append(h.KeyShares, p256) }, asked, alert.IllegalParameter},
		{"another", func(h *message.ClientHello) { h.KeyShares = []message.KeyShare{p256} }, asked, alert.IllegalParameter},
		{"a fallback", func(h *message.ClientHello) {
			h.SupportedVersions = []uint16{message.Version12}
			h.CipherSuites = append(h.CipherSuites, 0x5600)
		}, nil, alert.InappropriateFallback},
		{"a fallback without supported_versions", func(h *message.ClientHello) {
			h.SupportedVersions, h.CipherSuites = nil, append(h.CipherSuites, 0x5600)
		}, nil, alert.InappropriateFallback},
		{"no fallback", func(h *message.ClientHello) { h.CipherSuites = append(h.CipherSuites, 0x5600) }, nil, 0},
	} {
		h := &message.ClientHello{
			Version: message.Version12, Compression: []byte{0}, CipherSuites: []uint16{0x1301, 0xc02b},
			SupportedVersions: []uint16{message.Version13, message.Version12},
			SupportedGroups:   []uint16{x25519.Group, p256.Group}, KeyShares: []message.KeyShare{x25519}, HasKeyShares: true,
		}
		test.change(h)
		body, err := h.AppendBody(nil)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := message.ScanClientHello(body)
		if !ok {
			t.Fatal(test.name)
		}
		_, why := server.Choose(&v, test.before)
		if why == Accepted && test.want != 0 || why != Accepted && why.Alert() != test.want {
			t.Errorf("%s: %v", test.name, why.explain(server, &v, test.before))
		}
	}
	server.MaxVersion = message.Version12 // it has no newer version than the client
	v, _ := message.ScanClientHello(mustBody(t, &message.ClientHello{Version: message.Version12, Compression: []byte{0}, CipherSuites: []uint16{0x5600}}))
	if _, why := server.Choose(&v, nil); why != Accepted {
		t.Error("a fallback to the newest version is refused")
	}
}

func mustBody(t *testing.T, m message.Message) []byte {
	body, err := m.AppendBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestCertificateTypesOfARequest: a client has no certificate for a CertificateRequest
// that lists another type of key (RFC 5246, Section 7.4.6).
func TestCertificateTypesOfARequest(t *testing.T) {
	for types, want := range map[string]int{"\x01": 0, "\x40": 1, "\x01\x40": 1, "\x02": 0} {
		client, server := configs(message.Version12)
		client.Certificates, server.ClientAuth = server.Certificates, tls.RequestClientCert
		c, s := begin(t, client, server)
		s.deliver(t, c)
		for i, o := range s.link.flight {
			if o.typ == message.TypeCertificateRequest {
				m, err := message.Parse(o.typ, message.ECDHE, o.body)
				if err != nil {
					t.Fatal(err)
				}
				m.(*message.CertificateRequest).CertificateTypes = []byte(types)
				s.link.flight[i].body = mustBody(t, m)
			}
		}
		c.deliver(t, s)
		m, err := message.Parse(message.TypeCertificate, message.ECDHE, c.link.flight[0].body)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(m.(*message.Certificate).Chain); min(got, 1) != want {
			t.Errorf("types %x: %d certificates", types, got)
		}
	}
}

// issued is a certificate with a P-256 key that another key has signed.
func issued(t *testing.T, by crypto.Signer) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	at := testChain.Certificate.Leaf.NotBefore
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}, NotBefore: at, NotAfter: at.AddDate(1, 0, 0)}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, DNSNames: []string{"localhost"},
		NotBefore: at, NotAfter: at.AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestChainsThePeerCanVerify: of chains with the same kind of key the one is sent whose
// signatures the peer verifies (RFC 8446, Sections 4.2.3 and 4.4.2.2).
func TestChainsThePeerCanVerify(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	byRSA, byECDSA := issued(t, rsaKey), issued(t, ecdsaKey)
	ec, pkcs1 := []auth.Scheme{tls.ECDSAWithP256AndSHA256}, []uint16{uint16(tls.PKCS1WithSHA256)}
	for _, version := range versions {
		for _, fromClient := range []bool{false, true} {
			for _, chains := range [][]tls.Certificate{{byRSA, byECDSA}, {byECDSA, byRSA}} {
				client, server := configs(version)
				sends, takes := server, client
				if fromClient {
					sends, takes, server.ClientAuth = client, server, tls.RequireAnyClientCert
					server.Roots = nil // no certificate_authorities
				}
				takes.Schemes, sends.Certificates, client.SkipVerify = ec, chains, true
				c, s := begin(t, client, server)
				finish(t, c, s)
				seen := c.Info.PeerCertificates
				if fromClient {
					seen = s.Info.PeerCertificates
				}
				if len(seen) == 0 || !bytes.Equal(seen[0].Raw, byECDSA.Certificate[0]) {
					t.Errorf("%s, from the client: %v: another chain", message.VersionName(version), fromClient)
				}
			}
		}
	}
	// signature_algorithms_cert decides alone, and a chain that does not fit is better than
	// none.
	_, server := configs(message.Version13)
	server.Certificates = []tls.Certificate{byECDSA, byRSA}
	any := func(*tls.Certificate) bool { return true }
	for _, test := range []struct {
		cert []uint16
		want *tls.Certificate
	}{{pkcs1, &byRSA}, {nil, &byECDSA}, {[]uint16{uint16(tls.Ed25519)}, &byECDSA}} {
		h := &message.ClientHello{SignatureSchemes: numbersOf(ec), SignatureSchemesCert: test.cert}
		if got := bestCertificate(server, h, any); !bytes.Equal(got.Certificate[0], test.want.Certificate[0]) {
			t.Errorf("signature_algorithms_cert %x: another chain", test.cert)
		}
	}
}

// TestServerNameIsAcknowledged where it can have decided something, and nowhere else (RFC
// 6066, Section 3).
func TestServerNameIsAcknowledged(t *testing.T) {
	for _, version := range versions {
		for _, chains := range []int{1, 2} {
			for _, name := range []string{"localhost", "127.0.0.1"} {
				client, server := configs(version)
				server.Certificates = slices.Repeat(server.Certificates, chains)
				client.ServerName = name
				client.SkipVerify = true
				c, s := begin(t, client, server)
				if s.deliver(t, c); s.StateName() == "awaitSecondHello13" {
					c.deliver(t, s)
					s.deliver(t, c)
				}
				acknowledged := false
				for _, o := range s.link.flight {
					m, err := message.Parse(o.typ, message.TLS13, o.body)
					if err != nil {
						continue
					}
					switch m := m.(type) {
					case *message.ServerHello:
						acknowledged = acknowledged || m.ServerNameAck
					case *message.EncryptedExtensions:
						acknowledged = acknowledged || m.ServerNameAck
					}
				}
				if want := chains > 1 && name == "localhost"; acknowledged != want {
					t.Errorf("%s, %d chains, %s: acknowledged: %v", message.VersionName(version), chains, name, acknowledged)
				}
			}
		}
	}
}

// TestGetCertificateWithoutName: as in crypto/tls, Certificates come first then.
func TestGetCertificateWithoutName(t *testing.T) {
	for _, version := range versions {
		for _, name := range []string{"localhost", "127.0.0.1"} {
			client, server := configs(version)
			client.ServerName, client.SkipVerify = name, true
			asked := false
			server.GetCertificate = func(context.Context, *tls.ClientHelloInfo) (*tls.Certificate, error) {
				asked = true
				return &testChain.Certificate, nil
			}
			c, s := begin(t, client, server)
			if finish(t, c, s); asked != (name == "localhost") {
				t.Errorf("%s, %s: called: %v", message.VersionName(version), name, asked)
			}
		}
	}
}

// TestSecondHelloRepeatsTheFirst: after a HelloVerifyRequest but for the cookie, which
// may cover all of it: the binders stay (RFC 6347, Section 4.2.1: "the client MUST use the
// same parameter values").
func TestSecondHelloRepeatsTheFirst(t *testing.T) {
	client, server := configs(message.Version13)
	usePSK(client, server, 1, 2, 3, 4)
	client.MinVersion = message.Version12
	c, _ := begin(t, client, server)
	cookieAt := 2 + 32 + 1 // version, random, no session_id
	first := c.link.flight[0].body
	cookie := []byte("a cookie")
	body := mustBody(t, &message.HelloVerifyRequest{Version: message.Version10, Cookie: cookie})
	if err := c.give(outgoing{typ: message.TypeHelloVerifyRequest, body: body}); err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(first[:cookieAt], []byte{byte(len(cookie))}, cookie, first[cookieAt+1:])
	if second := c.link.flight[0].body; !bytes.Equal(second, want) {
		t.Errorf("got  %x\nwant %x", second, want)
	}
}
