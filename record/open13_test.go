package record

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// forge13 is a record nobody sealed, of the tests' epoch or another.
func forge13(rng *rand.Rand, first byte, length int) []byte {
	body := make([]byte, length)
	for i := range body {
		body[i] = byte(rng.Uint32())
	}
	datagram := unified(first, string(body), 0)
	datagram[len(datagram)-length-1-2*int(first&lengthBit)/lengthBit] ^= byte(rng.Uint32()) // in the number
	return datagram
}

func TestReplay13(t *testing.T) {
	for _, a := range protected {
		s, o := newSealer13(t, a), newOpener13(t, a, 64)
		record := seal13(t, s, []byte("once"))
		delivered := 0
		for range 100 {
			switch _, n, err := open13(t, o, record); {
			case err == nil:
				delivered++
			case !errors.Is(err, ErrReplayed) || n != (Number{epoch13, 0}):
				t.Fatalf("%v: %+v, %v", a, n, err)
			}
		}
		if delivered != 1 {
			t.Errorf("%v: 100 copies, %d delivered", a, delivered)
		}
		for range 64 {
			if _, _, err := open13(t, o, seal13(t, s, nil)); err != nil {
				t.Fatalf("%v: %v", a, err)
			}
		}
		if _, n, err := open13(t, o, record); !errors.Is(err, ErrStale) || n != (Number{epoch13, 0}) {
			t.Errorf("%v: left of the window: %+v, %v", a, n, err)
		}
		if o.Failed() != 0 {
			t.Errorf("%v: %d authentic records count as forgeries", a, o.Failed())
		}
	}
}

// TestForgedNumbersDoNotMoveTheWindow13: threat 6. The numbers are those a forger
// with the key of record numbers would choose, or any.
func TestForgedNumbersDoNotMoveTheWindow13(t *testing.T) {
	for _, a := range protected {
		rng := rand.New(rand.NewPCG(6, uint64(a)))
		s, o := newSealer13(t, a), newOpener13(t, a, 64)
		o.SetLimit(1 << 20)
		if _, ok := o.Newest(); ok {
			t.Errorf("%v: a newest record before the first", a)
		}
		if _, _, err := open13(t, o, seal13(t, s, nil)); err != nil {
			t.Fatal(err)
		}
		for _, seq := range []uint64{MaxSeq, 1 << 40, 1<<15 + 1, 1 << 15, 1000, 65, 64, 1} {
			for first := byte(0x20); first < 0x40; first++ {
				forged := sealInner(s, first, seq, count(1, 40))
				forged[len(forged)-1] ^= 1
				if _, n, err := open13(t, o, forged); !errors.Is(err, ErrBadMAC) && !errors.Is(err, ErrEpoch) || n != (Number{}) {
					t.Fatalf("%v: forged %d: %+v, %v", a, seq, n, err)
				}
				if _, _, err := open13(t, o, forge13(rng, first, 40)); err == nil {
					t.Fatalf("%v: random bytes opened", a)
				}
			}
		}
		if newest, ok := o.Newest(); !ok || newest != 0 {
			t.Errorf("%v: forgeries moved the newest record to %d, %v", a, newest, ok)
		}
		for i := range 100 {
			if _, _, err := open13(t, o, seal13(t, s, nil)); err != nil {
				t.Fatalf("%v: honest record %d: %v", a, i, err)
			}
		}
		if newest, _ := o.Newest(); newest != 100 {
			t.Errorf("%v: newest is %d, want 100", a, newest)
		}
	}
}

// TestEveryShortLength13: threat 2. All lengths, forms and suites, with and
// without connection IDs of a known length.
func TestEveryShortLength13(t *testing.T) {
	for _, a := range protected {
		rng := rand.New(rand.NewPCG(2, uint64(a)))
		o, s := newOpener13(t, a, 256), newSealer13(t, a)
		o.SetLimit(1 << 20)
		for length := range 65 {
			for first := byte(0x20); first < 0x40; first++ {
				want := ErrBadMAC
				switch {
				case first&epochBits != epoch13:
					want = ErrEpoch
				case length < max(16, a.TagLen()+1):
					want = ErrShort
				}
				u, rest, err := NextUnified(forge13(rng, first, length), cidLen)
				if err != nil || len(rest) > 0 {
					t.Fatalf("%08b, %d bytes: %v", first, length, err)
				}
				if typ, got, n, err := o.Open(u); !errors.Is(err, want) || typ != 0 || got != nil || n != (Number{}) {
					t.Fatalf("%v: %08b, %d bytes: %v %x %+v, %v; want %v", a, first, length, typ, got, n, err, want)
				}
			}
		}
		for length := range 65 {
			payload := count(0, length)
			if got, _, err := open13(t, o, seal13(t, s, payload)); err != nil || !bytes.Equal(got, payload) {
				t.Fatalf("%v: honest payload of %d bytes after the forgeries: %x, %v", a, length, got, err)
			}
		}
	}
}

// TestOpenEveryForm: what peers may write and we do not, in turn.
func TestOpenEveryForm(t *testing.T) {
	for _, a := range protected {
		s, o := newSealer13(t, a), newOpener13(t, a, 64)
		seq := uint64(70_000) // above what the bits can tell
		o.window.Mark(seq - 1)
		for first := byte(0x20); first < 0x40; first++ {
			if first&epochBits != epoch13 {
				continue
			}
			text := fmt.Sprintf("form %08b", first)
			record := sealInner(s, first, seq, append([]byte(text), byte(TypeACK), 0, 0))
			u, _, err := NextUnified(record, cidLen)
			if err != nil {
				t.Fatal(err)
			}
			typ, plaintext, n, err := o.Open(u)
			if err != nil || typ != TypeACK || string(plaintext) != text || n != (Number{epoch13, seq}) {
				t.Errorf("%v: %s: %v %q %+v, %v", a, text, typ, plaintext, n, err)
			}
			seq += 3
		}
	}
}

// TestInner: threat 4. All records are authentic.
func TestInner(t *testing.T) {
	zeros := func(n int) []byte { return make([]byte, n) }
	for _, c := range []struct {
		what  string
		inner []byte
		want  error
	}{
		{"nothing", nil, ErrShort},
		{"one zero", zeros(1), ErrInner},
		{"16 zeros", zeros(16), ErrInner},
		{"2^14 zeros", zeros(MaxPlaintext), ErrInner},
		{"2^14 + 1 zeros", zeros(MaxPlaintext + 1), ErrInner},
		{"2^14 + 2 zeros", zeros(MaxPlaintext + 2), ErrOverflow},
		{"change_cipher_spec", append(count(1, 20), 20), ErrInner},
		{"tls12_cid", append(count(1, 20), 25), ErrInner},
		{"a type nobody knows", append(count(1, 20), 99), ErrInner},
		{"a type nobody knows, padded", append(append(count(1, 20), 99), zeros(100)...), ErrInner},
		{"the first byte of a unified header", append(count(1, 20), 0x2f), ErrInner},
		{"type 255", append(count(1, 20), 255), ErrInner},
		{"alert", append(count(1, 20), 21), nil},
		{"handshake", append(count(1, 20), 22), nil},
		{"application_data", append(count(1, 20), 23), nil},
		{"heartbeat", append(count(1, 20), 24), nil},
		{"ack", append(count(1, 20), 26), nil},
		{"a type and the most padding", append([]byte{23}, zeros(MaxPlaintext)...), nil},
		{"a type and one more zero", append([]byte{23}, zeros(MaxPlaintext+1)...), ErrOverflow},
		{"content that ends with zeros", append(append([]byte("x"), zeros(30)...), 23), nil},
	} {
		for _, a := range protected {
			s, o := newSealer13(t, a), newOpener13(t, a, 64)
			want := c.want
			if len(c.inner)+a.TagLen() < sampleLen {
				want = ErrShort
			}
			_, n, err := open13(t, o, sealInner(s, 0x2f, 5, c.inner))
			if !errors.Is(err, want) {
				t.Errorf("%v: %s: %v, want %v", a, c.what, err, want)
			}
			// RFC 9147, Section 4.5.2: a record dropped moves no window.
			if _, ok := o.Newest(); ok != (want == nil) {
				t.Errorf("%v: %s moved the window: %v", a, c.what, ok)
			}
			if wantN := (Number{epoch13, 5}); !errors.Is(want, ErrShort) && n != wantN {
				t.Errorf("%v: %s has number %+v", a, c.what, n)
			}
			if o.Failed() != 0 {
				t.Errorf("%v: %s counts as a forgery", a, c.what)
			}
		}
	}
}

// TestAnyPadding: content comes back without its padding, whatever that is.
func TestAnyPadding(t *testing.T) {
	for _, a := range protected {
		s, o := newSealer13(t, a), newOpener13(t, a, 64)
		for padding := 0; padding <= 16000; padding += 1 + padding/9 {
			for _, content := range []int{0, 1, 20} {
				inner := append(append(count(0, content), byte(TypeApplicationData)), make([]byte, max(padding, 8))...)
				got, _, err := open13(t, o, sealInner(s, 0x2f, s.take(), inner))
				if err != nil || !bytes.Equal(got, count(0, content)) {
					t.Fatalf("%v: content of %d, %d of padding: %x, %v", a, content, padding, got, err)
				}
			}
		}
	}
}

// TestOversize13: threat 3. Too long and authentic is the peer's fault, too long
// and forged is nobody's.
func TestOversize13(t *testing.T) {
	for _, a := range protected {
		most := MaxCiphertext13 - a.TagLen()
		for _, c := range []struct {
			what      string
			inner     int
			authentic bool
			want      error
		}{
			{"2^14 of content and a type, authentic", MaxPlaintext + 1, true, nil},
			{"one more, authentic", MaxPlaintext + 2, true, ErrOverflow},
			{"one more, forged", MaxPlaintext + 2, false, ErrBadMAC},
			{"the longest ciphertext, authentic", most, true, ErrOverflow},
			{"the longest ciphertext, forged", most, false, ErrBadMAC},
			{"one byte longer, authentic", most + 1, true, ErrTooLong},
			{"a length of 0xffff", 0xffff - a.TagLen(), true, ErrTooLong},
		} {
			s, o := newSealer13(t, a), newOpener13(t, a, 64)
			inner := append(make([]byte, c.inner-1), byte(TypeApplicationData))
			record := sealInner(s, 0x2f, 0, inner)
			if !c.authentic {
				record[len(record)-1] ^= 1
			}
			if got, _, err := open13(t, o, record); !errors.Is(err, c.want) || (err == nil) != (len(got) == c.inner-1) {
				t.Errorf("%v: %s: %d bytes, %v; want %v", a, c.what, len(got), err, c.want)
			}
		}
	}
}

// TestEveryBitIsAuthenticated13 changes each bit of records in all forms. A
// record that says it is shorter is another one.
func TestEveryBitIsAuthenticated13(t *testing.T) {
	for _, a := range protected {
		s, o := newSealer13(t, a), newOpener13(t, a, 64)
		o.SetLimit(1 << 20)
		for _, first := range []byte{0x23, 0x27, 0x2b, 0x2f, 0x33, 0x37, 0x3b, 0x3f} {
			record := sealInner(s, first, uint64(first), append([]byte("sixteen bytes, 1"), byte(TypeAlert)))
			for bit := range 8 * len(record) {
				forged := bytes.Clone(record)
				forged[bit/8] ^= 1 << (bit % 8)
				for rest := forged; len(rest) > 0; {
					var u Unified
					var err error
					if u, rest, err = NextUnified(rest, cidLen); err != nil {
						break
					}
					if _, _, _, err := o.Open(u); err == nil {
						t.Fatalf("%v: %08b: bit %d changed, and it opens", a, first, bit)
					}
				}
			}
			if _, _, err := open13(t, o, record); err != nil {
				t.Errorf("%v: %08b: the untouched record: %v", a, first, err)
			}
		}
	}
}

// TestOpenIsInPlace13: the plaintext lies where the ciphertext was, and the
// header has become what was authenticated.
func TestOpenIsInPlace13(t *testing.T) {
	for _, a := range protected {
		u, _, err := NextUnified(seal13(t, newSealer13(t, a), []byte("in here")), 0)
		if err != nil {
			t.Fatal(err)
		}
		_, plaintext, _, err := newOpener13(t, a, 64).Open(u)
		if err != nil || &plaintext[0] != &u.Body[0] {
			t.Errorf("%v: the plaintext lies elsewhere, %v", a, err)
		}
		if want := []byte{0x2f, 0, 0, 0, byte(8 + a.TagLen())}; !bytes.Equal(u.Header, want) {
			t.Errorf("%v: header %x, want %x", a, u.Header, want)
		}
	}
}

// TestLossDoublingReordering13: records of random sizes and forms arrive late by
// less than the window, twice or never; what arrives is delivered once, as it was
// sent. Numbers of 8 bits bear half their span of disorder.
func TestLossDoublingReordering13(t *testing.T) {
	type flight struct {
		record, payload []byte
		seq             uint64
	}
	for _, a := range protected {
		for _, first := range []byte{0x2f, 0x27} {
			rng := rand.New(rand.NewPCG(uint64(first), uint64(a)))
			s, o := newSealer13(t, a), newOpener13(t, a, 256)
			arrived, delivered := map[uint64]bool{}, map[uint64]int{}
			for range 50 {
				var air []flight
				for range 60 {
					f := flight{payload: count(rng.Int(), 8+rng.IntN(100)), seq: s.take()}
					f.record = sealInner(s, first, f.seq, append(bytes.Clone(f.payload), byte(TypeApplicationData)))
					for range rng.IntN(3) {
						air = append(air, f)
					}
				}
				rng.Shuffle(len(air), func(i, j int) { air[i], air[j] = air[j], air[i] })
				for _, f := range air {
					once := !arrived[f.seq]
					arrived[f.seq] = true
					got, n, err := open13(t, o, f.record)
					switch {
					case n.Seq != f.seq:
						t.Fatalf("%v: record %d came as %+v, %v", a, f.seq, n, err)
					case err == nil && bytes.Equal(got, f.payload):
						delivered[f.seq]++
					case once || !errors.Is(err, ErrReplayed):
						t.Fatalf("%v: record %d: %x, %v", a, f.seq, got, err)
					}
				}
			}
			for seq := range arrived {
				if delivered[seq] != 1 {
					t.Errorf("%v: record %d delivered %d times", a, seq, delivered[seq])
				}
			}
		}
	}
}

// TestGaps: as many records may be lost in a row as the number's bits can span.
func TestGaps(t *testing.T) {
	for _, a := range protected {
		for first, half := range map[byte]uint64{0x2f: 1 << 15, 0x27: 1 << 7} {
			s := newSealer13(t, a)
			inner := append(count(1, 20), byte(TypeAlert))
			for lost, want := range map[uint64]error{half - 1: nil, half: nil, half + 1: ErrBadMAC} {
				o := newOpener13(t, a, 64)
				o.window.Mark(999_999)
				_, n, err := open13(t, o, sealInner(s, first, 1_000_000+lost, inner))
				if !errors.Is(err, want) || want == nil && n.Seq != 1_000_000+lost {
					t.Errorf("%v: %08b: %d lost: %+v, %v, want %v", a, first, lost, n, err, want)
				}
			}
		}
	}
}

// FuzzOpen13 feeds a datagram to openers of every suite. The seeds were sealed
// with other keys, so nothing opens, and an honest record does afterwards. As the
// inner plaintext of an authentic record the input opens as the RFC has it.
func FuzzOpen13(f *testing.F) {
	for _, a := range protected {
		s, err := NewSealer13(a, make([]byte, a.KeyLen()), make([]byte, a.IVLen13()), make([]byte, a.KeyLen()), epoch13)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(seal13(f, s, []byte("seed")), seal13(f, s, nil)...))
		f.Add(sealInner(s, 0x33, 9, count(1, 30)))
	}
	f.Add(append(unified(0x27, "too short", 0), unified(0x2b, "takes all that is left here", 0)...))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		for _, a := range protected {
			o := newOpener13(t, a, 64)
			o.SetLimit(1 << 20)
			for rest := bytes.Clone(datagram); len(rest) > 0; {
				u, after, err := NextUnified(rest, cidLen)
				if err != nil {
					break
				}
				rest = after
				typ, plaintext, n, err := o.Open(u)
				if err == nil {
					t.Fatalf("%v: forged %+v opened to %v %x", a, n, typ, plaintext)
				}
				if plaintext != nil || typ != 0 || n != (Number{}) {
					t.Fatalf("%v: %v %x %+v beside %v", a, typ, plaintext, n, err)
				}
			}
			if got, _, err := open13(t, o, seal13(t, newSealer13(t, a), []byte("honest"))); err != nil || string(got) != "honest" {
				t.Fatalf("%v: honest record: %q, %v", a, got, err)
			}
			inner := append(bytes.Clone(datagram), make([]byte, sampleLen)...)
			typ, content, ok := innerModel(inner)
			u, _, err := NextUnified(sealInner(newSealer13(t, a), 0x2b, 1, inner), 0)
			if err != nil {
				t.Fatal(err)
			}
			gotType, got, n, err := o.Open(u)
			if n.Seq != 1 || (err == nil) != ok || ok && (gotType != typ || !bytes.Equal(got, content)) {
				t.Fatalf("%v: inner %x: %v %x %+v, %v", a, inner, gotType, got, n, err)
			}
		}
	})
}

// innerModel takes an inner plaintext apart in another way: RFC 9846, Section
// 5.4, and the types of RFC 9147, Section 4.1.
func innerModel(inner []byte) (typ ContentType, content []byte, ok bool) {
	rest := bytes.TrimRight(inner, "\x00")
	if len(rest) == 0 || len(inner) > 1<<14+1 {
		return 0, nil, false
	}
	last := rest[len(rest)-1]
	return ContentType(last), rest[:len(rest)-1], bytes.IndexByte([]byte{21, 22, 23, 24, 26}, last) >= 0
}
