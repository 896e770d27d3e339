package cookie

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var (
	start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	peer  = netip.MustParseAddrPort("192.0.2.1:5684")

	version = []byte{0xfe, 0xfd}
	random  = bytes.Repeat([]byte{7}, 32)
	suites  = []byte{0xc0, 0x2b, 0xc0, 0x2f}
)

func newJar(t testing.TB, secrets ...[]byte) *Jar {
	t.Helper()
	j, err := NewJar(start, secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestOwnCookieIsGood(t *testing.T) {
	j := newJar(t)
	prefix := []byte("before")
	out := j.Mint(prefix, start, peer, version, random, suites)
	if len(out) != len(prefix)+Len || !bytes.HasPrefix(out, prefix) {
		t.Fatalf("Mint made %x", out)
	}
	rtt, known, ok := j.Check(start.Add(37*time.Millisecond), out[len(prefix):], peer, version, random, suites)
	if !ok || !known || rtt != 37*time.Millisecond {
		t.Errorf("Check = %v, %v, %v", rtt, known, ok)
	}
}

func TestNothingCovered(t *testing.T) {
	j := newJar(t)
	if _, _, ok := j.Check(start, j.Mint(nil, start, peer), peer); !ok {
		t.Error("refused")
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	j := newJar(t)
	cookie := j.Mint(nil, start, peer, version, random)
	for bit := range 8 * Len {
		bad := bytes.Clone(cookie)
		bad[bit/8] ^= 1 << (bit % 8)
		refused(t, j, bad, peer, version, random)
	}
}

func TestEveryOtherLengthIsRefused(t *testing.T) {
	j := newJar(t)
	cookie := j.Mint(nil, start, peer, version, random)
	long := append(bytes.Clone(cookie), make([]byte, 256)...)
	repeated := bytes.Repeat(cookie, 20)
	refused(t, j, nil, peer, version, random)
	for n := range 256 {
		if n == Len {
			continue
		}
		refused(t, j, long[:n], peer, version, random)
		refused(t, j, repeated[:n], peer, version, random)
		refused(t, j, make([]byte, n), peer, version, random)
	}
	refused(t, j, make([]byte, Len), peer, version, random)
}

func TestCookieIsBound(t *testing.T) {
	j := newJar(t)
	linkLocal := netip.MustParseAddrPort("[fe80::1%eth0]:5684")
	for _, test := range []struct {
		name    string
		addr    netip.AddrPort // Mint's
		covered [][]byte       // Check's, Mint's are version, random, suites
		other   netip.AddrPort // Check's
	}{
		{"to the address", peer, [][]byte{version, random, suites}, netip.MustParseAddrPort("192.0.2.2:5684")},
		{"to the port", peer, [][]byte{version, random, suites}, netip.MustParseAddrPort("192.0.2.1:5685")},
		{"to the zone", linkLocal, [][]byte{version, random, suites}, netip.MustParseAddrPort("[fe80::1%eth1]:5684")},
		{"to there being a zone", linkLocal, [][]byte{version, random, suites}, netip.MustParseAddrPort("[fe80::1]:5684")},
		{"to an address at all", peer, [][]byte{version, random, suites}, netip.AddrPort{}},
		{"to the bytes of each part", peer, [][]byte{{0xfe, 0xff}, random, suites}, peer},
		{"to the order of the parts", peer, [][]byte{random, version, suites}, peer},
		{"to the number of parts, less", peer, [][]byte{version, random}, peer},
		{"to the number of parts, more", peer, [][]byte{version, random, suites, {}}, peer},
		{"to where one part ends and the next begins", peer, [][]byte{append(bytes.Clone(version), random[0]), random[1:], suites}, peer},
		{"to the parts not being one", peer, [][]byte{bytes.Join([][]byte{version, random, suites}, nil)}, peer},
		{"to anything covered", peer, nil, peer},
	} {
		t.Run(test.name, func(t *testing.T) {
			cookie := j.Mint(nil, start, test.addr, version, random, suites)
			if _, _, ok := j.Check(start, cookie, test.addr, version, random, suites); !ok {
				t.Fatal("refused where it is good")
			}
			refused(t, j, cookie, test.other, test.covered...)
		})
	}
}

// A dual-stack socket may report the same peer in two ways.
func TestMappedAddressIsTheSame(t *testing.T) {
	j := newJar(t)
	cookie := j.Mint(nil, start, peer, version)
	if _, _, ok := j.Check(start, cookie, netip.MustParseAddrPort("[::ffff:192.0.2.1]:5684"), version); !ok {
		t.Error("refused")
	}
}

// Parts and zones may be longer than what is hashed at once.
func TestLongParts(t *testing.T) {
	j := newJar(t)
	zoned := netip.AddrPortFrom(netip.MustParseAddr("fe80::1").WithZone(string(bytes.Repeat([]byte{'z'}, 300))), 1)
	for size := range 700 {
		part := make([]byte, size)
		cookie := j.Mint(nil, start, zoned, part, version)
		if _, _, ok := j.Check(start, cookie, zoned, part, version); !ok {
			t.Fatalf("part of %d bytes: refused", size)
		}
		if size > 0 {
			part[size-1] = 1
			refused(t, j, cookie, zoned, part, version)
		}
	}
}

func TestOtherSecretsAreRefused(t *testing.T) {
	cookie := newJar(t).Mint(nil, start, peer, version)
	refused(t, newJar(t), cookie, peer, version)

	a, b := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	cookie = newJar(t, a).Mint(nil, start, peer, version)
	refused(t, newJar(t, b), cookie, peer, version)
}

func TestSharedSecret(t *testing.T) {
	secret := bytes.Repeat([]byte{1}, 32)
	a, b := newJar(t, secret), newJar(t, secret)
	a.node, b.node = 1, 2
	cookie := a.Mint(nil, start, peer, version)
	later := start.Add(5 * time.Second)
	if rtt, known, ok := b.Check(later, cookie, peer, version); !ok || known {
		t.Errorf("the other node: %v, %v, %v, want good and no round-trip time", rtt, known, ok)
	}
	if rtt, known, ok := a.Check(later, cookie, peer, version); !ok || !known || rtt != 5*time.Second {
		t.Errorf("the same node: %v, %v, %v", rtt, known, ok)
	}
	for _, skew := range []time.Duration{-25 * time.Second, -time.Second, time.Second, 25 * time.Second} {
		cookie := a.Mint(nil, start.Add(skew), peer, version)
		if _, _, ok := b.Check(start, cookie, peer, version); !ok {
			t.Errorf("cookie of a node whose clock is off by %v: refused", skew)
		}
	}
}

// TestSecretsAreReplaced: while a new secret goes round and an old one is taken
// away, no cookie that is under way is lost.
func TestSecretsAreReplaced(t *testing.T) {
	before, after := bytes.Repeat([]byte{1}, MinSecret), bytes.Repeat([]byte{2}, 40)
	stages := []struct {
		name    string
		secrets [][]byte
	}{
		{"the old one", [][]byte{before}},
		{"the new one is known", [][]byte{before, after}},
		{"the new one mints", [][]byte{after, before}},
		{"the old one is gone", [][]byte{after}},
	}
	for i, minting := range stages {
		cookie := newJar(t, minting.secrets...).Mint(nil, start, peer, version)
		for k, checking := range stages {
			_, _, ok := newJar(t, checking.secrets...).Check(start, cookie, peer, version)
			// Of any two stages next to each other, both accept both.
			if want := i < 2 && k <= 2 || i >= 2 && k >= 1; ok != want {
				t.Errorf("minted while %s, checked while %s: %v", minting.name, checking.name, ok)
			}
		}
		refused(t, newJar(t, bytes.Repeat([]byte{3}, 32)), cookie, peer, version)
	}
	many := make([][]byte, MaxSecrets+1)
	for i := range many {
		many[i] = bytes.Repeat([]byte{byte(i)}, MinSecret)
	}
	if _, err := NewJar(start, many...); err == nil {
		t.Errorf("%d secrets taken", len(many))
	}
	all := newJar(t, many[:MaxSecrets]...)
	for _, s := range many[:MaxSecrets] {
		if _, _, ok := all.Check(start, newJar(t, s).Mint(nil, start, peer), peer); !ok {
			t.Errorf("cookie of secret %d refused", s[0])
		}
	}
}

func TestShortSecretsAreRefused(t *testing.T) {
	for n := range MinSecret {
		if _, err := NewJar(start, make([]byte, MinSecret), make([]byte, n)); err == nil {
			t.Errorf("secret of %d bytes taken", n)
		}
	}
	secret := bytes.Repeat([]byte{1}, MinSecret)
	j := newJar(t, secret)
	cookie := j.Mint(nil, start, peer)
	clear(secret) // the Jar has a copy
	later := start.Add(periodLen)
	if _, _, ok := j.Check(later, j.Mint(nil, later, peer), peer); !ok {
		t.Error("cookie of the next period refused")
	}
	if _, _, ok := newJar(t, bytes.Repeat([]byte{1}, MinSecret)).Check(start, cookie, peer); !ok {
		t.Error("cookie of the same secret refused")
	}
}

// No one shall read the clock off a cookie.
func TestStampIsMasked(t *testing.T) {
	plain := 0
	for range 200 {
		j := newJar(t)
		now := start.Add(12345 * time.Millisecond)
		if binary.BigEndian.Uint16(j.Mint(nil, now, peer)[stampAt:]) == 12345 {
			plain++
		}
	}
	if plain > 2 {
		t.Errorf("%d of 200 stamps are in the clear", plain)
	}
}

// TestClone: a copy makes and checks the cookies of the original, and knows when
// they were made.
func TestClone(t *testing.T) {
	j := newJar(t)
	clone := j.Clone()
	for _, pair := range [][2]*Jar{{j, clone}, {clone, j}} {
		c := pair[0].Mint(nil, start, peer)
		rtt, known, ok := pair[1].Check(start.Add(50*time.Millisecond), c, peer)
		if !ok || !known || rtt != 50*time.Millisecond {
			t.Errorf("%v %v %v", rtt, known, ok)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	j := newJar(t)
	buf := make([]byte, 0, Len)
	v6 := netip.MustParseAddrPort("[2001:db8::1]:5684")
	hello := make([]byte, 500)
	mint := testing.AllocsPerRun(1000, func() {
		var local [32]byte // on the stack
		buf = j.Mint(buf[:0], start, v6, version, local[:], hello)
	})
	ok := true
	check := testing.AllocsPerRun(1000, func() {
		var local [32]byte
		_, _, good := j.Check(start, buf, v6, version, local[:], hello)
		ok = ok && good
	})
	bad := bytes.Clone(buf)
	bad[0] ^= 0x40
	stranger := testing.AllocsPerRun(1000, func() { j.Check(start, bad, v6, version) })
	if mint != 0 || check != 0 || stranger != 0 || !ok {
		t.Errorf("allocations: Mint %v, Check %v, Check of another %v; ok %v", mint, check, stranger, ok)
	}
}

func refused(t testing.TB, j *Jar, cookie []byte, addr netip.AddrPort, covered ...[]byte) {
	t.Helper()
	if rtt, known, ok := j.Check(start, cookie, addr, covered...); rtt != 0 || known || ok {
		t.Errorf("Check(%x) = %v, %v, %v", cookie, rtt, known, ok)
	}
}

func FuzzCheck(f *testing.F) {
	j := newJar(f, bytes.Repeat([]byte{1}, 32))
	f.Add(make([]byte, Len), uint16(0))
	f.Add(newJar(f, bytes.Repeat([]byte{2}, 32)).Mint(nil, start, peer), uint16(3))
	f.Fuzz(func(t *testing.T, cookie []byte, seconds uint16) {
		if _, _, ok := j.Check(start.Add(time.Duration(seconds)*time.Second), cookie, peer); ok {
			t.Errorf("forged cookie %x", cookie)
		}
	})
}

func BenchmarkMint(b *testing.B) {
	j := newJar(b)
	buf := make([]byte, 0, Len)
	b.ReportAllocs()
	for b.Loop() {
		buf = j.Mint(buf[:0], start, peer, version, random, suites)
	}
}

// The cookie of somebody else costs a MAC for each secret.
func BenchmarkCheckForged(b *testing.B) {
	j := newJar(b, make([]byte, 16), make([]byte, 17), make([]byte, 18))
	cookie := j.Mint(nil, start, peer, version, random, suites)
	cookie[macAt] ^= 1
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := j.Check(start, cookie, peer, version, random, suites); ok {
			b.Fatal("taken")
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	j := newJar(b)
	cookie := j.Mint(nil, start, peer, version, random, suites)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := j.Check(start, cookie, peer, version, random, suites); !ok {
			b.Fatal("refused")
		}
	}
}

func Example() {
	now := time.Now()
	jar, err := NewJar(now)
	if err != nil {
		panic(err)
	}
	from := netip.MustParseAddrPort("192.0.2.1:40000")
	clientRandom := make([]byte, 32)

	cookie := jar.Mint(nil, now, from, clientRandom) // sent, and forgotten

	now = now.Add(40 * time.Millisecond) // the cookie comes back
	rtt, _, ok := jar.Check(now, cookie, from, clientRandom)
	fmt.Println(ok, rtt)

	elsewhere := netip.MustParseAddrPort("203.0.113.9:40000")
	_, _, ok = jar.Check(now, cookie, elsewhere, clientRandom)
	fmt.Println(ok)
	// Output:
	// true 40ms
	// false
}
