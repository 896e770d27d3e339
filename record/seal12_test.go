package record

import (
	"bytes"
	"errors"
	"testing"
)

func TestSealerNumbersRecords(t *testing.T) {
	for _, a := range everyAEAD {
		s := newSealer(t, a)
		for want := range uint64(3) {
			if s.Next() != want || s.Used() != want {
				t.Fatalf("%v: next %d, used %d before record %d", a, s.Next(), s.Used(), want)
			}
			out, n, err := s.Seal(nil, TypeAlert, VersionDTLS10, []byte{1, 0})
			if err != nil || n != (Number{uint64(epochOf(a)), want}) {
				t.Fatalf("%v: record %d is %+v, %v", a, want, n, err)
			}
			h, fragment, rest, err := Next(out)
			if err != nil || h.Number != n || h.Type != TypeAlert || h.Version != VersionDTLS10 || len(rest) > 0 {
				t.Fatalf("%v: header %+v, %d bytes behind, %v", a, h, len(rest), err)
			}
			if len(out) != 2+s.Overhead() || len(fragment) != h.Length {
				t.Fatalf("%v: %d bytes for a payload of 2 and an overhead of %d", a, len(out), s.Overhead())
			}
		}
	}
}

func TestSkipTo(t *testing.T) {
	s := newSealer(t, None)
	for _, c := range []struct {
		what string
		to   uint64
		want error
		next uint64
	}{
		{"forward", 7, nil, 7},
		{"to where it is", 7, nil, 7},
		{"back by one", 6, ErrSkipBack, 7},
		{"back to the start", 0, ErrSkipBack, 7},
		{"past the last number", MaxSeq + 1, ErrSequenceExhausted, 7},
		{"to the last number", MaxSeq, nil, MaxSeq},
	} {
		if err := s.SkipTo(c.to); !errors.Is(err, c.want) || s.Next() != c.next {
			t.Errorf("%s: %v, next %d; want %v, %d", c.what, err, s.Next(), c.want, c.next)
		}
	}
	if s.Used() != 0 {
		t.Errorf("skipped numbers count as used: %d", s.Used())
	}
}

func TestSequenceExhausted(t *testing.T) {
	for _, a := range everyAEAD {
		s := newSealer(t, a)
		if err := s.SkipTo(MaxSeq); err != nil {
			t.Fatal(err)
		}
		if s.Remaining() != 1 {
			t.Errorf("%v: %d records remain before the last number", a, s.Remaining())
		}
		last := seal(t, s, []byte("last"))
		if got, err := open(t, newOpener(t, a, 64), last); err != nil || string(got) != "last" {
			t.Errorf("%v: the last record: %q, %v", a, got, err)
		}
		for range 2 {
			out, n, err := s.Seal([]byte("dst"), TypeAlert, VersionDTLS12, nil)
			if !errors.Is(err, ErrSequenceExhausted) || string(out) != "dst" || n != (Number{}) {
				t.Errorf("%v: sealed past the last number: %q, %+v, %v", a, out, n, err)
			}
		}
		if s.Remaining() != 0 || s.Used() != 1 {
			t.Errorf("%v: %d remain, %d used at the end", a, s.Remaining(), s.Used())
		}
		if err := s.SkipTo(0); !errors.Is(err, ErrSkipBack) {
			t.Errorf("%v: numbers began again: %v", a, err)
		}
	}
}

func TestPayloadTooLong(t *testing.T) {
	for _, a := range everyAEAD {
		s := newSealer(t, a)
		if out, _, err := s.Seal([]byte("dst"), TypeApplicationData, VersionDTLS12, make([]byte, MaxPlaintext+1)); !errors.Is(err, ErrPayloadTooLong) || string(out) != "dst" {
			t.Errorf("%v: 2^14+1 bytes: %v", a, err)
		}
		if s.Next() != 0 || s.Used() != 0 {
			t.Errorf("%v: the refusal consumed a number", a)
		}
		payload := bytes.Repeat([]byte{7}, MaxPlaintext)
		if got, err := open(t, newOpener(t, a, 64), seal(t, s, payload)); err != nil || !bytes.Equal(got, payload) {
			t.Errorf("%v: 2^14 bytes: %d came back, %v", a, len(got), err)
		}
	}
}

// TestSealLeavesThePayloadAlone: the caller may send it again.
func TestSealLeavesThePayloadAlone(t *testing.T) {
	for _, a := range everyAEAD {
		payload := []byte("payload")
		seal(t, newSealer(t, a), payload)
		if string(payload) != "payload" {
			t.Errorf("%v: payload became %q", a, payload)
		}
	}
}
