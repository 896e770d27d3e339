package handshake

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/ticket"
)

// Who a peer is taken for: what must not be enough to be taken for somebody.

// attempt exchanges flights until both sides are complete, or one refuses.
func attempt(c, s end) error {
	for from, to := c, s; !c.IsComplete() || !s.IsComplete(); from, to = to, from {
		for _, o := range from.link.flight {
			if o.ccs {
				continue
			}
			if err := to.give(o); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestDecoyIsRandom: the key that stands for an unknown identity is none that a client
// can guess (RFC 4279, Section 2), such as zeros.
func TestDecoyIsRandom(t *testing.T) {
	for _, version := range versions {
		for _, n := range []int{1, 16, 20, 32, 48, 64} {
			client, server := configs(version)
			usePSK(client, server, 1, 2, 3)
			guess := PSK{Identity: []byte("nobody"), Key: make([]byte, n)}
			client.ClientPSKs = func(context.Context, string, []byte) ([]PSK, error) { return []PSK{guess}, nil }
			c, s := begin(t, client, server)
			if err := attempt(c, s); alert.Of(err) != alert.DecryptError {
				t.Errorf("%s: %d zeros are the key of an unknown identity: %v", message.VersionName(version), n, err)
			}
		}
	}
}

// selfSigned is a certificate with an extended key usage, its own authority.
func selfSigned(t *testing.T, usages ...x509.ExtKeyUsage) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	leaf := testChain.Certificate.Leaf
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "device"}, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: usages, DNSNames: []string{"localhost"},
	}
	key := testChain.Certificate.PrivateKey
	der, err := x509.CreateCertificate(nil, template, template, PublicKey(&testChain.Certificate), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}, pool
}

// TestExtendedKeyUsage: a certificate for one side is none for the other (RFC 5280,
// Section 4.2.1.12).
func TestExtendedKeyUsage(t *testing.T) {
	for _, version := range versions {
		for _, ofClient := range []bool{true, false} {
			own, other := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
			if ofClient {
				own, other = other, own
			}
			for _, test := range []struct {
				usages []x509.ExtKeyUsage
				want   alert.Alert // 0: accepted
			}{
				{nil, 0},
				{[]x509.ExtKeyUsage{own}, 0},
				{[]x509.ExtKeyUsage{other, own}, 0},
				{[]x509.ExtKeyUsage{x509.ExtKeyUsageAny}, 0},
				{[]x509.ExtKeyUsage{other}, alert.UnsupportedCertificate},
				{[]x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, alert.UnsupportedCertificate},
			} {
				client, server := configs(version)
				cert, pool := selfSigned(t, test.usages...)
				if ofClient {
					client.Certificates, server.Roots, server.ClientAuth = []tls.Certificate{cert}, pool, tls.RequireAndVerifyClientCert
				} else {
					server.Certificates, client.Roots = []tls.Certificate{cert}, pool
				}
				c, s := begin(t, client, server)
				if err := attempt(c, s); (err == nil) != (test.want == 0) || err != nil && alert.Of(err) != test.want {
					t.Errorf("%s, certificate of the client %v, usages %v: %v", message.VersionName(version), ofClient, test.usages, err)
				}
			}
		}
	}
}

// TestCertificateTypes: a CertificateRequest asks for RSA and for ECDSA, the latter
// also for Ed25519 (RFC 5246, Section 7.4.4; RFC 8422, Sections 5.5 and 5.1.1).
func TestCertificateTypes(t *testing.T) {
	client, server := configs(message.Version12)
	server.ClientAuth = tls.RequestClientCert
	c, s := begin(t, client, server)
	s.deliver(t, c)
	i := slices.IndexFunc(s.link.flight, func(o outgoing) bool { return o.typ == message.TypeCertificateRequest })
	if i < 0 {
		t.Fatal(s.link.names())
	}
	parsed, err := message.Parse(message.TypeCertificateRequest, message.ECDHE, s.link.flight[i].body)
	if err != nil {
		t.Fatal(err)
	}
	types := slices.Sorted(slices.Values(parsed.(*message.CertificateRequest).CertificateTypes))
	if want := []byte{1, 64}; !bytes.Equal(types, want) {
		t.Errorf("certificate_types %v, want %v", types, want)
	}
}

// TestGroupsThatWereOffered: neither side picks a group that the other has not
// offered, whatever it prefers itself (RFC 8446, Section 4.2.8; RFC 8422, Section
// 5.1).
func TestGroupsThatWereOffered(t *testing.T) {
	for _, version := range versions {
		client, server := configs(version)
		set := func(c *Config, groups ...kex.Group) { c.Groups, c.Groups13 = groups, groups }
		set(server, kex.P384, kex.P521, kex.X25519)
		set(client, kex.X25519, kex.P256) // the curve of the certificate
		c, s := begin(t, client, server)
		if err := attempt(c, s); err != nil || c.Info.CurveID != kex.X25519 || s.Info.CurveID != kex.X25519 {
			t.Errorf("%s: %v and %v, %v", message.VersionName(version), c.Info.CurveID, s.Info.CurveID, err)
		}
		set(server, kex.P384, kex.P521)
		c, s = begin(t, client, server)
		if err := s.refused(t, c.link.flight[0]); alert.Of(err) != alert.HandshakeFailure {
			t.Errorf("%s, no group in common: %v", message.VersionName(version), err)
		}
	}
	// A server that picks one all the same is refused.
	for _, group := range []kex.Group{kex.P384, kex.X25519} {
		client, _ := configs(message.Version13)
		client.Groups13 = []kex.Group{kex.X25519}
		c, _ := begin(t, client, client)
		m := &message.HelloRetryRequest{CipherSuite: client.Suites13[0].ID, SelectedGroup: uint16(group)}
		body, err := m.AppendBody(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.refused(t, outgoing{typ: message.TypeServerHello, body: body}); alert.Of(err) != alert.IllegalParameter {
			t.Errorf("hello_retry_request for %v, which is not offered or has a share: %v", group, err)
		}
		share := &message.ServerHello{
			Version: message.Version12, SupportedVersion: message.Version13, CipherSuite: client.Suites13[0].ID,
			HasKeyShare: true, KeyShare: message.KeyShare{Group: uint16(kex.P384), Data: make([]byte, 97)},
		}
		if body, err = share.AppendBody(nil); err != nil {
			t.Fatal(err)
		}
		if err := c.refused(t, outgoing{typ: message.TypeServerHello, body: body}); alert.Of(err) != alert.IllegalParameter {
			t.Errorf("server_hello with a share for another group: %v", err)
		}
	}
	client, server := configs(message.Version12)
	server.Groups = []kex.Group{kex.P384}
	c, s := begin(t, client, server)
	s.deliver(t, c)
	c.Config.Groups = []kex.Group{kex.X25519} // P-384 was not offered after all
	for _, o := range s.link.flight[:2] {
		if err := c.give(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.refused(t, s.link.flight[2]); alert.Of(err) != alert.IllegalParameter {
		t.Errorf("server_key_exchange for a group that was not offered: %v", err)
	}
}

// sessionOf has a client take a session from a server, for the next handshake.
func sessionOf(t *testing.T, client, server *Config) []byte {
	t.Helper()
	if server.Tickets == nil {
		server.Tickets = &ticket.Ring{}
	}
	c, s := begin(t, client, server)
	finish(t, c, s)
	m, err := server.IssueTicket(0, start, s.Result.Secrets13.Resumption, &s.Info)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := client.SessionOf(m, start, c.Result.Secrets13.Resumption, &c.Info)
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

// offer has a client offer a session, whatever it is good for.
func offer(t *testing.T, client *Config, blob []byte) {
	client.TakeSession = func(func() []PSK, time.Time) *Session {
		s, err := ParseSession(blob)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// TestTicketIsForOneIdentity: a ticket is not taken for another server's name (RFC
// 8446, Section 4.6.1), nor where the client's authentication of then is not what is
// wanted now; the handshake is a full one.
func TestTicketIsForOneIdentity(t *testing.T) {
	for _, test := range []struct {
		name    string
		first   func(client, server *Config)
		then    func(client, server *Config)
		resumes bool
	}{
		{"as it was", nil, nil, true},
		{"with a client certificate, as it was", mutual, nil, true},
		{"another name", nil, func(client, _ *Config) { client.ServerName, client.SkipVerify = "other.example", true }, false},
		{"no name", nil, func(client, _ *Config) { client.ServerName, client.SkipVerify = "", true }, false},
		{"no client certificate is wanted any more", mutual, func(_, server *Config) { server.ClientAuth = tls.NoClientCert }, false},
		{"a client certificate is required now", nil, mutual, false},
	} {
		client, server := configs(message.Version13)
		if test.first != nil {
			test.first(client, server)
		}
		offer(t, client, sessionOf(t, client, server))
		if test.then != nil {
			test.then(client, server)
		}
		c, s := begin(t, client, server)
		finish(t, c, s)
		if c.Info.DidResume != test.resumes || s.Info.DidResume != test.resumes {
			t.Errorf("%s: resumed %v, want %v", test.name, s.Info.DidResume, test.resumes)
		}
	}
}

func mutual(client, server *Config) {
	client.Certificates, server.ClientAuth = []tls.Certificate{testChain.Certificate}, tls.RequireAndVerifyClientCert
}

// TestOfferable: a client offers a session to the server that it is from, while it
// lasts, under a suite that it offers, and while it trusts the chain of then.
func TestOfferable(t *testing.T) {
	client, server := configs(message.Version13)
	blob := sessionOf(t, client, server)
	made := client.ValidAt(start)
	if client.Offerable(blob, nil, made) == nil || client.Offerable(blob, nil, made.Add(ticket.Lifetime-time.Second)) == nil {
		t.Fatal("a good session is not offered")
	}
	for name, change := range map[string]func(c *Config) time.Time{
		"expired":       func(*Config) time.Time { return made.Add(ticket.Lifetime + time.Second) },
		"from to come":  func(*Config) time.Time { return made.Add(-time.Second) },
		"another name":  func(c *Config) time.Time { c.ServerName, c.SkipVerify = "other.example", true; return made },
		"another suite": func(c *Config) time.Time { c.Suites13 = c.Suites13[2:]; return made },
		"other roots":   func(c *Config) time.Time { c.Roots = x509.NewCertPool(); return made },
		"DTLS 1.2 alone": func(c *Config) time.Time {
			c.MinVersion, c.MaxVersion = message.Version12, message.Version12
			return made
		},
	} {
		changed := *client
		if at := change(&changed); changed.Offerable(blob, nil, at) != nil {
			t.Errorf("%s: offered", name)
		}
	}
	if client.Offerable(blob[:len(blob)-1], nil, made) != nil || client.Offerable(append([]byte{99}, blob[1:]...), nil, made) != nil {
		t.Error("another format is offered")
	}
}

// TestSessionSource: the stored session comes first, then those of the cache; what
// cannot be offered, or was, is passed over, and no more than a bounded number.
func TestSessionSource(t *testing.T) {
	client, server := configs(message.Version13)
	stored, cached := sessionOf(t, client, server), sessionOf(t, client, server)
	list := [][]byte{[]byte("no session"), stored, cached}
	taken := 0
	take := func(key string) []byte {
		if key != "localhost" {
			t.Errorf("key %q", key)
		}
		if taken++; taken > len(list) {
			return nil
		}
		return list[taken-1]
	}
	source := client.SessionSource(stored, take, &Spent{})
	for i, want := range [][]byte{stored, cached, nil} {
		s := source(nil, client.ValidAt(start))
		if (s == nil) != (want == nil) {
			t.Fatalf("session %d: %v", i, s)
		}
		if s == nil {
			continue
		}
		if parsed, err := ParseSession(want); err != nil || !bytes.Equal(parsed.Ticket, s.Ticket) {
			t.Errorf("session %d is another one", i)
		}
	}
	if s := client.SessionSource(nil, nil, &Spent{})(nil, client.ValidAt(start)); s != nil {
		t.Error("a session out of nowhere")
	}
	asked := 0
	endless := func(string) []byte { asked++; return []byte("no session") }
	if s := client.SessionSource(nil, endless, &Spent{})(nil, client.ValidAt(start)); s != nil || asked > 1000 {
		t.Errorf("%v after %d sessions that cannot be offered", s, asked)
	}
}

// TestCertificateByName: a chain whose leaf is not parsed yet is found by the name in
// it, and bytes that are none are no answer to any name.
func TestCertificateByName(t *testing.T) {
	for _, version := range versions {
		client, server := configs(version)
		named, pool := selfSigned(t)
		named.Leaf = nil
		other := testChain.Certificate
		other.Certificate, other.Leaf = [][]byte{[]byte("no certificate")}, nil
		server.Certificates, client.Roots = []tls.Certificate{other, named}, pool
		c, s := begin(t, client, server)
		if err := attempt(c, s); err != nil || !bytes.Equal(c.Info.PeerCertificates[0].Raw, named.Certificate[0]) {
			t.Errorf("%s: %v", message.VersionName(version), err)
		}
	}
}

// TestGetCertificateWithoutChain: a chain that is empty, or has no key to sign with, is
// a failure of the callback and not of the peer.
func TestGetCertificateWithoutChain(t *testing.T) {
	refusal := errors.New("not today")
	for _, version := range versions {
		for name, get := range map[string]func() (*tls.Certificate, error){
			"empty": func() (*tls.Certificate, error) {
				return &tls.Certificate{PrivateKey: testChain.Certificate.PrivateKey}, nil
			},
			"no key": func() (*tls.Certificate, error) {
				return &tls.Certificate{Certificate: testChain.Certificate.Certificate}, nil
			},
			"refuses": func() (*tls.Certificate, error) { return nil, refusal },
		} {
			client, server := configs(version)
			server.Certificates = nil
			server.GetCertificate = func(context.Context, *tls.ClientHelloInfo) (*tls.Certificate, error) { return get() }
			c, s := begin(t, client, server)
			err := s.refused(t, c.link.flight[0])
			if alert.Of(err) != alert.InternalError || errors.Is(err, refusal) != (name == "refuses") {
				t.Errorf("%s, %s: %v", message.VersionName(version), name, err)
			}
		}
	}
}

// TestKeyLogHasTheClientsRandom: lines of a key log begin with the random of the
// ClientHello, on both sides and in both versions (RFC 9850, Section 1).
func TestKeyLogHasTheClientsRandom(t *testing.T) {
	for _, version := range versions {
		client, server := configs(version)
		var logs [2][]string
		client.KeyLog = func(line string) { logs[0] = append(logs[0], line) }
		server.KeyLog = func(line string) { logs[1] = append(logs[1], line) }
		c, s := begin(t, client, server)
		random := c.link.flight[0].body[2:34]
		finish(t, c, s)
		slices.Sort(logs[0])
		slices.Sort(logs[1])
		if len(logs[0]) == 0 || !slices.Equal(logs[0], logs[1]) {
			t.Errorf("%s: client logs %q, server %q", message.VersionName(version), logs[0], logs[1])
		}
		for _, line := range logs[0] {
			if fields := bytes.Fields([]byte(line)); len(fields) != 3 || string(fields[1]) != fmt.Sprintf("%x", random) {
				t.Errorf("%s: %q, the random is %x", message.VersionName(version), line, random)
			}
		}
	}
}

// TestLegacyCookie: RFC 9147, Section 5.3: a hello of DTLS 1.3 with a legacy_cookie is
// an illegal_parameter, where no cookie was asked for too.
func TestLegacyCookie(t *testing.T) {
	client, server := configs(message.Version13)
	c, s := begin(t, client, server)
	h := *c.Hello()
	h.Cookie = []byte{0}
	body, err := h.AppendBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.refused(t, outgoing{typ: message.TypeClientHello, body: body}); alert.Of(err) != alert.IllegalParameter {
		t.Errorf("%v", err)
	}
	if err := attempt(c, s); err != nil {
		t.Errorf("the same without: %v", err)
	}
}

// TestLaterIdentity: a server passes over identities that it does not know (RFC 8446,
// Section 4.2.11), and takes the first key that it does.
func TestLaterIdentity(t *testing.T) {
	client, server := configs(message.Version13)
	usePSK(client, server, 1, 2, 3)
	server.Certified, server.Certificates = true, []tls.Certificate{testChain.Certificate}
	client.ClientPSKs = func(context.Context, string, []byte) ([]PSK, error) {
		return []PSK{
			{Identity: []byte("of another server"), Key: []byte{9}},
			{Identity: []byte("and of a third"), Key: []byte{8}},
			{Identity: []byte("device"), Key: []byte{1, 2, 3}},
		}, nil
	}
	c, s := begin(t, client, server)
	if err := attempt(c, s); err != nil || string(c.Info.PSKIdentity) != "device" || string(s.Info.PSKIdentity) != "device" {
		t.Errorf("%q and %q, %v", c.Info.PSKIdentity, s.Info.PSKIdentity, err)
	}
}

// TestTicketOfAnotherKey: a ticket of a client with a pre-shared key is good while the
// server has that key for its identity.
func TestTicketOfAnotherKey(t *testing.T) {
	for _, changed := range []bool{false, true} {
		client, server := configs(message.Version13)
		usePSK(client, server, 1, 2, 3)
		offer(t, client, sessionOf(t, client, server))
		if changed {
			resume := client.TakeSession
			usePSK(client, server, 4, 5, 6)
			client.TakeSession = resume
		}
		c, s := begin(t, client, server)
		if err := attempt(c, s); err != nil || s.Info.DidResume == changed {
			t.Errorf("the key has changed %v: resumed %v, %v", changed, s.Info.DidResume, err)
		}
	}
}

// TestServerRandom: 32 fresh bytes in each ServerHello (RFC 8446, Section 4.1.3).
func TestServerRandom(t *testing.T) {
	for _, version := range versions {
		seen := map[[24]byte]bool{{}: true} // the last eight may be the mark of a downgrade
		for range 3 {
			client, server := configs(version)
			c, s := begin(t, client, server)
			s.deliver(t, c)
			random := [24]byte(s.link.flight[0].body[2:])
			if seen[random] {
				t.Errorf("%s: random %x again, or zero", message.VersionName(version), random)
			}
			seen[random] = true
		}
	}
}
