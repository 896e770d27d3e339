package dtls

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Whole engines, fed by a peer that mutates an honest, live handshake. The
// input is a script: it decides for each datagram on its way to the victim what
// happens to it.

// script hands out decisions; when it ends, everything is honest.
type script []byte

func (s *script) next() int {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return int(b)
}

func (s *script) number() int { return s.next()<<8 | s.next() }

func (s *script) take(n int) []byte {
	n = min(n, len(*s))
	b := (*s)[:n]
	*s = (*s)[n:]
	return b
}

// mutations is how many things there are that mutate does to a datagram.
const mutations = 16

// mutate returns what arrives in place of a datagram; earlier are those that
// were sent before. harmless: it is what any path may do, or a forgery that has no
// part in any handshake.
func (s *script) mutate(t testing.TB, d []byte, earlier [][]byte) (arrives [][]byte, harmless bool) {
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		if len(b) > 0 {
			b[s.number()%len(b)] ^= byte(s.next() | 1)
		}
		return b
	}
	cut := func(b []byte) []byte { return b[:s.number()%(len(b)+1)] }
	old := func() []byte {
		if len(earlier) == 0 {
			return nil
		}
		return earlier[s.next()%len(earlier)]
	}
	switch op := s.next() % mutations; op {
	case 1:
		return nil, true // lost
	case 2:
		return [][]byte{d, d}, true
	case 3:
		return [][]byte{flip(d)}, false
	case 4:
		return [][]byte{flip(d), d}, false
	case 5:
		return [][]byte{d, flip(d)}, false
	case 6:
		return [][]byte{cut(d), d}, false
	case 7:
		return [][]byte{append(cut(d), old()...), d}, false
	case 8:
		return [][]byte{old(), d}, true
	case 9: // arbitrary bytes
		return [][]byte{bytes.Clone(s.take(s.next())), d}, false
	case 10: // an arbitrary record of arbitrary bytes
		n := record.Number{Epoch: uint64(s.next() % 3), Seq: uint64(s.number())}
		return [][]byte{forgeRecordAt(record.ContentType(20+s.next()%7), VersionDTLS12, n, s.take(s.next())...), d}, false
	case 11: // bytes of a record replaced where they stand
		b := bytes.Clone(d)
		if len(b) > 0 {
			copy(b[s.number()%len(b):], s.take(s.next()%32))
		}
		return [][]byte{b, d}, false
	case 12: // a protected record of DTLS 1.3, any bits in its header
		return [][]byte{append([]byte{0x20 | byte(s.next()&0x1f)}, s.take(s.next())...), d}, true
	case 13: // an ACK in the clear
		return [][]byte{s.forgedACK(), d}, true
	case 14: // a HelloRetryRequest for a group, or with a cookie, or for nothing
		group := [...]uint16{0, 23, 24, 29, 0x11ec}[s.next()%5]
		return [][]byte{forgedRetry(t, uint16(s.next()%3), group, s.take(s.next()%40)...), d}, false
	case 15:
		cookie := s.take(s.next() % 40)
		body := append([]byte{0xfe, 0xff, byte(len(cookie))}, cookie...)
		return [][]byte{forgeMessage(message.TypeHelloVerifyRequest, uint16(s.next()%3), body...), d}, false
	}
	return [][]byte{d}, true
}

// forgedACK is one of a few numbers, perhaps with other bytes behind them.
func (s *script) forgedACK() []byte {
	var list []record.Number
	for range s.next() % 8 {
		list = append(list, record.Number{Epoch: uint64(s.next() % 5), Seq: uint64(s.next())})
	}
	body := append(message.AppendACK(nil, list), s.take(s.next()%4)...)
	return forgeRecordAt(record.TypeACK, VersionDTLS12, record.Number{Epoch: uint64(s.next() % 4), Seq: uint64(s.number())}, body...)
}

// fuzzConfigs makes the configs of a handshake out of a script's first byte.
type fuzzConfigs func(mode int) (client, server *Config)

func fuzzConfigs12(mode int) (client, server *Config) {
	client, server = pskConfigs()
	if mode >= 128 {
		client.CipherSuites, server.CipherSuites = []uint16{0x00a8}, []uint16{0x00a8}
	}
	return client, server
}

// fuzzEngine runs a handshake with data in both directions, and in DTLS 1.3 with
// new keys. Whatever the script does: no panic, nothing delivered that was not
// sent, no storm of answers, and an end. What is established stays so.
func fuzzEngine(t *testing.T, input []byte, victim side, configs fuzzConfigs) {
	s := script(input)
	mode := s.next()
	client, server := configs(mode)
	client.PlaintextAlerts = PlaintextAlerts(mode % 3)
	server.PlaintextAlerts = PlaintextAlerts(mode / 3 % 3)
	server.CookieMode = []CookieMode{CookieAlways, AddressProven, CookieNever}[mode/9%3]
	client.MTU = 228 + s.number()%1200
	server.MTU = 228 + s.number()%1200
	lost := s.number() // of the first datagrams to the other side: a bit each
	p := newSim(t, client, server)
	for _, w := range p.wire {
		w.misled = client.MaxVersion != VersionDTLS12
		w.refuses = w.misled
	}
	var earlier [][]byte
	received, destroyed, harmless := 0, 0, true
	p.onDeliver = func(to side, d []byte) []byte {
		if to != victim {
			lose := lost&1 == 1
			if lost >>= 1; lose {
				destroyed++
				return nil
			}
			return d
		}
		arrives, gentle := s.mutate(t, d, earlier)
		for _, copy := range arrives {
			p.deliver(to, copy)
			received++
		}
		if !slices.ContainsFunc(arrives, func(a []byte) bool { return bytes.Equal(a, d) }) {
			destroyed++
		}
		harmless = harmless && gentle
		earlier = append(earlier, d)
		return nil
	}
	ended := p.watchEnds()
	sent := map[string]bool{}
	for i := range 4 {
		p.run(2*time.Minute, func() bool { return p.established() || p.over() })
		for at, e := range p.eng {
			if i == 1+at {
				_ = e.UpdateKeys(p.now, i == 1)
			}
			text := []byte{'d', 'a', 't', 'a', byte(at), byte(i)}
			if e.Established() && e.Write(p.now, text) == nil {
				sent[string(text)] = true
			}
			p.flush(side(at))
		}
		p.run(time.Second, func() bool { return len(p.queue) == 0 && p.sent[0] > 0 })
	}
	p.onlySent(sent)
	if p.sent[victim] > 400+20*received {
		t.Fatalf("%d datagrams of the %s for %d\n%s", p.sent[victim], victim, received, p.history())
	}
	for at, e := range p.eng {
		if e.handshaking() && e.Err() == nil && p.now.Sub(p.start) > 5*time.Minute {
			t.Fatalf("%s hangs\n%s", side(at), p.history())
		}
	}
	ended(destroyed)
	if harmless && destroyed <= fewLosses {
		p.onDeliver = nil
		p.handshake()
	}
}

// fewLosses leaves each flight some of its tries.
const fewLosses = 4

// watchEnds returns a check of how engines have ended. Whoever is on the path and
// has no keys ends no established association; what may end one is that its peer
// never came so far and said why, or is silent to the last try of a flight.
func (s *sim) watchEnds() func(destroyed int) {
	var up [2]bool
	s.onEvent = func(at side, ev Event) { up[at] = up[at] || ev.Kind == EventEstablished }
	return func(destroyed int) {
		s.t.Helper()
		for at, e := range s.eng {
			if !up[at] || e.Err() == nil {
				continue
			}
			peer := side(at).other()
			ended, _ := errors.AsType[*AlertError](s.eng[peer].Err())
			switch a, isAlert := errors.AsType[*AlertError](e.Err()); {
			case !up[peer] && isAlert && a.Remote && ended != nil && a.Alert == ended.Alert:
			case errors.Is(e.Err(), ErrHandshakeTimeout) && (!up[peer] || destroyed > RetransmitDefault.MaxTries):
			default:
				s.t.Fatalf("%s was established: %v; %v\n%s", side(at), e, s.eng[peer], s.history())
			}
		}
	}
}

// onlySent holds what was delivered against what was sent: texts whose fifth byte
// is the side that sent them.
func (s *sim) onlySent(sent map[string]bool) {
	s.t.Helper()
	for at, data := range s.data {
		got := map[string]bool{}
		for _, d := range data {
			if !sent[string(d)] || side(d[4]) == side(at) || got[string(d)] {
				s.t.Fatalf("%s got %q\n%s", side(at), d, s.history())
			}
			got[string(d)] = true
		}
	}
}

func fuzzSeeds(f *testing.F) {
	f.Add([]byte{})
	for op := range byte(mutations) {
		for mode := range byte(3) {
			f.Add([]byte{mode * 9, 4, 0, 4, 0, 0, 5 * mode, op, 0, 30, 7, op, 1, 2, 3, op, 0, 14, 255, op, 2, 0, 1})
		}
		f.Add([]byte{128, 0, 0, 0, 0, 0, 0, 0, op, 0, 1, 2, op, 0, 60, 16, op, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9})
	}
}

func FuzzEngineServer(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, input []byte) { fuzzEngine(t, input, serverSide, fuzzConfigs12) })
}

func FuzzEngineClient(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, input []byte) { fuzzEngine(t, input, clientSide, fuzzConfigs12) })
}

// FuzzDoor: the door says nothing, or asks with less than it got; it lets in
// only its own cookie.
func FuzzDoor(f *testing.F) {
	door := newTestDoor(f, CookieAlways)
	e, hello := firstFlight(f)
	reply, _ := door.Handle(simStart, hello, testAddr, localAddr, nil)
	second := withCookie(f, e, reply)
	f.Add(hello)
	f.Add(second)
	for _, n := range nuisances() {
		for _, d := range n.datagrams[:1] {
			f.Add(d)
		}
	}
	other := netip.MustParseAddrPort("[2001:db8::7]:1")
	f.Fuzz(func(t *testing.T, d []byte) {
		copied := bytes.Clone(d)
		reply, admitted := door.Handle(simStart, d, other, localAddr, nil)
		if admitted != nil {
			t.Fatalf("%x is let in from an address that never got a cookie", d)
		}
		if len(reply) > len(d) || !bytes.Equal(d, copied) {
			t.Fatalf("%d bytes for %d", len(reply), len(d))
		}
		if reply == nil {
			return
		}
		h, _, _, err := record.Next(d)
		r, _, rest, err2 := record.Next(reply)
		if err != nil || err2 != nil || len(rest) > 0 || r.Seq != h.Seq || r.Epoch != 0 {
			t.Fatalf("%x is answered with %x", d, reply)
		}
	})
}

// doorPieces is a door, and what came to it and went out by address.
type doorPieces struct {
	t     *testing.T
	door  *Door
	mode  CookieMode
	now   time.Time
	peers map[netip.AddrPort]*doorPeer
}

type doorPeer struct {
	in, out int
	cookies [][]byte          // that it got
	sent    map[sentByte]bool // of hellos
	record  uint64            // the largest
}

type sentByte struct {
	length uint32
	seq    uint16
	offset int
	value  byte
}

func (d *doorPieces) send(from netip.AddrPort, datagram []byte) {
	p := d.peers[from]
	if p == nil {
		p = &doorPeer{sent: map[sentByte]bool{}}
		d.peers[from] = p
	}
	for rest := door.FragmentsOf(datagram); ; {
		f, ok := rest.Next()
		if !ok {
			break
		}
		p.record = max(p.record, f.Record.Seq)
		for i, b := range f.Body {
			p.sent[sentByte{f.Length, f.Seq, int(f.FragmentOffset) + i, b}] = true
		}
	}
	copied := bytes.Clone(datagram)
	reply, hello := d.door.Handle(d.now, datagram, from, localAddr, nil)
	p.in += len(datagram)
	p.out += len(reply)
	if p.out > 3*p.in || !bytes.Equal(datagram, copied) {
		d.t.Fatalf("%d bytes for %d, or a datagram was changed", p.out, p.in)
	}
	if reply != nil {
		_, payload, _, err := record.Next(reply)
		if err != nil || d.mode == CookieNever || d.mode == AddressProven || hello != nil {
			d.t.Fatalf("mode %d: reply %x, let in %v", d.mode, reply, hello != nil)
		}
		p.cookies = append(p.cookies, payload[message.HeaderLen+3:])
	}
	if hello != nil {
		d.letIn(p, from, hello)
	}
}

func (d *doorPieces) letIn(p *doorPeer, from netip.AddrPort, hello *ProvenHello) {
	rest := door.FragmentsOf(hello.Datagram)
	first, ok := rest.Next()
	prefix, enough := message.PeekClientHello(first.Body)
	switch {
	case !ok || !enough || first.FragmentOffset != 0 || hello.From != from || hello.proof.RecordSeq > p.record:
		d.t.Fatalf("let in with %+v", hello)
	case hello.proof.Cookie != nil && !slices.ContainsFunc(p.cookies, func(c []byte) bool { return bytes.Equal(c, prefix.Cookie) }):
		d.t.Fatalf("%v is let in with a cookie that it never got", from)
	case hello.proof.Proven != (hello.proof.Cookie != nil || d.mode == AddressProven), d.mode == CookieAlways && !hello.proof.Proven:
		d.t.Fatalf("mode %d: let in with %+v", d.mode, hello)
	}
	for f := first; ok; f, ok = rest.Next() {
		for i, b := range f.Body {
			if !p.sent[sentByte{f.Length, f.Seq, int(f.FragmentOffset) + i, b}] {
				d.t.Fatalf("byte %d of what is handed over was never sent from there", int(f.FragmentOffset)+i)
			}
		}
	}
	e, err := newServerEngine(d.door.p, hello, nil, PeerInfo{}, d.now)
	if err != nil {
		d.t.Fatal(err)
	}
	_ = e.HandleDatagram(d.now, hello.Datagram, from)
}

// FuzzDoorPieces sends a door what a script makes of hellos, cut in pieces at
// arbitrary places, with cookies and without, from several addresses. Whatever
// it is: nobody gets more than three times its bytes, a hello is let in only
// with a cookie that was sent to its address, and what is handed over begins it
// and has only bytes that came from there.
func FuzzDoorPieces(f *testing.F) {
	client, server := longHello(f, 700)
	h, body := helloBody(f, newStranger(f, client, server).first)
	m, err := message.Parse(message.TypeClientHello, 0, body)
	if err != nil {
		f.Fatal(err)
	}
	withCookie := func(cookie []byte) []byte {
		hello := *m.(*message.ClientHello)
		hello.Cookie = cookie
		b, err := hello.AppendBody(nil)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	for mode := range byte(4) {
		f.Add([]byte{mode, 0, 0, 0, 0, 255, 1, 8, 0, 0, 0, 255, 2})                                                             // whole
		f.Add([]byte{mode, 0, 0, 0, 80, 50, 2, 0, 0, 0, 0, 22, 1, 8, 0, 0, 200, 255, 4, 8, 0, 0, 80, 30, 5, 8, 0, 0, 0, 20, 6}) // backwards
		f.Add([]byte{mode, 1, 0, 0, 0, 20, 1, 0, 80, 90, 2, 72, 0, 0, 90, 255, 4, 9, 9, 0, 0, 0, 20, 1, 0, 80, 200, 7})         // two at once
		f.Add([]byte{mode, 4, 0, 0, 0, 255, 1, 255, 8, 1, 0, 0, 255, 3, 24, 0, 0, 0, 255, 3, 10, 0, 0, 0, 255, 3, 255})         // under load
	}
	f.Add(bytes.Repeat([]byte{8, 3, 0, 40, 90, 7}, 60))
	f.Fuzz(func(t *testing.T, input []byte) {
		s := script(input)
		config := server.Clone()
		config.CookieMode = []CookieMode{CookieAlways, CookieUnderLoad, CookieNever, AddressProven}[s.next()%4]
		config.CookieKeys = [][]byte{bytes.Repeat([]byte{1}, 16)}
		door, err := NewDoor(config, simStart)
		if err != nil {
			t.Fatal(err)
		}
		seededRoom(door, uint64(len(input)))
		d := &doorPieces{t: t, door: door, mode: config.CookieMode, now: simStart, peers: map[netip.AddrPort]*doorPeer{}}
		for len(s) > 0 {
			op, from := s.next(), s.next()
			addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(from >> 1 & 1), 1}), uint16(from&1))
			hello := body
			if op&8 != 0 { // with the newest cookie of some address
				cookie := make([]byte, 23)
				if p := d.peers[addr]; p != nil && len(p.cookies) > 0 {
					cookie = p.cookies[len(p.cookies)-1]
				}
				hello = withCookie(cookie)
			}
			if op&16 != 0 { // of that address, from another
				addr = netip.AddrPortFrom(addr.Addr(), addr.Port()^1)
			}
			h.Length, h.Seq = uint32(len(hello)), uint16(op>>3&1)
			var datagram []byte
			for range 1 + op&1 {
				lo := s.number() % len(hello)
				hi := min(len(hello), lo+1+4*s.next())
				piece := bytes.Clone(hello)
				if op&64 != 0 {
					piece[lo+s.next()%(hi-lo)] ^= 1
				}
				datagram = append(datagram, helloFragment(h, piece, lo, hi, uint64(s.next())<<(op>>7<<2))...)
			}
			if op&2 != 0 {
				d.now = d.now.Add(time.Duration(s.next()) * 10 * time.Millisecond)
			}
			if op&4 != 0 {
				door.SetLoad(s.next() * 20)
			}
			d.send(addr, datagram)
		}
	})
}
