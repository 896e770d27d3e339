package ccm

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"math/rand/v2"
	"testing"
)

func newAES(t testing.TB, tagSize int) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(count(0, 16))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := New(block, tagSize)
	if err != nil {
		t.Fatal(err)
	}
	return aead
}

// reference is CCM as RFC 3610, Section 2 tells it: the whole MAC input laid out
// in one buffer, then the whole key stream, nothing shared with the code.
func reference(block cipher.Block, tagSize int, nonce, plaintext, ad []byte) []byte {
	l := 15 - len(nonce)
	ablock := func(i int) []byte {
		a := append([]byte{byte(l - 1)}, nonce...)
		for shift := 8 * (l - 1); shift >= 0; shift -= 8 {
			a = append(a, byte(i>>shift))
		}
		return a
	}
	pad := func(b []byte) []byte { return append(b, make([]byte, (16-len(b)%16)%16)...) }

	flags := 8*((tagSize-2)/2) + (l - 1)
	b := ablock(len(plaintext))
	if len(ad) > 0 {
		flags += 64
		b = pad(append(append(b, byte(len(ad)>>8), byte(len(ad))), ad...))
	}
	b[0] = byte(flags)
	b = pad(append(b, plaintext...))
	mac := make([]byte, 16)
	for ; len(b) > 0; b = b[16:] {
		for i := range mac {
			mac[i] ^= b[i]
		}
		block.Encrypt(mac, mac)
	}

	out := append(bytes.Clone(plaintext), mac[:tagSize]...)
	key := make([]byte, 16)
	for i := range out {
		if j := i - len(plaintext); j >= 0 {
			block.Encrypt(key, ablock(0))
			out[i] ^= key[j]
			continue
		}
		block.Encrypt(key, ablock(i/16+1))
		out[i] ^= key[i%16]
	}
	return out
}

func TestNewRefusesWhatIsNotCCM(t *testing.T) {
	aesBlock, _ := aes.NewCipher(make([]byte, 16))
	desBlock, _ := des.NewCipher(make([]byte, 8))
	if _, err := New(desBlock, 16); err == nil {
		t.Error("a cipher with 8-byte blocks was taken")
	}
	for _, tag := range []int{-1, 0, 4, 7, 9, 12, 15, 17, 32} {
		if _, err := New(aesBlock, tag); err == nil {
			t.Errorf("a tag of %d bytes was taken", tag)
		}
	}
}

// TestAgreesWithReference compares random messages, sealed in place and apart.
func TestAgreesWithReference(t *testing.T) {
	rng := rand.New(rand.NewPCG(3610, 1))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	for range 500 {
		block, _ := aes.NewCipher(random(16 + 16*rng.IntN(2)))
		nonce, ad, plaintext := random(7+rng.IntN(7)), random(rng.IntN(40)), random(rng.IntN(200))
		c := newSized(block, len(nonce), 4+2*rng.IntN(7))
		want := reference(block, c.Overhead(), nonce, plaintext, ad)

		if got := c.Seal([]byte("before"), nonce, plaintext, ad); !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Fatalf("sealed apart: nonce %d, ad %d, plaintext %d bytes\n got %x\nwant %x", len(nonce), len(ad), len(plaintext), got, want)
		}
		buf := append(make([]byte, 0, len(want)), plaintext...)
		buf = c.Seal(buf[:0], nonce, buf, ad)
		if !bytes.Equal(buf, want) {
			t.Fatalf("sealed in place: got %x, want %x", buf, want)
		}
		if got, err := c.Open(buf[:0], nonce, buf, ad); err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("opened in place: got %x, %v; want %x", got, err, plaintext)
		}
	}
}

// TestTampering flips every bit of nonce, additional data, ciphertext and tag.
func TestTampering(t *testing.T) {
	for _, tag := range []int{8, 16} {
		aead := newAES(t, tag)
		nonce, ad := count(0x50, NonceSize), count(0x80, 13)
		sealed := aead.Seal(nil, nonce, count(0x10, 37), ad)
		for name, b := range map[string][]byte{"nonce": nonce, "additional data": ad, "ciphertext and tag": sealed} {
			for i := range 8 * len(b) {
				b[i/8] ^= 1 << (i % 8)
				out := bytes.Repeat([]byte{0xaa}, 37)
				if got, err := aead.Open(out[:0], nonce, sealed, ad); err == nil || got != nil {
					t.Fatalf("bit %d of the %s changed and the message opened", i, name)
				}
				if !bytes.Equal(out, make([]byte, 37)) {
					t.Fatalf("bit %d of the %s changed: unauthentic plaintext left behind: %x", i, name, out)
				}
				b[i/8] ^= 1 << (i % 8)
			}
		}
		if _, err := aead.Open(nil, nonce, sealed, ad); err != nil {
			t.Fatalf("the untouched message no longer opens: %v", err)
		}
	}
}

func TestShorterThanItsTag(t *testing.T) {
	aead := newAES(t, 16)
	for n := range 16 {
		if _, err := aead.Open(nil, make([]byte, NonceSize), make([]byte, n), nil); err == nil {
			t.Errorf("%d bytes opened", n)
		}
	}
}

func TestMistakesOfTheCallerPanic(t *testing.T) {
	aead := newAES(t, 16)
	for name, f := range map[string]func(){
		"a nonce of 11 bytes": func() { aead.Seal(nil, make([]byte, 11), nil, nil) },
		"a nonce of 13 bytes": func() { _, _ = aead.Open(nil, make([]byte, 13), make([]byte, 16), nil) },
		"a plaintext of 2^24 bytes": func() {
			aead.Seal(nil, make([]byte, NonceSize), make([]byte, MaxPlaintext+1), nil)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// TestLongestPlaintext covers the counter up to its last value, 2^20 blocks in.
func TestLongestPlaintext(t *testing.T) {
	if testing.Short() {
		t.Skip("seals 16 MiB")
	}
	aead := newAES(t, 16)
	buf := make([]byte, MaxPlaintext, MaxPlaintext+16)
	sealed := aead.Seal(buf[:0], make([]byte, NonceSize), buf, nil)
	got, err := aead.Open(sealed[:0], make([]byte, NonceSize), sealed, nil)
	if err != nil || len(got) != MaxPlaintext || bytes.ContainsFunc(got, func(r rune) bool { return r != 0 }) {
		t.Fatalf("2^24-1 bytes did not come back: %d bytes, %v", len(got), err)
	}
}

func TestNoAllocations(t *testing.T) {
	for _, tag := range []int{8, 16} {
		aead := newAES(t, tag)
		nonce, ad, buf := make([]byte, NonceSize), make([]byte, 13), make([]byte, 100, 100+tag)
		if n := testing.AllocsPerRun(100, func() {
			sealed := aead.Seal(buf[:0], nonce, buf, ad)
			if _, err := aead.Open(sealed[:0], nonce, sealed, ad); err != nil {
				t.Fatal(err)
			}
			sealed[0] ^= 1
			if _, err := aead.Open(sealed[:0], nonce, sealed, ad); err == nil {
				t.Fatal("opened")
			}
		}); n != 0 {
			t.Errorf("tag of %d bytes: %v allocations per message", tag, n)
		}
	}
}

// FuzzCCM seals with the code and compares with the reference, then opens
// whatever bytes came as a message: that may fail, and must not panic.
func FuzzCCM(f *testing.F) {
	f.Add(true, []byte("nonce of 12 "), []byte("plaintext"), []byte("additional"))
	f.Add(false, []byte("nonce of 12 "), []byte{}, []byte{})
	f.Add(false, []byte("nonce of 12 "), bytes.Repeat([]byte{7}, 48), []byte{1})
	f.Fuzz(func(t *testing.T, short bool, nonce, message, ad []byte) {
		if len(ad) >= 1<<16-1<<8 { // the reference knows one encoding of the length
			return
		}
		tag := 16
		if short {
			tag = 8
		}
		block, _ := aes.NewCipher(count(0, 16))
		aead, _ := New(block, tag)
		nonce = append(nonce, make([]byte, NonceSize)...)[:NonceSize]
		sealed := aead.Seal(nil, nonce, message, ad)
		if want := reference(block, tag, nonce, message, ad); !bytes.Equal(sealed, want) {
			t.Fatalf("sealed %x, want %x", sealed, want)
		}
		if got, err := aead.Open(nil, nonce, sealed, ad); err != nil || !bytes.Equal(got, message) {
			t.Fatalf("opened %x, %v; want %x", got, err, message)
		}
		if got, err := aead.Open(nil, nonce, message, ad); err == nil {
			if !bytes.Equal(aead.Seal(nil, nonce, got, ad), message) {
				t.Fatalf("opened %x, which does not seal to what came", got)
			}
		}
	})
}
