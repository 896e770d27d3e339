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
	key, other := mustGenerate(t, P256), mustGenerate(t, P256)
	share := bytes.Clone(key.Public())
	for range 3 {
		if secret, err := key.Shared([]byte{4}); err == nil {
			t.Fatalf("a bad share yields %x", secret)
		}
	}
	if _, err := key.Shared(other.Public()); err != nil {
		t.Fatalf("the honest share after bad ones: %v", err)
	}
	secret, err := key.Shared(other.Public())
	if err == nil {
		t.Errorf("second use yields %x", secret)
	}
	if _, ok := errors.AsType[*alert.Error](err); ok {
		t.Errorf("our own mistake is blamed on the peer: %v", err)
	}
	if !bytes.Equal(key.Public(), share) {
		t.Error("share changed by use")
	}
}

func TestKeysAreFresh(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		share := string(mustGenerate(t, X25519).Public())
		if seen[share] {
			t.Fatalf("share %x came twice", share)
		}
		seen[share] = true
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
	for _, g := range Default() {
		if !Supported(g) {
			t.Errorf("%v is a default, but not supported", g)
		}
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
		for _, other := range Default() {
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
		for range 2 {
			secret, err := mustGenerate(t, X25519).Shared(share)
			refused(t, secret, err)
			_, secret, err = Respond(X25519, share)
			refused(t, secret, err)
			share[31] ^= 0x80
		}
	}
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
