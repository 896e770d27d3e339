package keys

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"strings"
	"testing"
)

// The HkdfLabel structures of RFC 8446, Section 7.1 are written out by hand, and
// HKDF-Expand by its definition (RFC 5869, Section 2.3).
func TestExpandLabel13(t *testing.T) {
	for _, v := range []struct {
		hash    crypto.Hash
		label   string
		context string
		n       int
		info    string
	}{
		{crypto.SHA256, "key", "", 16, "0010 09 64746c733133 6b6579 00"},
		{crypto.SHA256, "iv", "", 12, "000c 08 64746c733133 6976 00"},
		{crypto.SHA256, "sn", "", 32, "0020 08 64746c733133 736e 00"},
		{crypto.SHA384, "finished", "", 48, "0030 0e 64746c733133 66696e6973686564 00"},
		{crypto.SHA384, "c hs traffic", "abc", 48, "0030 12 64746c733133 632068732074726166666963 03 616263"},
		{crypto.SHA256, "exporter", "\x00", 1000, "03e8 0e 64746c733133 6578706f72746572 01 00"},
		{crypto.SHA256, "", "", 0, "0000 06 64746c733133 00"},
	} {
		secret := bytes.Repeat([]byte{0x5a}, v.hash.Size())
		var want, block []byte
		for i := byte(1); len(want) < v.n; i++ {
			mac := hmac.New(v.hash.New, secret)
			mac.Write(block)
			mac.Write(unhex(t, v.info))
			mac.Write([]byte{i})
			block = mac.Sum(nil)
			want = append(want, block...)
		}
		if got := expandLabel13(v.hash, secret, v.label, []byte(v.context), v.n); !bytes.Equal(got, want[:v.n]) {
			t.Errorf("%v, label %q, %d bytes:\n got %x\nwant %x", v.hash, v.label, v.n, got, want[:v.n])
		}
	}
}

// A secret that was wiped, forgotten or made with another hash makes no keys, and
// what the length fields cannot hold is not cut.
func TestExpandLabel13Panics(t *testing.T) {
	secret := make([]byte, 32)
	for name, expand := range map[string]func(){
		"no secret":             func() { NextTraffic13(crypto.SHA256, nil) },
		"half a secret":         func() { NextTraffic13(crypto.SHA256, secret[:16]) },
		"secret of another":     func() { TrafficKeys13(crypto.SHA384, secret, 16) },
		"label too long":        func() { expandLabel13(crypto.SHA256, secret, strings.Repeat("a", 250), nil, 32) },
		"context too long":      func() { expandLabel13(crypto.SHA256, secret, "a", make([]byte, 256), 32) },
		"more than HKDF has":    func() { expandLabel13(crypto.SHA256, secret, "a", nil, 255*32+1) },
		"binder with no secret": func() { VerifyData13(crypto.SHA256, nil, secret) },
	} {
		if !panics(expand) {
			t.Errorf("%s: no panic", name)
		}
	}
	expandLabel13(crypto.SHA256, secret, strings.Repeat("a", 249), make([]byte, 255), 255*32) // all there is
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}
