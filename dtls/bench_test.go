package dtls

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// pump moves datagrams between two engines until neither has any.
func pump(tb testing.TB, a, b *Engine, buf []byte) {
	for moved := true; moved; {
		moved = false
		for _, pair := range [2][2]*Engine{{a, b}, {b, a}} {
			for {
				tx, ok := pair[0].PollTransmit(simStart, buf[:0])
				if !ok {
					break
				}
				moved = true
				if err := pair[1].HandleDatagram(simStart, tx.Data, netip.AddrPort{}); err != nil {
					tb.Fatal(err)
				}
			}
			for _, ok := pair[0].PollEvent(); ok; _, ok = pair[0].PollEvent() {
			}
		}
	}
}

// enginePair returns two engines with a complete handshake behind them.
func enginePair(tb testing.TB, client, server *params, buf []byte) (c, s *Engine) {
	c, err := newClientEngine(client, nil, PeerInfo{}, simStart)
	if err != nil {
		tb.Fatal(err)
	}
	if s, err = newServerEngine(server, nil, nil, PeerInfo{}, simStart); err != nil {
		tb.Fatal(err)
	}
	pump(tb, c, s, buf)
	if !c.Established() || !s.Established() {
		tb.Fatalf("no handshake: %v; %v", c, s)
	}
	return c, s
}

func benchParams(tb testing.TB, id uint16) (client, server *params) {
	cs := suite.Lookup(id)
	key := dtlstest.P256
	if cs.Auth == suite.RSA {
		key = dtlstest.RSA2048
	}
	configs := simConfigs
	if cs.Is13() {
		configs = simConfigs13
	}
	cc, sc := configs(key, 0)
	sc.CookieMode = CookieAuto
	cc.CipherSuites, sc.CipherSuites = []uint16{id}, []uint16{id}
	if cs.UsesPSK() {
		withPSK(cc, sc)
	}
	client, err := resolve(cc, true)
	if err != nil {
		tb.Fatal(err)
	}
	if server, err = resolve(sc, false); err != nil {
		tb.Fatal(err)
	}
	return client, server
}

// BenchmarkHandshake runs both ends of full handshakes on one core.
func BenchmarkHandshake(b *testing.B) {
	for _, id := range []uint16{0xc02b, 0xc02f, 0xd001, 0x00a8, 0x1301} {
		b.Run(suite.Name(id), func(b *testing.B) {
			client, server := benchParams(b, id)
			buf := make([]byte, 0, 2048)
			b.ReportAllocs()
			for b.Loop() {
				enginePair(b, client, server, buf)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "handshakes/s")
		})
	}
}

// BenchmarkRecord seals a record at one engine and opens it at the other.
func BenchmarkRecord(b *testing.B) {
	for _, id := range []uint16{0xc02b, 0xcca9, 0xc0ac, 0x1301, 0x1303, 0x1304} {
		for _, size := range []int{64, 1195} {
			b.Run(fmt.Sprintf("%s/%d", suite.Name(id), size), func(b *testing.B) {
				client, server := benchParams(b, id)
				buf := make([]byte, 0, 2048)
				c, s := enginePair(b, client, server, buf)
				p := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					datagram, err := c.appendData(simStart, buf[:0], p)
					if err != nil {
						b.Fatal(err)
					}
					if err := s.HandleDatagram(simStart, datagram, netip.AddrPort{}); err != nil {
						b.Fatal(err)
					}
					if ev, ok := s.PollEvent(); !ok || len(ev.Data) != size {
						b.Fatal("no data")
					}
				}
			})
		}
	}
}

// TestRecordsAllocateNothing is what BenchmarkRecord shows, as a test.
func TestRecordsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector allocates; the run without it counts")
		return
	}
	for _, cs := range append(suite.All(), suite.All13()...) {
		client, server := benchParams(t, cs.ID)
		buf := make([]byte, 0, 2048)
		c, s := enginePair(t, client, server, buf)
		p := make([]byte, 1000)
		n := testing.AllocsPerRun(200, func() {
			datagram, err := c.appendData(simStart, buf[:0], p)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.HandleDatagram(simStart, datagram, netip.AddrPort{}); err != nil {
				t.Fatal(err)
			}
			if _, ok := s.PollEvent(); !ok {
				t.Fatal("no data")
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for a record sealed and opened", cs.Name, n)
		}
	}
}

// heapOf is the heap that n calls of make leave behind, per call.
func heapOf(n int, make func(i int)) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		make(i)
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
}

// BenchmarkIdleEngine reports the heap of an established server engine that has
// had nothing to do for ten minutes: the keys of the handshake are gone by then.
func BenchmarkIdleEngine(b *testing.B) {
	for _, id := range []uint16{0xc02b, 0xcca9, 0xc0ac, 0x1301, 0x1303, 0x1304} {
		b.Run(suite.Name(id), func(b *testing.B) {
			client, server := benchParams(b, id)
			buf := make([]byte, 0, 2048)
			const n = 1000
			var per float64
			for b.Loop() {
				idle := make([]*Engine, n)
				per = heapOf(n, func(i int) {
					c, s := enginePair(b, client, server, buf)
					// one record each way: nothing is kept for retransmission
					if err := c.Write(simStart, []byte("x")); err != nil {
						b.Fatal(err)
					}
					pump(b, c, s, buf)
					if err := s.HandleTimeout(simStart.Add(10 * time.Minute)); err != nil {
						b.Fatal(err)
					}
					idle[i] = s
				})
				runtime.KeepAlive(idle)
			}
			b.ReportMetric(per, "heap-B/assoc")
			b.ReportMetric(0, "ns/op")
		})
	}
}
