package kex

import (
	"bytes"
	"crypto/elliptic"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

func TestBothSidesAgree(t *testing.T) {
	for _, g := range Default13() {
		t.Run(g.String(), func(t *testing.T) {
			initiator, err := Generate(g)
			if err != nil {
				t.Fatal(err)
			}
			share, theirs, err := Respond(g, initiator.Public())
			if err != nil {
				t.Fatal(err)
			}
			ours, err := initiator.Shared(share)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ours, theirs) {
				t.Errorf("secrets differ: %x, %x", ours, theirs)
			}
			if want := secretLen[g]; len(ours) != want {
				t.Errorf("secret of %d bytes, want %d", len(ours), want)
			}
		})
	}
}

var secretLen = map[Group]int{
	X25519: 32, P256: 32, P384: 48, P521: 66,
	X25519MLKEM768: 64, SecP256r1MLKEM768: 64, SecP384r1MLKEM1024: 80,
}

// Leading zeros of the x-coordinate belong to the secret (RFC 8422, Section
// 5.10). One exchange in 256 has them.
func TestSecretKeepsItsLength(t *testing.T) {
	for zeros, tries := 0, 0; zeros < 2; tries++ {
		if tries == 20000 {
			t.Fatal("no secret with a leading zero")
		}
		key, err := Generate(P256)
		if err != nil {
			t.Fatal(err)
		}
		_, secret, err := Respond(P256, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if len(secret) != secretLen[P256] {
			t.Fatalf("secret of %d bytes", len(secret))
		}
		if secret[0] == 0 {
			zeros++
		}
	}
}

func TestKeyYieldsOneSecret(t *testing.T) {
	for _, g := range Default13() {
		t.Run(g.String(), func(t *testing.T) {
			key := mustGenerate(t, g)
			share := bytes.Clone(key.Public())
			answer, _, err := Respond(g, share)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if secret, err := key.Shared(answer[1:]); err == nil {
					t.Fatalf("a bad share yields %x", secret)
				}
			}
			if _, err := key.Shared(answer); err != nil {
				t.Fatalf("the honest share after bad ones: %v", err)
			}
			secret, err := key.Shared(answer)
			if err == nil {
				t.Errorf("second use yields %x", secret)
			}
			if _, ok := errors.AsType[*alert.Error](err); ok {
				t.Errorf("our own mistake is blamed on the peer: %v", err)
			}
			if !bytes.Equal(key.Public(), share) {
				t.Error("share changed by use")
			}
		})
	}
}

// RFC 9846, Section 4.3.8: "Clients and Servers MUST NOT reuse a key share for
// multiple connections." Of a hybrid, neither part comes twice.
func TestKeysAreFresh(t *testing.T) {
	for _, g := range Default13() {
		t.Run(g.String(), func(t *testing.T) {
			t.Parallel()
			seen := map[string]bool{}
			fresh := func(share []byte, kemLen func(*kem) int) {
				t.Helper()
				parts := [][]byte{share}
				if hy, ok := hybridOf(g); ok {
					ofCurve, ofKEM, err := hy.split(share, kemLen(hy.kem))
					if err != nil {
						t.Fatal(err)
					}
					parts = [][]byte{ofCurve, ofKEM}
				}
				for _, part := range parts {
					if seen[string(part)] {
						t.Fatalf("%x came twice", part)
					}
					seen[string(part)] = true
				}
			}
			peer := mustGenerate(t, g).Public()
			generations := 1000
			if g == P384 || g == P521 || g == SecP384r1MLKEM1024 {
				generations = 100 // they cost ten times as much and draw from the same source
			}
			for i := range generations {
				fresh(mustGenerate(t, g).Public(), func(k *kem) int { return k.keyLen })
				if i%10 != 0 {
					continue // a response costs several times as much
				}
				share, _, err := Respond(g, peer)
				if err != nil {
					t.Fatal(err)
				}
				fresh(share, func(k *kem) int { return k.ciphertextLen })
			}
		})
	}
}

func TestUnsupportedGroups(t *testing.T) {
	for _, g := range []Group{0, 30 /* x448 */, 256 /* ffdhe2048 */, 25497 /* X25519Kyber768Draft00 */, 0xffff} {
		if Supported(g) {
			t.Errorf("%v is supported", g)
		}
		if _, err := Generate(g); err == nil {
			t.Errorf("%v: key made", g)
		}
		if _, _, err := Respond(g, make([]byte, 32)); err == nil {
			t.Errorf("%v: response made", g)
		}
	}
	for _, g := range Default13() {
		if !Supported(g) {
			t.Errorf("%v is a default, but not supported", g)
		}
	}
}

func TestGroupLists(t *testing.T) {
	for _, test := range []struct {
		name string
		got  []Group
		want string
	}{
		{"DTLS 1.2", Default(), "[X25519 CurveP256 CurveP384 CurveP521]"},
		{"DTLS 1.3", Default13(), "[X25519MLKEM768 X25519 CurveP256 CurveP384 CurveP521 SecP256r1MLKEM768 SecP384r1MLKEM1024]"},
		{"DTLS 1.3 for DTLS 1.2", For12(Default13()), "[X25519 CurveP256 CurveP384 CurveP521]"},
		{"in another order", For12([]Group{P384, SecP256r1MLKEM768, X25519}), "[CurveP384 X25519]"},
		{"hybrids alone", For12([]Group{X25519MLKEM768}), "[]"},
	} {
		if got := fmt.Sprint(test.got); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	configured := []Group{X25519MLKEM768, X25519, SecP256r1MLKEM768}
	For12(configured)
	if got := fmt.Sprint(configured); got != "[X25519MLKEM768 X25519 SecP256r1MLKEM768]" {
		t.Errorf("For12 wrote to its argument: %s", got)
	}
}

// Lengths by RFC 8446, Section 4.2.8.2 and draft-ietf-tls-ecdhe-mlkem, Sections
// 4.1 and 4.2.
func TestShareLen(t *testing.T) {
	for _, test := range []struct {
		group                Group
		initiator, responder int
	}{
		{X25519, 32, 32},
		{P256, 65, 65},
		{P384, 97, 97},
		{P521, 133, 133},
		{X25519MLKEM768, 1216, 1120},
		{SecP256r1MLKEM768, 1249, 1153},
		{SecP384r1MLKEM1024, 1665, 1665},
		{256 /* ffdhe2048 */, 0, 0},
	} {
		initiator, responder := ShareLen(test.group)
		if initiator != test.initiator || responder != test.responder {
			t.Errorf("%v: %d and %d bytes, want %d and %d", test.group, initiator, responder, test.initiator, test.responder)
		}
		if !Supported(test.group) {
			continue
		}
		share := mustGenerate(t, test.group).Public()
		answer, _, err := Respond(test.group, share)
		if err != nil {
			t.Fatal(err)
		}
		if len(share) != initiator || len(answer) != responder {
			t.Errorf("%v: shares of %d and %d bytes, want %d and %d", test.group, len(share), len(answer), initiator, responder)
		}
	}
}

// Every length but the right one is refused, in both directions, and leaves the
// key as it was.
func TestEveryWrongLength(t *testing.T) {
	for _, g := range Default13() {
		t.Run(g.String(), func(t *testing.T) {
			key := mustGenerate(t, g)
			answer, theirs, err := Respond(g, key.Public())
			if err != nil {
				t.Fatal(err)
			}
			for n := range len(answer) + 2 {
				if n != len(answer) {
					secret, err := key.Shared(append(bytes.Clone(answer), 0)[:n])
					refused(t, secret, err)
				}
			}
			for n := range len(key.Public()) + 2 {
				if n != len(key.Public()) {
					_, secret, err := Respond(g, append(bytes.Clone(key.Public()), 0)[:n])
					refused(t, secret, err)
				}
			}
			if ours, err := key.Shared(answer); err != nil || !bytes.Equal(ours, theirs) {
				t.Errorf("secrets differ after all: %x, %x, %v", ours, theirs, err)
			}
		})
	}
}

func TestBadSharesAreIllegalParameters(t *testing.T) {
	for _, g := range Default() {
		good := mustGenerate(t, g).Public()
		bad := map[string][]byte{
			"nothing":       {},
			"nil":           nil,
			"one byte less": good[:len(good)-1],
			"one byte more": append(bytes.Clone(good), 0),
			"all zero":      make([]byte, len(good)),
		}
		for _, other := range Default13() {
			if other != g {
				bad["a share of "+other.String()] = mustGenerate(t, other).Public()
			}
		}
		if g != X25519 {
			offCurve := bytes.Clone(good)
			offCurve[len(offCurve)-1] ^= 1
			bad["a point off the curve"] = offCurve
			bad["the point at infinity"] = []byte{0}
			bad["a compressed point"] = compress(good)
			bad["a hybrid point"] = hybridForm(good)
			bad["an x-coordinate over the field"] = overField(g, good)
		}
		for name, share := range bad {
			t.Run(fmt.Sprintf("%v/%s", g, name), func(t *testing.T) {
				secret, err := mustGenerate(t, g).Shared(share)
				refused(t, secret, err)
				_, secret, err = Respond(g, share)
				refused(t, secret, err)
			})
		}
	}
}

// The points of small order, as bytes on the wire: 0, 1, the two of order 8,
// p-1, and what else is congruent to them below 2^255. From
// https://cr.yp.to/ecdh.html#validate. X25519 ignores the highest bit (RFC 7748,
// Section 5), so each one comes with it and without.
func TestLowOrderPoints(t *testing.T) {
	for _, share := range lowOrderPoints(t) {
		secret, err := mustGenerate(t, X25519).Shared(share)
		refused(t, secret, err)
		_, secret, err = Respond(X25519, share)
		refused(t, secret, err)
	}
}

func lowOrderPoints(t *testing.T) (points [][]byte) {
	t.Helper()
	for _, point := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		share, err := hex.DecodeString(point)
		if err != nil {
			t.Fatal(err)
		}
		other := bytes.Clone(share)
		other[31] ^= 0x80
		points = append(points, share, other)
	}
	return points
}

func refused(t *testing.T, secret []byte, err error) {
	t.Helper()
	if err == nil || secret != nil {
		t.Fatalf("secret %x, error %v", secret, err)
	}
	if e, ok := errors.AsType[*alert.Error](err); !ok || e.Alert != alert.IllegalParameter {
		t.Errorf("error %v, want illegal_parameter", err)
	}
}

func mustGenerate(t *testing.T, g Group) *Key {
	t.Helper()
	key, err := Generate(g)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// compress writes an uncompressed point in its compressed form.
func compress(point []byte) []byte {
	n := (len(point) - 1) / 2
	return append([]byte{2 | point[len(point)-1]&1}, point[1:1+n]...)
}

// hybridForm writes an uncompressed point in the form that tells the sign, too.
func hybridForm(point []byte) []byte {
	out := bytes.Clone(point)
	out[0] = 6 | point[len(point)-1]&1
	return out
}

// overField adds the field's prime to the x-coordinate where it has room: the
// same point, written in another way. Else it sets the coordinate to the prime.
func overField(g Group, point []byte) []byte {
	params := map[Group]elliptic.Curve{P256: elliptic.P256(), P384: elliptic.P384(), P521: elliptic.P521()}[g].Params()
	n := (params.BitSize + 7) / 8
	out := bytes.Clone(point)
	x := new(big.Int).SetBytes(point[1 : 1+n])
	if x.Add(x, params.P); x.BitLen() > 8*n {
		x = params.P
	}
	x.FillBytes(out[1 : 1+n])
	return out
}

// Whatever a share is, it is taken or it is the peer's illegal_parameter.
func FuzzShare(f *testing.F) {
	for _, g := range Default13() {
		key, err := Generate(g)
		if err != nil {
			f.Fatal(err)
		}
		share, _, err := Respond(g, key.Public())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint16(g), key.Public())
		f.Add(uint16(g), share)
	}
	f.Fuzz(func(t *testing.T, id uint16, share []byte) {
		g := Group(id)
		if !Supported(g) {
			return
		}
		if _, secret, err := Respond(g, share); err != nil {
			refused(t, secret, err)
		}
		if secret, err := mustGenerate(t, g).Shared(share); err != nil {
			refused(t, secret, err)
		}
	})
}

func ExampleGenerate() {
	server, err := Generate(X25519)
	if err != nil {
		panic(err)
	}
	share, clientSecret, err := Respond(server.Group(), server.Public())
	if err != nil {
		panic(err)
	}
	serverSecret, err := server.Shared(share)
	if err != nil {
		panic(err)
	}
	fmt.Println(bytes.Equal(clientSecret, serverSecret))
	// Output: true
}
