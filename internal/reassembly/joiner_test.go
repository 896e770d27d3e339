package reassembly

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/message"
)

// newJoin is a Joiner that awaits message 5.
func newJoin() *Joiner { return &Joiner{next: 5, limit: 64 << 10} }

// part adds bytes lo to hi of a body to message seq.
func (r *Joiner) part(epoch, seq uint16, body []byte, lo, hi int) Verdict {
	return r.Add(epoch, message.Header{
		Type: message.TypeCertificate, Length: uint32(len(body)), Seq: seq,
		FragmentOffset: uint32(lo), FragmentLength: uint32(hi - lo),
	}, body[lo:hi])
}

// pagesOf is what pages take.
func (r *Joiner) pagesOf() (bytes int) {
	for _, slot := range r.slots {
		list := slot.list
		for _, p := range list {
			bytes += len(p.pages) * pageSize
		}
	}
	return bytes
}

// sizeOf recounts what r.used keeps the sum of.
func (r *Joiner) sizeOf() (bytes int) {
	for _, slot := range r.slots {
		list := slot.list
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
	if testing.Short() {
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
			want := Kept
			if fresh == 0 {
				want = Repeated
			}
			if got := join.part(0, 5, body, lo, hi); got != want {
				t.Fatalf("seed %d: %d-%d of %d with %d new bytes: verdict %d, want %d", seed, lo, hi, n, fresh, got, want)
			}
			if _, ok := join.Take(); ok != (missing == 0) {
				t.Fatalf("seed %d: complete %v with %d bytes missing", seed, ok, missing)
			}
		}
		m, _ := join.Take()
		if !bytes.Equal(m.Body(), body) || m.Seq != 5 || m.Type != message.TypeCertificate {
			t.Fatalf("seed %d: another message came out", seed)
		}
		if join.Accept(m); join.used != 0 || len(join.slots) != 0 || join.next != 6 {
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
					if v := join.part(0, 5, body, at, at+1); v != Kept {
						t.Fatalf("byte %d: verdict %d", at, v)
					}
					if ranges := join.of(5)[0].have.Len(); ranges != 1 {
						t.Fatalf("%d ranges", ranges)
					}
				}
				if m, ok := join.Take(); !ok || !bytes.Equal(m.Body(), body) {
					t.Fatal("another message came out")
				}
			})
			if most := float64(n/pageSize + 40); allocs > most {
				t.Errorf("%v allocations, want at most %v", allocs, most)
			}
		})
	}
}

// TestJoinVerdicts walks a Joiner that awaits message 5 through fragments of
// a few messages. A piece is written epoch/seq:lo-hi of length, with the text
// it is taken from.
func TestJoinVerdicts(t *testing.T) {
	honest := noise(2, 1000)
	forged := noise(3, 1000)
	type piece struct {
		epoch, seq uint16
		text       []byte
		lo, hi     int
		want       Verdict
	}
	for _, tt := range []struct {
		name   string
		pieces []piece
		out    []byte // what message 5 is in the end, nil: incomplete
		memory int
	}{
		{"the awaited message", []piece{{0, 5, honest, 0, 1000, Kept}}, honest, 1024},
		{"one that was complete before", []piece{{0, 4, honest, 0, 9, Old}, {0, 5 + 1<<15, honest, 0, 9, Old}}, nil, 0},
		{"the last of the Window", []piece{{0, 20, honest, 0, 9, Kept}}, nil, 256},
		{"one past the Window", []piece{{0, 21, honest, 0, 9, NoRoom}}, nil, 0},
		{"a message over the limit", []piece{{0, 5, make([]byte, 64<<10+1), 0, 9, TooLong}}, nil, 0},
		{"one that was complete before, or is not awaited yet", []piece{
			{0, 4, make([]byte, 64<<10+1), 0, 9, Refused}, {0, 5 + Window, make([]byte, 64<<10+1), 0, 9, Refused},
		}, nil, 0},
		{"a message of exactly the limit", []piece{{0, 5, make([]byte, 64<<10), 0, 9, Kept}}, nil, 256},
		{"an empty message", []piece{{0, 5, []byte{}, 0, 0, Kept}}, []byte{}, 0},
		{"a contradiction begins a variant; what contradicts neither is kept in both", []piece{
			{0, 5, forged, 0, 300, Kept}, {0, 5, honest, 0, 600, Kept}, {0, 5, honest, 600, 1000, Kept},
		}, honest, 1024 + 1024},
		{"so does another length", []piece{
			{0, 5, honest[:999], 0, 300, Kept}, {0, 5, honest, 0, 1000, Kept},
		}, honest, 512 + 1024},
		{"bytes beside each other contradict nothing, even on one page", []piece{
			{0, 5, honest, 0, 100, Kept}, {0, 5, honest, 200, 1000, Kept}, {0, 5, honest, 50, 250, Kept},
		}, honest, 1024},
		{"a variant of a contradiction of a variant, and the fourth takes the place of the first", []piece{
			{0, 5, honest, 0, 10, Kept},
			{0, 5, forged, 0, 10, Kept},
			{0, 5, noise(4, 1000), 0, 10, Kept},
			{0, 5, noise(5, 1000), 0, 10, Kept},
			{0, 5, honest, 0, 10, Kept},
			{0, 5, honest, 0, 10, Repeated},
		}, nil, 3 * 256},
		{"plaintext does not displace what a key vouched for", []piece{
			{1, 5, honest, 0, 500, Kept}, {0, 5, forged, 0, 1000, Refused}, {1, 5, honest, 500, 1000, Kept},
		}, honest, 1024},
		{"what a key vouches for displaces plaintext", []piece{
			{0, 5, forged, 0, 999, Kept}, {0, 5, honest, 0, 999, Kept}, {1, 5, honest, 0, 300, Kept},
		}, nil, 512},
		{"the epochs of one message do not mix", []piece{
			{0, 5, honest, 0, 500, Kept}, {1, 5, honest, 500, 1000, Kept}, {0, 5, honest, 0, 500, Refused},
		}, nil, 3 * 256},
	} {
		t.Run(tt.name, func(t *testing.T) {
			join := newJoin()
			for i, p := range tt.pieces {
				if got := join.part(p.epoch, p.seq, p.text, p.lo, p.hi); got != p.want {
					t.Errorf("fragment %d: verdict %d, want %d", i, got, p.want)
				}
			}
			m, ok := join.Take()
			if ok != (tt.out != nil) || ok && !bytes.Equal(m.Body(), tt.out) {
				t.Errorf("message 5: complete %v", ok)
			}
			if join.used != join.sizeOf() || join.pagesOf() != tt.memory {
				t.Errorf("%d bytes in use, %d of %d in pages, want %d", join.used, join.pagesOf(), join.sizeOf(), tt.memory)
			}
			if ok {
				join.Accept(m)
			} else {
				join.Accept(&Message{Type: message.TypeCertificate, Seq: 20})
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
	m, _ := join.Take()
	if !bytes.Equal(m.Body(), forged) {
		t.Fatal("the variant that was complete first does not come first")
	}
	join.Reject(m)
	if join.used != 768+rangeSize {
		t.Errorf("%d bytes in use", join.used)
	}
	if m, _ = join.Take(); m == nil || !bytes.Equal(m.Body(), honest) {
		t.Fatal("the honest copy is not tried")
	}
	join.Reject(m)
	if _, ok := join.Take(); ok || join.used != 0 || len(join.slots) != 0 {
		t.Errorf("%d bytes, %d slots after both were refused", join.used, len(join.slots))
	}
}

// TestJoinWrap: message_seq is arithmetic of 16 bits.
func TestJoinWrap(t *testing.T) {
	body := noise(6, 10)
	join := &Joiner{next: 65530, limit: 4096}
	for i := range uint16(20) {
		seq := 65530 + i
		if v := join.part(0, seq, body, 0, 10); v != Kept {
			t.Fatalf("message %d: verdict %d", seq, v)
		}
		m, ok := join.Take()
		if !ok || m.Seq != seq {
			t.Fatalf("message %d does not come out", seq)
		}
		join.Accept(m)
		if v := join.part(0, seq, body, 0, 10); v != Old {
			t.Fatalf("message %d again: verdict %d", seq, v)
		}
	}
}

// TestJoinBegins: the first message of a peer may be any of the first four, but
// only of a type that can be the first.
func TestJoinBegins(t *testing.T) {
	for seq := range uint16(6) {
		join := &Joiner{free: true, limit: 4096, begins: message.SetOf(message.TypeServerHello, message.TypeHelloVerifyRequest)}
		join.part(0, 0, noise(7, 20), 0, 20) // a Certificate, out of place
		hello := message.Header{Type: message.TypeServerHello, Length: 20, Seq: seq, FragmentLength: 20}
		join.Add(0, hello, noise(8, 20))
		m, ok := join.Take()
		if ok != (seq < Floating) {
			t.Fatalf("hello at %d: taken %v", seq, ok)
		}
		if !ok {
			continue
		}
		if m.Type != message.TypeServerHello || m.Seq != seq {
			t.Errorf("%v at %d came out", m.Type, m.Seq)
		}
		if join.Accept(m); join.free || join.next != seq+1 || join.used != 0 {
			t.Errorf("after a hello at %d: free %v, next %d, %d bytes", seq, join.free, join.next, join.used)
		}
	}
	join := &Joiner{free: true, limit: 4096}
	if join.Accept(&Message{Type: message.TypeHelloVerifyRequest}); !join.free {
		t.Error("a HelloVerifyRequest fixes the numbers, although its server has forgotten it")
	}
	if v := join.part(0, Floating+Window, noise(9, 9), 0, 9); v != Refused {
		t.Errorf("a message far ahead of any first one: verdict %d", v)
	}
}

// TestJoinLongestInDisorder: a message of the full limit completes in whatever
// order its fragments come, although those that do not touch cost memory too.
func TestJoinLongestInDisorder(t *testing.T) {
	body := noise(4, 64<<10)
	for _, size := range []int{100, 203, 1200} {
		join := newJoin()
		for first := range 2 { // every other one, then those between
			for lo := first * size; lo < len(body); lo += 2 * size {
				if v := join.part(0, 5, body, lo, min(lo+size, len(body))); v != Kept {
					t.Fatalf("fragments of %d bytes: verdict %d at %d", size, v, lo)
				}
			}
		}
		if m, ok := join.Take(); !ok || !bytes.Equal(m.Body(), body) {
			t.Errorf("fragments of %d bytes: complete %v", size, ok)
		}
	}
}

// TestJoinFlood: whatever is sent, pages and ranges stay below the limit, and
// the slots below the Window.
func TestJoinFlood(t *testing.T) {
	const limit = 8192
	for _, free := range []bool{false, true} {
		join := &Joiner{free: free, next: 5, limit: limit}
		r := rand.New(rand.NewPCG(1, 2))
		for i := range 1 << 18 {
			at := uint32(r.IntN(limit))
			join.Add(uint16(r.IntN(2)), message.Header{
				Type: message.TypeCertificate, Length: limit - uint32(r.IntN(4)*4096), Seq: uint16(i),
				FragmentOffset: at % 4096, FragmentLength: 1,
			}, []byte{byte(r.Uint32())})
			if join.used > limit+pageSize+spareRanges*rangeSize || len(join.slots) > Floating+Window {
				t.Fatalf("free %v: %d bytes in %d slots", free, join.used, len(join.slots))
			}
		}
		if join.used != join.sizeOf() {
			t.Errorf("free %v: counts %d bytes, has %d", free, join.used, join.sizeOf())
		}
		for _, slot := range join.slots {
			list := slot.list
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
			r := Joiner{next: 1, limit: 64 << 10}
			for _, seq := range row.seqs {
				for at := uint32(0); at < 64<<10; at += pageSize {
					r.Add(0, message.Header{Type: message.TypeCertificate, Length: 64 << 10, Seq: seq, FragmentOffset: at, FragmentLength: 1}, []byte{9})
				}
			}
			if r.used < r.limit {
				t.Fatalf("only %d bytes used: not a flood", r.used)
			}
			body := bytes.Repeat([]byte("honest "), 900)
			for at := 0; at < len(body); at += 500 {
				part := body[at:min(at+500, len(body))]
				h := message.Header{Type: message.TypeCertificate, Length: uint32(len(body)), Seq: 1, FragmentOffset: uint32(at), FragmentLength: uint32(len(part))}
				if v := r.Add(0, h, part); v != Kept {
					t.Fatalf("fragment at %d: verdict %v", at, v)
				}
			}
			m, ok := r.Take()
			if !ok || !bytes.Equal(m.Body(), body) {
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
	r := Joiner{next: 1, limit: 64 << 10}
	for at := uint32(0); at < 60<<10; at += 2 {
		r.Add(0, message.Header{Type: message.TypeCertificate, Length: 60 << 10, Seq: 1, FragmentOffset: at, FragmentLength: 1}, []byte{9})
	}
	if n := r.of(1)[0].have.Len(); n > maxRanges {
		t.Errorf("%d ranges", n)
	}
}

// TestEmptyMessageTwice: a copy of an empty message that waits for its turn brings
// nothing new.
func TestEmptyMessageTwice(t *testing.T) {
	r := New(message.SetOf(message.TypeServerHello), 1000)
	r.Await(1)
	done := message.Header{Type: message.TypeServerHelloDone, Seq: 3}
	for i, want := range []Verdict{Kept, Repeated, Repeated} {
		if got := r.Add(0, done, nil); got != want {
			t.Errorf("copy %d: %v, want %v", i, got, want)
		}
	}
}
