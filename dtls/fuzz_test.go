package dtls

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

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

// mutate returns what arrives in place of a datagram; earlier are those that
// were sent before.
func (s *script) mutate(d []byte, earlier [][]byte) [][]byte {
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
	switch op := s.next() % 12; op {
	case 1:
		return nil // lost
	case 2:
		return [][]byte{d, d}
	case 3:
		return [][]byte{flip(d)}
	case 4:
		return [][]byte{flip(d), d}
	case 5:
		return [][]byte{d, flip(d)}
	case 6:
		return [][]byte{cut(d), d}
	case 7:
		return [][]byte{append(cut(d), old()...), d}
	case 8:
		return [][]byte{old(), d}
	case 9: // arbitrary bytes
		return [][]byte{bytes.Clone(s.take(s.next())), d}
	case 10: // an arbitrary record of arbitrary bytes
		n := record.Number{Epoch: uint64(s.next() % 3), Seq: uint64(s.number())}
		return [][]byte{forgeRecordAt(record.ContentType(20+s.next()%7), VersionDTLS12, n, s.take(s.next())...), d}
	case 11: // bytes of a record replaced where they stand
		b := bytes.Clone(d)
		if len(b) > 0 {
			copy(b[s.number()%len(b):], s.take(s.next()%32))
		}
		return [][]byte{b, d}
	}
	return [][]byte{d}
}

// fuzzEngine runs a handshake with data in both directions. Whatever the script
// does: no panic, nothing delivered that was not sent, no storm of answers, and
// an end.
func fuzzEngine(t *testing.T, input []byte, victim side) {
	s := script(input)
	client, server := pskConfigs()
	mode := s.next()
	client.PlaintextAlerts = PlaintextAlerts(mode % 3)
	server.PlaintextAlerts = PlaintextAlerts(mode / 3 % 3)
	server.CookieMode = []CookieMode{CookieAlways, AddressProven, CookieNever}[mode/9%3]
	if mode >= 128 {
		client.CipherSuites, server.CipherSuites = []uint16{0x00a8}, []uint16{0x00a8}
	}
	client.MTU = 228 + s.number()%1200
	server.MTU = 228 + s.number()%1200
	p := newSim(t, client, server)
	var earlier [][]byte
	received := 0
	p.onDeliver = func(to side, d []byte) []byte {
		if to != victim {
			return d
		}
		for _, copy := range s.mutate(d, earlier) {
			p.deliver(to, copy)
			received++
		}
		earlier = append(earlier, d)
		return nil
	}
	sent := map[string]bool{}
	for i := range 4 {
		p.run(2*time.Minute, func() bool { return p.established() || p.over() })
		for at, e := range p.eng {
			text := []byte{'d', 'a', 't', 'a', byte(at), byte(i)}
			if e.Established() && e.Write(p.now, text) == nil {
				sent[string(text)] = true
			}
		}
		p.run(time.Second, func() bool { return len(p.queue) == 0 && p.sent[0] > 0 })
	}
	for at, data := range p.data {
		got := map[string]bool{}
		for _, d := range data {
			if !sent[string(d)] || side(d[4]) == side(at) || got[string(d)] {
				t.Fatalf("%s got %q\n%s", side(at), d, p.history())
			}
			got[string(d)] = true
		}
	}
	if p.sent[victim] > 400+20*received {
		t.Fatalf("%d datagrams of the %s for %d\n%s", p.sent[victim], victim, received, p.history())
	}
	for at, e := range p.eng {
		if e.hs != nil && e.Err() == nil && p.now.Sub(p.start) > 5*time.Minute {
			t.Fatalf("%s hangs\n%s", side(at), p.history())
		}
	}
}

func fuzzSeeds(f *testing.F) {
	f.Add([]byte{})
	for op := range byte(12) {
		for mode := range byte(3) {
			f.Add([]byte{mode * 9, 4, 0, 4, 0, op, 0, 30, 7, op, 1, 2, 3, op, 0, 14, 255, op, 2, 0, 1})
		}
		f.Add([]byte{128, 0, 0, 0, 0, 0, op, 0, 1, 2, op, 0, 60, 16, op, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9})
	}
}

func FuzzEngineServer(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, input []byte) { fuzzEngine(t, input, serverSide) })
}

func FuzzEngineClient(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, input []byte) { fuzzEngine(t, input, clientSide) })
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
