package record

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"unsafe"
)

var (
	protected = []AEAD{AES128GCM, AES256GCM, ChaCha20Poly1305, AES128CCM, AES256CCM, AES128CCM8, AES256CCM8}
	everyAEAD = append([]AEAD{None}, protected...)
)

// count returns n bytes from, from+1, ...
func count(from, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(from + i)
	}
	return b
}

// epochOf is 1, and 0 for the AEAD that lives there.
func epochOf(a AEAD) uint16 {
	if a == None {
		return 0
	}
	return 1
}

func newSealer(t testing.TB, a AEAD) *Sealer12 {
	t.Helper()
	s, err := NewSealer12(a, count(0, a.KeyLen()), count(0xa0, a.IVLen()), epochOf(a))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newOpener(t testing.TB, a AEAD, window int) *Opener12 {
	t.Helper()
	o, err := NewOpener12(a, count(0, a.KeyLen()), count(0xa0, a.IVLen()), epochOf(a), window)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// open cuts a datagram of one record and opens it; the datagram stays intact.
func open(t testing.TB, o *Opener12, datagram []byte) ([]byte, error) {
	t.Helper()
	h, fragment, rest, err := Next(bytes.Clone(datagram))
	if err != nil || len(rest) > 0 {
		t.Fatalf("not one record: %v, %d bytes behind", err, len(rest))
	}
	return o.Open(h, fragment)
}

func seal(t testing.TB, s *Sealer12, payload []byte) []byte {
	t.Helper()
	out, _, err := s.Seal(nil, TypeApplicationData, VersionDTLS12, payload)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestKnownAnswers: records as an independent implementation of the AEADs makes
// them from key 00 01 02..., iv a0 a1 a2..., with nonce and additional data laid
// out by hand from RFC 5288, RFC 6655 and RFC 7905.
func TestKnownAnswers(t *testing.T) {
	plaintext := []byte("a record beside its RFC")
	for _, v := range []struct {
		aead           AEAD
		header, record string
	}{
		{AES128GCM, "17fefd00010000c0ffee42002f", "00010000c0ffee42250f16706a0d086858bff0eb900288011bbe30fe7460969258ff42d4c8dd8d6428d15d716343e3"},
		{AES256GCM, "17fefd00010000c0ffee42002f", "00010000c0ffee42ff643fc0d83db79e10b3857e70d007839e54effa7358da8b44a5af347996f3192bf786daae499d"},
		{ChaCha20Poly1305, "17fefd00010000c0ffee420027", "3e9d43690fd3e1d98fa22af7b01e776431acfa610601abf28bedb76dffcaf88dc2734582842f6f"},
		{AES128CCM, "17fefd00010000c0ffee42002f", "00010000c0ffee42fca5fe0cd7f5a90efd21844aa1ed5601e5a57e30925a38710252bb15fd9c11b13b87ec4dbccdd5"},
		{AES256CCM, "17fefd00010000c0ffee42002f", "00010000c0ffee4280ae580e44ebb9267472d2e2081c24a79c97c29afb5ec48405a4b54a7e67f1e23bf0eedad7810c"},
		{AES128CCM8, "17fefd00010000c0ffee420027", "00010000c0ffee42fca5fe0cd7f5a90efd21844aa1ed5601e5a57e30925a385b23a58bcc644d42"},
		{AES256CCM8, "17fefd00010000c0ffee420027", "00010000c0ffee4280ae580e44ebb9267472d2e2081c24a79c97c29afb5ec47bedb4ac2ac76984"},
	} {
		t.Run(v.aead.String(), func(t *testing.T) {
			want, err := hex.DecodeString(v.header + v.record)
			if err != nil {
				t.Fatal(err)
			}
			s := newSealer(t, v.aead)
			if err := s.SkipTo(0xc0ffee42); err != nil {
				t.Fatal(err)
			}
			got, n, err := s.Seal([]byte("before"), TypeApplicationData, VersionDTLS12, plaintext)
			if err != nil || n != (Number{1, 0xc0ffee42}) || !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Errorf("sealed %+v, %v\n got %x\nwant %x", n, err, got, want)
			}
			if got, err := open(t, newOpener(t, v.aead, 64), want); err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("opened %q, %v", got, err)
			}
		})
	}
}

// TestExplicitNonceIsTheSenders: RFC 5288, Section 3 lets a peer choose its
// explicit nonces; a random one must open.
func TestExplicitNonceIsTheSenders(t *testing.T) {
	block, _ := aes.NewCipher(count(0, 16))
	gcm, _ := cipher.NewGCM(block)
	explicit := []byte("anything")
	aad := []byte{0, 1, 0, 0, 0, 0, 0, 9, 23, 0xfe, 0xfd, 0, 2}
	fragment := gcm.Seal(bytes.Clone(explicit), append(count(0xa0, 4), explicit...), []byte("hi"), aad)
	h := Header{Type: TypeApplicationData, Version: VersionDTLS12, Number: Number{1, 9}, Length: len(fragment)}
	if got, err := newOpener(t, AES128GCM, 64).Open(h, fragment); err != nil || string(got) != "hi" {
		t.Errorf("opened %q, %v", got, err)
	}
}

func TestConstructorsRefuse(t *testing.T) {
	for _, c := range []struct {
		what    string
		aead    AEAD
		key, iv int
		epoch   uint16
		window  int
	}{
		{"a key too short", AES128GCM, 15, 4, 1, 64},
		{"a key too long", AES128GCM, 32, 4, 1, 64},
		{"no key", ChaCha20Poly1305, 0, 12, 1, 64},
		{"an iv of the full nonce", AES128CCM, 16, 12, 1, 64},
		{"an iv of the salt alone", ChaCha20Poly1305, 32, 4, 1, 64},
		{"a key for plaintext", None, 16, 0, 0, 64},
		{"an iv for plaintext", None, 0, 4, 0, 64},
		{"plaintext in a protected epoch", None, 0, 0, 1, 64},
		{"an AEAD nobody defined", AES256CCM8 + 1, 0, 0, 1, 64},
	} {
		if _, err := NewSealer12(c.aead, make([]byte, c.key), make([]byte, c.iv), c.epoch); err == nil {
			t.Errorf("a sealer was made with %s", c.what)
		}
		if _, err := NewOpener12(c.aead, make([]byte, c.key), make([]byte, c.iv), c.epoch, c.window); err == nil {
			t.Errorf("an opener was made with %s", c.what)
		}
	}
	for _, window := range []int{-1, 0, MaxWindow + 1} {
		if _, err := NewOpener12(AES128GCM, make([]byte, 16), make([]byte, 4), 1, window); err == nil {
			t.Errorf("an opener was made with a window of %d", window)
		}
	}
}

// recorder notes the nonces an AEAD is used with.
type recorder struct {
	cipher.AEAD
	nonces map[string]bool
	twice  int
}

func (r *recorder) Seal(dst, nonce, plaintext, ad []byte) []byte {
	if r.nonces[string(nonce)] {
		r.twice++
	}
	r.nonces[string(nonce)] = true
	return r.AEAD.Seal(dst, nonce, plaintext, ad)
}

func TestNoncesNeverRepeat(t *testing.T) {
	for _, a := range protected {
		s := newSealer(t, a)
		r := &recorder{AEAD: s.cipher, nonces: map[string]bool{}}
		s.cipher = r
		for i := range 3000 {
			switch i % 100 {
			case 50:
				if err := s.SkipTo(s.Next() + uint64(i)*uint64(i)*uint64(i)); err != nil {
					t.Fatal(err)
				}
			case 51:
				_ = s.SkipTo(s.Next() - 1) // refused, and must change nothing
			case 52:
				_, _, _ = s.Seal(nil, TypeAlert, VersionDTLS12, make([]byte, MaxPlaintext+1)) // refused
			}
			seal(t, s, nil)
		}
		if r.twice > 0 || len(r.nonces) != 3000 {
			t.Errorf("%v: %d nonces repeated among 3000 records", a, r.twice)
		}
		for nonce := range r.nonces {
			if a != ChaCha20Poly1305 && nonce[:saltLen] != string(count(0xa0, saltLen)) {
				t.Errorf("%v: the salt became %x", a, nonce[:saltLen])
			}
		}
	}
}

// TestAllocations: records cost none, whatever becomes of them.
func TestAllocations(t *testing.T) {
	for _, a := range everyAEAD {
		s, o := newSealer(t, a), newOpener(t, a, 256)
		buf, payload, huge := make([]byte, 0, 2000), make([]byte, 1000), make([]byte, MaxCiphertext12+1)
		var sealed []byte
		check := func(what string, want error, f func() error) {
			t.Helper()
			if n := testing.AllocsPerRun(50, func() {
				if err := f(); !errors.Is(err, want) {
					t.Fatalf("%v: %s: %v, want %v", a, what, err, want)
				}
			}); n != 0 {
				t.Errorf("%v: %s: %v allocations", a, what, n)
			}
		}
		var h Header
		var fragment []byte
		roundTrip := func() error {
			var err error
			if sealed, _, err = s.Seal(buf, TypeApplicationData, VersionDTLS12, payload); err != nil {
				return err
			}
			if h, fragment, _, err = Next(sealed); err != nil {
				return err
			}
			_, err = o.Open(h, fragment)
			return err
		}
		check("seal and open", nil, roundTrip)
		check("a replay", ErrReplayed, func() error { _, err := o.Open(h, fragment); return err })
		check("another epoch", ErrEpoch, func() error {
			other := h
			other.Epoch += 3
			_, err := o.Open(other, fragment)
			return err
		})
		check("a long fragment", ErrTooLong, func() error {
			fresh := h
			fresh.Seq += 1000
			_, err := o.Open(fresh, huge)
			return err
		})
		check("a long payload", ErrPayloadTooLong, func() error {
			_, _, err := s.Seal(buf, TypeAlert, VersionDTLS12, huge)
			return err
		})
		if a != None {
			check("a short fragment", ErrShort, func() error { _, err := o.Open(h, fragment[:1]); return err })
			check("a forgery", ErrBadMAC, func() error {
				fresh := h
				fresh.Seq += 1000
				_, err := o.Open(fresh, fragment)
				return err
			})
			o.SetLimit(o.Failed())
			check("the forgery limit", ErrForgeryLimit, func() error { _, err := o.Open(h, fragment); return err })
			o.SetLimit(1 << 40)
		}
		if err := s.SkipTo(s.Next() + 1000); err != nil {
			t.Fatal(err)
		}
		if err := roundTrip(); err != nil {
			t.Fatal(err)
		}
		h.Seq -= 256
		check("a stale record", ErrStale, func() error { _, err := o.Open(h, fragment); return err })
		s.SetLimit(s.Used())
		check("the confidentiality limit", ErrLimit, func() error { _, _, err := s.Seal(buf, TypeAlert, VersionDTLS12, nil); return err })
		s.Wipe()
		check("a wiped sealer", ErrWiped, func() error { _, _, err := s.Seal(buf, TypeAlert, VersionDTLS12, nil); return err })
	}
}

// TestSizes keeps an eye on what an idle association costs beside its keys.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		what       string
		size, want uintptr
	}{
		{"Sealer12", unsafe.Sizeof(Sealer12{}), 80},
		{"Opener12", unsafe.Sizeof(Opener12{}), 144},
		{"Window", unsafe.Sizeof(Window{}), 72},
	} {
		if unsafe.Sizeof(uintptr(0)) == 8 && c.size > c.want {
			t.Errorf("%s has grown from %d to %d bytes", c.what, c.want, c.size)
		}
	}
}

func TestWipe(t *testing.T) {
	for _, a := range everyAEAD {
		s, o := newSealer(t, a), newOpener(t, a, 64)
		record := seal(t, s, []byte("one"))
		if _, err := open(t, o, record); err != nil {
			t.Fatal(err)
		}
		s.Wipe()
		o.Wipe()
		if out, _, err := s.Seal([]byte("dst"), TypeAlert, VersionDTLS12, nil); !errors.Is(err, ErrWiped) || string(out) != "dst" {
			t.Errorf("%v: sealed after Wipe: %q, %v", a, out, err)
		}
		if _, err := open(t, o, record); !errors.Is(err, ErrWiped) {
			t.Errorf("%v: opened after Wipe: %v", a, err)
		}
		for _, p := range []protection{s.protection, o.protection} {
			if p.cipher != nil || p.nonce != [nonceLen]byte{} || p.mask != 0 {
				t.Errorf("%v: Wipe left %+v", a, p)
			}
		}
		if s.Used() != 1 || s.Remaining() != 0 || s.Epoch() != epochOf(a) || o.AEAD() != a {
			t.Errorf("%v: Wipe took the counters", a)
		}
	}
}

func TestNames(t *testing.T) {
	for a, want := range map[AEAD]string{None: "none", ChaCha20Poly1305: "AEAD_CHACHA20_POLY1305", AES256CCM8: "AEAD_AES_256_CCM_8", 99: "AEAD(99)"} {
		if got := fmt.Sprint(a); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
