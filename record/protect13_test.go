package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"unsafe"
)

// epoch13 is the first epoch of application data.
const epoch13 = 3

func newSealer13(t testing.TB, a AEAD) *Sealer13 {
	t.Helper()
	s, err := NewSealer13(a, count(0, a.KeyLen()), count(0xa0, a.IVLen13()), count(0x50, a.KeyLen()), epoch13)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newOpener13(t testing.TB, a AEAD, window int) *Opener13 {
	t.Helper()
	o, err := NewOpener13(a, count(0, a.KeyLen()), count(0xa0, a.IVLen13()), count(0x50, a.KeyLen()), epoch13, window)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func seal13(t testing.TB, s *Sealer13, payload []byte) []byte {
	t.Helper()
	out, _, err := s.Seal(nil, TypeApplicationData, payload, 0)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// open13 cuts a datagram of one record and opens it; the datagram stays intact.
func open13(t testing.TB, o *Opener13, datagram []byte) ([]byte, Number, error) {
	t.Helper()
	u, rest, err := NextUnified(bytes.Clone(datagram), cidLen)
	if err != nil || len(rest) > 0 {
		t.Fatalf("not one record: %v, %d bytes behind", err, len(rest))
	}
	_, plaintext, n, err := o.Open(u)
	return plaintext, n, err
}

// sealInner makes a record like one of s, but with any inner plaintext and in any
// of the forms a peer may choose. The inner plaintext has the minimal length.
func sealInner(s *Sealer13, first byte, seq uint64, inner []byte) []byte {
	length := len(inner) + s.aead.TagLen()
	header := []byte{first}
	if first&cidBit != 0 {
		header = append(header, "cid!"[:cidLen]...)
	}
	at := len(header)
	if first&seq16Bit != 0 {
		header = append(header, byte(seq>>8))
	}
	header = append(header, byte(seq))
	end := len(header)
	if first&lengthBit != 0 {
		header = append(header, byte(length>>8), byte(length))
	}
	body := s.cipher.Seal(nil, s.nonceOf(seq), inner, header)
	if len(body) >= sampleLen {
		s.number.apply(header[at:end], body)
	}
	return append(header, body...)
}

// TestKnownAnswers13: records as an independent implementation of the ciphers
// makes them from key 00 01 02..., iv a0 a1 a2..., number key 50 51 52..., with
// nonce, header and mask laid out by hand from RFC 9147, Section 4.
func TestKnownAnswers13(t *testing.T) {
	const text = "a record beside its RFC"
	for _, v := range []struct {
		aead          AEAD
		content       string
		padding       int
		header, body  string
		whyThisLength string
	}{
		{AES128GCM, text, 3, "2f85a8002b", "0252be76cc851ffd0beb6963e7fb7f74e40ffe1bd05a879cb257e753d5d2e31b051471a6bacf2badf96a36", "padded"},
		{AES128GCM, "", 0, "2f78090011", "74db7013a4174270c77733e27c2e8b09f4", "empty"},
		{AES256GCM, text, 3, "2f8d64002b", "6168a896a6edeb4f3eeeaa71f4f9363c82f9c3209c62d3e09e5f756ced976d8ee2695f77dfaa9de5cfbc0e", "padded"},
		{AES256GCM, "", 0, "2fa10a0011", "17e9413e39f1a13b4568935951e859318a", "empty"},
		{ChaCha20Poly1305, text, 3, "2f0aee002b", "31d80313fbe816c9d74fe80b056ab73bd02c155e21a57694c29bc480220ce5917b4b99d9a38c4d966a8d4d", "padded"},
		{ChaCha20Poly1305, "", 0, "2f24680011", "47245118148ff36e68966c03133fdd70f2", "empty"},
		{AES128CCM, text, 3, "2f68fd002b", "86ddde7a9cd9531196810b3c6196d221c71d8de81deb6a1c3324e5846da5a71d6a532e57826a50403f4b17", "padded"},
		{AES128CCM, "", 0, "2f81dd0011", "f0398615f76549772952d9e511feb2a0a6", "empty"},
		{AES256CCM, text, 3, "2f5629002b", "9c8a353d2472b9552ed7ded5323af0844face9b12455d6d15d64040299b122348dcbaa305a2d1c4846a895", "padded"},
		{AES256CCM, "", 0, "2f04480011", "ea52a4beb48ec775d94a659f76bed9b679", "empty"},
		{AES128CCM8, text, 3, "2f68fd0023", "86ddde7a9cd9531196810b3c6196d221c71d8de81deb6a1c3324e5776e339839f0d0ae", "padded"},
		{AES128CCM8, "", 0, "2fb2400010", "f0fdac1fffb62175aff0ce9add15047d", "empty, padded to 16 bytes"},
		{AES256CCM8, text, 3, "2f56290023", "9c8a353d2472b9552ed7ded5323af0844face9b12455d6d15d6404e3acc5e49c8f4bc1", "padded"},
		{AES256CCM8, "", 0, "2f189f0010", "eaaa4758471dcb31627f0a7c1addc46e", "empty, padded to 16 bytes"},
	} {
		t.Run(v.aead.String()+" "+v.whyThisLength, func(t *testing.T) {
			want, err := hex.DecodeString(v.header + v.body)
			if err != nil {
				t.Fatal(err)
			}
			s, o := newSealer13(t, v.aead), newOpener13(t, v.aead, 64)
			s.next = 0xc0ffee42
			got, n, err := s.Seal([]byte("before"), TypeApplicationData, []byte(v.content), v.padding)
			if err != nil || n != (Number{epoch13, 0xc0ffee42}) || !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Errorf("sealed %+v, %v\n got %x\nwant %x", n, err, got, want)
			}
			o.window.Mark(0xc0ffee00)
			if got, n, err := open13(t, o, want); err != nil || string(got) != v.content || n.Seq != 0xc0ffee42 {
				t.Errorf("opened %q, %+v, %v", got, n, err)
			}
		})
	}
}

func TestConstructorsRefuse13(t *testing.T) {
	for _, c := range []struct {
		what        string
		aead        AEAD
		key, iv, sn int
		epoch       uint64
		window      int
	}{
		{"a key too short", AES128GCM, 15, 12, 16, 3, 64},
		{"a key too long", AES128GCM, 32, 12, 16, 3, 64},
		{"no key", ChaCha20Poly1305, 0, 12, 32, 3, 64},
		{"an iv of DTLS 1.2", AES128CCM, 16, 4, 16, 3, 64},
		{"no iv", ChaCha20Poly1305, 32, 0, 32, 3, 64},
		{"a number key too short", AES256GCM, 32, 12, 16, 3, 64},
		{"a number key too long", AES128CCM8, 16, 12, 32, 3, 64},
		{"no number key", ChaCha20Poly1305, 32, 12, 0, 3, 64},
		{"epoch 0", AES128GCM, 16, 12, 16, 0, 64},
		{"no protection", None, 0, 0, 0, 3, 64},
		{"no protection in epoch 0", None, 0, 0, 0, 0, 64},
		{"an AEAD nobody defined", AES256CCM8 + 1, 0, 0, 0, 3, 64},
	} {
		if _, err := NewSealer13(c.aead, make([]byte, c.key), make([]byte, c.iv), make([]byte, c.sn), c.epoch); err == nil {
			t.Errorf("a sealer was made with %s", c.what)
		}
		if _, err := NewOpener13(c.aead, make([]byte, c.key), make([]byte, c.iv), make([]byte, c.sn), c.epoch, c.window); err == nil {
			t.Errorf("an opener was made with %s", c.what)
		}
	}
	for _, window := range []int{-1, 0, MaxWindow + 1} {
		if _, err := NewOpener13(AES128GCM, make([]byte, 16), make([]byte, 12), make([]byte, 16), 3, window); err == nil {
			t.Errorf("an opener was made with a window of %d", window)
		}
	}
}

func TestNoncesNeverRepeat13(t *testing.T) {
	for _, a := range protected {
		s := newSealer13(t, a)
		r := &recorder{AEAD: s.cipher, nonces: map[string]bool{}}
		s.cipher = r
		for i := range 3000 {
			switch i % 100 {
			case 50:
				s.next += uint64(i) * uint64(i) * uint64(i)
			case 51:
				_, _, _ = s.Seal(nil, TypeTLS12CID, nil, 0) // refused, and must change nothing
			case 52:
				_, _, _ = s.Seal(nil, TypeAlert, make([]byte, MaxPlaintext+1), 0) // refused
			}
			seal13(t, s, nil)
		}
		if r.twice > 0 || len(r.nonces) != 3000 {
			t.Errorf("%v: %d nonces repeated among 3000 records", a, r.twice)
		}
	}
}

// TestAllocations13: records cost none, whatever becomes of them.
func TestAllocations13(t *testing.T) {
	for _, a := range protected {
		s, o := newSealer13(t, a), newOpener13(t, a, 256)
		o.SetLimit(1 << 40)
		buf, payload, huge := make([]byte, 0, 2*MaxCiphertext13), make([]byte, 1000), make([]byte, MaxCiphertext13+1)
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
		var wire [2000]byte
		// open opens a copy of what was sealed, one byte changed unless that is the first.
		open := func(sealed []byte, change int) error {
			datagram := wire[:copy(wire[:], sealed)]
			if change > 0 {
				datagram[change] ^= 1
			}
			u, _, err := NextUnified(datagram, 0)
			if err != nil {
				return err
			}
			_, _, _, err = o.Open(u)
			return err
		}
		var sealed []byte
		seal := func() (err error) {
			sealed, _, err = s.Seal(buf, TypeApplicationData, payload, 10)
			return err
		}
		check("seal and open", nil, func() error { return errors.Join(seal(), open(sealed, 0)) })
		check("a replay", ErrReplayed, func() error { return open(sealed, 0) })
		check("a forgery", ErrBadMAC, func() error { return open(sealed, 100) })
		check("a short record", ErrShort, func() error { _, _, _, err := o.Open(Unified{EpochBits: 3, Body: huge[:7]}); return err })
		check("a long record", ErrTooLong, func() error { _, _, _, err := o.Open(Unified{EpochBits: 3, Body: huge}); return err })
		check("another epoch", ErrEpoch, func() error { _, _, _, err := o.Open(Unified{EpochBits: 2, Body: huge[:99]}); return err })
		check("a long payload", ErrPayloadTooLong, func() error { _, _, err := s.Seal(buf, TypeAlert, huge, 0); return err })
		check("a foreign type", ErrInner, func() error { _, _, err := s.Seal(buf, TypeTLS12CID, nil, 0); return err })
		wrong := sealInner(s, 0x2f, s.next, append(make([]byte, 20), byte(TypeTLS12CID)))
		check("a foreign type inside", ErrInner, func() error { return open(wrong, 0) })
		o.window.Mark(s.next + 300)
		check("a stale record", ErrStale, func() error { return open(sealed, 0) })
		o.SetLimit(o.Failed())
		check("the forgery limit", ErrForgeryLimit, func() error { return open(sealed, 0) })
		s.SetLimit(s.Used())
		check("the confidentiality limit", ErrLimit, seal)
		s.Wipe()
		check("a wiped sealer", ErrWiped, seal)
	}
}

func TestSizes13(t *testing.T) {
	for _, c := range []struct {
		what       string
		size, want uintptr
	}{
		{"Sealer13", unsafe.Sizeof(Sealer13{}), 136},
		{"Opener13", unsafe.Sizeof(Opener13{}), 200},
	} {
		if unsafe.Sizeof(uintptr(0)) == 8 && c.size > c.want {
			t.Errorf("%s has grown from %d to %d bytes", c.what, c.want, c.size)
		}
	}
}

func TestWipe13(t *testing.T) {
	for _, a := range protected {
		s, o := newSealer13(t, a), newOpener13(t, a, 64)
		record := seal13(t, s, []byte("one"))
		if _, _, err := open13(t, o, record); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			s.Wipe()
			o.Wipe()
		}
		if out, _, err := s.Seal([]byte("dst"), TypeAlert, nil, 0); !errors.Is(err, ErrWiped) || string(out) != "dst" {
			t.Errorf("%v: sealed after Wipe: %q, %v", a, out, err)
		}
		if _, _, err := open13(t, o, record); !errors.Is(err, ErrWiped) {
			t.Errorf("%v: opened after Wipe: %v", a, err)
		}
		for _, p := range []protection{s.protection, o.protection} {
			if p.cipher != nil || p.nonce != [nonceLen]byte{} || p.mask != 0 {
				t.Errorf("%v: Wipe left %+v", a, p)
			}
		}
		if s.number != (numberMask{}) || o.number != (numberMask{}) {
			t.Errorf("%v: Wipe left the key of record numbers", a)
		}
		newest, ok := o.Newest()
		if s.Used() != 1 || s.Remaining() != 0 || o.Remaining() != 0 || s.Epoch() != epoch13 || o.Epoch() != epoch13 || o.AEAD() != a || newest != 0 || !ok {
			t.Errorf("%v: Wipe took the counters", a)
		}
	}
}
