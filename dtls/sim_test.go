package dtls

import (
	"bytes"
	"container/heap"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/reassembly"
	"github.com/flightpath-dtls/flightpath/record"
)

// side names an end of a simulated path.
type side int

const (
	clientSide side = iota
	serverSide
)

func (s side) String() string { return [...]string{"client", "server"}[s] }
func (s side) other() side    { return 1 - s }

// sim runs a client and a server engine against each other under a virtual
// clock. The path is a function: what it does to each datagram is the test.
// Along the way sim checks what must hold whatever happens: no record number is
// used twice by a sender, no datagram is over the limit in force, message bytes
// never change, and cuts nest.
type sim struct {
	t     testing.TB
	now   time.Time
	start time.Time
	eng   [2]*Engine
	addr  [2]netip.AddrPort
	queue inFlightQueue
	sent  [2]int // datagrams handed to the path, by sender
	order int

	// path decides the fate of datagram number n (from 0) of a sender: when
	// each copy arrives, after the present. None: it is lost.
	path func(from side, n int, datagram []byte) []time.Duration
	// refuse may say no, as a kernel does; hint 0: without a reason.
	refuse func(from side, n int, datagram []byte) (refused bool, hint int)
	// onEvent sees every event before it is forgotten.
	onEvent func(at side, ev Event)
	// onDeliver sees (and may change) every datagram before it is handled.
	onDeliver func(to side, datagram []byte) []byte
	// beforeSend sees (and may change) an engine that is about to send.
	beforeSend func(from side)

	data     [2][][]byte // application data received
	events   [2][]EventKind
	timeouts [2]int // retransmission timers that fired
	trace    []string
	wire     [2]*wireChecker
	dropped  int
	largest  [2]int
}

const simRTT = 50 * time.Millisecond

var simStart = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// newSim connects two engines over a perfect path with a round trip of simRTT.
func newSim(t testing.TB, client, server *Config) *sim {
	t.Helper()
	s := bareSim(t)
	var err error
	if s.eng[clientSide], err = NewClientEngine(client, s.now); err != nil {
		t.Fatal(err)
	}
	if s.eng[serverSide], err = NewServerEngine(server, nil, s.now); err != nil {
		t.Fatal(err)
	}
	return s
}

func bareSim(t testing.TB) *sim {
	s := &sim{t: t, now: simStart, start: simStart}
	s.addr[clientSide] = netip.MustParseAddrPort("192.0.2.1:40000")
	s.addr[serverSide] = netip.MustParseAddrPort("192.0.2.2:4433")
	s.path = func(side, int, []byte) []time.Duration { return []time.Duration{simRTT / 2} }
	for i := range s.wire {
		s.wire[i] = newWireChecker()
	}
	return s
}

// simConfigs are a client and a server that trust each other, with a chain of
// about size bytes.
func simConfigs(key dtlstest.Key, size int) (client, server *Config) {
	chain := dtlstest.MustChain(key, size)
	at := chain.Certificate.Leaf.NotBefore.Add(time.Hour)
	clock := func() time.Time { return at }
	return &Config{RootCAs: chain.Pool(), ServerName: "localhost", Time: clock, MaxVersion: VersionDTLS12},
		&Config{Certificates: certs(chain), ClientCAs: chain.Pool(), Time: clock, CookieMode: CookieAlways, MaxVersion: VersionDTLS12}
}

// simConfigs13 are the same for DTLS 1.3.
func simConfigs13(key dtlstest.Key, size int) (client, server *Config) {
	client, server = simConfigs(key, size)
	for _, c := range []*Config{client, server} {
		c.MinVersion, c.MaxVersion = VersionDTLS13, VersionDTLS13
	}
	return client, server
}

type inFlight struct {
	at    time.Time
	order int
	to    side
	data  []byte
}

type inFlightQueue []inFlight

func (q inFlightQueue) Len() int { return len(q) }
func (q inFlightQueue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].order < q[j].order
	}
	return q[i].at.Before(q[j].at)
}
func (q inFlightQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *inFlightQueue) Push(x any)   { *q = append(*q, x.(inFlight)) }
func (q *inFlightQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

// flush moves what an engine wants to send onto the path, and drains events.
func (s *sim) flush(from side) {
	e := s.eng[from]
	if s.beforeSend != nil {
		s.beforeSend(from)
	}
	for range 10000 {
		s.drain(from)
		limit := e.path.limit()
		tx, ok := e.PollTransmit(s.now, nil)
		if !ok {
			s.drain(from)
			if !e.events.Empty() || e.out.sent.stalled {
				continue
			}
			return
		}
		n := s.sent[from]
		s.sent[from]++
		if s.refuse != nil {
			if no, hint := s.refuse(from, n, tx.Data); no {
				s.logf("%s #%d: %d bytes refused, hint %d", from, n, len(tx.Data), hint)
				s.wire[from].numbers(s.t, tx.Data)
				e.TransmitRefused(s.now, tx.ID, hint)
				continue
			}
		}
		if len(tx.Data) > limit {
			s.t.Fatalf("%s sent %d bytes, limit %d\n%s", from, len(tx.Data), limit, s.history())
		}
		s.largest[from] = max(s.largest[from], len(tx.Data))
		s.wire[from].numbers(s.t, tx.Data)
		s.wire[from].secondHello(helloOf(e))
		s.wire[from].fragments(s.t, tx.Data)
		copies := s.path(from, n, tx.Data)
		if len(copies) == 0 {
			s.dropped++
		}
		s.logf("%s #%d: %s -> %v", from, n, describeDatagram(tx.Data), copies)
		for _, after := range copies {
			s.order++
			heap.Push(&s.queue, inFlight{s.now.Add(after), s.order, from.other(), bytes.Clone(tx.Data)})
		}
	}
	s.t.Fatalf("%s never stops sending\n%s", from, s.history())
}

func (s *sim) drain(at side) {
	for {
		ev, ok := s.eng[at].PollEvent()
		if !ok {
			return
		}
		s.events[at] = append(s.events[at], ev.Kind)
		s.logf("%s event: %v %v", at, ev.Kind, ev.Err)
		if ev.Kind == EventData {
			s.data[at] = append(s.data[at], bytes.Clone(ev.Data))
		}
		if s.onEvent != nil {
			s.onEvent(at, ev)
		}
	}
}

// step advances to the next thing that happens. It reports false if nothing
// ever will.
func (s *sim) step() bool {
	s.flush(clientSide)
	s.flush(serverSide)
	var next time.Time
	who, isTimer := clientSide, false
	if len(s.queue) > 0 {
		next = s.queue[0].at
	}
	for i, e := range s.eng {
		if t := e.NextTimeout(); !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next, who, isTimer = t, side(i), true
		}
	}
	if next.IsZero() {
		return false
	}
	if next.After(s.now) {
		s.now = next
	}
	if isTimer {
		e := s.eng[who]
		if !e.out.timer.Deadline.IsZero() && !s.now.Before(e.out.timer.Deadline) {
			s.timeouts[who]++
			s.logf("%s timer", who)
		}
		_ = e.HandleTimeout(s.now)
		s.drain(who)
		return true
	}
	d := heap.Pop(&s.queue).(inFlight)
	if s.onDeliver != nil {
		d.data = s.onDeliver(d.to, d.data)
	}
	if d.data != nil {
		_ = s.eng[d.to].HandleDatagram(s.now, d.data, s.addr[d.to.other()])
		s.drain(d.to)
		for i := range d.data { // events must not be kept
			d.data[i] = 0xdb
		}
	}
	return true
}

// run steps until done or the virtual time is up; it reports whether done.
func (s *sim) run(limit time.Duration, done func() bool) bool {
	end := s.now.Add(limit)
	for !done() {
		if !s.step() || s.now.After(end) {
			return done()
		}
	}
	return true
}

func (s *sim) established() bool {
	return s.eng[clientSide].Established() && s.eng[serverSide].Established()
}

// handshake runs until both sides are established, then sends data both ways.
func (s *sim) handshake() {
	s.t.Helper()
	if !s.run(2*time.Minute, s.established) {
		s.t.Fatalf("no handshake after %v: client %v; server %v\n%s", s.now.Sub(s.start), s.eng[0], s.eng[1], s.history())
	}
	s.echo("after the handshake")
}

// echo sends a record each way, again and again until it arrives.
func (s *sim) echo(text string) {
	s.t.Helper()
	for from := range side(2) {
		before := len(s.data[from.other()])
		for try := 0; len(s.data[from.other()]) == before; try++ {
			if try == 200 {
				s.t.Fatalf("data of the %s never arrives\n%s", from, s.history())
			}
			if err := s.eng[from].Write(s.now, []byte(text)); err != nil {
				s.t.Fatalf("%s: Write: %v\n%s", from, err, s.history())
			}
			s.flush(from)
			s.run(10*time.Second, func() bool { return len(s.data[from.other()]) > before })
		}
		if got := s.data[from.other()][before]; string(got) != text {
			s.t.Fatalf("%s got %q, want %q", from.other(), got, text)
		}
	}
}

func (s *sim) logf(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf("%8.3fs ", s.now.Sub(s.start).Seconds())+fmt.Sprintf(format, args...))
}

// history is what happened, for failures.
func (s *sim) history() string {
	trace := s.trace
	if len(trace) > 300 {
		trace = trace[len(trace)-300:]
	}
	var b bytes.Buffer
	for _, line := range trace {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

// describeDatagram lists the records of a datagram and the plaintext fragments
// in them.
func describeDatagram(d []byte) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d bytes:", len(d))
	for len(d) > 0 {
		if record.IsUnified(d[0]) {
			u, rest, err := record.NextUnified(d, 0)
			if err != nil {
				fmt.Fprintf(&b, " (%v)", err)
				break
			}
			fmt.Fprintf(&b, " …%d/? %d bytes", u.EpochBits, len(u.Body))
			d = rest
			continue
		}
		h, payload, rest, err := record.Next(d)
		if err != nil {
			fmt.Fprintf(&b, " (%v)", err)
			break
		}
		d = rest
		fmt.Fprintf(&b, " %d/%d %v", h.Epoch, h.Seq, h.Type)
		for h.Epoch == 0 && h.Type == record.TypeHandshake && len(payload) > 0 {
			m, _, more, err := message.NextFragment(payload)
			if err != nil {
				break
			}
			fmt.Fprintf(&b, "(%v seq %d [%d:%d) of %d)", m.Type, m.Seq, m.FragmentOffset, m.FragmentOffset+m.FragmentLength, m.Length)
			payload = more
		}
	}
	return b.String()
}

// wireChecker holds one sender's datagrams against what must always be true.
type wireChecker struct {
	seen map[record.Number][]byte  // record numbers, with their records
	body map[uint16][]int16        // plaintext message bytes, by message_seq; −1: never sent
	cuts map[uint16]map[uint32]int // where fragments begin or end
	last map[uint16][]message.Header

	ccs     uint64               // epoch of change_cipher_specs
	sealed  map[string]bool      // protected records of DTLS 1.3
	hello   *message.ClientHello // that a client sent last, until it has a ServerHello
	misled  bool                 // a forged HelloRetryRequest may make a client send two second hellos, and a door answer both
	refuses bool                 // a door may refuse a forged hello with an alert, which has the hello's number as well
}

func newWireChecker() *wireChecker {
	return &wireChecker{
		seen: map[record.Number][]byte{}, body: map[uint16][]int16{},
		cuts: map[uint16]map[uint32]int{}, last: map[uint16][]message.Header{},
	}
}

// numbers: no record number twice with other bytes, no change_cipher_spec under the
// keys that it announces. The stateless
// HelloVerifyRequest or HelloRetryRequest repeats the number of the hello by
// design and is exempt.
func (w *wireChecker) numbers(t testing.TB, d []byte) {
	for len(d) > 0 {
		whole := d
		if record.IsUnified(d[0]) {
			d = w.unified(t, d)
			continue
		}
		h, payload, rest, err := record.Next(d)
		if err != nil {
			t.Fatalf("sent a malformed datagram: %v", err)
		}
		d = rest
		rec := whole[:len(whole)-len(rest)]
		if h.Epoch == 0 && (h.Type == record.TypeHandshake && stateless(payload) || h.Type == record.TypeAlert && w.refuses) {
			continue
		}
		if old, used := w.seen[h.Number]; used && !bytes.Equal(old, rec) {
			t.Fatalf("record number %v used twice: %x and %x", h.Number, old, rec)
		}
		w.seen[h.Number] = bytes.Clone(rec)
		// RFC 5246, Section 7.1: a change_cipher_spec is under the keys before it.
		if h.Type == record.TypeChangeCipherSpec && h.Epoch != w.ccs {
			t.Fatalf("change_cipher_spec in epoch %d, not %d", h.Epoch, w.ccs)
		}
	}
}

// helloOf is the hello that a client has sent last, nil if that is answered.
func helloOf(e *Engine) *message.ClientHello {
	if !e.handshaking() {
		return nil
	}
	return e.hs.m.Hello()
}

// secondHello: a client that restarts, or follows a HelloRetryRequest after a
// HelloVerifyRequest, sends another hello with the number of the one before.
func (w *wireChecker) secondHello(h *message.ClientHello) {
	if h == nil || h == w.hello {
		return
	}
	if w.hello != nil && w.hello.Random != h.Random { // without the ticket, see DropTicket
		delete(w.body, 0)
		delete(w.cuts, 0)
	}
	w.hello = h
	delete(w.body, 1)
	delete(w.cuts, 1)
}

// stateless reports whether a message is an answer of the door, of which each hello
// gets one with a cookie of its own.
func stateless(payload []byte) bool {
	m, _, _, err := message.NextFragment(payload)
	raw := payload[:min(len(payload), message.HeaderLen+int(m.FragmentLength))]
	return err == nil && (&reassembly.Message{Type: m.Type, Raw: raw}).AsksRetry()
}

// unified looks at a protected record of DTLS 1.3. Its number is masked, so what
// can be seen is that no record, and so no nonce with the same text, comes twice.
func (w *wireChecker) unified(t testing.TB, d []byte) (rest []byte) {
	u, rest, err := record.NextUnified(d, 0)
	if err != nil {
		t.Fatalf("sent a malformed datagram: %v", err)
	}
	if w.sealed == nil {
		w.sealed = map[string]bool{}
	}
	if body := string(u.Body); w.sealed[body] {
		t.Fatal("a protected record was sent twice")
	} else {
		w.sealed[body] = true
	}
	return rest
}

// fragments: message bytes never change, and a fragment never straddles a cut
// that an earlier one made.
func (w *wireChecker) fragments(t testing.TB, d []byte) {
	for len(d) > 0 {
		if record.IsUnified(d[0]) {
			u, rest, err := record.NextUnified(d, 0)
			if err != nil || u.Body == nil {
				return
			}
			d = rest
			continue
		}
		h, payload, rest, err := record.Next(d)
		if err != nil {
			return
		}
		d = rest
		if h.Epoch != 0 || h.Type != record.TypeHandshake {
			continue
		}
		m, body, _, err := message.NextFragment(payload)
		if err != nil {
			t.Fatalf("sent a malformed fragment: %v", err)
		}
		if stateless(payload) || w.misled && m.Seq > 0 {
			continue
		}
		known := w.body[m.Seq]
		if known == nil {
			known = slices.Repeat([]int16{-1}, int(m.Length))
			w.body[m.Seq], w.cuts[m.Seq] = known, map[uint32]int{}
		}
		if len(known) != int(m.Length) {
			t.Fatalf("message %d had %d bytes, now %d", m.Seq, len(known), m.Length)
		}
		lo, hi := m.FragmentOffset, m.FragmentOffset+m.FragmentLength
		for i, c := range body {
			at := int(lo) + i
			if known[at] >= 0 && known[at] != int16(c) {
				t.Fatalf("byte %d of message %d changed", at, m.Seq)
			}
			known[at] = int16(c)
		}
		again := m.Type == message.TypeClientHello && m.FragmentLength == m.Length // by turns, see pathMTU
		for cut := range w.cuts[m.Seq] {
			if cut > lo && cut < hi && !again {
				t.Fatalf("fragment [%d:%d) of message %d straddles the earlier cut at %d", lo, hi, m.Seq, cut)
			}
		}
		w.cuts[m.Seq][lo]++
		if hi < m.Length {
			w.cuts[m.Seq][hi]++
		}
	}
}
