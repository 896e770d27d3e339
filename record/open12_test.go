package record

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
)

// forge makes a record nobody sealed.
func forge(number Number, size int) (Header, []byte) {
	return Header{Type: TypeApplicationData, Version: VersionDTLS12, Number: number, Length: size}, make([]byte, size)
}

func TestReplay(t *testing.T) {
	for _, a := range everyAEAD {
		s, o := newSealer(t, a), newOpener(t, a, 64)
		record := seal(t, s, []byte("once"))
		delivered := 0
		for range 100 {
			switch _, err := open(t, o, record); {
			case err == nil:
				delivered++
			case !errors.Is(err, ErrReplayed):
				t.Fatalf("%v: %v", a, err)
			}
		}
		if delivered != 1 {
			t.Errorf("%v: 100 copies, %d delivered", a, delivered)
		}
		for range 64 {
			if _, err := open(t, o, seal(t, s, nil)); err != nil {
				t.Fatalf("%v: %v", a, err)
			}
		}
		if _, err := open(t, o, record); !errors.Is(err, ErrStale) {
			t.Errorf("%v: left of the window: %v", a, err)
		}
	}
}

// TestAuthentic: whose a record is can be asked without a trace.
func TestAuthentic(t *testing.T) {
	for _, a := range protected {
		s, o, other := newSealer(t, a), newOpener(t, a, 64), newOpener(t, a, 64)
		authentic := func(record []byte) bool {
			h, fragment, _, err := Next(bytes.Clone(record))
			return err == nil && o.Authentic(h, fragment)
		}
		first := seal(t, s, []byte("first"))
		for range 3 {
			if !authentic(first) {
				t.Errorf("%v: a new record is not authentic", a)
			}
		}
		if _, err := open(t, o, first); err != nil || !authentic(first) {
			t.Errorf("%v: opened: %v; then authentic: %v", a, err, authentic(first))
		}
		for range 100 {
			if _, err := open(t, o, seal(t, s, nil)); err != nil {
				t.Fatal(err)
			}
		}
		if !authentic(first) {
			t.Errorf("%v: one left of the window is not authentic", a)
		}
		before := *o
		for at := range first {
			forged := bytes.Clone(first)
			forged[at] ^= 1
			if authentic(forged) {
				t.Errorf("%v: authentic with byte %d changed", a, at)
			}
		}
		for size := range 40 {
			if h, fragment := forge(Number{1, 7}, size); o.Authentic(h, fragment) {
				t.Errorf("%v: %d bytes of nothing are authentic", a, size)
			}
		}
		if o.Failed() != before.Failed() || !reflect.DeepEqual(o.window, before.window) {
			t.Errorf("%v: asking left a trace", a)
		}
		if o.Wipe(); authentic(first) {
			t.Errorf("%v: authentic for keys that are gone", a)
		}
		if _, err := open(t, other, first); err != nil {
			t.Errorf("%v: %v", a, err)
		}
	}
	plain, err := NewOpener12(None, nil, nil, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if h, fragment := forge(Number{}, 40); plain.Authentic(h, fragment) {
		t.Error("authentic without protection")
	}
}

// TestForgedNumbersDoNotMoveTheWindow: threat 6.
func TestForgedNumbersDoNotMoveTheWindow(t *testing.T) {
	for _, a := range protected {
		s, o := newSealer(t, a), newOpener(t, a, 64)
		if _, ok := o.Newest(); ok {
			t.Errorf("%v: a newest record before the first", a)
		}
		if _, err := open(t, o, seal(t, s, nil)); err != nil {
			t.Fatal(err)
		}
		for _, seq := range []uint64{MaxSeq, 1 << 40, 1000, 65, 64, 1} {
			for epoch := range uint64(3) {
				h, fragment := forge(Number{epoch, seq}, 40)
				if _, err := o.Open(h, fragment); !errors.Is(err, ErrBadMAC) && !errors.Is(err, ErrEpoch) {
					t.Fatalf("%v: forged %+v: %v", a, h.Number, err)
				}
			}
		}
		if newest, ok := o.Newest(); !ok || newest != 0 {
			t.Errorf("%v: forgeries moved the newest record to %d, %v", a, newest, ok)
		}
		for i := range 100 {
			if _, err := open(t, o, seal(t, s, nil)); err != nil {
				t.Fatalf("%v: honest record %d: %v", a, i, err)
			}
		}
		if newest, _ := o.Newest(); newest != 100 {
			t.Errorf("%v: newest is %d, want 100", a, newest)
		}
	}
}

// TestEpochZero: without a window nothing there can be locked out; with one,
// every number passes once.
func TestEpochZero(t *testing.T) {
	bare := newOpener(t, None, 0)
	for _, seq := range []uint64{MaxSeq, 0, 0, 5} {
		h, fragment := forge(Number{0, seq}, 3)
		if got, err := bare.Open(h, fragment); err != nil || len(got) != 3 {
			t.Errorf("no window, number %d: %v", seq, err)
		}
	}
	windowed := newOpener(t, None, 64)
	for i, want := range []error{nil, ErrReplayed} {
		h, fragment := forge(Number{0, 5}, 3)
		if _, err := windowed.Open(h, fragment); !errors.Is(err, want) {
			t.Errorf("window, copy %d: %v, want %v", i, err, want)
		}
	}
	for size, want := range map[int]error{MaxPlaintext: nil, MaxPlaintext + 1: ErrTooLong} {
		h, fragment := forge(Number{0, 9}, size)
		if _, err := bare.Open(h, fragment); !errors.Is(err, want) {
			t.Errorf("plaintext of %d bytes: %v, want %v", size, err, want)
		}
	}
}

func TestRecordNumberOfAnotherEpoch(t *testing.T) {
	for _, a := range everyAEAD {
		o := newOpener(t, a, 64)
		for _, n := range []Number{{uint64(epochOf(a)) + 1, 0}, {uint64(epochOf(a)) + 1<<16, 0}, {uint64(epochOf(a)), MaxSeq + 1}} {
			h, fragment := forge(n, 40)
			if _, err := o.Open(h, fragment); !errors.Is(err, ErrEpoch) {
				t.Errorf("%v: %+v: %v", a, n, err)
			}
		}
	}
}

// TestEveryShortLength: threat 2. All lengths, content types and suites.
func TestEveryShortLength(t *testing.T) {
	for _, a := range protected {
		o := newOpener(t, a, 64)
		o.SetLimit(1 << 20)
		s := newSealer(t, a)
		for length := range 65 {
			want := ErrBadMAC
			if length < a.ExplicitNonceLen()+a.TagLen() {
				want = ErrShort
			}
			for typ := range 256 {
				h, fragment := forge(Number{1, uint64(length)}, length)
				h.Type = ContentType(typ)
				if got, err := o.Open(h, fragment); !errors.Is(err, want) || got != nil {
					t.Fatalf("%v: type %d, %d bytes: %x, %v; want %v", a, typ, length, got, err, want)
				}
			}
		}
		for length := range 65 {
			payload := count(0, length)
			if got, err := open(t, o, seal(t, s, payload)); err != nil || !bytes.Equal(got, payload) {
				t.Fatalf("%v: honest payload of %d bytes after the forgeries: %x, %v", a, length, got, err)
			}
		}
	}
}

// TestOversize: threat 3. Too long and authentic is the peer's fault, too long
// and forged is nobody's.
func TestOversize(t *testing.T) {
	for _, a := range protected {
		expansion := a.Overhead12() - HeaderLen
		for _, c := range []struct {
			what      string
			plaintext int
			authentic bool
			want      error
		}{
			{"2^14 - 1, authentic", MaxPlaintext - 1, true, nil},
			{"2^14, authentic", MaxPlaintext, true, nil},
			{"2^14 + 1, authentic", MaxPlaintext + 1, true, ErrOverflow},
			{"2^14 + 1, forged", MaxPlaintext + 1, false, ErrBadMAC},
			{"the longest fragment, authentic", MaxCiphertext12 - expansion, true, ErrOverflow},
			{"the longest fragment, forged", MaxCiphertext12 - expansion, false, ErrBadMAC},
			{"one byte longer, authentic", MaxCiphertext12 - expansion + 1, true, ErrTooLong},
			{"a length of 0xffff", 0xffff - expansion, true, ErrTooLong},
		} {
			s, o := newSealer(t, a), newOpener(t, a, 64)
			record := s.protect(nil, Header{Type: TypeApplicationData, Version: VersionDTLS12, Number: Number{1, 0}}, make([]byte, c.plaintext))
			if !c.authentic {
				record[len(record)-1] ^= 1
			}
			if got, err := open(t, o, record); !errors.Is(err, c.want) || (err == nil) != (len(got) == c.plaintext) {
				t.Errorf("%v: %s: %d bytes, %v; want %v", a, c.what, len(got), err, c.want)
			}
		}
	}
}

// TestEveryBitIsAuthenticated changes each bit of a record but those of the
// length, which Next has judged.
func TestEveryBitIsAuthenticated(t *testing.T) {
	for _, a := range protected {
		record := seal(t, newSealer(t, a), []byte("sixteen bytes, 1"))
		o := newOpener(t, a, 64)
		o.SetLimit(1 << 20)
		for bit := range 8 * len(record) {
			if bit/8 == lengthAt || bit/8 == lengthAt+1 {
				continue
			}
			forged := bytes.Clone(record)
			forged[bit/8] ^= 1 << (bit % 8)
			h, fragment, _, err := Next(forged)
			if errors.Is(err, ErrLayout) {
				continue
			}
			if _, err = o.Open(h, fragment); !errors.Is(err, ErrBadMAC) && !errors.Is(err, ErrEpoch) {
				t.Fatalf("%v: bit %d changed: %v", a, bit, err)
			}
		}
		if _, err := open(t, o, record); err != nil {
			t.Errorf("%v: the untouched record: %v", a, err)
		}
	}
}

// TestOpenIsInPlace: the plaintext lies where the ciphertext was.
func TestOpenIsInPlace(t *testing.T) {
	for _, a := range everyAEAD {
		h, fragment, _, err := Next(seal(t, newSealer(t, a), []byte("here")))
		if err != nil {
			t.Fatal(err)
		}
		plaintext, err := newOpener(t, a, 64).Open(h, fragment)
		if err != nil || &plaintext[0] != &fragment[a.ExplicitNonceLen()] {
			t.Errorf("%v: the plaintext lies elsewhere, %v", a, err)
		}
	}
}

// TestLossDoublingReordering: records of random sizes arrive late by less than
// the window, twice or never; what arrives is delivered once, as it was sent.
func TestLossDoublingReordering(t *testing.T) {
	type flight struct {
		record, payload []byte
		seq             uint64
	}
	for _, a := range protected {
		rng := rand.New(rand.NewPCG(9, uint64(a)))
		s, o := newSealer(t, a), newOpener(t, a, 256)
		arrived, delivered := map[uint64]bool{}, map[uint64]int{}
		for range 50 {
			var air []flight
			for range 100 {
				f := flight{payload: count(rng.Int(), rng.IntN(100)), seq: s.Next()}
				f.record = seal(t, s, f.payload)
				for range rng.IntN(3) {
					air = append(air, f)
				}
			}
			rng.Shuffle(len(air), func(i, j int) { air[i], air[j] = air[j], air[i] })
			for _, f := range air {
				first := !arrived[f.seq]
				arrived[f.seq] = true
				got, err := open(t, o, f.record)
				switch {
				case err == nil && bytes.Equal(got, f.payload):
					delivered[f.seq]++
				case first || !errors.Is(err, ErrReplayed):
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

// FuzzOpen feeds a datagram to openers of every suite. The seeds were sealed
// with other keys, so nothing opens, and an honest record does afterwards.
func FuzzOpen(f *testing.F) {
	for _, a := range protected {
		s, err := NewSealer12(a, make([]byte, a.KeyLen()), make([]byte, a.IVLen()), 1)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(seal(f, s, []byte("seed")), seal(f, s, nil)...))
	}
	f.Add(append(rec(TypeAlert, 1, "", 0), rec(TypeApplicationData, MaxSeq, "0123456789abcdefghijklmn", 0)...))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		for _, a := range everyAEAD {
			o := newOpener(t, a, 64)
			o.SetLimit(1 << 20)
			for rest := bytes.Clone(datagram); len(rest) > 0; {
				h, fragment, after, err := Next(rest)
				if err != nil {
					break
				}
				rest = after
				plaintext, err := o.Open(h, fragment)
				if a != None && err == nil {
					t.Fatalf("%v: forged %+v opened to %x", a, h, plaintext)
				}
				if err != nil && plaintext != nil {
					t.Fatalf("%v: plaintext beside %v", a, err)
				}
			}
			if a == None {
				continue
			}
			if got, err := open(t, o, seal(t, newSealer(t, a), []byte("honest"))); err != nil || string(got) != "honest" {
				t.Fatalf("%v: honest record: %q, %v", a, got, err)
			}
		}
	})
}
