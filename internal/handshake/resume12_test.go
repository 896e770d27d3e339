package handshake

import (
	"bytes"
	"crypto/tls"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/ticket"
)

// resumable12 makes a full handshake in which the server gives a ticket, and returns
// the configs of the next.
func resumable12(t *testing.T, psk bool) (client, server *Config, blob []byte) {
	t.Helper()
	client, server = configs(message.Version12)
	if psk {
		usePSK(client, server, 1, 2, 3, 4)
	}
	client.AsksTicket, server.Tickets = true, &ticket.Ring{}
	c, s := begin(t, client, server)
	finish(t, c, s)
	if c.Result.Session == nil {
		t.Fatal("no session")
	}
	blob, err := c.Result.Session.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	client.TakeSession = func(psks func() []PSK, now time.Time) *Session { return client.Offerable(blob, psks, now) }
	return client, server, blob
}

// TestTicket12: RFC 5077, Figures 1 and 2, with a certificate and with a PSK.
func TestTicket12(t *testing.T) {
	for _, psk := range []bool{false, true} {
		client, server, _ := resumable12(t, psk)
		c, s := begin(t, client, server)
		wantFlights(t, finish(t, c, s), `
client: client_hello 0/0
server: server_hello 0/0, new_session_ticket 0/1, ccs, finished 1/2
client: ccs, finished 1/1`)
		if !c.Info.DidResume || !s.Info.DidResume || !bytes.Equal(c.Result.Master, s.Result.Master) {
			t.Errorf("client %+v, server %+v", c.Info, s.Info)
		}
		if psk != (string(c.Info.PSKIdentity) == "device") || psk != (string(s.Info.PSKIdentity) == "device") || psk == (len(c.Info.PeerCertificates) > 0) {
			t.Errorf("client %+v, server %+v", c.Info, s.Info)
		}
	}
}

// TestTicket12Refused: a claim of a session that does not hold any more costs a full
// handshake.
func TestTicket12Refused(t *testing.T) {
	for name, change := range map[string]func(client, server *Config){
		"other ticket keys":         func(_, s *Config) { s.Tickets = &ticket.Ring{} },
		"no tickets":                func(_, s *Config) { s.Tickets = nil },
		"another server name":       func(c, _ *Config) { c.ServerName = "example.org"; c.SkipVerify = true },
		"other roots at the client": func(c, _ *Config) { c.Roots = dtlstest.MustChain(dtlstest.P384, 0).Pool(); c.SkipVerify = false },
		"certificates are required": func(c, s *Config) {
			s.ClientAuth, c.Certificates = tls.RequireAnyClientCert, s.Certificates
		},
		"the suite is gone": func(_, s *Config) { s.Suites = s.Suites[1:] },
		"ALPN":              func(c, s *Config) { c.ALPN, s.ALPN = []string{"coap"}, []string{"coap"} },
	} {
		client, server, _ := resumable12(t, false)
		change(client, server)
		c, s := begin(t, client, server)
		if name == "other roots at the client" {
			continue
		}
		finish(t, c, s)
		if c.Info.DidResume || s.Info.DidResume {
			t.Errorf("%s: resumed", name)
		}
	}
}

// TestTicket12WithoutEMS: RFC 7627, Section 5.3: a session with an extended master secret
// is not resumed by a ClientHello without, which ends the handshake.
func TestTicket12WithoutEMS(t *testing.T) {
	client, server, blob := resumable12(t, false)
	client.EMS, server.EMS = EMSDisabled, EMSOffered
	client.TakeSession = func(func() []PSK, time.Time) *Session {
		s, err := ParseSession(blob)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	c, s := begin(t, client, server)
	for _, m := range c.link.flight {
		if err := s.give(m); alert.Of(err) != alert.HandshakeFailure {
			t.Errorf("%v", err)
		}
	}
}
