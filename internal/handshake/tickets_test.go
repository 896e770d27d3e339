package handshake

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/ticket"
)

// sessionFor runs a handshake and returns the session of its ticket for the client.
func sessionFor(t *testing.T, client, server *Config, lifetime uint32) []byte {
	t.Helper()
	c, s := begin(t, client, server)
	finish(t, c, s)
	m, err := server.IssueTicket(0, start, s.Result.Secrets13.Resumption, &s.Info)
	if err != nil || m == nil {
		t.Fatalf("no ticket: %v", err)
	}
	if lifetime != 0 {
		m.Lifetime = lifetime
	}
	blob, err := client.SessionOf(m, start, c.Result.Secrets13.Resumption, &c.Info)
	if err != nil || blob == nil {
		t.Fatalf("no session: %v", err)
	}
	return blob
}

// ticketConfigs are configs of a server with tickets, with a clock for both.
func ticketConfigs() (client, server *Config, now *time.Time) {
	client, server = configs(message.Version13)
	server.Tickets = &ticket.Ring{}
	at := testChain.Certificate.Leaf.NotBefore.Add(time.Hour)
	for _, c := range []*Config{client, server} {
		c.ValidAt = func(time.Time) time.Time { return at }
	}
	return client, server, &at
}

// TestTicketsForWhomCanUseThem: RFC 8446, Section 4.2.9: "Servers SHOULD NOT send
// NewSessionTicket with tickets that are not compatible with the advertised modes".
func TestTicketsForWhomCanUseThem(t *testing.T) {
	for _, test := range []struct {
		name  string
		modes []uint8
		alone bool // the server lets pre-shared keys be used alone
		want  bool
	}{
		{"no psk_key_exchange_modes", nil, true, false},
		{"psk_dhe_ke", []uint8{message.PSKModeDHEKE}, false, true},
		{"psk_ke", []uint8{message.PSKModeKE}, false, false},
		{"psk_ke, which the server allows", []uint8{message.PSKModeKE}, true, true},
		{"an unknown mode", []uint8{7}, true, false},
	} {
		p := &Config{PSKAlone: test.alone}
		if got := p.roomForTicket(&message.ClientHello{PSKModes: test.modes}, 500, nil) > 0; got != test.want {
			t.Errorf("%s: a ticket is given: %v", test.name, got)
		}
	}
	client, server, _ := ticketConfigs()
	c, s := begin(t, client, server)
	finish(t, c, s)
	s.Result.Secrets13.Resumption.room = 0
	if m, err := server.IssueTicket(0, start, s.Result.Secrets13.Resumption, &s.Info); m != nil || err != nil {
		t.Errorf("issued %v, %v", m, err)
	}
}

// TestTicketAgeInSecondHello: RFC 8446, Section 4.1.2: the second hello has a new
// obfuscated_ticket_age, by the clock that the session was made by.
func TestTicketAgeInSecondHello(t *testing.T) {
	client, server, now := ticketConfigs()
	blob := sessionFor(t, client, server, 0)
	old, err := ParseSession(blob)
	if err != nil {
		t.Fatal(err)
	}
	client.TakeSession = func(psks func() []PSK, now time.Time) *Session { return client.Offerable(blob, psks, now) }
	server.Groups13 = []kex.Group{kex.P384}
	age := func(c end) time.Duration {
		return time.Duration(c.Hello().PSKs[0].ObfuscatedAge-old.ageAdd) * time.Millisecond
	}
	*now = now.Add(time.Minute)
	c, s := begin(t, client, server)
	if got := age(c); got != time.Minute {
		t.Errorf("the first hello: %v", got)
	}
	s.deliver(t, c)
	*now = now.Add(3 * time.Second)
	c.deliver(t, s)
	if got := age(c); got != time.Minute+3*time.Second {
		t.Errorf("the second hello: %v", got)
	}
	finish(t, c, s)
	if !s.Info.DidResume {
		t.Error("not resumed")
	}
}

// TestSessionsEnd: a client offers no session of a full handshake of more than seven
// days ago, whatever lifetimes its server gives, and none from the future.
func TestSessionsEnd(t *testing.T) {
	client, server, now := ticketConfigs()
	blob := sessionFor(t, client, server, MaxTicketLifetime)
	began := *now
	client.TakeSession = func(psks func() []PSK, now time.Time) *Session { return client.Offerable(blob, psks, now) }
	resumption := func() bool { return client.Offerable(blob, nil, *now) != nil }
	if *now = began.Add(-time.Second); resumption() {
		t.Error("offered before it was made")
	}
	if *now = began.Add(7*24*time.Hour + time.Second); resumption() {
		t.Error("offered after seven days")
	}
	*now = began.Add(20 * time.Hour)
	blob = sessionFor(t, client, server, MaxTicketLifetime)
	s, err := ParseSession(blob)
	if err != nil || !s.authenticated.Equal(began) || s.lifetime != 7*24*time.Hour-20*time.Hour {
		t.Errorf("%v; of a full handshake %v before, for %v", err, now.Sub(s.authenticated), s.lifetime)
	}
}

// TestTicketOfAnotherHello: a server takes no ticket for another name, and no client
// certificate of then where it takes none now, whatever a client offers.
func TestTicketOfAnotherHello(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(s *Session, server *Config)
	}{
		{"another server name", func(s *Session, _ *Config) { s.serverName = "other" }},
		{"another protocol", func(s *Session, _ *Config) { s.protocol = "coap" }},
		{"a client certificate, none is asked for", func(s *Session, _ *Config) { s.Chain = testChain.Certificate.Certificate }},
		{"a client certificate of nobody", func(s *Session, p *Config) {
			s.Chain, p.ClientAuth = [][]byte{{1}}, tls.RequireAnyClientCert
		}},
		{"an identity that nobody looks up", func(s *Session, _ *Config) { s.byPSK, s.identity = true, []byte("device") }},
		{"a full handshake a week ago", func(s *Session, _ *Config) { s.authenticated = s.authenticated.Add(-maxAge - time.Second) }},
	} {
		client, server, now := ticketConfigs()
		s, err := ParseSession(sessionFor(t, client, server, 0))
		if err != nil {
			t.Fatal(err)
		}
		inside := server.openTicket(s.Ticket, *now)
		test.change(inside, server)
		client.Certificates = server.Certificates
		plain, err := inside.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		s.Ticket = server.Tickets.Seal(plain, *now)
		client.TakeSession = func(func() []PSK, time.Time) *Session { return s }
		c, v := begin(t, client, server)
		finish(t, c, v)
		if c.Info.DidResume || v.Info.DidResume {
			t.Errorf("%s: resumed", test.name)
		}
	}
}

// TestForgedMark: the digest of a pre-shared key is compared whole.
func TestForgedMark(t *testing.T) {
	s := &Session{origin: origin{byPSK: true, mark: markOf([]byte("key"))}}
	if !s.hasKey([]byte("key")) || s.hasKey([]byte("kez")) || s.hasKey(nil) {
		t.Error("another key is taken")
	}
	for i := range s.mark {
		s.mark[i] ^= 1
		if s.hasKey([]byte("key")) {
			t.Errorf("byte %d does not count", i)
		}
		s.mark[i] ^= 1
	}
}
