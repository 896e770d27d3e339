package dtls

import (
	"bytes"
	"crypto/tls"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// TestVersions: the newest version that both sides speak, or protocol_version.
func TestVersions(t *testing.T) {
	both := [2]uint16{0, 0}
	only12, only13 := [2]uint16{0, VersionDTLS12}, [2]uint16{VersionDTLS13, 0}
	for _, test := range []struct {
		client, server [2]uint16 // MinVersion, MaxVersion
		want           uint16    // 0: none
	}{
		{both, both, VersionDTLS13},
		{both, only13, VersionDTLS13},
		{only13, both, VersionDTLS13},
		{only13, only13, VersionDTLS13},
		{both, only12, VersionDTLS12},
		{only12, both, VersionDTLS12},
		{only12, only12, VersionDTLS12},
		{only13, only12, 0},
		{only12, only13, 0},
	} {
		for _, mode := range []CookieMode{CookieAuto, CookieAlways} {
			client, server := simConfigs(dtlstest.P256, 1500)
			client.MinVersion, client.MaxVersion = test.client[0], test.client[1]
			server.MinVersion, server.MaxVersion = test.server[0], test.server[1]
			server.CookieMode = mode
			s := newSim(t, client, server)
			if test.want != 0 {
				s.handshake()
				for i, e := range s.eng {
					if st := e.ConnectionState(); st.Version != test.want {
						t.Errorf("%v, cookies %d: %v speaks %s, want %s", test, mode, side(i), VersionName(st.Version), VersionName(test.want))
					}
				}
				continue
			}
			s.run(time.Minute, func() bool { return s.eng[clientSide].Err() != nil })
			var a *AlertError
			if err := s.eng[clientSide].Err(); !errors.As(err, &a) || a.Alert != alert.ProtocolVersion {
				t.Errorf("%v, cookies %d: client ended with %v", test, mode, err)
			}
		}
	}
}

// TestVersionsForCallbacks: the callbacks of crypto/tls see the versions that the
// client offers, and no other.
func TestVersionsForCallbacks(t *testing.T) {
	for _, test := range []struct {
		least, most uint16 // of the client
		want        []uint16
	}{
		{0, 0, []uint16{tls.VersionTLS13, tls.VersionTLS12}},
		{VersionDTLS13, 0, []uint16{tls.VersionTLS13}},
		{0, VersionDTLS12, []uint16{tls.VersionTLS12}},
	} {
		client, server := simConfigs(dtlstest.P256, 0)
		client.MinVersion, client.MaxVersion = test.least, test.most
		server.MinVersion, server.MaxVersion = 0, 0
		var got []uint16
		server.GetConfigForClient = func(info *tls.ClientHelloInfo) (*Config, error) {
			got = info.SupportedVersions
			return nil, nil
		}
		newSim(t, client, server).handshake()
		if !slices.Equal(got, test.want) {
			t.Errorf("a client of %s to %s: %#04x, want %#04x", VersionName(test.least), VersionName(test.most), got, test.want)
		}
	}
}

// TestDoorRefusesVersions: a door that does not speak the version of a hello says
// so at once, in either direction, and asks for no cookie that such a client may
// not understand.
func TestDoorRefusesVersions(t *testing.T) {
	client12, server12 := simConfigs(dtlstest.P256, 0)
	client13, server13 := simConfigs13(dtlstest.P256, 0)
	client13.Hello = HelloSmall
	for _, test := range []struct{ client, server *Config }{{client12, server13}, {client13, server12}} {
		door, err := NewDoor(test.server, simStart)
		if err != nil {
			t.Fatal(err)
		}
		e, err := NewClientEngine(test.client, simStart)
		if err != nil {
			t.Fatal(err)
		}
		tx, _ := e.PollTransmit(simStart, nil)
		reply, hello := door.Handle(simStart, tx.Data, testAddr, localAddr, nil)
		want := record.AppendHeader(nil, record.Header{Type: record.TypeAlert, Version: VersionDTLS12, Length: 2})
		want = append(want, byte(alert.Fatal), byte(alert.ProtocolVersion))
		if hello != nil || !bytes.Equal(reply, want) {
			t.Errorf("%s alone: let in %v, answered with %x, want %x", VersionName(test.client.MaxVersion), hello != nil, reply, want)
		}
	}
}

// rewriteHello changes a plaintext handshake message on the way; the message must
// be in one fragment. change may return nil for "leave it".
func rewriteMessage(t testing.TB, datagram []byte, typ message.Type, change func(message.Message) message.Message) []byte {
	t.Helper()
	h, payload, rest, err := record.Next(datagram)
	if err != nil || h.Type != record.TypeHandshake || h.Epoch != 0 || len(rest) > 0 && !record.IsUnified(rest[0]) {
		return datagram
	}
	m, body, _, err := message.NextFragment(payload)
	if err != nil || m.Type != typ || m.FragmentLength != m.Length {
		return datagram
	}
	parsed, err := message.Parse(typ, 0, bytes.Clone(body))
	if err != nil {
		t.Fatal(err)
	}
	changed := change(parsed)
	if changed == nil {
		return datagram
	}
	body, err = changed.AppendBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Length, m.FragmentLength = uint32(len(body)), uint32(len(body))
	h.Length = message.HeaderLen + len(body)
	out := append(m.Append(record.AppendHeader(nil, h)), body...)
	return append(out, rest...)
}

// TestForgedDowngrade: somebody takes DTLS 1.3 out of the hello. The server's
// random says so (RFC 8446, Section 4.1.3).
func TestForgedDowngrade(t *testing.T) {
	client, server := simConfigs(dtlstest.P256, 500)
	client.MaxVersion, server.MaxVersion = 0, 0
	client.PlaintextAlerts = AlertsImmediate
	server.CookieMode = CookieAuto
	s := newSim(t, client, server)
	s.onDeliver = func(to side, datagram []byte) []byte {
		if to != serverSide {
			return datagram
		}
		return rewriteMessage(t, datagram, message.TypeClientHello, func(m message.Message) message.Message {
			h := m.(*message.ClientHello)
			h.SupportedVersions, h.KeyShares, h.HasKeyShares, h.PSKModes = nil, nil, false, nil
			return h
		})
	}
	s.run(time.Minute, func() bool { return s.eng[clientSide].Err() != nil })
	var a *AlertError
	if err := s.eng[clientSide].Err(); !errors.As(err, &a) || a.Alert != alert.IllegalParameter || a.Remote {
		t.Errorf("client ended with %v\n%s", err, s.history())
	}
}

// TestGroups13: who asks for which group, in how many round trips.
func TestGroups13(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(client, server *Config)
		want   tls.CurveID
		hellos int
	}{
		{"a full hello has the post-quantum share", func(c, _ *Config) { c.Hello = HelloFull }, tls.X25519MLKEM768, 1},
		{"a small one is asked for it", func(c, _ *Config) { c.Hello = HelloSmall }, tls.X25519MLKEM768, 2},
		{"with the cookie, in the same breath", func(c, s *Config) { c.Hello, s.CookieMode = HelloSmall, CookieAlways }, tls.X25519MLKEM768, 2},
		{"required, without any share", func(c, _ *Config) { c.Hello, c.RequirePQ = HelloSmall, true }, tls.X25519MLKEM768, 2},
		{"required, with a share", func(c, _ *Config) { c.RequirePQ = true }, tls.X25519MLKEM768, 1},
		{"a server without post-quantum groups", func(_, s *Config) { s.CurvePreferences = []tls.CurveID{tls.X25519} }, tls.X25519, 1},
		{"a server with one other curve", func(_, s *Config) { s.CurvePreferences = []tls.CurveID{tls.CurveP384} }, tls.CurveP384, 2},
		{"a server takes a classic share that is there", func(c, s *Config) {
			c.CurvePreferences = []tls.CurveID{tls.CurveP256, tls.X25519}
			s.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
		}, tls.CurveP256, 1},
		{"SecP256r1MLKEM768", func(c, _ *Config) { c.CurvePreferences = []tls.CurveID{tls.SecP256r1MLKEM768} }, tls.SecP256r1MLKEM768, 1},
		{"SecP384r1MLKEM1024", func(c, _ *Config) { c.CurvePreferences = []tls.CurveID{tls.SecP384r1MLKEM1024} }, tls.SecP384r1MLKEM1024, 1},
		{"P-521", func(c, _ *Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP521} }, tls.CurveP521, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := simConfigs13(dtlstest.P256, 500)
			server.CookieMode = CookieAuto
			test.change(client, server)
			s := newSim(t, client, server)
			seqs := map[uint16]bool{}
			s.onDeliver = func(to side, datagram []byte) []byte {
				if h, payload, _, err := record.Next(datagram); to == serverSide && err == nil && h.Epoch == 0 {
					if m, _, _, err := message.NextFragment(payload); err == nil && m.Type == message.TypeClientHello {
						seqs[m.Seq] = true
					}
				}
				return datagram
			}
			s.handshake()
			for i, e := range s.eng {
				if got := e.ConnectionState().CurveID; got != test.want {
					t.Errorf("%v: %v, want %v", side(i), got, test.want)
				}
			}
			if len(seqs) != test.hellos {
				t.Errorf("%d hellos, want %d\n%s", len(seqs), test.hellos, s.history())
			}
		})
	}
}

// TestSuites13: every suite, and its records both ways.
func TestSuites13(t *testing.T) {
	for _, id := range []uint16{0x1301, 0x1302, 0x1303, 0x1304, 0x1305} {
		client, server := simConfigs13(dtlstest.P256, 500)
		server.CookieMode = CookieAuto
		client.CipherSuites, server.CipherSuites = []uint16{id}, []uint16{id}
		s := newSim(t, client, server)
		s.handshake()
		s.settle()
		if got := s.eng[serverSide].ConnectionState().CipherSuite; got != id {
			t.Errorf("%s, want %s", CipherSuiteName(got), CipherSuiteName(id))
		}
		for range 3 {
			s.update(clientSide, true)
			s.settle()
			s.echo("with new keys")
		}
	}
}

// TestResumption13: what a ticket brings back, and what it does not.
func TestResumption13(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(client, server *Config)
		resumes bool
	}{
		{"the same again", func(_, _ *Config) {}, true},
		{"with a cookie first", func(_, s *Config) { s.CookieMode = CookieAlways }, true},
		{"after a retry for another group", func(c, _ *Config) { c.Hello = HelloSmall }, true},
		{"under another suite with the same hash", func(c, s *Config) { c.CipherSuites = []uint16{0x1303, 0x1301}; s.CipherSuites = []uint16{0x1303} }, true},
		{"under a suite with another hash", func(_, s *Config) { s.CipherSuites = []uint16{0x1302} }, false},
		{"with tickets turned off", func(_, s *Config) { s.SessionTicketsDisabled = true }, false},
		{"with other keys", func(_, s *Config) { s.SetSessionTicketKeys([][32]byte{{1}}) }, false},
		{"a day and a second later", func(c, s *Config) {
			later := c.Time().Add(24*time.Hour + time.Second)
			s.Time = func() time.Time { return later }
		}, false},
		{"where a client certificate is required", func(c, s *Config) {
			short := dtlstest.MustChain(dtlstest.P256, 0)
			c.Certificates, s.ClientAuth, s.ClientCAs = certs(short), tls.RequireAndVerifyClientCert, short.Pool()
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := resumable13()
			if client.Session == nil {
				t.Fatal("no session")
			}
			test.change(client, server)
			s := newSim(t, client, server)
			s.handshake()
			s.settle()
			for i, e := range s.eng {
				st := e.ConnectionState()
				if st.DidResume != test.resumes {
					t.Errorf("%v: resumed %v, want %v\n%s", side(i), st.DidResume, test.resumes, s.history())
				}
				if side(i) == clientSide && len(st.PeerCertificates) == 0 {
					t.Error("the client does not know whom it talks to")
				}
			}
			if _, err := s.eng[clientSide].Session(); (err != nil) != server.SessionTicketsDisabled {
				t.Errorf("next session: %v", err)
			}
		})
	}
}

// TestSessionIsOfferedOnce: RFC 8446, Appendix C.4.
func TestSessionIsOfferedOnce(t *testing.T) {
	client, server := resumable13()
	for i, want := range []bool{true, false} {
		c := client.Clone()
		s := newSim(t, c, server)
		s.handshake()
		if got := s.eng[clientSide].ConnectionState().DidResume; got != want {
			t.Errorf("handshake %d: resumed %v, want %v", i, got, want)
		}
	}
}

// TestTicketKeysAreShared: servers with the same keys take each other's tickets,
// also after the keys were rotated.
func TestTicketKeysAreShared(t *testing.T) {
	client, first := simConfigs13(dtlstest.P256, 500)
	first.CookieMode = CookieAuto
	first.SetSessionTicketKeys([][32]byte{{1}})
	second := &Config{
		Certificates: first.Certificates, Time: first.Time, MinVersion: VersionDTLS13,
	}
	second.SetSessionTicketKeys([][32]byte{{2}, {1}})
	s := newSim(t, client, first)
	s.handshake()
	s.settle()
	var err error
	if client.Session, err = s.eng[clientSide].Session(); err != nil {
		t.Fatal(err)
	}
	s = newSim(t, client, second)
	s.handshake()
	if !s.eng[serverSide].ConnectionState().DidResume {
		t.Error("the second server does not take the ticket of the first")
	}
}

// TestTicketLooksLikeNothing: no secret, name or certificate is to be seen in it.
func TestTicketLooksLikeNothing(t *testing.T) {
	client, _ := resumable13()
	old, err := handshake.ParseSession(client.Session)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{old.Secret, []byte("localhost"), old.Chain[0]} {
		if bytes.Contains(old.Ticket, secret) {
			t.Errorf("%x stands in the ticket", secret)
		}
	}
}

// TestWrongPSK13: an unknown identity and a wrong key look the same on the wire:
// so many datagrams of such sizes, and the same alert.
func TestWrongPSK13(t *testing.T) {
	run := func(psk PSK) (sizes []int, end error) {
		client, server := simConfigs13(dtlstest.P256, 0)
		withPSK(client, server)
		server.CookieMode, server.Certificates = CookieAuto, nil
		client.ClientPSK = pskOf(psk)
		client.PlaintextAlerts = AlertsImmediate
		s := newSim(t, client, server)
		s.onDeliver = func(to side, datagram []byte) []byte {
			if to == clientSide {
				sizes = append(sizes, len(datagram))
			}
			return datagram
		}
		s.run(time.Minute, func() bool { return s.eng[clientSide].Err() != nil || s.established() })
		return sizes, s.eng[clientSide].Err()
	}
	unknown, err1 := run(PSK{Identity: []byte("nobody-here"), Key: []byte("key")})
	wrong, err2 := run(PSK{Identity: testPSK.Identity, Key: []byte("another key")})
	if !slices.Equal(unknown, wrong) || err1 == nil || err2 == nil || err1.Error() != err2.Error() {
		t.Errorf("unknown: %v %v; wrong: %v %v", unknown, err1, wrong, err2)
	}
	var a *AlertError
	if !errors.As(err1, &a) || a.Alert != alert.DecryptError {
		t.Errorf("ended with %v", err1)
	}
}
