package dtls

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/message"
)

// ---- cutting ----------------------------------------------------------------

// TestCut walks one message through datagrams. A step is the room for its bytes
// in the datagram at hand, and in a fresh one; "again" is a retransmission.
func TestCut(t *testing.T) {
	type step struct {
		room, fresh int
		again       bool
	}
	full, again := step{1207, 1207, false}, step{again: true}
	room := func(n int) step { return step{n, 1207, false} }
	limit := func(n int) step { return step{n, n, false} }
	for _, tt := range []struct {
		name  string
		body  int
		whole bool
		steps []step
		want  string // fragments; - is nothing for this datagram
	}{
		{"what fits goes out in one piece", 1000, false, []step{full}, "0-1000"},
		{"what does not is cut where the room ends", 2000, false, []step{room(400), full, full}, "0-400 400-1607 1607-2000"},
		{"31 bytes of room are not worth a header", 1000, false, []step{room(31)}, "-"},
		{"32 are", 1000, false, []step{room(32)}, "0-32"},
		{"less is enough for a message that ends there", 20, false, []step{room(20)}, "0-20"},
		{"and for the end of one", 1227, false, []step{full, room(20)}, "0-1207 1207-1227"},
		{"but not for the end and a byte", 1228, false, []step{full, room(20)}, "0-1207 -"},
		{"no room, no fragment", 1000, false, []step{room(0), room(-40)}, "- -"},
		{"an empty message needs room for its header only", 0, false, []step{room(-1), room(0)}, "- 0-0"},
		{"a hello waits for a datagram of its own", 300, true, []step{room(200), full}, "- 0-300"},
		{"unless no datagram can take it", 3000, true, []step{room(200), full, full, full}, "0-200 200-1407 1407-2614 2614-3000"},
		{"a hello over the limit is cut", 300, true, []step{limit(203), limit(203)}, "0-203 203-300"},
		{"a retransmission has the same fragments", 2000, false, []step{room(400), full, full, again, room(400), full, full}, "0-400 400-1607 1607-2000 0-400 400-1607 1607-2000"},
		{"in whatever datagrams", 2000, false, []step{room(400), full, full, again, full, room(807), full, full}, "0-400 400-1607 1607-2000 0-400 - 400-1607 1607-2000"},
		{"a smaller limit divides into equal parts", 1200, false, []step{full, again, limit(500), limit(500), limit(500)}, "0-1200 0-400 400-800 800-1200"},
		{"which differ by a byte at most", 1001, false, []step{full, again, limit(300), limit(300), limit(300), limit(300)}, "0-1001 0-250 250-500 500-750 750-1001"},
		{"and leaves alone what fits", 1300, false, []step{room(100), full, again, limit(700), limit(700), limit(700)}, "0-100 100-1300 0-100 100-700 700-1300"},
		{"a larger limit moves no cut", 1200, false, []step{limit(500), limit(500), limit(500), again, full, full, full}, "0-500 500-1000 1000-1200 0-500 500-1000 1000-1200"},
		{"bytes that were never sent are still free", 2000, false, []step{limit(500), again, full, full, full}, "0-500 0-500 500-1707 1707-2000"},
		{"also below a smaller limit", 1000, false, []step{limit(600), again, limit(250), limit(250), limit(250), limit(250), limit(250)}, "0-600 0-200 200-400 400-600 600-850 850-1000"},
		{"a part that fits only a fresh datagram waits", 1200, false, []step{full, again, {room: 200, fresh: 500}, limit(500)}, "0-1200 - 0-400"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := outMessage{body: make([]byte, tt.body), whole: tt.whole}
			var got []string
			for _, s := range tt.steps {
				if s.again {
					m.unsend()
					continue
				}
				lo, hi, ok := m.next(s.room, s.fresh, false)
				if !ok {
					got = append(got, "-")
					continue
				}
				m.sent.Add(lo, hi)
				m.empty = lo == hi
				got = append(got, fmt.Sprintf("%d-%d", lo, hi))
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
		})
	}
}

// TestCutsNest: limits that change at random, transmissions that stop half way
// and refusals never move a cut, and always reach the end.
func TestCutsNest(t *testing.T) {
	cases := uint64(20000)
	if brief() {
		cases /= 10
	}
	for seed := range cases {
		r := rand.New(rand.NewPCG(seed, 0xc07))
		m := outMessage{body: make([]byte, 1+r.IntN(8000)), whole: r.IntN(4) == 0}
		cuts := map[uint32]bool{}
		for range 1 + r.IntN(6) {
			fresh := 203 + r.IntN(1300)
			room := fresh - r.IntN(fresh)
			for steps := r.IntN(60); steps > 0 && !m.done(); steps-- {
				lo, hi, ok := m.next(room, fresh, false)
				if !ok {
					if room == fresh {
						t.Fatalf("seed %d: a fresh datagram of %d takes nothing from %d of %d", seed, fresh, lo, len(m.body))
					}
					room = fresh
					continue
				}
				checkCut(t, seed, &m, cuts, lo, hi, room)
				if room -= int(hi-lo) + message.HeaderLen; room < 0 {
					room = fresh
				}
			}
			if r.IntN(2) == 0 {
				m.unsend()
			} else {
				lo := uint32(r.IntN(len(m.body)))
				lo = m.nextCut(lo) // a refused fragment begins at a cut
				m.sent.Remove(lo, min(m.nextCut(lo), uint32(len(m.body))))
			}
		}
		for !m.done() {
			lo, hi, ok := m.next(203, 203, false)
			if !ok {
				t.Fatalf("seed %d: never done", seed)
			}
			checkCut(t, seed, &m, cuts, lo, hi, 203)
		}
		if !slices.IsSorted(m.cuts) || len(slices.Compact(slices.Clone(m.cuts))) != len(m.cuts) {
			t.Fatalf("seed %d: cuts %v", seed, m.cuts)
		}
	}
}

func checkCut(t *testing.T, seed uint64, m *outMessage, cuts map[uint32]bool, lo, hi uint32, room int) {
	t.Helper()
	end := uint32(len(m.body))
	switch {
	case lo >= hi || hi > end || int(hi-lo) > room:
		t.Fatalf("seed %d: fragment %d-%d of %d in a room of %d", seed, lo, hi, end, room)
	case hi-lo < minFragment && hi < end:
		t.Fatalf("seed %d: fragment %d-%d of %d has less than %d bytes", seed, lo, hi, end, minFragment)
	}
	for cut := range cuts {
		if lo < cut && cut < hi {
			t.Fatalf("seed %d: fragment %d-%d straddles the cut at %d", seed, lo, hi, cut)
		}
	}
	cuts[lo], cuts[hi] = true, true
	if m.sent.Add(lo, hi) != hi-lo {
		t.Fatalf("seed %d: fragment %d-%d repeats bytes of this transmission", seed, lo, hi)
	}
}

// ---- joining ----------------------------------------------------------------

// newJoin is a reassembly that awaits message 5.
func newJoin() *reassembly { return &reassembly{next: 5, limit: defaultMaxHandshakeSize} }

// part adds bytes lo to hi of a body to message seq.
func (r *reassembly) part(epoch, seq uint16, body []byte, lo, hi int) fragmentVerdict {
	return r.add(epoch, message.Header{
		Type: message.TypeCertificate, Length: uint32(len(body)), Seq: seq,
		FragmentOffset: uint32(lo), FragmentLength: uint32(hi - lo),
	}, body[lo:hi])
}

// pagesOf is what pages take.
func (r *reassembly) pagesOf() (bytes int) {
	for _, list := range r.slots {
		for _, p := range list {
			bytes += len(p.pages) * pageSize
		}
	}
	return bytes
}

// sizeOf recounts what r.used keeps the sum of.
func (r *reassembly) sizeOf() (bytes int) {
	for _, list := range r.slots {
		for _, p := range list {
			bytes += len(p.pages)*pageSize + p.have.Len()*8
		}
	}
	return bytes
}

func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0xb0d4))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestJoinAnyCover: any cover of a message, with overlaps, duplicates and in
// any order, is the message; a bitmap says when.
func TestJoinAnyCover(t *testing.T) {
	t.Parallel()
	cases := uint64(100_000)
	if brief() {
		cases /= 20
	}
	text := noise(0, 4000)
	have := make([]bool, 1300)
	for seed := range cases {
		r := rand.New(rand.NewPCG(seed, 0xc0e4))
		n := 1 + r.IntN(1300)
		at := r.IntN(2000)
		body := text[at : at+n]
		clear(have)
		missing := n
		join := newJoin()
		for missing > 0 {
			lo := r.IntN(n)
			if r.IntN(2) == 0 {
				lo = slices.Index(have, false)
			}
			hi := min(n, lo+1+r.IntN(1+n/2))
			fresh := 0
			for i := lo; i < hi; i++ {
				if !have[i] {
					have[i] = true
					fresh++
				}
			}
			missing -= fresh
			want := fragmentKept
			if fresh == 0 {
				want = fragmentRepeated
			}
			if got := join.part(0, 5, body, lo, hi); got != want {
				t.Fatalf("seed %d: %d-%d of %d with %d new bytes: verdict %d, want %d", seed, lo, hi, n, fresh, got, want)
			}
			if _, ok := join.take(); ok != (missing == 0) {
				t.Fatalf("seed %d: complete %v with %d bytes missing", seed, ok, missing)
			}
		}
		m, _ := join.take()
		if !bytes.Equal(m.body(), body) || m.seq != 5 || m.typ != message.TypeCertificate {
			t.Fatalf("seed %d: another message came out", seed)
		}
		if join.accept(m); join.used != 0 || len(join.slots) != 0 || join.next != 6 {
			t.Fatalf("seed %d: %d bytes, %d slots left", seed, join.used, len(join.slots))
		}
	}
}

// TestJoinSingleBytes: 16 KiB in fragments of one byte cost one range and one
// page for 256 of them, in whichever order they come.
func TestJoinSingleBytes(t *testing.T) {
	const n = 16 << 10
	body := noise(1, n)
	for _, tt := range []struct {
		name string
		at   func(i int) int
	}{
		{"forwards", func(i int) int { return i }},
		{"backwards", func(i int) int { return n - 1 - i }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			allocs := testing.AllocsPerRun(1, func() {
				join := newJoin()
				for i := range n {
					at := tt.at(i)
					if v := join.part(0, 5, body, at, at+1); v != fragmentKept {
						t.Fatalf("byte %d: verdict %d", at, v)
					}
					if ranges := join.slots[5][0].have.Len(); ranges != 1 {
						t.Fatalf("%d ranges", ranges)
					}
				}
				if m, ok := join.take(); !ok || !bytes.Equal(m.body(), body) {
					t.Fatal("another message came out")
				}
			})
			if most := float64(n/pageSize + 40); allocs > most {
				t.Errorf("%v allocations, want at most %v", allocs, most)
			}
		})
	}
}

// TestJoinVerdicts walks a reassembly that awaits message 5 through fragments of
// a few messages. A piece is written epoch/seq:lo-hi of length, with the text
// it is taken from.
func TestJoinVerdicts(t *testing.T) {
	honest := noise(2, 1000)
	forged := noise(3, 1000)
	type piece struct {
		epoch, seq uint16
		text       []byte
		lo, hi     int
		want       fragmentVerdict
	}
	for _, tt := range []struct {
		name   string
		pieces []piece
		out    []byte // what message 5 is in the end, nil: incomplete
		memory int
	}{
		{"the awaited message", []piece{{0, 5, honest, 0, 1000, fragmentKept}}, honest, 1024},
		{"one that was complete before", []piece{{0, 4, honest, 0, 9, fragmentOld}, {0, 5 + 1<<15, honest, 0, 9, fragmentOld}}, nil, 0},
		{"the last of the window", []piece{{0, 20, honest, 0, 9, fragmentKept}}, nil, 256},
		{"one past the window", []piece{{0, 21, honest, 0, 9, fragmentNoRoom}}, nil, 0},
		{"a message over the limit", []piece{{0, 5, make([]byte, defaultMaxHandshakeSize+1), 0, 9, fragmentRefused}}, nil, 0},
		{"a message of exactly the limit", []piece{{0, 5, make([]byte, defaultMaxHandshakeSize), 0, 9, fragmentKept}}, nil, 256},
		{"an empty message", []piece{{0, 5, []byte{}, 0, 0, fragmentKept}}, []byte{}, 0},
		{"a contradiction begins a variant; what contradicts neither is kept in both", []piece{
			{0, 5, forged, 0, 300, fragmentKept}, {0, 5, honest, 0, 600, fragmentKept}, {0, 5, honest, 600, 1000, fragmentKept},
		}, honest, 1024 + 1024},
		{"so does another length", []piece{
			{0, 5, honest[:999], 0, 300, fragmentKept}, {0, 5, honest, 0, 1000, fragmentKept},
		}, honest, 512 + 1024},
		{"bytes beside each other contradict nothing, even on one page", []piece{
			{0, 5, honest, 0, 100, fragmentKept}, {0, 5, honest, 200, 1000, fragmentKept}, {0, 5, honest, 50, 250, fragmentKept},
		}, honest, 1024},
		{"a variant of a contradiction of a variant, and the fourth takes the place of the first", []piece{
			{0, 5, honest, 0, 10, fragmentKept},
			{0, 5, forged, 0, 10, fragmentKept},
			{0, 5, noise(4, 1000), 0, 10, fragmentKept},
			{0, 5, noise(5, 1000), 0, 10, fragmentKept},
			{0, 5, honest, 0, 10, fragmentKept},
			{0, 5, honest, 0, 10, fragmentRepeated},
		}, nil, 3 * 256},
		{"plaintext does not displace what a key vouched for", []piece{
			{1, 5, honest, 0, 500, fragmentKept}, {0, 5, forged, 0, 1000, fragmentRefused}, {1, 5, honest, 500, 1000, fragmentKept},
		}, honest, 1024},
		{"what a key vouches for displaces plaintext", []piece{
			{0, 5, forged, 0, 999, fragmentKept}, {0, 5, honest, 0, 999, fragmentKept}, {1, 5, honest, 0, 300, fragmentKept},
		}, nil, 512},
		{"the epochs of one message do not mix", []piece{
			{0, 5, honest, 0, 500, fragmentKept}, {1, 5, honest, 500, 1000, fragmentKept}, {0, 5, honest, 0, 500, fragmentRefused},
		}, nil, 3 * 256},
	} {
		t.Run(tt.name, func(t *testing.T) {
			join := newJoin()
			for i, p := range tt.pieces {
				if got := join.part(p.epoch, p.seq, p.text, p.lo, p.hi); got != p.want {
					t.Errorf("fragment %d: verdict %d, want %d", i, got, p.want)
				}
			}
			m, ok := join.take()
			if ok != (tt.out != nil) || ok && !bytes.Equal(m.body(), tt.out) {
				t.Errorf("message 5: complete %v", ok)
			}
			if join.used != join.sizeOf() || join.pagesOf() != tt.memory {
				t.Errorf("%d bytes in use, %d of %d in pages, want %d", join.used, join.pagesOf(), join.sizeOf(), tt.memory)
			}
			if ok {
				join.accept(m)
			} else {
				join.accept(&inMessage{typ: message.TypeCertificate, seq: 20})
			}
			if join.used != 0 || len(join.slots) != 0 {
				t.Errorf("%d bytes and %d slots outlive the message", join.used, len(join.slots))
			}
		})
	}
}

// TestJoinReject: a complete variant that turned out to be wrong makes way for
// the next one.
func TestJoinReject(t *testing.T) {
	honest, forged := noise(2, 600), noise(3, 600)
	join := newJoin()
	join.part(0, 5, forged, 0, 600)
	join.part(0, 5, honest, 0, 600)
	m, _ := join.take()
	if !bytes.Equal(m.body(), forged) {
		t.Fatal("the variant that was complete first does not come first")
	}
	join.reject(m)
	if join.used != 768+rangeSize {
		t.Errorf("%d bytes in use", join.used)
	}
	if m, _ = join.take(); m == nil || !bytes.Equal(m.body(), honest) {
		t.Fatal("the honest copy is not tried")
	}
	join.reject(m)
	if _, ok := join.take(); ok || join.used != 0 || len(join.slots) != 0 {
		t.Errorf("%d bytes, %d slots after both were refused", join.used, len(join.slots))
	}
}

// TestJoinWrap: message_seq is arithmetic of 16 bits.
func TestJoinWrap(t *testing.T) {
	body := noise(6, 10)
	join := &reassembly{next: 65530, limit: 4096}
	for i := range uint16(20) {
		seq := 65530 + i
		if v := join.part(0, seq, body, 0, 10); v != fragmentKept {
			t.Fatalf("message %d: verdict %d", seq, v)
		}
		m, ok := join.take()
		if !ok || m.seq != seq {
			t.Fatalf("message %d does not come out", seq)
		}
		join.accept(m)
		if v := join.part(0, seq, body, 0, 10); v != fragmentOld {
			t.Fatalf("message %d again: verdict %d", seq, v)
		}
	}
}

// TestJoinBegins: the first message of a peer may be any of the first four, but
// only of a type that can be the first.
func TestJoinBegins(t *testing.T) {
	for seq := range uint16(6) {
		join := &reassembly{free: true, limit: 4096, begins: message.SetOf(message.TypeServerHello, message.TypeHelloVerifyRequest)}
		join.part(0, 0, noise(7, 20), 0, 20) // a Certificate, out of place
		hello := message.Header{Type: message.TypeServerHello, Length: 20, Seq: seq, FragmentLength: 20}
		join.add(0, hello, noise(8, 20))
		m, ok := join.take()
		if ok != (seq < floating) {
			t.Fatalf("hello at %d: taken %v", seq, ok)
		}
		if !ok {
			continue
		}
		if m.typ != message.TypeServerHello || m.seq != seq {
			t.Errorf("%v at %d came out", m.typ, m.seq)
		}
		if join.accept(m); join.free || join.next != seq+1 || join.used != 0 {
			t.Errorf("after a hello at %d: free %v, next %d, %d bytes", seq, join.free, join.next, join.used)
		}
	}
	join := &reassembly{free: true, limit: 4096}
	if join.accept(&inMessage{typ: message.TypeHelloVerifyRequest}); !join.free {
		t.Error("a HelloVerifyRequest fixes the numbers, although its server has forgotten it")
	}
	if v := join.part(0, floating+window, noise(9, 9), 0, 9); v != fragmentRefused {
		t.Errorf("a message far ahead of any first one: verdict %d", v)
	}
}

// TestJoinLongestInDisorder: a message of the full limit completes in whatever
// order its fragments come, although those that do not touch cost memory too.
func TestJoinLongestInDisorder(t *testing.T) {
	body := noise(4, defaultMaxHandshakeSize)
	for _, size := range []int{100, 203, 1200} {
		join := newJoin()
		for first := range 2 { // every other one, then those between
			for lo := first * size; lo < len(body); lo += 2 * size {
				if v := join.part(0, 5, body, lo, min(lo+size, len(body))); v != fragmentKept {
					t.Fatalf("fragments of %d bytes: verdict %d at %d", size, v, lo)
				}
			}
		}
		if m, ok := join.take(); !ok || !bytes.Equal(m.body(), body) {
			t.Errorf("fragments of %d bytes: complete %v", size, ok)
		}
	}
}

// TestJoinFlood: whatever is sent, pages and ranges stay below the limit, and
// the slots below the window.
func TestJoinFlood(t *testing.T) {
	const limit = 8192
	for _, free := range []bool{false, true} {
		join := &reassembly{free: free, next: 5, limit: limit}
		r := rand.New(rand.NewPCG(1, 2))
		for i := range 1 << 18 {
			at := uint32(r.IntN(limit))
			join.add(uint16(r.IntN(2)), message.Header{
				Type: message.TypeCertificate, Length: limit - uint32(r.IntN(4)*4096), Seq: uint16(i),
				FragmentOffset: at % 4096, FragmentLength: 1,
			}, []byte{byte(r.Uint32())})
			if join.used > limit+pageSize+spareRanges*rangeSize || len(join.slots) > floating+window {
				t.Fatalf("free %v: %d bytes in %d slots", free, join.used, len(join.slots))
			}
		}
		if join.used != join.sizeOf() {
			t.Errorf("free %v: counts %d bytes, has %d", free, join.used, join.sizeOf())
		}
		for _, list := range join.slots {
			if len(list) > variants {
				t.Errorf("free %v: %d variants of a message", free, len(list))
			}
		}
	}
}

// TestJoinPastCrumbs: a flood of one-byte fragments that fills the memory does
// not keep an honest message out, wherever the crumbs were thrown.
func TestJoinPastCrumbs(t *testing.T) {
	for _, row := range []struct {
		name string
		seqs []uint16
	}{
		{"crumbs of messages ahead", []uint16{2, 3, 4, 5}},
		{"crumbs of the awaited message, of another length", []uint16{1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := reassembly{next: 1, limit: 64 << 10}
			for _, seq := range row.seqs {
				for at := uint32(0); at < 64<<10; at += pageSize {
					r.add(0, message.Header{Type: message.TypeCertificate, Length: 64 << 10, Seq: seq, FragmentOffset: at, FragmentLength: 1}, []byte{9})
				}
			}
			if r.used < r.limit {
				t.Fatalf("only %d bytes used: not a flood", r.used)
			}
			body := bytes.Repeat([]byte("honest "), 900)
			for at := 0; at < len(body); at += 500 {
				part := body[at:min(at+500, len(body))]
				h := message.Header{Type: message.TypeCertificate, Length: uint32(len(body)), Seq: 1, FragmentOffset: uint32(at), FragmentLength: uint32(len(part))}
				if v := r.add(0, h, part); v != fragmentKept {
					t.Fatalf("fragment at %d: verdict %v", at, v)
				}
			}
			m, ok := r.take()
			if !ok || !bytes.Equal(m.body(), body) {
				t.Fatal("the honest message is not there")
			}
			if r.used > r.limit+pageSize {
				t.Errorf("%d bytes used of %d", r.used, r.limit)
			}
		})
	}
}

// TestJoinEveryOtherByte: what knows which bytes are there is bounded too.
func TestJoinEveryOtherByte(t *testing.T) {
	r := reassembly{next: 1, limit: 64 << 10}
	for at := uint32(0); at < 60<<10; at += 2 {
		r.add(0, message.Header{Type: message.TypeCertificate, Length: 60 << 10, Seq: 1, FragmentOffset: at, FragmentLength: 1}, []byte{9})
	}
	if n := r.slots[1][0].have.Len(); n > maxRanges {
		t.Errorf("%d ranges", n)
	}
}
