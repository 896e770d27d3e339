package dtls

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// The front door: what strangers get, and what proves an address.

var localAddr = netip.MustParseAddrPort("192.0.2.2:4433")

func newTestDoor(t testing.TB, mode CookieMode) *Door {
	_, server := pskConfigs()
	server.CookieMode = mode
	d, err := NewDoor(server, simStart)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// firstFlight is a client and the datagram of its hello.
func firstFlight(t testing.TB) (*Engine, []byte) {
	client, _ := pskConfigs()
	e, err := NewClientEngine(client, simStart)
	if err != nil {
		t.Fatal(err)
	}
	tx, ok := e.PollTransmit(simStart, nil)
	if !ok {
		t.Fatal("no hello")
	}
	return e, tx.Data
}

// withCookie is the hello that follows the door's answer.
func withCookie(t testing.TB, e *Engine, reply []byte) []byte {
	if err := e.HandleDatagram(simStart, bytes.Clone(reply), localAddr); err != nil {
		t.Fatal(err)
	}
	tx, ok := e.PollTransmit(simStart, nil)
	if !ok {
		t.Fatal("no second hello")
	}
	return tx.Data
}

// TestDoorAnswersOnce: one hello, one answer, smaller than the hello, with its
// record number; nothing is repeated later, and nothing allocated.
func TestDoorAnswersOnce(t *testing.T) {
	d := newTestDoor(t, CookieAlways)
	_, hello := firstFlight(t)
	reply, admitted := d.Handle(simStart, hello, testAddr, localAddr, nil)
	if admitted != nil || len(reply) == 0 || len(reply) > len(hello) {
		t.Fatalf("%d bytes for %d, admitted %v", len(reply), len(hello), admitted)
	}
	h, payload, rest, err := record.Next(reply)
	m, body, _, err2 := message.NextFragment(payload)
	if err != nil || err2 != nil || len(rest) > 0 || h.Version != message.Version10 || h.Epoch != 0 ||
		m.Type != message.TypeHelloVerifyRequest || m.Seq != 0 || body[0] != 0xfe || body[1] != 0xff {
		t.Errorf("reply %s, %x", describeDatagram(reply), body)
	}
	numbered := func(seq uint64) []byte {
		return forgeRecordAt(record.TypeHandshake, message.Version10, record.Number{Seq: seq}, hello[record.HeaderLen:]...)
	}
	for _, seq := range []uint64{0, 1, 77, record.MaxSeq / 2} {
		reply, _ := d.Handle(simStart, numbered(seq), testAddr, localAddr, nil)
		if h, _, _, _ := record.Next(reply); h.Seq != seq {
			t.Errorf("hello %d is answered with %d", seq, h.Seq)
		}
	}
	// A server that went on from there would soon have no numbers left.
	if reply, _ := d.Handle(simStart, numbered(record.MaxSeq/2+1), testAddr, localAddr, nil); reply != nil {
		t.Error("a hello with a number out of reach is answered")
	}
	if raceEnabled {
		return
	}
	buf := make([]byte, 0, 256)
	for name, datagram := range map[string][]byte{
		"hello": hello, "garbage": make([]byte, 100), "data": forgeRecord(23, 1), "lying": forgeMessage(1, 0, 0xfe, 0xfd),
	} {
		if n := testing.AllocsPerRun(1000, func() { d.Handle(simStart, datagram, testAddr, localAddr, buf) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestDoorDropsGarbage: whatever is no hello gets no answer.
func TestDoorDropsGarbage(t *testing.T) {
	d := newTestDoor(t, CookieAlways)
	var datagrams [][]byte
	for _, n := range nuisances() {
		datagrams = append(datagrams, n.datagrams...)
	}
	for _, typ := range handshakeTypes {
		if typ != message.TypeClientHello {
			datagrams = append(datagrams, forgeMessage(typ, 0, make([]byte, 60)...))
		}
	}
	_, hello := firstFlight(t)
	for n := range hello {
		datagrams = append(datagrams, hello[:n])
	}
	for i, datagram := range datagrams {
		if reply, admitted := d.Handle(simStart, datagram, testAddr, localAddr, nil); reply != nil || admitted != nil {
			t.Errorf("%x is answered", datagram)
		}
		if got := d.Stats().Dropped; got != uint64(i+1) {
			t.Fatalf("%d dropped, want %d", got, i+1)
		}
	}
	// A ClientHello that cannot be parsed has a counter of its own.
	if reply, admitted := d.Handle(simStart, forgeMessage(message.TypeClientHello, 0, make([]byte, 60)...), testAddr, localAddr, nil); reply != nil || admitted != nil {
		t.Error("a ClientHello of zeros is answered")
	}
	if s := d.Stats(); s.Malformed != 1 || s.Dropped != uint64(len(datagrams)) {
		t.Errorf("%+v", s)
	}
}

// TestCookieProof: the very cookie, for the very hello, from the very address
// lets in; anything else is asked anew.
func TestCookieProof(t *testing.T) {
	d := newTestDoor(t, CookieAlways)
	e, hello := firstFlight(t)
	reply, _ := d.Handle(simStart, hello, testAddr, localAddr, nil)
	second := withCookie(t, e, reply)
	_, payload, _, _ := record.Next(second)
	prefix, ok := message.PeekClientHello(payload[message.HeaderLen:])
	if !ok || len(prefix.Cookie) == 0 {
		t.Fatal("no cookie in the second hello")
	}
	at := bytes.Index(second, prefix.Cookie)
	refused := func(what string, datagram []byte, now time.Time, from netip.AddrPort) {
		t.Helper()
		before := d.Stats()
		reply, admitted := d.Handle(now, datagram, from, localAddr, nil)
		if admitted != nil || reply == nil || len(reply) > len(datagram) || d.Stats().Proven != before.Proven {
			t.Fatalf("%s: admitted %v, reply of %d bytes", what, admitted != nil, len(reply))
		}
	}
	for bit := range 8 * len(prefix.Cookie) {
		flipped := bytes.Clone(second)
		flipped[at+bit/8] ^= 1 << (bit % 8)
		refused("flipped bit", flipped, simStart, testAddr)
	}
	refused("other address", second, simStart, netip.MustParseAddrPort("192.0.2.78:7777"))
	refused("other port", second, simStart, netip.MustParseAddrPort("192.0.2.77:7778"))
	refused("a day later", second, simStart.Add(24*time.Hour), testAddr)
	for n := range 256 {
		change := func(m *message.ClientHello) { m.Cookie = append(bytes.Clone(prefix.Cookie), make([]byte, 256)...)[:n] }
		if n == len(prefix.Cookie) {
			change = func(m *message.ClientHello) { m.Random[31] ^= 1 }
		}
		refused("cookie of another length or random", changedHello(t, second, change), simStart, testAddr)
	}
	for name, change := range map[string]func(*message.ClientHello){
		"version":     func(m *message.ClientHello) { m.Version = VersionDTLS13 },
		"suites":      func(m *message.ClientHello) { m.CipherSuites = append(m.CipherSuites, 0xc02b) },
		"compression": func(m *message.ClientHello) { m.Compression = []byte{0, 1} },
	} {
		refused(name, changedHello(t, second, change), simStart, testAddr)
	}
	_, admitted := d.Handle(simStart, second, testAddr, localAddr, nil)
	if admitted == nil || !admitted.proof.Proven || !bytes.Equal(admitted.Datagram, second) || admitted.From != testAddr {
		t.Fatalf("the right cookie: %+v", admitted)
	}
	// A client with a ticket may make up another session ID for each of its hellos.
	other := changedHello(t, second, func(m *message.ClientHello) { m.SessionID = make([]byte, 32) })
	if _, admitted = d.Handle(simStart, other, testAddr, localAddr, nil); admitted == nil || !admitted.proof.Proven {
		t.Fatalf("the right cookie with another session ID: %+v", admitted)
	}
}

// changedHello rewrites the hello that a datagram holds.
func changedHello(t *testing.T, datagram []byte, change func(*message.ClientHello)) []byte {
	_, payload, _, _ := record.Next(datagram)
	m, err := message.Parse(message.TypeClientHello, 0, payload[message.HeaderLen:])
	if err != nil {
		t.Fatal(err)
	}
	change(m.(*message.ClientHello))
	body, err := m.AppendBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	return forgeMessage(message.TypeClientHello, 1, body...)
}

// TestRecordNumbersGoOn: hellos repeated before the cookie use up numbers on
// both sides; the ServerHello's lie behind them (THREATS 23).
func TestRecordNumbersGoOn(t *testing.T) {
	for i := range 12 {
		lost, configs := i/2, pskConfigs
		if i%2 > 0 {
			configs = fragmentedConfigs
		}
		client, server := configs()
		s := newSim(t, client, server)
		s.path = func(from side, n int, _ []byte) []time.Duration {
			if from == serverSide && n < lost {
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		highest := int64(-1)
		s.onDeliver = func(to side, datagram []byte) []byte {
			if h, _, _, _ := record.Next(datagram); to == clientSide && h.Epoch == 0 {
				if int64(h.Seq) <= highest {
					t.Errorf("%d lost: record %d after %d", lost, h.Seq, highest)
				}
				highest = int64(h.Seq)
			}
			return datagram
		}
		s.handshake()
	}
}

// TestEndlessCookies: a server that never has enough is left after a few
// datagrams (THREATS 22).
func TestEndlessCookies(t *testing.T) {
	for mode := AlertsDelayed; mode <= AlertsImmediate; mode++ {
		client, server := pskConfigs()
		client.PlaintextAlerts = mode
		s := newSim(t, client, server)
		cookies := byte(0)
		s.onDeliver = func(to side, datagram []byte) []byte {
			if to == clientSide {
				return datagram
			}
			h, _, _, _ := record.Next(datagram)
			cookies++
			hvr := forgeMessage(message.TypeHelloVerifyRequest, 0, 0xfe, 0xff, 1, cookies)
			s.inject(clientSide, append(record.AppendHeader(nil, record.Header{
				Type: record.TypeHandshake, Version: message.Version10, Number: h.Number, Length: len(hvr) - record.HeaderLen,
			}), hvr[record.HeaderLen:]...))
			return nil
		}
		e := s.eng[clientSide]
		s.run(time.Minute, func() bool { return e.Err() != nil })
		s.flush(clientSide)
		if a, remote := alertOf(t, e); a != alert.HandshakeFailure || remote {
			t.Errorf("mode %d: %v", mode, e.Err())
		}
		if s.sent[clientSide] >= 10 {
			t.Errorf("mode %d: %d datagrams\n%s", mode, s.sent[clientSide], s.history())
		}
	}
}

// TestAmplification: without a cookie, an address that has proven nothing gets
// at most three times its bytes, whatever it sends and however long it takes
// (THREATS 19); with honest clients the handshake completes all the same.
func TestAmplification(t *testing.T) {
	big := func() (*Config, *Config) {
		client, server := simConfigs(dtlstest.P256, 6000)
		client.Certificates, server.ClientAuth = server.Certificates, tls.RequestClientCert
		return client, server
	}
	for _, test := range []struct {
		name    string
		configs func() (client, server *Config)
		within  time.Duration
	}{
		{"small flight", pskConfigs, 2 * simRTT},
		{"one certificate", func() (*Config, *Config) { return simConfigs(dtlstest.P256, 0) }, 5 * time.Second},
		{"6 KB chain", func() (*Config, *Config) { return simConfigs(dtlstest.P256, 6000) }, 30 * time.Second},
		{"6 KB chains on both sides", big, 30 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := test.configs()
			server.CookieMode = CookieNever
			s := newSim(t, client, server)
			in, out := 0, 0
			s.onDeliver = func(to side, d []byte) []byte {
				if to == serverSide {
					in += len(d)
				}
				return d
			}
			s.path = func(from side, n int, d []byte) []time.Duration {
				if from == serverSide && !s.eng[serverSide].Established() {
					if out += len(d); out > 3*in {
						t.Errorf("%d bytes for %d\n%s", out, in, s.history())
					}
				}
				return []time.Duration{simRTT / 2}
			}
			s.run(time.Minute, s.established)
			took := s.now.Sub(s.start)
			s.echo("proven")
			t.Logf("%v, %d bytes for %d", took, out, in)
			if took > test.within {
				t.Errorf("took %v\n%s", took, s.history())
			}
		})
	}
	for _, mode := range []CookieMode{CookieNever, CookieUnderLoad} {
		for _, behindDoor := range []bool{false, true} {
			spoofedHello(t, mode, behindDoor)
		}
	}
}

// spoofedHello is one hello and silence: three times its bytes, once, and no
// repetitions.
func spoofedHello(t *testing.T, mode CookieMode, behindDoor bool) {
	client, server := simConfigs(dtlstest.P256, 6000)
	server.CookieMode = mode
	s := newSim(t, client, server)
	tx, _ := s.eng[clientSide].PollTransmit(s.now, nil)
	if behindDoor {
		door, err := NewDoor(server, s.now)
		if err != nil {
			t.Fatal(err)
		}
		reply, hello := door.Handle(s.now, tx.Data, s.addr[clientSide], localAddr, nil)
		if reply != nil || hello == nil {
			t.Fatalf("mode %d asks for a cookie", mode)
		}
		if s.eng[serverSide], err = NewServerEngine(server, hello, s.now); err != nil {
			t.Fatal(err)
		}
	}
	s.inject(serverSide, tx.Data)
	out := 0
	e := s.eng[serverSide]
	for e.Err() == nil {
		for d, ok := e.PollTransmit(s.now, nil); ok; d, ok = e.PollTransmit(s.now, nil) {
			out += len(d.Data)
		}
		s.now = s.now.Add(time.Second)
		_ = e.HandleTimeout(s.now)
	}
	for d, ok := e.PollTransmit(s.now, nil); ok; d, ok = e.PollTransmit(s.now, nil) {
		out += len(d.Data)
	}
	if out == 0 || out > 3*len(tx.Data) || !errors.Is(e.Err(), ErrHandshakeTimeout) {
		t.Errorf("mode %d, behind a door %v: %d bytes for %d, then %v", mode, behindDoor, out, len(tx.Data), e.Err())
	}
}

// TestCookieModes: which modes ask, and that all of them work.
func TestCookieModes(t *testing.T) {
	for mode, want := range map[CookieMode]struct{ engine, door bool }{
		CookieAuto: {false, true}, CookieAlways: {true, true}, CookieUnderLoad: {false, false},
		CookieNever: {false, false}, AddressProven: {false, false},
	} {
		client, server := pskConfigs()
		server.CookieMode = mode
		s := newSim(t, client, server)
		s.handshake()
		if asked := s.sent[serverSide] > 3; asked != want.engine {
			t.Errorf("mode %d: %d datagrams of the server", mode, s.sent[serverSide])
		}
		d := newTestDoor(t, mode)
		e, hello := firstFlight(t)
		reply, admitted := d.Handle(simStart, hello, testAddr, localAddr, nil)
		if (reply != nil) != want.door || (admitted == nil) != want.door {
			t.Errorf("mode %d: reply %v, admitted %v", mode, reply != nil, admitted != nil)
		}
		if admitted == nil {
			_, admitted = d.Handle(simStart.Add(simRTT), withCookie(t, e, reply), testAddr, localAddr, nil)
		}
		// An engine made from what the door let in completes the handshake.
		s = bareSim(t)
		s.addr[clientSide] = testAddr
		s.eng[clientSide] = e
		var err error
		if s.eng[serverSide], err = NewServerEngine(server, admitted, s.now); err != nil {
			t.Fatal(err)
		}
		s.deliver(serverSide, admitted.Datagram)
		s.handshake()
		if learned := s.eng[serverSide].out.timer.Measured(); !learned {
			t.Errorf("mode %d: no round trip learned", mode)
		}
	}
}

// TestFragmentedHello: a hello of several datagrams passes the door by its
// first fragment; the others wait for nobody before, and complete it after
// (THREATS 17). Each datagram is lost once.
func TestFragmentedHello(t *testing.T) {
	for lost := -1; lost < 8; lost++ {
		for _, mode := range []CookieMode{CookieAlways, AddressProven} {
			client, server := pskConfigs()
			for i := range 40 {
				client.NextProtos = append(client.NextProtos, "a protocol "+string(rune('a'+i)))
			}
			client.MTU, server.CookieMode = 300, mode
			s := newSim(t, client, server)
			s.path = func(from side, n int, _ []byte) []time.Duration {
				if from == clientSide && n == lost {
					return nil
				}
				return []time.Duration{simRTT / 2}
			}
			s.handshake()
			if took := s.now.Sub(s.start); took > 3*time.Second {
				t.Errorf("datagram %d lost: took %v\n%s", lost, took, s.history())
			}
			if s.largest[clientSide] > 300 || s.sent[clientSide] < 4 {
				t.Fatalf("the hello was not fragmented: %d datagrams", s.sent[clientSide])
			}
		}
	}
}

// TestOtherHelloBehindTheDoor: the door lets in the first fragment of a hello.
// What somebody else sends before the rest is here, garbage or a hello of its
// own, neither takes its place nor ends it.
func TestOtherHelloBehindTheDoor(t *testing.T) {
	_, other := firstFlight(t)
	_, payload, _, _ := record.Next(other)
	body := payload[message.HeaderLen:]
	for mode := AlertsDelayed; mode <= AlertsIgnored; mode++ {
		for _, forged := range [][]byte{
			forgeMessage(message.TypeClientHello, 0, body...),
			forgeMessage(message.TypeClientHello, 1, body...),
			forgeMessage(message.TypeClientHello, 0, 0xff, 0xff),
			forgeMessage(message.TypeClientHello, 1, bytes.Repeat([]byte{0xff}, 70)...),
		} {
			garbage := len(forged) < len(other)
			if garbage && mode == AlertsImmediate {
				continue // ends it: that is what this mode is for
			}
			client, server := fragmentedConfigs()
			server.PlaintextAlerts = mode
			s := newSim(t, client, server)
			injected := false
			s.onDeliver = func(to side, datagram []byte) []byte {
				e := s.eng[serverSide]
				if to == serverSide && !injected && e.door == nil {
					injected = true
					if !e.hs.m.AwaitsHello() {
						t.Fatal("the hello came whole")
					}
					s.inject(serverSide, forged)
				}
				return datagram
			}
			s.run(time.Minute, s.established)
			if !injected || !s.established() || s.now.Sub(s.start) > 4*simRTT {
				t.Errorf("mode %d, %s: %v; %v\n%s", mode, describeDatagram(forged), s.eng[0], s.eng[1], s.history())
			}
		}
	}
}
