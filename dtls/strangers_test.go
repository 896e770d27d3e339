package dtls

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/antechamber"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Many strangers at once: what they cost, and what they cost the honest ones.

// strangersConfig asks for cookies with as many secrets as there may be.
func strangersConfig() *Config {
	_, server := pskConfigs()
	for i := range byte(3) {
		server.CookieKeys = append(server.CookieKeys, bytes.Repeat([]byte{i}, 16))
	}
	return server
}

// strangers are what a Door gets from those who have proven nothing.
func strangers(tb testing.TB) map[string][]byte {
	client, _ := longHello(tb, 1600)
	s := newStranger(tb, client, strangersConfig())
	h, body := helloBody(tb, s.first)
	other := newStranger(tb, client, strangersConfig()).proven() // from another address than it will come
	return map[string][]byte{
		"hello":             s.first,
		"forged cookie":     other,
		"fragment, enough":  helloFragment(h, body, 0, 1200, 0),
		"fragment, waiting": helloFragment(h, body, 0, 100, 0),
		"later fragment":    helloFragment(h, body, 400, len(body), 1),
		"garbage":           make([]byte, 100),
		"data":              forgeRecord(record.TypeApplicationData, make([]byte, 50)...),
	}
}

// strangerAddr is the address of stranger i, whose network is one of 2^24.
func strangerAddr(i int) netip.AddrPort {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], uint32(i)*0x9e3779b1)
	return netip.AddrPortFrom(netip.AddrFrom4(a), 7)
}

// TestStrangersDoNotAllocate, once the pool has been filled.
func TestStrangersDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	door, err := NewDoor(strangersConfig(), simStart)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 256)
	for name, datagram := range strangers(t) {
		i := 0
		visit := func() {
			i++
			door.Handle(simStart, datagram, strangerAddr(i), localAddr, buf)
		}
		for range 20_000 {
			visit()
		}
		if n := testing.AllocsPerRun(2000, visit); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkDoorStranger(b *testing.B) {
	buf := make([]byte, 0, 256)
	for name, datagram := range strangers(b) {
		b.Run(name, func(b *testing.B) {
			door, err := NewDoor(strangersConfig(), simStart)
			if err != nil {
				b.Fatal(err)
			}
			i := 0
			for range 20_000 {
				i++
				door.Handle(simStart, datagram, strangerAddr(i), localAddr, buf)
			}
			b.ReportAllocs()
			for b.Loop() {
				i++
				door.Handle(simStart, datagram, strangerAddr(i), localAddr, buf)
			}
		})
	}
}

// ---- a flood of fragments ---------------------------------------------------------

// throng is a Door with honest clients and a forger in front of it, under a
// virtual clock.
type throng struct {
	t     *testing.T
	rng   *rand.Rand
	door  *Door
	now   time.Time
	queue crowdEvents
}

type crowdEvent struct {
	at time.Time
	do func()
}

type crowdEvents []crowdEvent

func (q crowdEvents) Len() int           { return len(q) }
func (q crowdEvents) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q crowdEvents) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *crowdEvents) Push(x any)        { *q = append(*q, x.(crowdEvent)) }
func (q *crowdEvents) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}

func (c *throng) after(d time.Duration, do func()) { heap.Push(&c.queue, crowdEvent{c.now.Add(d), do}) }

// run lets things happen until it is that time.
func (c *throng) run(until time.Time) {
	for len(c.queue) > 0 && c.queue[0].at.Before(until) {
		e := heap.Pop(&c.queue).(crowdEvent)
		c.now = e.at
		e.do()
	}
}

// honest is a client whose hellos are cut into n fragments, some of them
// doubled, mixed up, and sent up to 5 ms apart.
type honest struct {
	*throng
	engine *Engine
	addr   netip.AddrPort
	n      int
	tries  [2]int // transmissions of the hello without a cookie and with one
	in     bool
}

func (h *honest) speak() {
	tx, ok := h.engine.PollTransmit(h.now, nil)
	for ok && !h.in {
		m, body := helloBody(h.t, tx.Data)
		r, _, _, _ := record.Next(tx.Data)
		prefix, _ := message.PeekClientHello(body)
		h.tries[min(1, len(prefix.Cookie))]++
		var fragments [][]byte
		for i := range h.n {
			d := helloFragment(m, body, i*len(body)/h.n, (i+1)*len(body)/h.n, r.Seq*16+uint64(i))
			for range 1 + h.rng.IntN(5)/4 {
				fragments = append(fragments, d)
			}
		}
		h.rng.Shuffle(len(fragments), func(i, j int) { fragments[i], fragments[j] = fragments[j], fragments[i] })
		after := simRTT / 2
		for _, d := range fragments {
			h.after(after, func() { h.arrive(d) })
			after += time.Duration(h.rng.Int64N(int64(5 * time.Millisecond)))
		}
		tx, ok = h.engine.PollTransmit(h.now, nil)
	}
	if next := h.engine.NextTimeout(); !next.IsZero() && !h.in {
		h.after(next.Sub(h.now), func() {
			if !h.in && h.engine.Err() == nil && !h.now.Before(h.engine.NextTimeout()) {
				_ = h.engine.HandleTimeout(h.now)
				h.speak()
			}
		})
	}
}

// arrive is a fragment at the door.
func (h *honest) arrive(datagram []byte) {
	if h.in {
		return
	}
	reply, hello := h.door.Handle(h.now, datagram, h.addr, localAddr, nil)
	if h.in = hello != nil; h.in && (!hello.proof.Proven || hello.From != h.addr) {
		h.t.Errorf("let in as %+v", hello)
	}
	if reply != nil {
		h.after(simRTT/2, func() {
			_ = h.engine.HandleDatagram(h.now, reply, localAddr)
			h.speak()
		})
	}
}

// TestFloodOfFragments: 10 000 forged first fragments a second, from networks
// all over the world, each of which says too little and has to wait. Honest
// clients with hellos of 1.6 KB in 2 to 16 fragments, mixed up and doubled, get
// through to their handshake: 95 of 100 at least send no hello more than three
// times.
func TestFloodOfFragments(t *testing.T) {
	const (
		seed    = 17
		rate    = 10_000
		clients = 150
		span    = 5 * time.Second
	)
	config, server := longHello(t, 1600)
	door, err := NewDoor(server, simStart)
	if err != nil {
		t.Fatal(err)
	}
	seededRoom(door, seed)
	c := &throng{t: t, rng: rand.New(rand.NewPCG(seed, 0)), door: door, now: simStart}
	e, err := NewClientEngine(config, simStart)
	if err != nil {
		t.Fatal(err)
	}
	tx, _ := e.PollTransmit(simStart, nil)
	m, body := helloBody(t, tx.Data)
	var forge func()
	forge = func() {
		a := c.rng.Uint64()
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(a), byte(a >> 8), byte(a >> 16), byte(a >> 24)}), uint16(a>>32))
		m.Seq = uint16(a >> 48 & 1)
		if reply, hello := door.Handle(c.now, helloFragment(m, body, 0, antechamber.MinFragment, a>>56), from, localAddr, nil); reply != nil || hello != nil {
			t.Fatal("a forged fragment is answered, or let in")
		}
		c.after(time.Second/rate, forge)
	}
	c.after(0, forge)
	var all []*honest
	for i := range clients {
		e, err := NewClientEngine(config, simStart)
		if err != nil {
			t.Fatal(err)
		}
		h := &honest{throng: c, engine: e, n: 2 + i%15, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), 40000)}
		all = append(all, h)
		c.after(time.Second+time.Duration(c.rng.Int64N(int64(span))), h.speak)
	}
	c.run(simStart.Add(time.Second)) // every place is taken before the first of them comes
	before := liveHeap()
	c.run(simStart.Add(span + 8*time.Second))
	var tries [8]int
	for _, h := range all {
		if n := max(h.tries[0], h.tries[1]); h.in {
			tries[n]++
		}
	}
	through := tries[1] + tries[2] + tries[3]
	t.Logf("seed %d: %d of %d clients get through with one try of each hello, %d with two, %d with three; %+v",
		seed, tries[1], clients, tries[2], tries[3], door.Stats())
	if through < clients*95/100 {
		t.Errorf("%d of %d clients get through within three tries", through, clients)
	}
	if grown := int64(liveHeap()) - int64(before); grown > 1<<20 {
		t.Errorf("the flood grew the heap by %d bytes", grown)
	}
	runtime.KeepAlive(c)
}

// TestTrickle: 40 sources send bytes of hellos, one after the other, for ten
// minutes, and never bring a cookie. They cost a listener no goroutine and no
// memory but that of the places they share (THREATS 17).
func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, nil)
		client, _ := longHello(t, 1600)
		e, err := NewClientEngine(client, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		tx, _ := e.PollTransmit(time.Now(), nil)
		m, body := helloBody(t, tx.Data)
		goroutines, size := 0, uint64(0)
		const rounds = 600
		for round := range rounds {
			for source := range 40 {
				lo := antechamber.MinFragment + (round*37+source)%(len(body)-2*antechamber.MinFragment)
				l.socket.put(memAddr(100+source%100, 1000+source), helloFragment(m, body, lo, lo+antechamber.MinFragment, uint64(round)))
				l.socket.put(memAddr(100+source%100, 1000+source), helloFragment(m, body, lo, lo+1, uint64(round)))
			}
			synctest.Wait()
			time.Sleep(time.Second)
			if round == 10 {
				goroutines, size = runtime.NumGoroutine(), liveHeap()
			}
		}
		if more := runtime.NumGoroutine() - goroutines; more > 0 {
			t.Errorf("%d goroutines", more)
		}
		if grown := int64(liveHeap()) - int64(size); grown > 64<<10 {
			t.Errorf("the heap grew by %d bytes", grown)
		}
		s := l.Stats()
		if s.FragmentsHeld != rounds*40 || s.StrangersDropped != rounds*40 || s.DatagramsOut != 0 || s.HandshakesOpen != 0 {
			t.Errorf("%+v", s)
		}
		l.Close()
		time.Sleep(time.Second)
	})
}
