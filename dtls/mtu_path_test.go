package dtls

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/record"
)

// stuckSim is a server whose large datagrams are lost on a narrow path; quotes
// has the beginning of each, as an ICMP message would quote it.
func stuckSim(t *testing.T, v6 bool, mode MTUMode) (s *sim, quotes [][]byte) {
	t.Helper()
	s = newMTUSim(t, simKinds[0].configs, mode)
	if v6 {
		s.addr[clientSide] = netip.MustParseAddrPort("[2001:db8::1]:40000")
	}
	s.path = func(from side, _ int, datagram []byte) []time.Duration {
		if from == serverSide && len(datagram) > 900 {
			quotes = append(quotes, append([]byte{}, datagram[:60]...))
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(time.Second, func() bool { return len(quotes) > 0 })
	if server := s.eng[serverSide]; server.out.flight.state != flightWaiting || len(quotes) < 3 {
		t.Fatalf("no large flight under way\n%s", s.history())
	}
	return s, quotes
}

// TestPathHintInFlight: what a "packet too big" does to a flight that waits for its
// answer.
func TestPathHintInFlight(t *testing.T) {
	right := func(q []byte) []byte { return q }
	wrong := func(i int) func([]byte) []byte {
		return func(q []byte) []byte { q[i] ^= 1; return q }
	}
	none := func([]byte) []byte { return nil }
	for _, tt := range []struct {
		name   string
		v6     bool
		quote  func([]byte) []byte
		mtu    int
		want   int // limit, 1232: nothing happens
		source MTUSource
	}{
		{"one that quotes our bytes is believed", false, right, 900, 900, FromICMP},
		{"the first 32 are enough", false, func(q []byte) []byte { return q[:32] }, 900, 900, FromICMP},
		{"a quote that ends before it says more than the record number is a rumour", false, func(q []byte) []byte { return q[:31] }, 900, 900, FromKernel},
		{"it has the record number from 16 bytes on", false, func(q []byte) []byte { return q[:16] }, 300, 548, FromKernel},
		{"down to what IPv4 must carry", false, right, 548, 548, FromICMP},
		{"not below what IPv4 must carry", false, right, 547, 1232, FromConfig},
		{"not 68", false, right, 68, 1232, FromConfig},
		{"not nothing", false, right, 0, 1232, FromConfig},
		{"not less than nothing", false, right, -1, 1232, FromConfig},
		{"one as large as the datagram cannot be about it", false, right, 1232, 1232, FromConfig},
		{"a larger one even less", false, right, 9000, 1232, FromConfig},
		{"on IPv6 not below what IPv6 must carry", true, right, 1231, 1232, FromConfig},
		{"on IPv6 not 900", true, right, 900, 1232, FromConfig},
		{"on IPv6 not what an IPv6 packet of 1279 bytes holds", true, right, 1279 - overheadIPv6, 1232, FromConfig},
		{"a wrong record number is about nothing of ours", false, wrong(10), 900, 1232, FromConfig},
		{"so are wrong bytes of the message", false, wrong(24), 900, 1232, FromConfig},
		{"16 bytes with a wrong record number too", false, func(q []byte) []byte { return wrong(10)(q)[:16] }, 900, 1232, FromConfig},
		{"a quote of 15 bytes is a rumour, whatever it says", false, func(q []byte) []byte { return wrong(10)(q)[:15] }, 900, 900, FromKernel},
		{"a quote of 8 bytes, or nothing but UDP's header, is a rumour", false, func(q []byte) []byte { return q[:0] }, 300, 548, FromKernel},
		{"the kernel's cache is a rumour", false, none, 700, 700, FromKernel},
		{"a rumour never raises", false, none, 9000, 1232, FromConfig},
		{"a rumour of nothing", false, none, 0, 1232, FromConfig},
		{"a rumour on IPv6", true, none, 700, 1232, FromConfig},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, quotes := stuckSim(t, tt.v6, MTUAuto)
			server := s.eng[serverSide]
			before := s.sent[serverSide]
			s.largest[serverSide] = 0
			server.PathHint(s.now, tt.mtu, tt.quote(quotes[1]))
			if info := server.PathMTU(); info.MTU != tt.want || info.Source != tt.source {
				t.Fatalf("the path is %+v, want %d said by %v", info, tt.want, tt.source)
			}
			s.flush(serverSide)
			if tt.want == defaultMTU {
				if sent := s.sent[serverSide] - before; sent != 0 {
					t.Errorf("%d datagrams were sent\n%s", sent, s.history())
				}
				return
			}
			if s.largest[serverSide] > tt.want {
				t.Errorf("%d bytes sent", s.largest[serverSide])
			}
			s.run(time.Minute, s.established)
			s.quick(4) // it went on at once
		})
	}
}

// TestPathHintManual: the caller decides, and is asked once for each limit.
func TestPathHintManual(t *testing.T) {
	for _, tt := range []struct {
		name      string
		mtu, want int
		asked     int
	}{
		{"a notice that quotes our bytes surfaces, once for all lost datagrams", 900, 900, 1},
		{"one that IPv4 does not allow is forged", 68, 1232, 0},
		{"one as large as the datagrams says nothing", 1232, 1232, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, quotes := stuckSim(t, false, MTUManual)
			server, asked := s.eng[serverSide], 0
			answer := s.onEvent
			s.onEvent = func(at side, ev Event) {
				answer(at, ev)
				var lp *LargePacketError
				if !errors.As(ev.Err, &lp) {
					return
				}
				asked++
				if lp.PathMTU != tt.mtu || lp.Source != FromICMP || lp.Op != "handshake" {
					t.Errorf("%+v", lp)
				}
			}
			for _, quote := range quotes {
				server.PathHint(s.now, tt.mtu, quote)
				s.flush(serverSide)
			}
			if server.Err() != nil {
				t.Fatal(server.Err())
			}
			if server.MTU() != tt.want || asked != tt.asked {
				t.Errorf("the limit is %d after %d questions, want %d after %d\n%s", server.MTU(), asked, tt.want, tt.asked, s.history())
			}
			if tt.asked > 0 {
				s.run(time.Minute, s.established)
				s.quick(4)
			}
		})
	}
	t.Run("a rumour does not surface", func(t *testing.T) {
		s, _ := stuckSim(t, false, MTUManual)
		s.eng[serverSide].PathHint(s.now, 700, nil)
		if ev, ok := s.eng[serverSide].PollEvent(); ok || s.eng[serverSide].MTU() != 1232 {
			t.Errorf("%+v, limit %d", ev, s.eng[serverSide].MTU())
		}
	})
}

// TestPathHintConfirmed: what is known to arrive is not doubted for a rumour.
func TestPathHintConfirmed(t *testing.T) {
	client, server := simKinds[0].configs()
	s := newSim(t, client, server)
	s.handshake()
	e := s.eng[serverSide]
	if e.PathHint(s.now, 700, nil); e.MTU() != 1232 {
		t.Errorf("the limit is %d after a rumour of 700, although 1232 was acknowledged", e.MTU())
	}
}

// TestPathHintAboutSmaller: a datagram below the limit, which fits what the
// notice says, cannot have been refused.
func TestPathHintAboutSmaller(t *testing.T) {
	client, server := simKinds[1].configs()
	s := newSim(t, client, server)
	var quote []byte
	s.path = func(from side, _ int, datagram []byte) []time.Duration {
		if from == serverSide && len(datagram) > 600 && len(datagram) < 700 {
			quote = append(quote, datagram[:60]...)
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(time.Second, func() bool { return quote != nil })
	e := s.eng[serverSide]
	if e.PathHint(s.now, 900, quote); e.MTU() != 1232 {
		t.Errorf("the limit is %d", e.MTU())
	}
	if e.PathHint(s.now, 600, quote); e.MTU() != 600 {
		t.Errorf("the limit is %d after a notice that can be true", e.MTU())
	}
}

// TestSetMTUResumes: SetMTU under a flight that was lost sends what did not fit
// again, at once.
func TestSetMTUResumes(t *testing.T) {
	s, _ := stuckSim(t, false, MTUManual)
	if err := s.eng[serverSide].SetMTU(900); err != nil {
		t.Fatal(err)
	}
	s.run(time.Minute, s.established)
	s.quick(4)
}

// exactNext is the reassembly of old peers: of each message, it takes only the
// fragment that begins exactly where the last one ended.
type exactNext map[[2]uint32]uint32 // (receiver, message_seq) → next offset

func (x exactNext) filter(to side, datagram []byte) []byte {
	var kept []byte
	for len(datagram) > 0 {
		h, payload, rest, err := record.Next(datagram)
		if err != nil {
			break
		}
		raw := datagram[:len(datagram)-len(rest)]
		datagram = rest
		if h.Epoch == 0 && h.Type == record.TypeHandshake {
			m, _, _, err := message.NextFragment(payload)
			key := [2]uint32{uint32(to), uint32(m.Seq)}
			if err != nil || x[key] < m.Length && m.FragmentOffset != x[key] {
				continue
			}
			x[key] = max(x[key], m.FragmentOffset+m.FragmentLength)
		}
		kept = append(kept, raw...)
	}
	return kept
}

// TestShrinkForOldPeers: since cuts nest, a peer that cannot join overlapping
// fragments finishes after any sequence of shrinks, with loss in between.
func TestShrinkForOldPeers(t *testing.T) {
	t.Parallel()
	for _, sizes := range [][]int{{}, {1100}, {548, 228}, {1000, 700, 500, 300, 228}, {1231, 1230, 1229, 600}, {300, 1472, 290}} {
		for seed := range uint64(40) {
			s := newMTUSim(t, simKinds[seed%2].configs, MTUManual)
			r := rand.New(rand.NewPCG(seed, 0x01d))
			s.logf("sizes %v, seed %d", sizes, seed)
			old := exactNext{}
			s.onDeliver = func(to side, datagram []byte) []byte { return old.filter(to, datagram) }
			changes := [2][]int{sizes, sizes}
			s.path = func(from side, n int, _ []byte) []time.Duration {
				if n >= 2 && len(changes[from]) > 0 && r.IntN(2) == 0 {
					if err := s.eng[from].SetMTU(changes[from][0]); err != nil {
						t.Fatal(err)
					}
					changes[from] = changes[from][1:]
				}
				if r.IntN(8) == 0 {
					return nil
				}
				return []time.Duration{simRTT / 2}
			}
			if !s.run(time.Minute, s.established) {
				t.Fatalf("sizes %v, seed %d: %v; %v\n%s", sizes, seed, s.eng[0], s.eng[1], s.history())
			}
		}
	}
}

// TestRefusedWithoutAnswer: a caller that repeats the call without SetMTU is
// told MaxTries times, then the handshake ends.
func TestRefusedWithoutAnswer(t *testing.T) {
	client, server := simKinds[0].configs()
	server.MTUMode = MTUManual
	server.Retransmit.MaxTries = 5
	s := newSim(t, client, server)
	s.refuseOver(600, [2]bool{serverSide: true}, 0)
	asked := 0
	s.onEvent = func(_ side, ev Event) {
		if ev.Kind == EventLargePacket {
			asked++
		}
	}
	s.run(time.Minute, func() bool { return s.eng[serverSide].Err() != nil })
	if err := s.eng[serverSide].Err(); !errors.Is(err, ErrHandshakeTimeout) || asked != 5 {
		t.Errorf("asked %d times, then %v\n%s", asked, err, s.history())
	}
	if s.timeouts[serverSide] != 0 {
		t.Errorf("%d timers fired", s.timeouts[serverSide])
	}
}

// TestWriteFillsTheMTU: a Write of MaxData makes a datagram of exactly the MTU,
// and one byte more is refused before anything is sealed.
func TestWriteFillsTheMTU(t *testing.T) {
	for _, cs := range suite.All() {
		t.Run(cs.Name, func(t *testing.T) {
			t.Parallel()
			key := dtlstest.P256
			if cs.Auth == suite.RSA {
				key = dtlstest.RSA2048
			}
			client, server := simConfigs(key, 0)
			client.CipherSuites, server.CipherSuites = []uint16{cs.ID}, []uint16{cs.ID}
			if cs.UsesPSK() {
				withPSK(client, server)
			}
			s := newSim(t, client, server)
			s.handshake()
			data, buf := make([]byte, 1600), make([]byte, 0, 1600)
			for _, e := range s.eng {
				for mtu := minMTU; mtu <= 1500; mtu++ {
					fillMTU(t, e, mtu, data, buf)
				}
			}
		})
	}
}

func fillMTU(t *testing.T, e *Engine, mtu int, data, buf []byte) {
	t.Helper()
	if err := e.SetMTU(mtu); err != nil {
		t.Fatal(err)
	}
	n, next := e.MaxData(), e.keys.Sealer().Next()
	var lp *LargePacketError
	if err := e.Write(simStart, data[:n+1]); !errors.As(err, &lp) || lp.MaxData != n || lp.MTU != mtu || lp.Size != mtu+1 || lp.Op != "write" {
		t.Fatalf("MTU %d: Write(MaxData()+1): %v, %+v", mtu, err, lp)
	}
	if _, ok := e.PollTransmit(simStart, buf); ok || e.keys.Sealer().Next() != next {
		t.Fatalf("MTU %d: the refused Write used a record number", mtu)
	}
	if err := e.Write(simStart, data[:n]); err != nil {
		t.Fatalf("MTU %d: Write(MaxData()): %v", mtu, err)
	}
	if tx, ok := e.PollTransmit(simStart, buf); !ok || len(tx.Data) != mtu {
		t.Fatalf("MTU %d: Write(MaxData()) made %d bytes", mtu, len(tx.Data))
	}
}

// TestWriteOvertakenBySetMTU: data that fitted when it was written and does not
// when it is sent is reported, and nothing is sealed.
func TestWriteOvertakenBySetMTU(t *testing.T) {
	client, server := simKinds[2].configs()
	s := newSim(t, client, server)
	s.handshake()
	e := s.eng[clientSide]
	if err := e.Write(s.now, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := e.SetMTU(500); err != nil {
		t.Fatal(err)
	}
	next := e.keys.Sealer().Next()
	if tx, ok := e.PollTransmit(s.now, nil); ok || e.keys.Sealer().Next() != next {
		t.Errorf("sent %d bytes", len(tx.Data))
	}
	ev, _ := e.PollEvent()
	var lp *LargePacketError
	if ev.Kind != EventLargePacket || !errors.As(ev.Err, &lp) || lp.MaxData != e.MaxData() {
		t.Errorf("event %+v", ev)
	}
	s.echo("goes on")
}

// fragmentsOf calls see with each plaintext fragment of a datagram, and the size
// of its record's payload.
func fragmentsOf(datagram []byte, see func(m message.Header, payload int)) {
	for len(datagram) > 0 {
		h, payload, rest, err := record.Next(datagram)
		if err != nil {
			return
		}
		datagram = rest
		if h.Epoch == 0 && h.Type == record.TypeHandshake {
			if m, _, _, err := message.NextFragment(payload); err == nil {
				see(m, len(payload))
			}
		}
	}
}

// TestJumbo: a datagram may be larger than a record may (RFC 6347, Section 4.1).
func TestJumbo(t *testing.T) {
	for _, mtu := range []int{9000, 16396, 16397, 16398, 16410, 20000, 65507} {
		client, server := simConfigs(dtlstest.P256, 30000)
		server.MTU = mtu
		s := newSim(t, client, server)
		s.path = func(_ side, _ int, datagram []byte) []time.Duration {
			fragmentsOf(datagram, func(m message.Header, payload int) {
				if payload > record.MaxPlaintext {
					t.Errorf("MTU %d: %v in a record of %d bytes", mtu, m.Type, payload)
				}
			})
			return []time.Duration{simRTT / 2}
		}
		s.handshake()
		s.quick(5)
	}
}

// TestCreditDoesNotCut: what may be sent to an address that proved nothing comes
// in drops; a flight waits for them, and is not torn to pieces that fit.
func TestCreditDoesNotCut(t *testing.T) {
	for seed := range uint64(10) {
		client, server := simKinds[0].configs()
		server.CookieMode = CookieNever
		patient(client)
		patient(server)
		s := newSim(t, client, server)
		r := rand.New(rand.NewPCG(seed, 0xc4ed))
		s.path = func(_ side, n int, datagram []byte) []time.Duration {
			fragmentsOf(datagram, func(m message.Header, _ int) {
				if m.FragmentLength < minFragment && m.FragmentOffset+m.FragmentLength < m.Length {
					t.Fatalf("seed %d: a fragment of %d bytes\n%s", seed, m.FragmentLength, s.history())
				}
			})
			if r.IntN(8) == 0 {
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		if !s.run(time.Hour, s.established) {
			t.Fatalf("seed %d: %v; %v\n%s", seed, s.eng[0], s.eng[1], s.history())
		}
	}
}
