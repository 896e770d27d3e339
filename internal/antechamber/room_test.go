package antechamber

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

var (
	start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	guest = netip.MustParseAddrPort("192.0.2.1:40000")
)

// newRoom has a seed that a test can print and repeat.
func newRoom(seed uint64) *Room {
	var s [32]byte
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 7}).Read(s[:])
	return New(s)
}

// hello is a body whose bytes tell where they belong.
func hello(n int, variant byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7+i>>8) ^ variant
	}
	return b
}

// piece cuts a fragment out of a body.
func piece(body []byte, lo, hi int) Fragment {
	return Fragment{Offset: uint32(lo), Body: body[lo:hi], Record: 1, Size: hi - lo + 25}
}

func keyOf(body []byte) Key { return Key{From: guest, Length: uint32(len(body))} }

// one is Add where only one hello is expected.
func one(t *testing.T, r *Room, now time.Time, k Key, f Fragment) *Hello {
	t.Helper()
	found := r.Add(now, k, f)
	if len(found) != 1 {
		t.Fatalf("%d hellos", len(found))
	}
	return found[0]
}

// TestJoin: any order, overlaps and repetitions.
func TestJoin(t *testing.T) {
	body := hello(1000, 0)
	type cut struct{ lo, hi, prefix int } // prefix: afterwards
	for name, cuts := range map[string][]cut{
		"in order":    {{0, 400, 400}, {400, 800, 800}, {800, 1000, 1000}},
		"backwards":   {{800, 1000, 0}, {400, 800, 0}, {0, 400, 1000}},
		"twice":       {{0, 400, 400}, {0, 400, 400}, {400, 1000, 1000}, {400, 1000, 1000}},
		"other cuts":  {{0, 400, 400}, {600, 1000, 400}, {0, 200, 400}, {200, 500, 500}, {500, 1000, 1000}},
		"overlapping": {{100, 700, 0}, {600, 1000, 0}, {0, 300, 1000}},
		"a short end": {{0, 999, 999}, {999, 1000, 1000}},
		"whole":       {{0, 1000, 1000}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(1)
			for _, c := range cuts {
				h := one(t, r, start, keyOf(body), piece(body, c.lo, c.hi))
				if !bytes.Equal(h.Prefix(), body[:c.prefix]) || h.Complete() != (c.prefix == len(body)) {
					t.Fatalf("after [%d, %d): prefix of %d bytes, complete %v", c.lo, c.hi, len(h.Prefix()), h.Complete())
				}
				for at, b := range h.Pieces() {
					if !bytes.Equal(b, body[at:int(at)+len(b)]) {
						t.Errorf("piece at %d is not what was sent", at)
					}
				}
			}
		})
	}
}

func TestFits(t *testing.T) {
	body := make([]byte, MaxHello+1)
	for _, test := range []struct {
		lo, hi, length int
		want           bool
	}{
		{0, MinFragment, 1000, true},
		{0, MinFragment - 1, 1000, false},
		{1, MinFragment, 1000, false},
		{999, 1000, 1000, true}, // the last byte
		{998, 999, 1000, false},
		{0, 4096, 4096, true},
		{0, 1000, 4097, false},
		{10, 10, 1000, false},
		{1000, 1000, 1000, false},
	} {
		if got := Fits(Key{Length: uint32(test.length)}, piece(body, test.lo, test.hi)); got != test.want {
			t.Errorf("[%d, %d) of %d: %v", test.lo, test.hi, test.length, got)
		}
	}
}

// TestKeys: what differs in the address or in what it says of the whole is
// another hello; the two ways of writing an IPv4 address are not.
func TestKeys(t *testing.T) {
	body := hello(1000, 0)
	k := keyOf(body)
	for name, change := range map[string]func(k *Key){
		"port":    func(k *Key) { k.From = netip.MustParseAddrPort("192.0.2.1:40001") },
		"address": func(k *Key) { k.From = netip.MustParseAddrPort("192.0.2.2:40000") },
		"network": func(k *Key) { k.From = netip.MustParseAddrPort("[2001:db8::1]:40000") },
		"zone":    func(k *Key) { k.From = netip.MustParseAddrPort("[fe80::1%eth0]:40000") },
		"none":    func(k *Key) { k.From = netip.AddrPort{} },
		"length":  func(k *Key) { k.Length++ },
		"number":  func(k *Key) { k.Seq++ },
	} {
		r := newRoom(2)
		other := k
		change(&other)
		for _, k := range []Key{k, other} {
			if h := one(t, r, start, k, piece(body, 0, 500)); h.Len() != 500 {
				t.Errorf("%s: %d bytes", name, h.Len())
			}
		}
		for _, k := range []Key{k, other} {
			if h := one(t, r, start, k, piece(body, 500, 900)); h.Len() != 900 {
				t.Errorf("%s: %d bytes", name, h.Len())
			}
		}
	}
	r := newRoom(2)
	one(t, r, start, k, piece(body, 0, 500))
	k.From = netip.MustParseAddrPort("[::ffff:192.0.2.1]:40000")
	if h := one(t, r, start, k, piece(body, 500, 1000)); !h.Complete() {
		t.Error("a mapped address is another one")
	}
}

// TestContradictions: forged bytes and honest ones are kept apart, and what
// agrees with both goes to both.
func TestContradictions(t *testing.T) {
	honest, forged := hello(1000, 0), hello(1000, 0x55)
	copy(forged[700:], honest[700:])
	r := newRoom(3)
	k := keyOf(honest)
	one(t, r, start, k, piece(forged, 0, 400))
	one(t, r, start, k, piece(honest, 0, 400))
	if found := r.Add(start, k, piece(honest, 700, 1000)); len(found) != 2 {
		t.Fatalf("%d hellos have the end", len(found))
	}
	if h := one(t, r, start, k, piece(forged, 300, 800)); !bytes.Equal(h.Prefix(), forged) {
		t.Error("the forged hello did not come together")
	}
	if h := one(t, r, start, k, piece(honest, 300, 800)); !bytes.Equal(h.Prefix(), honest) || !h.Complete() {
		t.Error("the honest hello did not come together")
	}
}

// TestForeignRecordNumbers: a fragment that agrees, with a record number that
// is far off, does not lead a server to go on from there.
func TestForeignRecordNumbers(t *testing.T) {
	body := hello(1000, 0)
	r := newRoom(4)
	k := keyOf(body)
	for _, record := range []uint64{1<<48 - 1, 10, 10 + recordSpan, 11 + recordSpan} {
		f := piece(body, 0, 500)
		f.Record = record
		if h := one(t, r, start, k, f); h.Record() != record {
			t.Errorf("record %d: the largest is %d", record, h.Record())
		}
	}
	end := piece(body, 500, 1000)
	end.Record = 11
	found := r.Add(start, k, end)
	for _, h := range found {
		if !h.Complete() || h.Record() > 11+recordSpan {
			t.Errorf("complete %v, largest %d", h.Complete(), h.Record())
		}
	}
	if len(found) != 2 {
		t.Errorf("%d hellos have the end", len(found))
	}
}

// TestLife: a second from the first fragment, however many follow; a clock that
// goes back ends it.
func TestLife(t *testing.T) {
	body := hello(1000, 0)
	for _, test := range []struct {
		after time.Duration
		len   int // of the hello that has the second fragment
	}{
		{0, 700}, {Life - 1, 700}, {Life, 200}, {time.Hour, 200}, {-1, 200},
	} {
		r := newRoom(5)
		one(t, r, start, keyOf(body), piece(body, 0, 500))
		if h := one(t, r, start.Add(test.after), keyOf(body), piece(body, 500, 700)); h.Len() != test.len {
			t.Errorf("after %v: %d bytes", test.after, h.Len())
		}
	}
	r := newRoom(5)
	for i := range 10 { // the later ones do not prolong it
		h := one(t, r, start.Add(time.Duration(i)*200*time.Millisecond), keyOf(body), piece(body, 0, 500))
		if want := start.Add(time.Duration(i/5) * Life); !h.since.Equal(want) {
			t.Errorf("fragment %d: since %v", i, h.since.Sub(start))
		}
	}
}

func TestLeave(t *testing.T) {
	body := hello(1000, 0)
	r := newRoom(6)
	one(t, r, start, keyOf(body), piece(body, 0, 500)).Leave()
	if h := one(t, r, start, keyOf(body), piece(body, 500, 700)); h.Len() != 200 {
		t.Errorf("%d bytes, of a hello that has left too", h.Len())
	}
}

// TestPay: three times what came in, whatever copies of it are held.
func TestPay(t *testing.T) {
	body := hello(1000, 0)
	r := newRoom(7)
	k := keyOf(body)
	in, out := 0, 0
	answers := 0
	for variant := range byte(6) {
		first := hello(1000, variant)
		for _, f := range []Fragment{piece(first, 0, 100), piece(body, 900, 1000)} {
			in += f.Size
			for _, h := range r.Add(start, k, f) {
				for _, n := range []int{100, 30, 7, 1} {
					for h.Pay(n) {
						out += n
						answers++
					}
				}
				if !h.Answered() && h.out > 0 {
					t.Error("paid and not answered")
				}
			}
			if out > 3*in {
				t.Fatalf("%d bytes for %d", out, in)
			}
		}
	}
	if answers == 0 || out < 3*in-12 {
		t.Errorf("%d bytes for %d", out, in)
	}
}

// TestReplacement: of nine strangers from one network one loses his place, and
// not the one who has brought more.
func TestReplacement(t *testing.T) {
	body := hello(1000, 0)
	neighbour := func(i int) Key {
		k := keyOf(body)
		k.From = netip.AddrPortFrom(guest.Addr(), uint16(i))
		return k
	}
	lost := [places]int{}
	const rounds = 4000
	for seed := range uint64(rounds) {
		r := newRoom(seed)
		for i := range places {
			one(t, r, start, neighbour(i), piece(body, 0, 500))
		}
		one(t, r, start, neighbour(0), piece(body, 500, 600))
		one(t, r, start, neighbour(1), piece(body, 0, 500)).answered = true
		one(t, r, start, neighbour(places), piece(body, 0, 500))
		still := 0
		for i, h := range r.bucketOf(guest.Addr()) {
			if h.key == neighbour(i) {
				still++
			} else {
				lost[i]++
			}
		}
		if still != places-1 {
			t.Fatalf("seed %d: %d are left", seed, still)
		}
	}
	if lost[0] > 0 {
		t.Errorf("the one with two fragments lost %d times", lost[0])
	}
	if lost[1] < rounds/5 || lost[1] > rounds*3/10 { // picked by one of two: 1/4
		t.Errorf("the one with an answer lost %d of %d times", lost[1], rounds)
	}
	for i, n := range lost[2:] {
		if n < rounds/12 || n > rounds/6 {
			t.Errorf("number %d lost %d of %d times", i+2, n, rounds)
		}
	}
}

// TestNetworksShareABucket: /24 and /56, so that a sender with many addresses of
// one network is a nuisance to that alone.
func TestNetworksShareABucket(t *testing.T) {
	r := newRoom(8)
	same := func(a, b string) bool {
		return r.bucketOf(netip.MustParseAddr(a)) == r.bucketOf(netip.MustParseAddr(b))
	}
	for _, pair := range [][2]string{
		{"192.0.2.1", "192.0.2.254"},
		{"2001:db8:1:ff00::1", "2001:db8:1:ffff:1234::1"},
		{"fe80::1%eth0", "fe80::1%eth1"},
	} {
		if !same(pair[0], pair[1]) {
			t.Errorf("%s and %s are apart", pair[0], pair[1])
		}
	}
	together := 0
	for i := range 256 {
		if same("192.0.2.1", fmt.Sprintf("192.0.%d.1", i)) {
			together++
		}
		if same("2001:db8::1", fmt.Sprintf("2001:db8:0:%x00::1", i)) {
			together++
		}
	}
	if together > 20 { // 2 themselves, 4 by chance
		t.Errorf("%d of 512 networks share a bucket", together)
	}
}

// TestMemory is bounded by what there are places for, taken as they are used,
// and then not again.
func TestMemory(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	body := hello(MaxHello, 0)
	rng := rand.New(rand.NewPCG(9, 0))
	var buf [16]byte
	stranger := func(r *Room, now time.Time) {
		for i := range buf {
			buf[i] = byte(rng.Uint32())
		}
		k := Key{From: netip.AddrPortFrom(netip.AddrFrom16(buf), uint16(rng.Uint32())), Length: MaxHello, Seq: uint16(rng.IntN(4))}
		for lo := rng.IntN(70); lo+MinFragment < MaxHello; lo += MinFragment + 1 + rng.IntN(900) { // gaps, so that there are many ranges
			r.Add(now, k, piece(body, lo, lo+MinFragment))
		}
	}
	before := heap()
	r := newRoom(9)
	r.Add(start, keyOf(body), piece(body, 0, 500))
	if grown := heap() - before; grown > 16<<10 {
		t.Errorf("the first fragment costs %d bytes", grown)
	}
	now := start
	const most = buckets * places * (MaxHello + 1024)
	for range 30_000 {
		now = now.Add(100 * time.Microsecond)
		stranger(r, now)
	}
	if grown := heap() - before; grown > most {
		t.Errorf("30000 strangers cost %d bytes", grown)
	} else {
		t.Logf("30000 strangers: %d bytes", grown)
	}
	runtime.KeepAlive(r)
}

func TestNoAllocations(t *testing.T) {
	body := hello(1600, 0)
	r := newRoom(10)
	k := keyOf(body)
	n := 0
	visit := func() {
		n++
		k.From = netip.AddrPortFrom(guest.Addr(), uint16(n))
		for lo := 1500; lo >= 0; lo -= 200 { // eight ranges
			for _, h := range r.Add(start, k, piece(body, lo, lo+MinFragment)) {
				h.Prefix()
				h.Complete()
			}
		}
	}
	for range 200 { // every place has been used
		visit()
	}
	if allocs := testing.AllocsPerRun(1000, visit); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkAdd(b *testing.B) {
	body := hello(1600, 0)
	r := newRoom(11)
	rng := rand.New(rand.NewPCG(11, 0))
	b.ReportAllocs()
	for b.Loop() {
		a := rng.Uint32()
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), 1)
		r.Add(start, Key{From: from, Length: 1600}, piece(body, 0, 1200))
	}
}

func Example() {
	body := make([]byte, 1600) // a ClientHello's
	k := Key{From: netip.MustParseAddrPort("192.0.2.1:40000"), Length: 1600}
	room := New([32]byte{1, 2, 3}) // a secret
	now := time.Now()
	for _, h := range room.Add(now, k, Fragment{Offset: 1200, Body: body[1200:], Record: 1, Size: 425}) {
		fmt.Println(len(h.Prefix()), h.Complete())
	}
	for _, h := range room.Add(now, k, Fragment{Body: body[:1200], Record: 0, Size: 1225}) {
		fmt.Println(len(h.Prefix()), h.Complete())
		h.Leave()
	}
	// Output:
	// 0 false
	// 1600 true
}

// TestBegun: a hello has begun when its first byte is here, until it leaves or its
// time is up.
func TestBegun(t *testing.T) {
	body := hello(1000, 0)
	k, other := keyOf(body), keyOf(body)
	other.Seq = 1
	r := newRoom(1)
	one(t, r, start, k, piece(body, 400, 1000))
	if r.Begun(start, k) {
		t.Error("begun by its end")
	}
	h := one(t, r, start, k, piece(body, 0, 400))
	mapped := k
	mapped.From = netip.AddrPortFrom(netip.AddrFrom16(k.From.Addr().As16()), k.From.Port())
	if !r.Begun(start, k) || !r.Begun(start, mapped) || r.Begun(start, other) || r.Begun(start.Add(Life), k) {
		t.Error("not begun, or another one is, or for too long")
	}
	if h.Leave(); r.Begun(start, k) {
		t.Error("begun although it has left")
	}
}
