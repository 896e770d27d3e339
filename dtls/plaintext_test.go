package dtls

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// One forged datagram must not end a handshake that an honest peer would
// finish: every forgery races every honest record, in both directions.

// forgery is something an attacker sends who sees the handshake, but cannot
// stop it.
type forgery struct {
	name   string
	make   func(victim *Engine) []byte
	prompt bool // it must not even cost time
}

var handshakeTypes = []message.Type{
	message.TypeHelloRequest, message.TypeClientHello, message.TypeServerHello, message.TypeHelloVerifyRequest,
	message.TypeNewSessionTicket, message.TypeEndOfEarlyData, message.TypeEncryptedExtensions,
	message.TypeRequestConnectionID, message.TypeNewConnectionID, message.TypeCertificate,
	message.TypeServerKeyExchange, message.TypeCertificateRequest, message.TypeServerHelloDone,
	message.TypeCertificateVerify, message.TypeClientKeyExchange, message.TypeFinished,
	message.TypeCertificateStatus, message.TypeKeyUpdate, message.TypeMessageHash, 77,
}

// awaitedSeq is the number of the message that the victim awaits.
func awaitedSeq(e *Engine) uint16 {
	if !e.handshaking() {
		return 0
	}
	return e.hs.in.Awaited()
}

func forgeries() []forgery {
	fixed := func(b []byte) func(*Engine) []byte { return func(*Engine) []byte { return b } }
	cookie := []byte{0xfe, 0xff, 4, 'e', 'v', 'i', 'l'}
	list := []forgery{
		{name: "fatal alert", make: fixed(forgeAlert(alert.Fatal, alert.HandshakeFailure))},
		{name: "warning alert", make: fixed(forgeAlert(alert.Warning, alert.UserCanceled))},
		{name: "close_notify", make: fixed(forgeAlert(alert.Warning, alert.CloseNotify))},
		{name: "alert of one byte", make: fixed(forgeRecord(record.TypeAlert, 2))},
		{name: "change_cipher_spec", make: fixed(forgeRecord(record.TypeChangeCipherSpec, 1))},
		{name: "ack", make: fixed(forgeRecord(record.TypeACK, 0, 16, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1))},
		{name: "application data", make: fixed(forgeRecord(record.TypeApplicationData, []byte("evil")...))},
		{name: "garbage record of the next epoch", make: fixed(forgeRecordAt(record.TypeHandshake, VersionDTLS12, record.Number{Epoch: 1}, make([]byte, 60)...))},
		{name: "other cookie, first number", make: fixed(forgeMessage(message.TypeHelloVerifyRequest, 0, cookie...))},
		{name: "other cookie, awaited number", make: func(e *Engine) []byte {
			return forgeMessage(message.TypeHelloVerifyRequest, awaitedSeq(e), cookie...)
		}},
		{name: "client key exchange with a low-order point", make: func(e *Engine) []byte {
			return forgeMessage(message.TypeClientKeyExchange, awaitedSeq(e), append([]byte{32}, make([]byte, 32)...)...)
		}},
		{name: "psk client key exchange with a low-order point", make: func(e *Engine) []byte {
			return forgeMessage(message.TypeClientKeyExchange, awaitedSeq(e), append([]byte{0, 1, 'x', 32}, make([]byte, 32)...)...)
		}},
		{name: "certificate that is none", make: func(e *Engine) []byte {
			return forgeMessage(message.TypeCertificate, awaitedSeq(e), 0, 0, 6, 0, 0, 3, 1, 2, 3)
		}},
	}
	for _, typ := range handshakeTypes {
		for _, seq := range []int{-1, 0, 1} {
			name := fmt.Sprintf("garbage %v, number %d", typ, seq)
			number := func(e *Engine) uint16 { return uint16(seq) }
			if seq < 0 {
				name, number = fmt.Sprintf("garbage %v, awaited number", typ), awaitedSeq
			}
			list = append(list, forgery{name: name, make: func(e *Engine) []byte {
				return forgeMessage(typ, number(e), bytes.Repeat([]byte{0xff}, 7)...)
			}})
		}
		list = append(list, forgery{name: fmt.Sprintf("empty %v", typ), make: func(e *Engine) []byte {
			if e.handshaking() && e.hs.m.Expects().Has(typ) {
				return forgeRecord(record.TypeHandshake) // it would be legal, see TestForgedButLegal
			}
			return forgeMessage(typ, awaitedSeq(e))
		}})
	}
	return list
}

// contradictions are fragments that claim other bytes for messages which the
// honest peers send in this handshake: their beginning, their last byte and,
// where a signature will tell, all of it.
func contradictions(t testing.TB, configs func() (*Config, *Config)) (list [2][]forgery) {
	client, server := configs()
	s := newSim(t, client, server)
	s.onDeliver = func(to side, datagram []byte) []byte {
		for _, rec := range records(t, datagram) {
			r, payload, _, err := record.Next(rec)
			if err != nil {
				continue // protected, of DTLS 1.3
			}
			h, body, _, err := message.NextFragment(payload)
			if r.Type != record.TypeHandshake || r.Epoch > 0 || err != nil || h.Length < 8 {
				continue
			}
			add := func(what string, prompt bool, offset, n uint32) {
				f := message.Header{Type: h.Type, Length: h.Length, Seq: h.Seq, FragmentOffset: offset, FragmentLength: n}
				list[to] = append(list[to], forgery{prompt: prompt, name: fmt.Sprintf("%s of %v", what, h.Type), make: func(*Engine) []byte {
					return forgeFragment(f, bytes.Repeat([]byte{0xaa}, int(n))...)
				}})
			}
			add("beginning", true, 0, 6)
			if end := h.FragmentOffset + h.FragmentLength; end+5 < h.Length {
				add("bytes around a cut", h.FragmentOffset == 0 && 2*end >= h.Length, end-5, 10)
			}
			// An honest fragment may agree with forged bytes further back, and
			// is then missed where the one behind it begins a variant of its own.
			add("last byte", h.FragmentLength == h.Length, h.Length-1, 1)
			if h.Type == message.TypeServerKeyExchange && len(client.CipherSuites) == 0 && h.FragmentLength == h.Length {
				forged := bytes.Clone(body)
				forged[len(forged)-1] ^= 1
				list[to] = append(list[to], forgery{prompt: true, name: "signature of server_key_exchange", make: func(*Engine) []byte {
					return forgeFragment(h, forged...)
				}})
			}
		}
		return datagram
	}
	s.handshake()
	return list
}

// plaintextKinds are the handshakes that forgeries race.
var plaintextKinds = []struct {
	name    string
	configs func() (client, server *Config)
	every   int // of the races in the small form
}{
	{"psk", pskConfigs, 1},
	{"certificate", func() (*Config, *Config) { return simConfigs(dtlstest.P256, 0) }, 7},
	{"mutual", simKinds[1].configs, 11},
	{"fragmented", fragmentedConfigs, 13},
	{"psk without cookie", func() (*Config, *Config) {
		client, server := pskConfigs()
		server.CookieMode = AddressProven
		return client, server
	}, 3},
}

// fragmentedConfigs cut the hello and the certificate into several datagrams.
func fragmentedConfigs() (client, server *Config) {
	client, server = simConfigs(dtlstest.P256, 0)
	client.MTU, server.MTU = 300, 300
	for i := range 40 {
		client.NextProtos = append(client.NextProtos, "protocol "+string(rune('a'+i)))
	}
	return client, server
}

// TestForgedPlaintext: the handshake completes whatever is forged, at worst one
// timer later; most contradicting fragments do not even delay it.
func TestForgedPlaintext(t *testing.T) {
	for _, kind := range plaintextKinds {
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
			races := 0
			for _, m := range moments(t, kind.configs) {
				for _, f := range append(against[m.to], forgeries()...) {
					if f.cookieless(calm) {
						continue
					}
					if races++; races%every != 0 && (!f.prompt || brief()) {
						continue
					}
					s := at(t, kind.configs, m, func(s *sim) { s.inject(m.to, f.make(s.eng[m.to])) })
					switch took := s.now.Sub(s.start); {
					case !s.established():
						t.Errorf("%s at %+v: no handshake: %v; %v", f.name, m, s.eng[0], s.eng[1])
						t.Logf("\n%s", s.history())
						return
					case took > patience || f.prompt && took > prompt:
						t.Errorf("%s at %+v: took %v, without it %v\n%s", f.name, m, took, prompt, s.history())
						return
					}
					s.echo("still here")
					for at, data := range s.data {
						for _, d := range data {
							if string(d) != "still here" {
								t.Errorf("%s at %+v: %s got %q", f.name, m, side(at), d)
							}
						}
					}
				}
			}
			t.Logf("%d races", races/every)
		})
	}
}

// cookieless: a forged HelloVerifyRequest cannot be told from an honest one
// before a server that asks for no cookie.
func (f *forgery) cookieless(s *sim) bool {
	return strings.HasPrefix(f.name, "other cookie") && s.eng[serverSide].p.cookieMode != CookieAlways
}

// TestPlaintextAlertsModes: what each mode makes of a forged fatal alert and a
// forged garbage message, at every moment of a handshake.
func TestPlaintextAlertsModes(t *testing.T) {
	t.Parallel()
	forged := []forgery{
		{name: "fatal alert", make: func(*Engine) []byte { return forgeAlert(alert.Fatal, alert.AccessDenied) }},
		{name: "close_notify", make: func(*Engine) []byte { return forgeAlert(alert.Warning, alert.CloseNotify) }},
		{name: "garbage message", make: func(e *Engine) []byte { return forgeMessage(message.TypeKeyUpdate, awaitedSeq(e), 1) }},
	}
	for mode := AlertsDelayed; mode <= AlertsIgnored; mode++ {
		configs := func() (*Config, *Config) {
			client, server := pskConfigs()
			client.PlaintextAlerts, server.PlaintextAlerts = mode, mode
			return client, server
		}
		for _, m := range moments(t, configs) {
			for _, f := range forged {
				handshaking, spoken, floats := false, false, false
				var err error
				s := at(t, configs, m, func(s *sim) {
					e := s.eng[m.to]
					handshaking = e.handshaking() && e.door == nil
					spoken = e.out.sent.number > 0
					floats = handshaking && !e.hs.in.Fixed() // it could be a later message
					s.inject(m.to, f.make(e))
					err = e.Err()
				})
				isAlert := f.name != "garbage message"
				if mode != AlertsImmediate || !handshaking || isAlert && !spoken || !isAlert && floats {
					if !s.established() || err != nil {
						t.Errorf("mode %d, %s at %+v: %v; %v", mode, f.name, m, s.eng[0], s.eng[1])
					}
					continue
				}
				ae, ok := errors.AsType[*AlertError](err)
				if !ok || ae.Remote != isAlert {
					t.Errorf("mode %d, %s at %+v: %v, want the end at once", mode, f.name, m, err)
				}
			}
		}
	}
}

// TestAlertBeforeHello: a server that has said nothing yet cannot be meant by
// an alert, and waits for its client as long as it takes.
func TestAlertBeforeHello(t *testing.T) {
	for mode := AlertsDelayed; mode <= AlertsIgnored; mode++ {
		client, server := pskConfigs()
		server.CookieMode, server.PlaintextAlerts = AddressProven, mode
		s := newSim(t, client, server)
		e := s.eng[serverSide]
		s.inject(serverSide, forgeAlert(alert.Fatal, alert.InternalError))
		s.inject(serverSide, forgeAlert(alert.Warning, alert.CloseNotify))
		s.now = s.now.Add(10 * time.Second)
		if err := e.HandleTimeout(s.now); err != nil {
			t.Fatalf("mode %d: %v", mode, err)
		}
		if e.Drops().PlaintextAlert != 2 {
			t.Errorf("mode %d: drops %+v", mode, e.Drops())
		}
		s.handshake()
	}
}

// TestForgedWarnings: an unauthenticated warning is reported once.
func TestForgedWarnings(t *testing.T) {
	for _, to := range []side{clientSide, serverSide} {
		warnings := 0
		s := at(t, pskConfigs, moment{to, 1, true}, func(s *sim) {
			s.onEvent = func(at side, ev Event) {
				if ev.Kind == EventWarning && at == to {
					warnings++
					ae, ok := errors.AsType[*AlertError](ev.Err)
					if !ok || !ae.Warning || !ae.Remote || ae.Alert != alert.UserCanceled || IsFatal(ev.Err) {
						t.Errorf("event with %v", ev.Err)
					}
				}
			}
			for range 100 {
				s.inject(to, forgeAlert(alert.Warning, alert.UserCanceled))
			}
		})
		s.echo("warned")
		if warnings != 1 || s.eng[to].Drops().PlaintextAlert != 99 {
			t.Errorf("%s: %d warnings, %+v", to, warnings, s.eng[to].Drops())
		}
	}
}

// TestRealAlert: a peer that sends a fatal alert and is gone ends the handshake
// within one retransmission timer, and the error says that it was the peer.
func TestRealAlert(t *testing.T) {
	ended := 0
	for _, m := range moments(t, pskConfigs) {
		if m.to == serverSide && m.n == 0 || !m.after {
			continue // nothing was said yet
		}
		var told time.Time
		client, server := pskConfigs()
		s := newSim(t, client, server)
		e := s.eng[m.to]
		count := 0
		s.onDeliver = func(to side, datagram []byte) []byte {
			for _, rec := range records(t, datagram) {
				if !told.IsZero() {
					return nil // the peer is gone
				}
				s.deliver(to, rec)
				if to != m.to || !e.handshaking() || e.door != nil {
					continue
				}
				if count++; count == m.n+1 {
					told = s.now
					s.path = func(side, int, []byte) []time.Duration { return nil }
					s.inject(to, forgeAlert(alert.Fatal, alert.HandshakeFailure))
				}
			}
			return nil
		}
		s.run(time.Minute, func() bool { return !told.IsZero() && e.Err() != nil || s.established() })
		if told.IsZero() || e.Established() {
			continue // had all it needs
		}
		ended++
		ae, ok := errors.AsType[*AlertError](e.Err())
		if !ok || !ae.Remote || ae.Warning || ae.Alert != alert.HandshakeFailure {
			t.Errorf("%+v: %v\n%s", m, e.Err(), s.history())
		}
		if took := s.now.Sub(told); took > RetransmitDefault.Initial {
			t.Errorf("%+v: ended after %v", m, took)
		}
	}
	if ended < 6 {
		t.Errorf("only %d moments were tried", ended)
	}
}

// TestSuspicionEndsWithProgress: an alert that was followed by progress is
// forgotten, however long the handshake then takes.
func TestSuspicionEndsWithProgress(t *testing.T) {
	for to := range side(2) {
		client, server := pskConfigs()
		s := newSim(t, client, server)
		injected := false
		s.perRecord(func(at side, n int, after bool) {
			if at == to && n == 1 && !after {
				injected = true
				s.inject(to, forgeAlert(alert.Fatal, alert.InternalError))
				s.inject(to, forgeMessage(message.TypeKeyUpdate, awaitedSeq(s.eng[to]), 1))
			}
		})
		s.path = func(from side, n int, _ []byte) []time.Duration {
			if from == to && n >= 2 && n < 6 { // silence, longer than any timer
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		s.handshake()
		if took := s.now.Sub(s.start); !injected || took < 4*RetransmitDefault.Min {
			t.Errorf("%s: injected %v, took %v\n%s", to, injected, took, s.history())
		}
	}
}

// TestForgedButLegal: a forged message that is legal in every way cannot be
// told from an honest one, so here the forger may win the race: the handshake
// fails. It never completes with anything but what the honest peers agreed on.
func TestForgedButLegal(t *testing.T) {
	t.Parallel()
	legal := []struct {
		name string
		m    message.Message
	}{
		{"server_hello", &message.ServerHello{Version: VersionDTLS12, CipherSuite: 0xd001, ExtendedMasterSecret: true}},
		{"server_key_exchange", &message.ServerKeyExchangeECDHEPSK{Group: 29, Public: bytes.Repeat([]byte{9}, 32)}},
		{"client_key_exchange", &message.ClientKeyExchangeECDHEPSK{Identity: testPSK.Identity, Public: bytes.Repeat([]byte{9}, 32)}},
		{"server_hello_done", &message.ServerHelloDone{}},
	}
	for _, f := range legal {
		body, err := f.m.AppendBody(nil)
		if err != nil {
			t.Fatal(err)
		}
		won := 0
		for _, m := range moments(t, pskConfigs) {
			s := at(t, pskConfigs, m, func(s *sim) {
				s.inject(m.to, forgeMessage(f.m.Type(), max(awaitedSeq(s.eng[m.to]), 1), body...))
			})
			if s.established() {
				s.echo("honest")
				continue
			}
			won++
			for at, e := range s.eng {
				if e.Established() || len(s.data[at]) > 0 || e.Err() == nil && s.now.Sub(s.start) > 2*time.Minute {
					t.Errorf("%s at %+v: %v", f.name, m, e)
				}
			}
		}
		t.Logf("%s: the forger won %d races", f.name, won)
	}
}
