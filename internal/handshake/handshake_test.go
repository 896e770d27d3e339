package handshake

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/ticket"
)

// TestFlights12: a full handshake of DTLS 1.2 whose client has no certificate, by its
// flights (RFC 6347, Section 4.2.4, Figure 1).
func TestFlights12(t *testing.T) {
	client, server := configs(message.Version12)
	server.ClientAuth = tls.RequestClientCert
	c, s := begin(t, client, server)
	wantFlights(t, finish(t, c, s), `
client: client_hello 0/0
server: server_hello 0/0, certificate 0/1, server_key_exchange 0/2, certificate_request 0/3, server_hello_done 0/4
client: certificate 0/1, client_key_exchange 0/2, ccs, finished 1/3
server: ccs, finished 1/5`)
	if !s.link.last || !bytes.Equal(c.Result.Master, s.Result.Master) {
		t.Errorf("last %v, master secrets %x and %x", s.link.last, c.Result.Master, s.Result.Master)
	}
	if c.Info.Version != message.Version12 || len(c.Info.PeerCertificates) == 0 || !slices.Equal(c.link.versions, []uint16{0, message.Version12}) {
		t.Errorf("%+v, %x", c.Info, c.link.versions)
	}
}

// TestFlights13: the same in DTLS 1.3 (RFC 9147, Section 5.7, Figure 6).
func TestFlights13(t *testing.T) {
	client, server := configs(message.Version13)
	server.ClientAuth = tls.RequestClientCert
	c, s := begin(t, client, server)
	wantFlights(t, finish(t, c, s), `
client: client_hello 0/0
server: server_hello 0/0, encrypted_extensions 2/1, certificate_request 2/2, certificate 2/3, certificate_verify 2/4, finished 2/5
client: certificate 2/1, finished 2/2`)
	if c.link.closed != EpochHandshake || s.link.closed != EpochHandshake {
		t.Errorf("messages are refused before epoch %d and %d", c.link.closed, s.link.closed)
	}
	if c.link.epoch != EpochData || !bytes.Equal(c.Result.Secrets13.Exporter, s.Result.Secrets13.Exporter) || !bytes.Equal(c.Result.Secrets13.Resumption.secret, s.Result.Secrets13.Resumption.secret) {
		t.Error("the secrets differ")
	}
}

// TestRetryForGroup: a server that prefers a group without a share asks for one (RFC
// 8446, Section 4.1.4).
func TestRetryForGroup(t *testing.T) {
	client, server := configs(message.Version13)
	server.Groups13 = []kex.Group{kex.P384}
	c, s := begin(t, client, server)
	wantFlights(t, finish(t, c, s)[:4], `
client: client_hello 0/0
server: server_hello 0/0
client: client_hello 0/1
server: server_hello 0/1, encrypted_extensions 2/2, certificate 2/3, certificate_verify 2/4, finished 2/5`)
	if c.Info.CurveID != kex.P384 {
		t.Errorf("group %v", c.Info.CurveID)
	}
}

// TestOneRetry: a client follows the first HelloRetryRequest, puts others aside, and
// refuses one that answers its second hello (RFC 8446, Section 4.1.4).
func TestOneRetry(t *testing.T) {
	client, server := configs(message.Version13)
	c, _ := begin(t, client, server)
	retry := func(seq uint16, cookie string) outgoing {
		m := &message.HelloRetryRequest{CipherSuite: client.Suites13[0].ID, Cookie: []byte(cookie)}
		body, err := m.AppendBody(nil)
		if err != nil {
			t.Fatal(err)
		}
		return outgoing{typ: message.TypeServerHello, seq: seq, body: body}
	}
	if err := c.give(retry(0, "first")); err != nil || string(c.Hello().RetryCookie) != "first" || c.link.names() != "client_hello 0/1" {
		t.Fatalf("%v, %q, %s", err, c.Hello().RetryCookie, c.link.names())
	}
	if err := c.give(retry(0, "other")); !errors.Is(err, ErrIgnore) || string(c.Hello().RetryCookie) != "first" {
		t.Errorf("%v, %q", err, c.Hello().RetryCookie)
	}
	if err := c.refused(t, retry(1, "other")); alert.Of(err) != alert.UnexpectedMessage {
		t.Errorf("%v", err)
	}
	long, _ := begin(t, client, server) // no hello can have it
	if err := long.refused(t, retry(0, strings.Repeat("c", 65300))); alert.Of(err) != alert.IllegalParameter {
		t.Errorf("%v", err)
	}
	if err := long.give(retry(0, "first")); err != nil || string(long.Hello().RetryCookie) != "first" {
		t.Errorf("behind a cookie that is too long: %v", err)
	}
	first := c.Hello().Random
	if !c.Restart() || c.link.names() != "client_hello 0/0" || c.Hello().RetryCookie != nil || c.Hello().Random != first {
		t.Errorf("after the restart: %s", c.link.names())
	}
	if !c.Restart() || c.link.names() != "client_hello 0/0" {
		t.Error("an alert that answers no second hello ends it")
	}
	if err := c.give(retry(0, "third")); err != nil || c.Restart() {
		t.Errorf("a second restart, %v", err)
	}
}

// TestHelloVerifyRequest: the hello with the cookie is the old one but for that (RFC
// 6347, Section 4.2.1), and no other request of the same moment is followed.
func TestHelloVerifyRequest(t *testing.T) {
	client, server := configs(message.Version12)
	c, s := begin(t, client, server)
	random := c.Hello().Random
	m := &message.HelloVerifyRequest{Version: message.Version10, Cookie: []byte("cookie")}
	body, err := m.AppendBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	request := outgoing{typ: message.TypeHelloVerifyRequest, body: body}
	if err := c.give(request); err != nil || string(c.Hello().Cookie) != "cookie" || c.Hello().Random != random {
		t.Fatalf("%v, %q", err, c.Hello().Cookie)
	}
	if err := c.give(request); !errors.Is(err, ErrIgnore) {
		t.Errorf("once more: %v", err)
	}
	s.StartServer([]byte("cookie"), nil, nil)
	flights := finish(t, c, s)
	if flights[0] != "client: client_hello 0/1" {
		t.Error(flights[0])
	}
}

// TestPSK12 and TestPSK13: the same key on both sides, and another one.
func TestPSK12(t *testing.T) {
	client, server := configs(message.Version12)
	usePSK(client, server, 1, 2, 3)
	c, s := begin(t, client, server)
	finish(t, c, s)
	if string(c.Info.PSKIdentity) != "device" || string(s.Info.PSKIdentity) != "device" {
		t.Errorf("%q, %q", c.Info.PSKIdentity, s.Info.PSKIdentity)
	}

	client.ClientPSKs = func(context.Context, string, []byte) ([]PSK, error) {
		return []PSK{{Identity: []byte("other"), Key: []byte{1}}}, nil
	}
	c, s = begin(t, client, server)
	s.deliver(t, c)
	c.deliver(t, s)
	flight := c.link.flight
	for _, o := range flight[:len(flight)-2] {
		if err := s.give(o); err != nil {
			t.Fatal(err) // RFC 4279, Section 2: an unknown identity is not told from a wrong key
		}
	}
	if err := s.refused(t, flight[len(flight)-1]); alert.Of(err) != alert.DecryptError {
		t.Errorf("%v", err)
	}
}

func TestPSK13(t *testing.T) {
	client, server := configs(message.Version13)
	usePSK(client, server, 1, 2, 3)
	c, s := begin(t, client, server)
	wantFlights(t, finish(t, c, s), `
client: client_hello 0/0
server: server_hello 0/0, encrypted_extensions 2/1, finished 2/2
client: finished 2/1`)
	if string(c.Info.PSKIdentity) != "device" || string(s.Info.PSKIdentity) != "device" {
		t.Errorf("%q, %q", c.Info.PSKIdentity, s.Info.PSKIdentity)
	}

	client.ClientPSKs = func(context.Context, string, []byte) ([]PSK, error) {
		return []PSK{{Identity: []byte("device"), Key: []byte{9}}}, nil
	}
	c, s = begin(t, client, server)
	if err := s.refused(t, c.link.flight[0]); alert.Of(err) != alert.DecryptError {
		t.Errorf("%v", err)
	}
}

// TestTicket: a ticket of one handshake is the pre-shared key of the next, which has
// the peer of the first (RFC 8446, Section 2.2).
func TestTicket(t *testing.T) {
	client, server := configs(message.Version13)
	server.Tickets = &ticket.Ring{}
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
	client.TakeSession = func(psks func() []PSK, now time.Time) *Session { return client.Offerable(blob, psks, now) }
	c, s = begin(t, client, server)
	wantFlights(t, finish(t, c, s), `
client: client_hello 0/0
server: server_hello 0/0, encrypted_extensions 2/1, finished 2/2
client: finished 2/1`)
	if !c.Info.DidResume || !s.Info.DidResume || len(c.Info.PeerCertificates) == 0 {
		t.Errorf("client %+v, server %+v", c.Info, s.Info)
	}

	server.Roots = dtlstest.MustChain(dtlstest.P384, 0).Pool()
	server.Tickets = &ticket.Ring{}
	c, s = begin(t, client, server)
	finish(t, c, s)
	if c.Info.DidResume || s.Info.DidResume {
		t.Error("a ticket of other keys is resumed from")
	}
}

// TestForgedFinished: a Finished that is not the peer's is refused with
// decrypt_error, and the genuine one is taken in the same state.
func TestForgedFinished(t *testing.T) {
	for _, version := range []uint16{message.Version12, message.Version13} {
		client, server := configs(version)
		c, s := begin(t, client, server)
		s.deliver(t, c)
		if version == message.Version12 {
			c.deliver(t, s)
			for _, o := range c.link.flight {
				if o.typ == message.TypeFinished {
					forged := o
					forged.body = bytes.Repeat([]byte{1}, len(o.body))
					if err := s.refused(t, forged); alert.Of(err) != alert.DecryptError {
						t.Errorf("%v", err)
					}
				}
				if !o.ccs {
					if err := s.give(o); err != nil {
						t.Fatal(err)
					}
				}
			}
			continue
		}
		for _, o := range s.link.flight {
			if o.typ == message.TypeFinished {
				forged := o
				forged.body = bytes.Repeat([]byte{1}, len(o.body))
				if err := c.refused(t, forged); alert.Of(err) != alert.DecryptError {
					t.Errorf("%v", err)
				}
			}
			if err := c.give(o); err != nil {
				t.Fatal(err)
			}
		}
		if !c.IsComplete() {
			t.Errorf("the client is %s", c.StateName())
		}
	}
}

// TestUntrustedServer: a chain that the client does not trust ends with an alert, in
// both versions.
func TestUntrustedServer(t *testing.T) {
	other := dtlstest.MustChain(dtlstest.P384, 0)
	for _, version := range []uint16{message.Version12, message.Version13} {
		client, server := configs(version)
		client.Roots = other.Pool()
		c, s := begin(t, client, server)
		s.deliver(t, c)
		for _, o := range s.link.flight {
			if o.typ != message.TypeCertificate {
				if err := c.give(o); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err := c.refused(t, o); alert.Of(err) != alert.UnknownCA {
				t.Errorf("%s: %v", message.VersionName(version), err)
			}
			break
		}
	}
}

// TestOutOfPlace: a message that the state does not list is an unexpected_message.
func TestOutOfPlace(t *testing.T) {
	for _, version := range []uint16{message.Version12, message.Version13} {
		client, server := configs(version)
		c, s := begin(t, client, server)
		o := outgoing{typ: message.TypeFinished, body: make([]byte, 12)}
		for _, e := range []end{c, s} {
			if err := e.refused(t, o); alert.Of(err) != alert.UnexpectedMessage {
				t.Errorf("%s: %v", e.StateName(), err)
			}
		}
	}
}

// TestSecondHandshake: in an association that has keys, the keys of another handshake
// are those of the next epoch in DTLS 1.2, and both sides agree.
func TestSecondHandshake(t *testing.T) {
	client, server := configs(message.Version12)
	c, s := begin(t, client, server)
	finish(t, c, s)
	for _, e := range []*end{&c, &s} {
		e.link.seq, e.link.read, e.link.write = 0, nil, nil
	}
	c.Handshake, s.Handshake = New(client, c.link), New(server, s.link)
	if err := StartClient(c.Handshake); err != nil {
		t.Fatal(err)
	}
	s.StartServer(nil, nil, nil)
	flights := finish(t, c, s)
	if want := "client: client_key_exchange 1/1, ccs, finished 2/2"; flights[2] != want {
		t.Errorf("got %s, want %s", flights[2], want)
	}
	if c.link.read[0].Epoch != 2 || s.link.read[0].Epoch != 2 {
		t.Errorf("epochs %d and %d", c.link.read[0].Epoch, s.link.read[0].Epoch)
	}
}

// TestConfigForClient: the handshake goes on with the Config that GetConfigForClient
// returns.
func TestConfigForClient(t *testing.T) {
	client, server := configs(message.Version13)
	other := *server
	other.Suites13, other.Owner = server.Suites13[1:2], "other"
	server.ForClient = func(*tls.ClientHelloInfo, HelloSource) (*Config, error) { return &other, nil }
	c, s := begin(t, client, server)
	finish(t, c, s)
	if c.Info.CipherSuite != other.Suites13[0].ID || s.Config.Owner != "other" {
		t.Errorf("suite %x, config of %v", c.Info.CipherSuite, s.Config.Owner)
	}
}

// TestPSKAlone: a server that may do without a key exchange does so where the client
// offers none, or none that it could take part in (RFC 8446, Section 4.2.9); by
// itself no client here offers it.
func TestPSKAlone(t *testing.T) {
	for _, test := range []struct {
		name  string
		modes []byte
		group kex.Group // of the server
		asked bool      // PSKWithoutDHE
		alone bool      // there is no key exchange
		fails bool
	}{
		{name: "psk_ke only", modes: []byte{message.PSKModeKE}, group: kex.X25519, asked: true, alone: true},
		{name: "psk_ke only, not asked for", modes: []byte{message.PSKModeKE}, group: kex.X25519, fails: true},
		{name: "both modes", modes: []byte{message.PSKModeKE, message.PSKModeDHEKE}, group: kex.X25519, asked: true},
		{name: "both modes, no group in common", modes: []byte{message.PSKModeKE, message.PSKModeDHEKE}, group: kex.P384, asked: true, alone: true},
		{name: "both modes, no group in common, not asked for", modes: []byte{message.PSKModeKE, message.PSKModeDHEKE}, group: kex.P384, fails: true},
		{name: "psk_dhe_ke only, no group in common", modes: []byte{message.PSKModeDHEKE}, group: kex.P384, asked: true, fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := configs(message.Version13)
			usePSK(client, server, 1, 2, 3)
			client.Groups13, server.Groups13, server.PSKAlone = []kex.Group{kex.X25519}, []kex.Group{test.group}, test.asked
			c, s := begin(t, client, server)
			h := *c.Hello()
			h.PSKModes = test.modes
			body, err := h.AppendBody(nil)
			if err != nil {
				t.Fatal(err)
			}
			offered := offeredPSK{identity: []byte("device"), key: []byte{1, 2, 3}, hash: externalHash}
			h.Binders = [][]byte{offered.binder(nil, body, h.BindersLen())}
			if body, err = h.AppendBody(nil); err != nil {
				t.Fatal(err)
			}
			hello := outgoing{typ: message.TypeClientHello, body: body}
			if test.fails {
				if err := s.refused(t, hello); alert.Of(err) != alert.HandshakeFailure {
					t.Errorf("%v", err)
				}
				return
			}
			if err := s.give(hello); err != nil || s.StateName() != "awaitClientFinished13" {
				t.Fatalf("the server is %s: %v", s.StateName(), err)
			}
			if alone := s.Info.CurveID == 0; alone != test.alone {
				t.Errorf("without a key exchange: %v, want %v", alone, test.alone)
			}
		})
	}
}

// TestWipe: a server that fails before the client's Finished leaves none of the keys
// behind that it has made.
func TestWipe(t *testing.T) {
	for _, version := range []uint16{message.Version12, message.Version13} {
		client, server := configs(version)
		c, s := begin(t, client, server)
		s.deliver(t, c)
		if version == message.Version12 {
			c.deliver(t, s)
			for _, o := range c.link.flight {
				if !o.ccs && o.typ != message.TypeFinished {
					if err := s.give(o); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		var secrets [][]byte
		switch n := s.agreed.(type) {
		case *negotiated12:
			secrets = [][]byte{n.write.Key, n.write.IV, s.Result.Master}
		case *negotiated13:
			secrets = [][]byte{n.clientSecret, n.serverSecret, n.app.client, n.app.server, n.app.exporter}
		}
		if len(secrets) == 0 {
			t.Fatalf("nothing is agreed on in %s", s.StateName())
		}
		for i, b := range secrets {
			if len(bytes.Trim(b, "\x00")) == 0 {
				t.Errorf("%#x: secret %d is not there yet", version, i)
			}
		}
		s.Wipe()
		for i, b := range secrets {
			if len(bytes.Trim(b, "\x00")) != 0 {
				t.Errorf("%#x: secret %d is left", version, i)
			}
		}
	}
}
