package dtls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/reassembly"
	"github.com/flightpath-dtls/flightpath/record"
)

// Hellos that come to the door in several datagrams.

// seededRoom gives a door a pool whose chances repeat.
func seededRoom(d *Door, seed uint64) {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	d.d.SeedRoom(s)
}

// helloBody is the body of the hello that a datagram holds, and its header.
func helloBody(t testing.TB, datagram []byte) (message.Header, []byte) {
	t.Helper()
	_, payload, _, err := record.Next(datagram)
	if err != nil {
		t.Fatal(err)
	}
	h, body, _, err := message.NextFragment(payload)
	if err != nil || h.Type != message.TypeClientHello || h.Length != h.FragmentLength {
		t.Fatalf("not a whole hello: %+v, %v", h, err)
	}
	return h, body
}

// helloFragment is a datagram with the bytes [lo, hi) of a hello.
func helloFragment(h message.Header, body []byte, lo, hi int, seq uint64) []byte {
	h.FragmentOffset, h.FragmentLength = uint32(lo), uint32(hi-lo)
	return forgeRecordAt(record.TypeHandshake, VersionDTLS12, record.Number{Seq: seq}, append(h.Append(nil), body[lo:hi]...)...)
}

// cutHello cuts the hello that a datagram holds into n datagrams, with record
// numbers from seq on.
func cutHello(t testing.TB, datagram []byte, n int, seq uint64) (fragments [][]byte) {
	h, body := helloBody(t, datagram)
	for i := range n {
		fragments = append(fragments, helloFragment(h, body, i*len(body)/n, (i+1)*len(body)/n, seq+uint64(i)))
	}
	return fragments
}

// longHello is a client whose hello has about n bytes, and some 160 before the
// extensions: more than the smallest fragment.
func longHello(t testing.TB, n int) (client, server *Config) {
	client, server = pskConfigs()
	client.MTU = 8000
	for i := range (n - 300) / 40 {
		client.NextProtos = append(client.NextProtos, fmt.Sprintf("a protocol with a rather long name %04d", i))
	}
	client.CipherSuites = nil
	for range 60 { // any number of them may be there
		client.CipherSuites = append(client.CipherSuites, 0xd001)
	}
	return client, server
}

// stranger is a client in front of a door.
type stranger struct {
	t      testing.TB
	door   *Door
	server *Config
	engine *Engine
	now    time.Time
	first  []byte // its hello
	in     int    // bytes it sent
	out    int    // bytes it got
}

func newStranger(t testing.TB, client, server *Config) *stranger {
	t.Helper()
	s := &stranger{t: t, server: server, now: simStart}
	var err error
	if s.door, err = NewDoor(server, s.now); err != nil {
		t.Fatal(err)
	}
	seededRoom(s.door, 1)
	if s.engine, err = NewClientEngine(client, s.now); err != nil {
		t.Fatal(err)
	}
	tx, _ := s.engine.PollTransmit(s.now, nil)
	s.first = tx.Data
	return s
}

// send hands a datagram to the door, and counts what its address sent and got.
func (s *stranger) send(datagram []byte) (reply []byte, hello *ProvenHello) {
	s.t.Helper()
	sent := bytes.Clone(datagram)
	before := bytes.Repeat([]byte{7}, 1000) // what stands in dst is nothing to the door
	reply, hello = s.door.Handle(s.now, datagram, testAddr, localAddr, bytes.Clone(before))
	if !bytes.Equal(sent, datagram) || reply != nil && !bytes.HasPrefix(reply, before) {
		s.t.Fatal("the door changed a datagram, or what stood in dst")
	}
	if reply != nil {
		reply = reply[len(before):]
	}
	s.in += len(datagram)
	s.out += len(reply)
	if s.out > 3*s.in {
		s.t.Fatalf("%d bytes out for %d", s.out, s.in)
	}
	return reply, hello
}

// second is the hello with the cookie of reply.
func (s *stranger) second(reply []byte) []byte {
	s.t.Helper()
	return withCookie(s.t, s.engine, reply)
}

// proven sends the first hello whole, and returns the second.
func (s *stranger) proven() []byte {
	reply, _ := s.send(s.first)
	return s.second(reply)
}

// completes runs the handshake behind the door: first what the door hands over,
// then the rest that the client has sent. Nothing may have to be sent twice.
func (s *stranger) completes(hello *ProvenHello, rest ...[]byte) {
	s.t.Helper()
	p := bareSim(s.t)
	p.addr[clientSide] = testAddr
	p.eng[clientSide] = s.engine
	var err error
	if p.eng[serverSide], err = NewServerEngine(s.server, hello, s.now); err != nil {
		s.t.Fatal(err)
	}
	p.deliver(serverSide, hello.Datagram)
	for _, d := range rest {
		p.deliver(serverSide, d)
	}
	p.handshake()
	if took := p.now.Sub(p.start); took > 3*simRTT || p.timeouts != [2]int{} {
		s.t.Fatalf("it took %v, %v time-outs\n%s", took, p.timeouts, p.history())
	}
}

// orders are the permutations of n things, or some of them.
func orders(n int, seed uint64) (list [][]int) {
	if n <= 4 {
		var add func(done, rest []int)
		add = func(done, rest []int) {
			if len(rest) == 0 {
				list = append(list, done)
			}
			for i := range rest {
				others := slices.Delete(slices.Clone(rest), i, i+1)
				add(append(slices.Clone(done), rest[i]), others)
			}
		}
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		add(nil, all)
		return list
	}
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	for range 12 {
		list = append(list, rng.Perm(n))
	}
	return list
}

// TestHelloInPieces: hellos in 2 to 16 fragments, in every order. The first is
// answered once, as soon as it says enough; the second is let in as soon as its
// cookie is there, all that came before with it, and the rest completes it.
func TestHelloInPieces(t *testing.T) {
	t.Parallel()
	const seed = 5
	for n := 2; n <= 16; n++ {
		for _, order := range orders(n, seed) {
			client, server := longHello(t, 1600)
			s := newStranger(t, client, server)
			first := cutHello(t, s.first, n, 0)
			var reply []byte
			for _, i := range order {
				r, hello := s.send(first[i])
				if hello != nil || r != nil && reply != nil {
					t.Fatalf("%d fragments, order %v: fragment %d is let in, or answered again", n, order, i)
				}
				if r != nil {
					reply = r
				}
				if enough := has(first, order, i, enoughOf(t, s.first)); (reply != nil) != enough {
					t.Fatalf("%d fragments, order %v: after fragment %d: answered %v", n, order, i, reply != nil)
				}
			}
			s.now = s.now.Add(simRTT)
			second := cutHello(t, s.second(reply), n, uint64(n))
			var rest [][]byte
			var in *ProvenHello
			for k, i := range order {
				if in != nil {
					rest = append(rest, second[i])
					continue
				}
				r, hello := s.send(second[i])
				if r != nil {
					t.Fatalf("%d fragments, order %v: fragment %d is answered", n, order, i)
				}
				if hello == nil {
					continue
				}
				in = hello
				largest := uint64(n + slices.Max(order[:k+1]))
				if in.proof.RecordSeq != largest || !in.proof.Proven || !in.proof.RTTKnown || in.proof.RTT != simRTT || in.proof.Whole || door.Mark(in.Datagram) != door.Mark(s.first) {
					t.Fatalf("%d fragments, order %v: %+v, want record %d", n, order, in, largest)
				}
			}
			if in == nil {
				t.Fatalf("%d fragments, order %v: not let in", n, order)
			}
			s.completes(in, rest...)
		}
	}
}

// enoughOf is how many bytes of a hello are needed to answer it.
func enoughOf(t *testing.T, datagram []byte) int {
	_, body := helloBody(t, datagram)
	for n := range body {
		if _, ok := message.PeekClientHello(body[:n]); ok {
			return n
		}
	}
	t.Fatal("it is never enough")
	return 0
}

// has reports whether the fragments sent up to number last hold the first bytes
// of the hello.
func has(fragments [][]byte, order []int, last, bytes int) bool {
	have := map[int]bool{}
	for _, i := range order {
		have[i] = true
		if i == last {
			break
		}
	}
	for at, i := 0, 0; at < bytes; i++ {
		if !have[i] {
			return false
		}
		at += len(fragments[i]) - record.HeaderLen - message.HeaderLen
	}
	return true
}

// TestHelloPiecesAtOnce: several fragments in one datagram, in whatever records.
func TestHelloPiecesAtOnce(t *testing.T) {
	client, server := longHello(t, 1000)
	for name, pack := range map[string]func(f [][]byte) []byte{
		"records in order":  func(f [][]byte) []byte { return slices.Concat(f...) },
		"records backwards": func(f [][]byte) []byte { slices.Reverse(f); return slices.Concat(f...) },
		"one record": func(f [][]byte) []byte {
			var payload []byte
			for _, d := range f {
				payload = append(payload, d[record.HeaderLen:]...)
			}
			return forgeRecordAt(record.TypeHandshake, VersionDTLS12, record.Number{Seq: 9}, payload...)
		},
	} {
		s := newStranger(t, client, server)
		reply, _ := s.send(pack(cutHello(t, s.first, 8, 0)))
		if reply == nil {
			t.Fatalf("%s: no answer", name)
		}
		_, hello := s.send(pack(cutHello(t, s.second(reply), 8, 10)))
		if hello == nil {
			t.Fatalf("%s: not let in", name)
		}
		s.completes(hello)
	}
}

// TestPiecesInDisorder: fragments of the first hello that come late, and those
// of the second cut elsewhere, do no harm to a second hello that is half there.
func TestPiecesInDisorder(t *testing.T) {
	for n := 3; n <= 12; n++ {
		client, server := longHello(t, 1200)
		s := newStranger(t, client, server)
		second := s.proven()
		h, body := helloBody(t, second)
		late := cutHello(t, s.first, n, 0)
		other := cutHello(t, second, n+1, 100)
		for i := n - 1; i > 0; i-- { // the start of it is missing
			for _, d := range [][]byte{late[i], helloFragment(h, body, i*len(body)/n, (i+1)*len(body)/n, uint64(i)), other[i+1], late[i]} {
				if reply, hello := s.send(d); reply != nil || hello != nil {
					t.Fatalf("%d fragments: answered, or let in, before it began", n)
				}
			}
		}
		_, hello := s.send(helloFragment(h, body, 0, 200, 7))
		if hello == nil {
			t.Fatalf("%d fragments: not let in", n)
		}
		// With it goes all that came before.
		if got := len(hello.Datagram); got < 200+len(body)-max(200, len(body)/n) {
			t.Errorf("%d fragments: %d bytes of %d handed over", n, got, len(body))
		}
		s.completes(hello, helloFragment(h, body, 200, len(body), 8))
	}
}

// TestRepeatedPieces: a first hello that is sent again is answered again, once,
// when its start comes again.
func TestRepeatedPieces(t *testing.T) {
	client, server := longHello(t, 1600)
	s := newStranger(t, client, server)
	for try := range 5 {
		answers := 0
		for _, d := range cutHello(t, s.first, 16, uint64(16*try)) {
			if reply, _ := s.send(d); reply != nil {
				answers++
				if h, _, _, _ := record.Next(reply); h.Seq/16 != uint64(try) {
					t.Errorf("try %d is answered with record %d", try, h.Seq)
				}
			}
		}
		if answers != 1 {
			t.Errorf("try %d: %d answers", try, answers)
		}
		s.now = s.now.Add(300 * time.Millisecond)
	}
	for try := range 3 { // its start does not come first, but it is in the same datagram
		pieces := cutHello(t, s.first, 8, uint64(100+8*try))
		slices.Reverse(pieces)
		if reply, _ := s.send(slices.Concat(pieces...)); reply == nil {
			t.Errorf("try %d in one datagram is not answered", try)
		}
	}
}

// TestLongestHelloGoesIn: if there are several that begin with the right cookie,
// more of one has come than of the others.
func TestLongestHelloGoesIn(t *testing.T) {
	for _, honestFirst := range []bool{false, true} {
		client, server := longHello(t, 1600)
		s := newStranger(t, client, server)
		h, body := helloBody(t, s.proven())
		forged := bytes.Repeat([]byte{0xaa}, len(body))
		ends := [][]byte{helloFragment(h, forged, 600, 700, 3), helloFragment(h, body, 400, len(body), 4)}
		if honestFirst {
			slices.Reverse(ends)
		}
		for _, d := range ends {
			s.send(d)
		}
		_, hello := s.send(helloFragment(h, body, 0, 400, 5))
		if hello == nil || len(hello.Datagram) < len(body) {
			t.Fatalf("honest first %v: let in %+v", honestFirst, hello)
		}
		s.completes(hello)
	}
}

// TestForgedPieces: fragments that somebody else sends for a hello do not keep
// it out, whichever comes first; nor does a record number of theirs lead the
// server away (THREATS 17, 83).
func TestForgedPieces(t *testing.T) {
	for _, whole := range []bool{false, true} { // what stands before the extensions is in the first fragment
		client, server := longHello(t, 1600)
		s := newStranger(t, client, server)
		second := s.proven()
		h, body := helloBody(t, second)
		cut := 100
		if whole {
			cut = 400
		}
		forged := bytes.Repeat([]byte{0xaa}, len(body))
		for name, forgery := range map[string][]byte{
			"other start":       helloFragment(h, forged, 0, cut, 3),
			"other middle":      helloFragment(h, forged, cut, 600, 3),
			"other end":         helloFragment(h, forged, 600, len(body), 3),
			"far record number": helloFragment(h, body, cut, 600, record.MaxSeq/2),
			"last record":       helloFragment(h, body, cut, 600, record.MaxSeq),
		} {
			if reply, hello := s.send(forgery); reply != nil || hello != nil {
				t.Fatalf("%s: answered or let in", name)
			}
		}
		var in *ProvenHello
		for _, d := range [][]byte{
			helloFragment(h, body, 600, len(body), 12), helloFragment(h, body, cut, 600, 11), helloFragment(h, body, 0, cut, 10),
		} {
			reply, hello := s.send(d)
			if reply != nil {
				t.Fatal("the hello with the cookie is answered")
			}
			if hello != nil {
				in = hello
			}
		}
		switch {
		case in == nil:
			t.Fatalf("cut at %d: the honest hello is kept out", cut)
		case in.proof.RecordSeq > 12:
			t.Errorf("cut at %d: the server would go on from record %d", cut, in.proof.RecordSeq)
		case in.proof.Whole:
			t.Errorf("cut at %d: all of it is taken for the client's", cut)
		}
	}
}

// TestForgedRestOfHello: the door let in a hello with fragments that are not
// the client's. It is put aside, and the client's own, sent again, completes.
func TestForgedRestOfHello(t *testing.T) {
	client, server := longHello(t, 1600)
	s := newStranger(t, client, server)
	second := s.proven()
	h, body := helloBody(t, second)
	forged := bytes.Repeat([]byte{0xaa}, len(body))
	s.send(helloFragment(h, forged, 400, len(body), 3))
	_, hello := s.send(helloFragment(h, body, 0, 400, 10))
	if hello == nil {
		t.Fatal("not let in")
	}
	p := bareSim(t)
	p.addr[clientSide] = testAddr
	p.eng[clientSide] = s.engine
	var err error
	if p.eng[serverSide], err = NewServerEngine(server, hello, s.now); err != nil {
		t.Fatal(err)
	}
	p.deliver(serverSide, hello.Datagram)
	if err := p.eng[serverSide].Err(); err != nil {
		t.Fatalf("a forged fragment ended it: %v", err)
	}
	p.handshake()
	if took := p.now.Sub(p.start); took > 2*time.Second {
		t.Errorf("it took %v\n%s", took, p.history())
	}
}

// TestPiecesTooLong: hellos of more than 4 KiB are not held, but one that says
// enough in its first fragment is still answered and let in by that.
func TestPiecesTooLong(t *testing.T) {
	client, server := longHello(t, 6000)
	s := newStranger(t, client, server)
	first := cutHello(t, s.first, 6, 0)
	for _, d := range first[1:] {
		if reply, hello := s.send(d); reply != nil || hello != nil {
			t.Fatal("a later fragment is answered")
		}
	}
	m, short := helloBody(t, newStranger(t, client, server).first)
	m.Length, m.Seq = 1000, reassembly.Floating // further than an engine goes
	s.send(helloFragment(m, short, 100, 400, 0))
	if d := s.door.Stats(); d.Dropped != 6 || d.Held != 0 {
		t.Errorf("%+v", d)
	}
	reply, _ := s.send(first[0])
	second := cutHello(t, s.second(reply), 6, 6)
	_, hello := s.send(second[0])
	if hello == nil || hello.proof.Whole {
		t.Fatalf("%+v", hello)
	}
	s.completes(hello, second[1:]...)
}

// TestPiecesWithoutCookies: with CookieNever a hello begins a handshake as soon
// as it says what it is; fragments before that wait at the door all the same.
func TestPiecesWithoutCookies(t *testing.T) {
	for _, mode := range []CookieMode{CookieNever, CookieUnderLoad, AddressProven} {
		for _, order := range orders(4, 0) {
			client, server := longHello(t, 600)
			server.CookieMode = mode
			s := newStranger(t, client, server)
			var rest [][]byte
			var in *ProvenHello
			for _, i := range order {
				d := cutHello(t, s.first, 4, 0)[i]
				if in != nil {
					rest = append(rest, d)
					continue
				}
				reply, hello := s.send(d)
				if reply != nil {
					t.Fatalf("mode %d: answered", mode)
				}
				in = hello
			}
			if in == nil || in.proof.Proven != (mode == AddressProven) || in.proof.Cookie != nil || len(in.Datagram) > s.in {
				t.Fatalf("mode %d, order %v: %+v", mode, order, in)
			}
			s.completes(in, rest...)
		}
	}
}
