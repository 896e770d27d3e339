package dtls

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
)

// docs/constrained.md has the configuration of these tests and their figures.

// constrainedConfigs are devices with a pre-shared key and little memory, on a
// slow network with small frames.
func constrainedConfigs() (client, server *Config) {
	small := Config{
		MaxVersion:       VersionDTLS12,
		CipherSuites:     []uint16{0xc0a8}, // TLS_PSK_WITH_AES_128_CCM_8
		MTU:              548,
		MaxMTU:           548,
		Retransmit:       RetransmitConstrained,
		HandshakeTimeout: 5 * time.Minute,
		ReplayWindow:     64,
		ReceiveQueue:     1 << 10,
		MaxHandshakeSize: 4096,
	}
	client, server = small.Clone(), small.Clone()
	withPSK(client, server)
	return client, server
}

// sendTimes runs a handshake, and returns when each side sent something, in
// seconds.
func (s *sim) sendTimes() (times [2][]float64) {
	lost := s.path
	s.path = func(from side, n int, d []byte) []time.Duration {
		if at := s.now.Sub(s.start).Seconds(); len(times[from]) == 0 || times[from][len(times[from])-1] != at {
			times[from] = append(times[from], at)
		}
		return lost(from, n, d)
	}
	s.handshake()
	return times
}

// TestConstrainedLoss: which timer repeats what, for each datagram that is lost
// on a path with a round trip of two seconds. What is measured never makes a
// timer shorter than 9 s (RFC 7925, Section 11).
func TestConstrainedLoss(t *testing.T) {
	const rtt = 2 * time.Second
	for _, tt := range []struct {
		name           string
		lost           func(from side, n int) bool
		client, server []float64 // when something is sent, without the data at the end
	}{
		{
			"nothing", func(side, int) bool { return false },
			[]float64{0, 2, 4},
			[]float64{1, 3, 5},
		},
		{
			"the first hello", func(from side, n int) bool { return from == clientSide && n == 0 },
			[]float64{0, 9, 11, 13},
			[]float64{10, 12, 14},
		},
		{
			"the first hello, three times", func(from side, n int) bool { return from == clientSide && n < 3 },
			[]float64{0, 9, 27, 63, 65, 67},
			[]float64{64, 66, 68},
		},
		{
			"the hello with the cookie", func(from side, n int) bool { return from == clientSide && n == 1 },
			[]float64{0, 2, 11, 13},
			[]float64{1, 12, 14},
		},
		{
			"the server's flight: its timer began when it was sent, at 3 s", func(from side, n int) bool { return from == serverSide && n == 1 },
			[]float64{0, 2, 11, 13},
			[]float64{1, 3, 12, 14},
		},
		{
			"the client's Finished: the server, which waits since 3 s, asks", func(from side, n int) bool { return from == clientSide && n == 2 },
			[]float64{0, 2, 4, 13},
			[]float64{1, 3, 12, 14},
		},
		{
			"the server's Finished", func(from side, n int) bool { return from == serverSide && n == 2 },
			[]float64{0, 2, 4, 13},
			[]float64{1, 3, 5, 14},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, server := constrainedConfigs()
			server.CookieMode = CookieAlways
			s := newSim(t, client, server)
			s.path = func(from side, n int, _ []byte) []time.Duration {
				if tt.lost(from, n) {
					return nil
				}
				return []time.Duration{rtt / 2}
			}
			got := s.sendTimes()
			for at, want := range [][]float64{tt.client, tt.server} {
				if len(got[at]) < len(want) || !slices.Equal(got[at][:len(want)], want) {
					t.Errorf("the %s sends at %v, want %v\n%s", side(at), got[at], want, s.history())
				}
			}
		})
	}
}

// TestConstrainedDatagrams: a handshake in bytes of UDP payload, cookie
// included. None of them would need the MTU of 548, and none is cut at 300.
func TestConstrainedDatagrams(t *testing.T) {
	for _, tt := range []struct {
		suite uint16
		mtu   int
		want  [2][]int // the datagrams of each side
	}{
		{0xc0a8, 548, [2][]int{{78, 98, 105}, {48, 99, 67}}},
		{0xc0a8, 300, [2][]int{{78, 98, 105}, {48, 99, 67}}},
		{0xd003, 300, [2][]int{{98, 118, 138}, {48, 168, 67}}},
	} {
		client, server := constrainedConfigs()
		server.CookieMode = CookieAlways
		for _, c := range []*Config{client, server} {
			c.CipherSuites, c.MTU, c.MaxMTU = []uint16{tt.suite}, tt.mtu, tt.mtu
		}
		s := newSim(t, client, server)
		var got [2][]int
		s.path = func(from side, n int, d []byte) []time.Duration {
			got[from] = append(got[from], len(d))
			return []time.Duration{simRTT / 2}
		}
		if !s.run(time.Minute, s.established) {
			t.Fatal(s.history())
		}
		s.flush(serverSide)
		for at, want := range tt.want {
			if !slices.Equal(got[at], want) {
				t.Errorf("%04x, MTU %d: the %s sends %v bytes, want %v", tt.suite, tt.mtu, side(at), got[at], want)
			}
		}
	}
}

// constrainedHeaps are what docs/constrained.md says about memory: how much heap
// is left behind by something that is kept, and the most that it may be.
var constrainedHeaps = []struct {
	name string
	most float64 // bytes
	heap func(tb testing.TB) float64
}{
	{"client engine, hello sent", 4 << 10, func(tb testing.TB) float64 {
		client, _ := constrainedParams(tb)
		return heapOfEngines(200, func() *Engine {
			c, err := newClientEngine(client, nil, PeerInfo{}, simStart)
			if err != nil {
				tb.Fatal(err)
			}
			transfer(tb, c, nil)
			return c
		})
	}},
	{"server engine, first flight sent", 4 << 10, func(tb testing.TB) float64 {
		client, server := constrainedParams(tb)
		return heapOfEngines(200, func() *Engine { return inHandshake(tb, client, server) })
	}},
	{"server engine, flooded with fragments", 40 << 10, func(tb testing.TB) float64 {
		client, server := constrainedParams(tb)
		return heapOfEngines(20, func() *Engine {
			e := inHandshake(tb, client, server)
			// The most that any pattern was found to keep: bytes apart from each
			// other, of all messages that may come, with contradicting variants.
			const messages = 16
			for i := range uint32(16000) {
				h := message.Header{
					Type: message.TypeClientKeyExchange, Length: 4096, Seq: 1 + uint16(i%messages),
					FragmentOffset: i / messages * 2 % 4095, FragmentLength: 1,
				}
				if err := e.HandleDatagram(simStart, forgeFragment(h, byte(i/7)), testAddr); err != nil {
					tb.Fatal(err)
				}
			}
			return e
		})
	}},
	{"engine, established", 4 << 10, func(tb testing.TB) float64 {
		client, server := constrainedParams(tb)
		buf := make([]byte, 0, 2048)
		return heapOfEngines(200, func() *Engine {
			c, s := enginePair(tb, client, server, buf)
			// One record each way: nothing is kept for retransmission.
			if err := c.Write(simStart, []byte("x")); err != nil {
				tb.Fatal(err)
			}
			pump(tb, c, s, buf)
			return s
		})
	}},
	{"Conn of a Listener, established", 4 << 10, heapOfConns},
}

func constrainedParams(tb testing.TB) (client, server *params) {
	c, s := constrainedConfigs()
	client, err := resolve(c, true)
	if err != nil {
		tb.Fatal(err)
	}
	if server, err = resolve(s, false); err != nil {
		tb.Fatal(err)
	}
	return client, server
}

// transfer hands what one engine sends to another; nil: to nobody.
func transfer(tb testing.TB, from, to *Engine) {
	for {
		tx, ok := from.PollTransmit(simStart, nil)
		if !ok {
			return
		}
		if to == nil {
			continue
		}
		if err := to.HandleDatagram(simStart, tx.Data, netip.AddrPort{}); err != nil {
			tb.Fatal(err)
		}
	}
}

// inHandshake is a server that waits for the answer to its first flight.
func inHandshake(tb testing.TB, client, server *params) *Engine {
	c, err := newClientEngine(client, nil, PeerInfo{}, simStart)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := newServerEngine(server, nil, nil, PeerInfo{}, simStart)
	if err != nil {
		tb.Fatal(err)
	}
	transfer(tb, c, s)
	transfer(tb, s, nil)
	if s.hs == nil || s.hs.awaited() != message.TypeClientKeyExchange.String() {
		tb.Fatalf("%v", s)
	}
	return s
}

func heapOfEngines(n int, create func() *Engine) float64 {
	kept := make([]*Engine, n)
	heap := heapOf(n, func(i int) { kept[i] = create() })
	if slices.Contains(kept, nil) {
		panic("an engine is missing") // and nothing is freed before this line
	}
	return heap
}

// heapOfConns counts what a Listener has for an association: engine, Conn and
// its place in the table. Its client is gone without a word.
func heapOfConns(tb testing.TB) float64 {
	l := listen(tb, func(client, server *Config) { *client, *server = configsOf(constrainedConfigs()) })
	const n = 200
	kept := make([]*Conn, n)
	heap := heapOf(n, func(i int) {
		c, socket := l.dial(tb)
		kept[i] = l.accept(tb)
		if _, err := c.Write([]byte("x")); err != nil {
			tb.Fatal(err)
		}
		if _, err := kept[i].Read(make([]byte, 1)); err != nil {
			tb.Fatal(err)
		}
		socket.Close()
		l.net.mu.Lock()
		delete(l.net.sockets, socket.addr.String())
		l.net.mu.Unlock()
		_ = c.Close()
	})
	closeAll(kept...)
	l.Close()
	return heap
}

func configsOf(client, server *Config) (Config, Config) { return *client, *server }

// TestConstrainedMemory: bounds, so that the page does not become untrue
// unnoticed.
func TestConstrainedMemory(t *testing.T) {
	for _, h := range constrainedHeaps {
		if got := h.heap(t); got > h.most {
			t.Errorf("%s: %.0f bytes of heap, the most is %.0f", h.name, got, h.most)
		}
	}
}

// BenchmarkConstrained prints the figures of docs/constrained.md.
func BenchmarkConstrained(b *testing.B) {
	for _, h := range constrainedHeaps {
		b.Run(h.name, func(b *testing.B) {
			var heap float64
			for b.Loop() {
				heap = h.heap(b)
			}
			b.ReportMetric(heap, "heap-B/assoc")
			b.ReportMetric(0, "ns/op")
		})
	}
}
