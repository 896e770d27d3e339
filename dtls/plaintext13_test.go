package dtls

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// The races of plaintext_test.go in DTLS 1.3: between a forger who sees the
// handshake and the honest peers.

// plaintextKinds13 are the handshakes that forgeries race.
var plaintextKinds13 = []struct {
	name    string
	configs func() (client, server *Config)
	every   int // of the races in the small form
}{
	{"psk", func() (*Config, *Config) {
		client, server := simConfigs13(dtlstest.P256, 0)
		withPSK(client, server)
		server.CookieMode, server.Certificates = CookieAuto, nil
		return client, server
	}, 3},
	{"cookie", func() (*Config, *Config) {
		client, server := simConfigs13(dtlstest.P256, 0)
		client.Hello = HelloSmall
		return client, server
	}, 7},
	{"both versions, without cookie", func() (*Config, *Config) {
		client, server := simConfigs13(dtlstest.P256, 0)
		client.MinVersion, server.MinVersion = 0, 0
		server.CookieMode = CookieAuto
		return client, server
	}, 5},
	{"both versions, with cookie", func() (*Config, *Config) {
		client, server := simConfigs13(dtlstest.P256, 0)
		client.MinVersion, server.MinVersion = 0, 0
		return client, server
	}, 7},
	{"retry for a group, mutual", func() (*Config, *Config) {
		client, server := simKinds[5].configs()
		client.Hello = HelloSmall
		return client, server
	}, 13},
	{"resumed", resumable13, 7},
}

// forgedRetry is a HelloRetryRequest that is legal in every way.
func forgedRetry(t testing.TB, seq uint16, group uint16, cookie ...byte) []byte {
	m := &message.ServerHello{
		Version: VersionDTLS12, Random: message.RetryRandom, CipherSuite: 0x1301, SupportedVersion: VersionDTLS13,
		SelectedGroup: group, RetryCookie: cookie,
	}
	body, err := m.AppendBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	return forgeMessage(message.TypeServerHello, seq, body...)
}

// forgeries13 is what only DTLS 1.3 has.
func forgeries13(t testing.TB) (list []forgery) {
	fixed := func(name string, b []byte) {
		list = append(list, forgery{name: name, make: func(*Engine) []byte { return b }})
	}
	ack := func(numbers ...record.Number) []byte {
		return forgeRecord(record.TypeACK, message.AppendACK(nil, numbers)...)
	}
	fixed("ack of nothing", ack())
	fixed("ack of the first record", ack(record.Number{}))
	fixed("ack of the first records", ack(record.Number{}, record.Number{Seq: 1}, record.Number{Seq: 2}, record.Number{Seq: 3}))
	fixed("ack of epoch 2", ack(record.Number{Epoch: 2}, record.Number{Epoch: 2, Seq: 1}))
	fixed("ack of the last number", ack(record.Number{Epoch: 1<<64 - 1, Seq: 1<<64 - 1}))
	fixed("ack of an odd length", forgeRecord(record.TypeACK, append([]byte{0, 15}, make([]byte, 15)...)...))
	fixed("retry with a cookie", forgedRetry(t, 0, 0, 'e', 'v', 'i', 'l'))
	fixed("retry for a group", forgedRetry(t, 0, 24))
	fixed("retry for a group without need", forgedRetry(t, 0, 29))
	fixed("second retry", forgedRetry(t, 1, 24, 1))
	fixed("third retry", forgedRetry(t, 2, 24, 1))
	fixed("unified record of epoch 2", append([]byte{0x2e, 7, 7, 0, 40}, make([]byte, 40)...))
	fixed("unified record of epoch 3", append([]byte{0x2f, 7, 7, 0, 40}, make([]byte, 40)...))
	for ahead := range uint16(6) {
		for _, typ := range []message.Type{message.TypeServerHello, message.TypeClientHello, message.TypeHelloVerifyRequest} {
			list = append(list, forgery{name: fmt.Sprintf("%v, %d ahead", typ, ahead+1), make: func(e *Engine) []byte {
				return forgeMessage(typ, awaitedSeq(e)+ahead+1, 0xfe, 0xfd)
			}})
		}
	}
	list = append(list, forgery{name: "encrypted_extensions behind a server_hello", make: func(e *Engine) []byte {
		h := message.Header{Type: message.TypeServerHello, Length: 3000, Seq: awaitedSeq(e), FragmentOffset: 2990, FragmentLength: 1}
		ee := message.Header{Type: message.TypeEncryptedExtensions, Length: 2, Seq: awaitedSeq(e) + 1, FragmentLength: 2}
		return forgeRecord(record.TypeHandshake, append(ee.Append(append(h.Append(nil), 7)), 0, 0)...)
	}})
	return list
}

// TestForgedPlaintext13: the handshake completes whatever is forged, at worst one
// timer later.
func TestForgedPlaintext13(t *testing.T) {
	for _, kind := range plaintextKinds13 {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			calm := at(t, kind.configs, moment{serverSide, 0, false}, func(*sim) {})
			prompt := calm.now.Sub(calm.start)
			patience := prompt + RetransmitDefault.Initial + 2*simRTT
			against := contradictions(t, kind.configs)
			every := kind.every
			if soak() {
				every = 1
			} else if brief() {
				every *= 5
			}
			races, failures := 0, 0
			for _, m := range moments(t, kind.configs) {
				for _, f := range append(append(against[m.to], forgeries()...), forgeries13(t)...) {
					if races++; races%every != 0 && !f.prompt {
						continue
					}
					s := at(t, kind.configs, m, func(s *sim) {
						s.wire[clientSide].misled, s.wire[serverSide].misled = true, true
						s.inject(m.to, f.make(s.eng[m.to]))
					})
					switch took := s.now.Sub(s.start); {
					case !s.established():
						t.Errorf("%s at %+v: no handshake: %v; %v", f.name, m, s.eng[0], s.eng[1])
						failures++
					case took > patience:
						t.Errorf("%s at %+v: took %v, without it %v", f.name, m, took, prompt)
						failures++
					default:
						s.echo("still here")
						s.settle()
						if v := s.eng[clientSide].ConnectionState().Version; v != VersionDTLS13 {
							t.Errorf("%s at %+v: ended in %s", f.name, m, VersionName(v))
						}
						for at, data := range s.data {
							if len(data) != 1 || string(data[0]) != "still here" {
								t.Errorf("%s at %+v: %s got %q", f.name, m, side(at), data)
							}
						}
						continue
					}
					if failures == 1 {
						t.Logf("\n%s", s.history())
					}
					if failures == 40 {
						return
					}
				}
			}
			t.Logf("%d races", races/every)
		})
	}
}

// TestRetryRaces: whichever of a genuine and a forged HelloRetryRequest comes
// first, the genuine one is followed in the end, and DTLS 1.3 is spoken, also if
// a forged HelloVerifyRequest comes before them (THREATS 24, 83).
func TestRetryRaces(t *testing.T) {
	hvr := forgeMessage(message.TypeHelloVerifyRequest, 0, 0xfe, 0xff, 4, 'e', 'v', 'i', 'l')
	for _, test := range []struct {
		name          string
		before, after [][]byte
	}{
		{"a forged one first", [][]byte{forgedRetry(t, 0, 0, 1)}, nil},
		{"a forged one later", nil, [][]byte{forgedRetry(t, 0, 0, 1)}},
		{"a forged one for a group first", [][]byte{forgedRetry(t, 0, 24)}, nil},
		{"a forged one for a group later", nil, [][]byte{forgedRetry(t, 0, 24)}},
		{"a hello_verify_request first", [][]byte{hvr}, nil},
		{"a hello_verify_request later", nil, [][]byte{hvr}},
		{"a hello_verify_request and a forged one first", [][]byte{hvr, forgedRetry(t, 0, 0, 1)}, nil},
		{"a forged second one later", nil, [][]byte{forgedRetry(t, 1, 24)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := simConfigs13(dtlstest.P256, 0)
			client.MinVersion, server.MinVersion = 0, 0
			s := newSim(t, client, server)
			s.wire[clientSide].misled, s.wire[serverSide].misled = true, true
			s.perRecord(func(to side, n int, after bool) {
				if to == clientSide && n == 0 {
					for _, d := range map[bool][][]byte{false: test.before, true: test.after}[after] {
						s.inject(clientSide, d)
					}
				}
			})
			s.handshake()
			if v := s.eng[clientSide].ConnectionState().Version; v != VersionDTLS13 {
				t.Errorf("ended in %s", VersionName(v))
			}
			if took := s.now.Sub(s.start); took > RetransmitDefault.Initial+5*simRTT {
				t.Errorf("took %v\n%s", took, s.history())
			}
		})
	}
}

// TestSecondRetry: one that answers the second hello is what RFC 8446, Section
// 4.1.4 ends the handshake for.
func TestSecondRetry(t *testing.T) {
	client, server := certConfigs13(dtlstest.P256)
	client.Hello, client.CookieMode, server.CookieMode = HelloSmall, CookieAuto, CookieAlways
	s := newSim(t, client, server)
	s.perRecord(func(to side, n int, after bool) {
		if to == clientSide && n == 0 && after {
			s.inject(clientSide, forgedRetry(t, 1, 24, 1))
		}
	})
	s.run(time.Minute, func() bool { return s.eng[clientSide].Err() != nil })
	if a, remote := alertOf(t, s.eng[clientSide]); a != alert.UnexpectedMessage || remote {
		t.Errorf("%v\n%s", s.eng[clientSide].Err(), s.history())
	}
}

// TestPlaintextEndsWithKeys: what is in the clear is of no use once there are
// keys; nothing of it is left when the handshake is complete (RFC 9147, Section
// 6.1).
func TestPlaintextEndsWithKeys(t *testing.T) {
	configs := plaintextKinds13[2].configs
	for _, m := range moments(t, configs) {
		s := at(t, configs, m, func(s *sim) {
			for seq := range uint16(12) {
				for _, typ := range []message.Type{message.TypeServerHello, message.TypeClientHello, message.TypeHelloVerifyRequest} {
					if h := s.eng[m.to].hs; h != nil && seq > h.in.Awaited() {
						s.inject(m.to, forgeMessage(typ, seq, 7))
						s.inject(m.to, forgeFragment(message.Header{Type: typ, Seq: seq, Length: 900, FragmentLength: 1}, 7))
					}
				}
			}
		})
		s.echo("still here")
		s.settle()
		s.update(clientSide, true)
		s.settle()
		for at, e := range s.eng {
			if e.post.in.Len() > 0 || e.post.in.Used() != 0 {
				t.Errorf("at %+v: %v keeps %d messages, %d bytes", m, side(at), e.post.in.Len(), e.post.in.Used())
			}
		}
	}
}

// TestPlaintextACKFlood: ACKs that anybody could send may bring a hello forward,
// but cannot keep it from being sent again.
func TestPlaintextACKFlood(t *testing.T) {
	for _, all := range []bool{false, true} {
		client, server := simConfigs13(dtlstest.P256, 0)
		client.Hello = HelloFull
		s := newSim(t, client, server)
		s.path = func(from side, n int, _ []byte) []time.Duration {
			if from == clientSide && n >= 2 && s.now.Sub(s.start) < 500*ms {
				return nil // the second hello, which is in two datagrams
			}
			return []time.Duration{simRTT / 2}
		}
		numbers := []record.Number{{Seq: 2}}
		for i := range uint64(30) {
			if all {
				numbers = append(numbers, record.Number{Seq: i + 3})
			}
		}
		ack := forgeRecord(record.TypeACK, message.AppendACK(nil, numbers)...)
		for next := s.now; s.now.Sub(s.start) < 10*time.Second && !s.established(); {
			s.flush(clientSide)
			s.flush(serverSide)
			due := earliest(s.eng[clientSide].NextTimeout(), s.eng[serverSide].NextTimeout())
			if len(s.queue) > 0 {
				due = earliest(due, s.queue[0].at)
			}
			if due.Before(next) {
				s.step()
				continue
			}
			s.now, next = next, next.Add(100*ms)
			if s.eng[serverSide].out.sent.number == 0 {
				s.inject(clientSide, ack)
			}
		}
		if took := s.now.Sub(s.start); !s.established() || took > 4*time.Second {
			t.Errorf("all %v: %v after %v\n%s", all, s.eng[clientSide], took, s.history())
		}
	}
}

// secondHello is a client that was asked for a second hello, and that hello.
func secondHello(t testing.TB, server *Config) (door *Door, hello *message.ClientHello, datagram []byte) {
	t.Helper()
	client, _ := simConfigs13(dtlstest.P256, 0)
	client.Hello, client.MTU = HelloSmall, 8000
	door, err := NewDoor(server, simStart)
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewClientEngine(client, simStart)
	if err != nil {
		t.Fatal(err)
	}
	tx, _ := e.PollTransmit(simStart, nil)
	reply, _ := door.Handle(simStart, tx.Data, testAddr, localAddr, nil)
	if reply == nil || len(reply) > 3*len(tx.Data) {
		t.Fatalf("%d bytes for %d", len(reply), len(tx.Data))
	}
	if err := e.HandleDatagram(simStart, reply, localAddr); err != nil {
		t.Fatal(err)
	}
	tx, _ = e.PollTransmit(simStart, nil)
	return door, helloOf(e), tx.Data
}

// helloDatagram is a datagram with a hello.
func helloDatagram(t testing.TB, h *message.ClientHello, seq uint16) []byte {
	t.Helper()
	body, err := h.AppendBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	return forgeMessage(message.TypeClientHello, seq, body...)
}

// refusedAtDoor: illegal_parameter and no state (RFC 9147, Section 5.1).
func refusedAtDoor(t testing.TB, door *Door, what string, datagram []byte) {
	t.Helper()
	reply, hello := door.Handle(simStart, datagram, testAddr, localAddr, nil)
	if want := forgeAlert(alert.Fatal, alert.IllegalParameter); hello != nil || !bytes.Equal(reply, want) {
		t.Errorf("%s: let in %v, answered with %x, want %x", what, hello != nil, reply, want)
	}
}

// TestAlteredCookies13: every bit and every length (THREATS 20).
func TestAlteredCookies13(t *testing.T) {
	_, server := simConfigs13(dtlstest.P256, 0)
	door, honest, datagram := secondHello(t, server)
	h := *honest
	for bit := range 8 * len(honest.RetryCookie) {
		h.RetryCookie = bytes.Clone(honest.RetryCookie)
		h.RetryCookie[bit/8] ^= 1 << (bit % 8)
		refusedAtDoor(t, door, fmt.Sprintf("bit %d", bit), helloDatagram(t, &h, 1))
	}
	for n := 1; n < 256; n++ {
		if n == len(honest.RetryCookie) {
			continue
		}
		h.RetryCookie = append(bytes.Clone(honest.RetryCookie), make([]byte, 256)...)[:n]
		refusedAtDoor(t, door, fmt.Sprintf("%d bytes", n), helloDatagram(t, &h, 1))
	}
	reply, hello := door.Handle(simStart, datagram, netip.MustParseAddrPort("192.0.2.78:7777"), localAddr, nil)
	if hello != nil || len(reply) == 0 {
		t.Error("the cookie of another address is taken")
	}
	if n, want := door.Stats().Refused, uint64(8*len(honest.RetryCookie)+254+1); n != want {
		t.Errorf("%d cookies were refused, want %d", n, want)
	}
	if _, hello := door.Handle(simStart, datagram, testAddr, localAddr, nil); hello == nil {
		t.Error("the honest cookie is not taken")
	}
}

// secondHellos are ways in which a second hello must not differ from the first
// (RFC 8446, Section 4.1.2).
var secondHellos = []struct {
	name   string
	change func(h clientHello)
}{
	{"random", func(h clientHello) { h.Random[31] ^= 1 }},
	{"session id", func(h clientHello) { h.SessionID = []byte{1} }},
	{"suites", func(h clientHello) { h.CipherSuites = h.CipherSuites[:1] }},
	{"more suites", func(h clientHello) { h.CipherSuites = append(slices.Clone(h.CipherSuites), 0x1305) }},
	{"versions", func(h clientHello) { h.SupportedVersions = append(slices.Clone(h.SupportedVersions), VersionDTLS12) }},
	{"groups", func(h clientHello) { h.SupportedGroups = h.SupportedGroups[:2] }},
	{"schemes", func(h clientHello) { h.SignatureSchemes = h.SignatureSchemes[:1] }},
	{"protocols", func(h clientHello) { h.ALPN = []string{"other"} }},
	{"name", func(h clientHello) { h.ServerName = "other" }},
	{"record_size_limit", func(h clientHello) { h.RecordSizeLimit = 999 }},
	{"modes", func(h clientHello) { h.PSKModes = []byte{1, 0} }},
	{"extended_master_secret", func(h clientHello) { h.ExtendedMasterSecret = true }},
}

// TestChangedSecondHello, before a door and before a server that keeps state
// (THREATS 21, 24).
func TestChangedSecondHello(t *testing.T) {
	_, config := simConfigs13(dtlstest.P256, 0)
	door, honest, _ := secondHello(t, config)
	for _, test := range secondHellos {
		h := *honest
		test.change(&h)
		refusedAtDoor(t, door, test.name, helloDatagram(t, &h, 1))

		client, server := certConfigs13(dtlstest.P256)
		server.CurvePreferences = []tls.CurveID{tls.CurveP384}
		s := newSim(t, client, server)
		onClientHello(func(h clientHello) {
			if len(h.KeyShares) == 1 && h.KeyShares[0].Group == 24 {
				test.change(h)
			}
		})(s)
		t.Run(test.name, func(t *testing.T) { s.t = t; s.refuses13(serverSide, alert.IllegalParameter) })
	}
	for name, change := range map[string]func(h clientHello){
		"legacy_cookie":               func(h clientHello) { h.Cookie = make([]byte, 16) },
		"legacy_cookie of the server": func(h clientHello) { h.Cookie, h.RetryCookie = h.RetryCookie, nil },
	} {
		h := *honest
		change(&h)
		refusedAtDoor(t, door, name, helloDatagram(t, &h, 1))
	}
}

// TestForgedButLegal13: a forged message that is legal in every way cannot be
// told from an honest one; the forger may win the race, and all it gains is that
// the handshake fails.
func TestForgedButLegal13(t *testing.T) {
	configs := plaintextKinds13[2].configs
	key, err := kex.Generate(kex.Group(29))
	if err != nil {
		t.Fatal(err)
	}
	sh := &message.ServerHello{
		Version: VersionDTLS12, CipherSuite: 0x1301, SupportedVersion: VersionDTLS13,
		KeyShare: message.KeyShare{Group: 29, Data: key.Public()},
	}
	body, err := sh.AppendBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	won := 0
	for _, m := range moments(t, configs) {
		s := at(t, configs, m, func(s *sim) { s.inject(m.to, forgeMessage(message.TypeServerHello, 0, body...)) })
		if s.established() {
			s.echo("honest")
			continue
		}
		won++
		for at, e := range s.eng {
			if e.Established() || len(s.data[at]) > 0 || e.Err() == nil && s.now.Sub(s.start) > 2*time.Minute {
				t.Errorf("at %+v: %v", m, e)
			}
		}
	}
	t.Logf("the forger won %d races", won)
}
