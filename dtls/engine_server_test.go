package dtls

import (
	"bytes"
	"crypto/tls"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// The loop of a server of many clients, as the documentation of Engine and Door.Route
// shows it: virtual time, and a path without delay.

type engineServer struct {
	t       *testing.T
	config  *Config
	door    *Door
	now     time.Time
	engines map[netip.AddrPort][]*Engine
	send    func(datagram []byte, to netip.AddrPort)
	data    []string
	begun   int // handshakes
}

func newEngineServer(t *testing.T, config *Config) *engineServer {
	d, err := NewDoor(config, simStart)
	if err != nil {
		t.Fatal(err)
	}
	return &engineServer{t: t, config: config, door: d, now: simStart, engines: map[netip.AddrPort][]*Engine{}}
}

func (s *engineServer) receive(datagram []byte, from netip.AddrPort) {
	eng := s.door.Route(s.now, datagram, from, s.engines[from])
	if eng == nil {
		reply, hello := s.door.Handle(s.now, datagram, from, netip.AddrPort{}, nil)
		if reply != nil {
			s.send(reply, from)
		}
		if hello == nil {
			return
		}
		var err error
		if eng, err = NewServerEngine(s.config, hello, s.now); err != nil {
			s.t.Fatal(err)
		}
		s.begun++
		kept := s.engines[from]
		if len(kept) > 0 && kept[0].Established() {
			kept = kept[:1]
		} else {
			kept = nil
		}
		s.engines[from] = append(kept, eng)
		datagram = hello.Datagram
	}
	_ = eng.HandleDatagram(s.now, datagram, from)
	s.drain(eng, from)
}

func (s *engineServer) drain(eng *Engine, from netip.AddrPort) {
	for tx, ok := eng.PollTransmit(s.now, nil); ok; tx, ok = eng.PollTransmit(s.now, nil) {
		s.send(tx.Data, tx.To)
	}
	for ev, ok := eng.PollEvent(); ok; ev, ok = eng.PollEvent() {
		switch ev.Kind {
		case EventEstablished:
			s.engines[from] = []*Engine{eng}
		case EventData:
			s.data = append(s.data, string(ev.Data))
		default:
		}
	}
	if eng.Err() != nil {
		s.engines[from] = slices.DeleteFunc(s.engines[from], func(e *Engine) bool { return e == eng })
	}
}

// passes lets time pass for the engines of the server.
func (s *engineServer) passes(d time.Duration) {
	for end := s.now.Add(d); ; {
		next, due, from := end, (*Engine)(nil), netip.AddrPort{}
		for a, list := range s.engines {
			for _, e := range list {
				if t := e.NextTimeout(); !t.IsZero() && t.Before(next) {
					next, due, from = t, e, a
				}
			}
		}
		s.now = next
		if due == nil {
			return
		}
		_ = due.HandleTimeout(s.now)
		s.drain(due, from)
	}
}

// engineClient is a client at an address.
type engineClient struct {
	*Engine
	s      *engineServer
	hellos [][]byte // datagrams of ClientHellos that it has sent
	data   []string
}

// boot begins a client.
func (s *engineServer) boot(config *Config) *engineClient {
	e, err := NewClientEngine(config, s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	return &engineClient{Engine: e, s: s}
}

// run exchanges datagrams until neither side has any.
func (c *engineClient) run(addr netip.AddrPort) {
	var back [][]byte
	c.s.send = func(d []byte, _ netip.AddrPort) { back = append(back, bytes.Clone(d)) }
	for {
		for tx, ok := c.PollTransmit(c.s.now, nil); ok; tx, ok = c.PollTransmit(c.s.now, nil) {
			if _, hello := door.Header(tx.Data); hello {
				c.hellos = append(c.hellos, bytes.Clone(tx.Data))
			}
			c.s.receive(tx.Data, addr)
		}
		for ev, ok := c.PollEvent(); ok; ev, ok = c.PollEvent() {
			if ev.Kind == EventData {
				c.data = append(c.data, string(ev.Data))
			}
		}
		if len(back) == 0 {
			return
		}
		d := back[0]
		back = back[1:]
		_ = c.HandleDatagram(c.s.now, d, netip.AddrPort{})
	}
}

// exchanges reports whether data passes in both directions.
func (c *engineClient) exchanges(addr netip.AddrPort, text string) bool {
	if err := c.Write(c.s.now, []byte(text)); err != nil {
		return false
	}
	c.run(addr)
	list := c.s.engines[addr]
	if len(list) == 0 || list[0].Write(c.s.now, []byte(text)) != nil {
		return false
	}
	var back [][]byte
	c.s.send = func(d []byte, _ netip.AddrPort) { back = append(back, bytes.Clone(d)) }
	c.s.drain(list[0], addr)
	for _, d := range back {
		_ = c.HandleDatagram(c.s.now, d, netip.AddrPort{})
	}
	c.run(addr)
	return slices.Contains(c.s.data, text) && slices.Contains(c.data, text)
}

var engineClientAddr = netip.MustParseAddrPort("192.0.2.1:40000")

// engineServers calls f for both versions, and hellos in one datagram and in several.
func engineServers(t *testing.T, f func(t *testing.T, client, server *Config)) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		for _, mtu := range []int{0, 228} {
			t.Run(VersionName(version)+map[int]string{0: "", 228: " in fragments"}[mtu], func(t *testing.T) {
				client, server := certConfigs(dtlstest.P256)
				for _, c := range []*Config{client, server} {
					c.MinVersion, c.MaxVersion, c.MTU = version, version, mtu
				}
				if mtu > 0 {
					client.NextProtos = []string{"a protocol with a name that is as long as to make several datagrams of the hello", "another"}
				}
				client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
				f(t, client, server)
			})
		}
	}
}

// TestEngineServerRestart: a client that has lost its state is back after one handshake
// from the same address, in each CookieMode; the association before it ends then,
// and not before.
func TestEngineServerRestart(t *testing.T) {
	for _, mode := range []CookieMode{CookieAuto, CookieUnderLoad, CookieNever, AddressProven} {
		engineServers(t, func(t *testing.T, client, server *Config) {
			server.CookieMode = mode
			s := newEngineServer(t, server)
			for _, boot := range []string{"first", "second", "third"} {
				c := s.boot(client)
				c.run(engineClientAddr)
				for range 8 { // Retransmit.MaxTries, where CookieNever needs a repetition
					if c.Established() {
						break
					}
					s.passes(time.Second)
					_ = c.HandleTimeout(s.now)
					c.run(engineClientAddr)
				}
				if !c.Established() || len(s.engines[engineClientAddr]) != 1 {
					t.Fatalf("mode %d, %s: %v; the server has %v", mode, boot, c, s.engines)
				}
				if !c.exchanges(engineClientAddr, boot) {
					t.Errorf("mode %d, %s: no data passes", mode, boot)
				}
				s.passes(time.Minute)
			}
		})
	}
}

// TestEngineServerForgedRestart: hellos without a cookie from the address of an
// association, and copies of its own, change nothing of it.
func TestEngineServerForgedRestart(t *testing.T) {
	engineServers(t, func(t *testing.T, client, server *Config) {
		s := newEngineServer(t, server)
		c := s.boot(client)
		c.run(engineClientAddr)
		s.passes(time.Second)
		if !c.exchanges(engineClientAddr, "before") {
			t.Fatalf("%v", c)
		}
		// An attacker who does not receive what is sent to the address.
		forger := s.boot(client)
		s.send = func([]byte, netip.AddrPort) {}
		for tx, ok := forger.PollTransmit(s.now, nil); ok; tx, ok = forger.PollTransmit(s.now, nil) {
			s.receive(tx.Data, engineClientAddr)
		}
		// Copies, with their cookies, in any order.
		for i := range c.hellos {
			for _, d := range [][]byte{c.hellos[i], c.hellos[len(c.hellos)-1-i]} {
				s.receive(bytes.Clone(d), engineClientAddr)
			}
		}
		if client.MTU == 0 {
			cut := cutHello(t, c.hellos[len(c.hellos)-1], 2, 5)
			s.receive(slices.Concat(cut[1], cut[0]), engineClientAddr)
		}
		if s.begun != 1 || len(s.engines[engineClientAddr]) != 1 {
			t.Errorf("%d handshakes, %v", s.begun, s.engines)
		}
		if !c.exchanges(engineClientAddr, "after") {
			t.Error("no data passes")
		}
	})
}

// TestEngineServerHalfRestart: an attacker on the path sends the cookie back, and does
// not finish. The association goes on beside that handshake, and after it.
func TestEngineServerHalfRestart(t *testing.T) {
	engineServers(t, func(t *testing.T, client, server *Config) {
		s := newEngineServer(t, server)
		c := s.boot(client)
		c.run(engineClientAddr)
		s.passes(time.Second)
		for round := range 3 {
			c.beginsBeside(t, client)
			if text := string(rune('a' + round)); !c.exchanges(engineClientAddr, text) {
				t.Errorf("round %d: no data passes", round)
			}
		}
		s.send = func([]byte, netip.AddrPort) {}
		s.passes(2 * time.Minute)
		if len(s.engines[engineClientAddr]) != 1 {
			t.Errorf("%v", s.engines)
		}
		if !c.exchanges(engineClientAddr, "after") {
			t.Error("no data passes")
		}
	})
}

// beginsBeside begins another handshake at the address of c, as far as the first flight of
// the server, which is lost.
func (c *engineClient) beginsBeside(t *testing.T, config *Config) {
	t.Helper()
	s := c.s
	before := s.begun
	other := s.boot(config)
	var reply [][]byte
	s.send = func(d []byte, _ netip.AddrPort) { reply = append(reply, bytes.Clone(d)) }
	for range 2 { // hello, and hello with the cookie
		for tx, ok := other.PollTransmit(s.now, nil); ok; tx, ok = other.PollTransmit(s.now, nil) {
			s.receive(tx.Data, engineClientAddr)
		}
		if s.begun == before && len(reply) > 0 {
			_ = other.HandleDatagram(s.now, reply[0], netip.AddrPort{})
		}
	}
	if s.begun != before+1 || len(s.engines[engineClientAddr]) != 2 {
		t.Fatalf("%d handshakes were begun, %v", s.begun-before, s.engines)
	}
}

// TestEngineServerWithoutCookies: an address that is not proven may be forged. One
// handshake at a time is begun beside an association, and another one not before 10 s;
// the handshake that is under way goes on undisturbed.
func TestEngineServerWithoutCookies(t *testing.T) {
	client, server := certConfigs(dtlstest.P256)
	server.CookieMode = CookieNever
	client.MTU, server.MTU = 0, 0
	s := newEngineServer(t, server)
	s.send = func([]byte, netip.AddrPort) {}
	forge := func() {
		e := s.boot(client)
		tx, _ := e.PollTransmit(s.now, nil)
		s.receive(tx.Data, engineClientAddr)
	}
	for range 5 {
		forge()
		s.passes(restartPause/5 - time.Millisecond)
	}
	if s.begun != 1 {
		t.Errorf("%d handshakes in %v", s.begun, restartPause)
	}
	s.passes(time.Second)
	if forge(); s.begun != 2 || len(s.engines[engineClientAddr]) != 1 {
		t.Errorf("%d handshakes after %v, %v", s.begun, restartPause, s.engines)
	}
}
