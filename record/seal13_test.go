package record

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

func TestSealerNumbersRecords13(t *testing.T) {
	for _, a := range protected {
		s, o := newSealer13(t, a), newOpener13(t, a, 64)
		for want := range uint64(3) {
			if s.Next() != want || s.Used() != want {
				t.Fatalf("%v: next %d, used %d before record %d", a, s.Next(), s.Used(), want)
			}
			out, n, err := s.Seal(nil, TypeHandshake, []byte("message"), 0)
			if err != nil || n != (Number{epoch13, want}) {
				t.Fatalf("%v: record %d is %+v, %v", a, want, n, err)
			}
			if len(out) != 7+s.Overhead() {
				t.Fatalf("%v: %d bytes for a payload of 7 and an overhead of %d", a, len(out), s.Overhead())
			}
			u, rest, err := NextUnified(out, 0)
			if err != nil || len(rest) > 0 || u.EpochBits != epoch13 || u.SeqLen != 2 || u.CID != nil || len(u.Header) != HeaderLen13 {
				t.Fatalf("%v: header %+v, %d bytes behind, %v", a, u, len(rest), err)
			}
			typ, plaintext, number, err := o.Open(u)
			if err != nil || typ != TypeHandshake || string(plaintext) != "message" || number != n {
				t.Fatalf("%v: opened %v %q %+v, %v", a, typ, plaintext, number, err)
			}
		}
	}
}

// TestEpochs13: the two bits of the epoch are its lowest, and keys of an epoch
// with the same bits are others.
func TestEpochs13(t *testing.T) {
	for _, epoch := range []uint64{1, 2, 3, 4, 7, 0x1_0000_0000, math.MaxUint64} {
		key, iv := count(int(epoch), 16), count(int(epoch+1), 12)
		s, err := NewSealer13(AES128GCM, key, iv, key, epoch)
		if err != nil {
			t.Fatal(err)
		}
		o, err := NewOpener13(AES128GCM, key, iv, key, epoch, 64)
		if err != nil {
			t.Fatal(err)
		}
		datagram := seal13(t, s, []byte("x"))
		if datagram[0] != 0x2c|byte(epoch&3) {
			t.Errorf("epoch %d begins with %08b", epoch, datagram[0])
		}
		other, err := NewOpener13(AES128GCM, count(99, 16), iv, key, epoch+4, 64)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := open13(t, other, datagram); !errors.Is(err, ErrBadMAC) {
			t.Errorf("epoch %d opened with keys of %d: %v", epoch, epoch+4, err)
		}
		if got, n, err := open13(t, o, datagram); err != nil || string(got) != "x" || n.Epoch != epoch {
			t.Errorf("epoch %d: %q, %+v, %v", epoch, got, n, err)
		}
	}
}

// TestPadding: what is asked for is there, and opens to the payload alone.
func TestPadding(t *testing.T) {
	dirty := bytes.Repeat([]byte{0xff}, 2*MaxCiphertext13)
	for _, a := range protected {
		s, o := newSealer13(t, a), newOpener13(t, a, 64)
		for _, payload := range []int{0, 1, 6, 7, 8, 1000, MaxPlaintext} {
			for _, padding := range []int{math.MinInt, -1, 0, 1, 5, 300, MaxPlaintext - 1000, MaxPlaintext, math.MaxInt} {
				want := max(padding, 0)
				out, n, err := s.Seal(dirty[:0], TypeAlert, count(1, payload), padding)
				if want > MaxPlaintext-payload {
					if !errors.Is(err, ErrPayloadTooLong) || len(out) != 0 {
						t.Errorf("%v: %d bytes and %d of padding: %v", a, payload, padding, err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%v: %d bytes and %d of padding: %v", a, payload, padding, err)
				}
				// RFC 9147, Section 4.2.3: at least 16 bytes of ciphertext.
				if size := max(HeaderLen13+16, s.Overhead()+payload+want); len(out) != size {
					t.Errorf("%v: %d bytes and %d of padding make %d, want %d", a, payload, padding, len(out), size)
				}
				got, number, err := open13(t, o, out)
				if err != nil || !bytes.Equal(got, count(1, payload)) || number != n {
					t.Errorf("%v: %d bytes and %d of padding: %d came back, %+v, %v", a, payload, padding, len(got), number, err)
				}
				for i := range out {
					out[i] = 0xff // leave no zeros for the next
				}
			}
		}
	}
}

// TestForbiddenTypes: type 0 would be taken for padding, and the others have no
// place in a protected record (RFC 9147, Section 4.1).
func TestForbiddenTypes(t *testing.T) {
	for _, a := range protected {
		s := newSealer13(t, a)
		for typ := range 256 {
			_, _, err := s.Seal(nil, ContentType(typ), []byte("x"), 0)
			switch ContentType(typ) {
			case TypeAlert, TypeHandshake, TypeApplicationData, TypeHeartbeat, TypeACK:
				if err != nil {
					t.Errorf("%v: type %d: %v", a, typ, err)
				}
			default:
				if !errors.Is(err, ErrInner) {
					t.Errorf("%v: type %d: %v", a, typ, err)
				}
			}
		}
		if s.Next() != 5 || s.Used() != 5 {
			t.Errorf("%v: refusals consumed numbers: next %d, used %d", a, s.Next(), s.Used())
		}
	}
}

func TestSequenceExhausted13(t *testing.T) {
	for _, a := range protected {
		s, o := newSealer13(t, a), newOpener13(t, a, 64)
		s.next = MaxSeq
		o.window.Mark(MaxSeq - 1)
		if s.Remaining() != 1 {
			t.Errorf("%v: %d records remain before the last number", a, s.Remaining())
		}
		last := seal13(t, s, []byte("last"))
		if got, n, err := open13(t, o, last); err != nil || string(got) != "last" || n.Seq != MaxSeq {
			t.Errorf("%v: the last record: %q, %+v, %v", a, got, n, err)
		}
		for range 2 {
			out, n, err := s.Seal([]byte("dst"), TypeAlert, nil, 0)
			if !errors.Is(err, ErrSequenceExhausted) || string(out) != "dst" || n != (Number{}) {
				t.Errorf("%v: sealed past the last number: %q, %+v, %v", a, out, n, err)
			}
		}
		if s.Remaining() != 0 || s.Used() != 1 {
			t.Errorf("%v: %d remain, %d used at the end", a, s.Remaining(), s.Used())
		}
		// The opener expects a number that does not exist, and still tells which
		// one a copy has.
		if _, _, err := open13(t, o, last); !errors.Is(err, ErrReplayed) {
			t.Errorf("%v: the last record again: %v", a, err)
		}
	}
}

// TestSealLeavesThePayloadAlone13: the caller may send it again.
func TestSealLeavesThePayloadAlone13(t *testing.T) {
	for _, a := range protected {
		payload := []byte("payload")
		seal13(t, newSealer13(t, a), payload)
		if string(payload) != "payload" {
			t.Errorf("%v: payload became %q", a, payload)
		}
	}
}

// TestSealAppends: records share a datagram, and a buffer too small is left alone.
func TestSealAppends(t *testing.T) {
	for _, a := range protected {
		s, o := newSealer13(t, a), newOpener13(t, a, 64)
		datagram := make([]byte, 0, 30)
		for _, text := range []string{"one", "two", "three and some more"} {
			before := bytes.Clone(datagram)
			var err error
			if datagram, _, err = s.Seal(datagram, TypeApplicationData, []byte(text), 0); err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(datagram, before) {
				t.Fatalf("%v: what stood before %q has changed", a, text)
			}
		}
		var got []string
		for rest := datagram; len(rest) > 0; {
			var u Unified
			var err error
			if u, rest, err = NextUnified(rest, 0); err != nil {
				t.Fatal(err)
			}
			_, plaintext, _, err := o.Open(u)
			if err != nil {
				t.Fatalf("%v: record %d: %v", a, len(got), err)
			}
			got = append(got, string(plaintext))
		}
		if len(got) != 3 || got[2] != "three and some more" {
			t.Errorf("%v: opened %q", a, got)
		}
	}
}
