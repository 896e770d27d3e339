package record

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

// TestLimitsFromTheRFC recomputes the figures from the formulas beside them.
func TestLimitsFromTheRFC(t *testing.T) {
	const l = 1 << 10 // blocks per record
	q := math.Sqrt(math.Exp2(-60)*math.Exp2(128)) / (2 * l)
	if want := uint64(q); ccmConfidentiality != want {
		t.Errorf("CCM protects %d records, RFC 9147, Appendix B.1 gives %d", ccmConfidentiality, want)
	}
	if want := uint64(math.Exp2(23.5)); ccmIntegrity != want {
		t.Errorf("CCM refuses %d records, RFC 9147, Appendix B.2 gives %d", ccmIntegrity, want)
	}
	if want := uint64(math.Exp2(-57) * math.Exp2(64)); ccm8Integrity != want {
		t.Errorf("CCM_8 refuses %d records, RFC 9147, Appendix B.3 gives %d", ccm8Integrity, want)
	}
	if want := uint64(math.Exp2(24.5)); gcmConfidentiality != want {
		t.Errorf("GCM protects %d records, RFC 9846, Section 5.5 gives %d", gcmConfidentiality, want)
	}
}

func TestConfidentialityLimit(t *testing.T) {
	for _, a := range everyAEAD {
		s := newSealer(t, a)
		if want := min(a.ConfidentialityLimit(), MaxSeq+1); s.Remaining() != want {
			t.Errorf("%v: %d records remain at first, want %d", a, s.Remaining(), want)
		}
		s.SetLimit(3)
		if err := s.SkipTo(1000); err != nil { // numbers skipped protect nothing
			t.Fatal(err)
		}
		for i := range uint64(3) {
			if s.Remaining() != 3-i {
				t.Errorf("%v: %d records remain after %d of 3", a, s.Remaining(), i)
			}
			seal(t, s, nil)
		}
		out, _, err := s.Seal([]byte("dst"), TypeAlert, VersionDTLS12, nil)
		if !errors.Is(err, ErrLimit) || string(out) != "dst" || s.Next() != 1003 || s.Used() != 3 || s.Remaining() != 0 {
			t.Errorf("%v: at the limit: %q, %v, next %d, used %d, %d remain", a, out, err, s.Next(), s.Used(), s.Remaining())
		}
		s.SetLimit(1)
		if s.Remaining() != 0 {
			t.Errorf("%v: %d records remain past a lowered limit", a, s.Remaining())
		}
	}
}

func TestForgeryLimit(t *testing.T) {
	for _, a := range protected {
		s, o := newSealer(t, a), newOpener(t, a, 64)
		good := seal(t, s, []byte("good"))
		forged := seal(t, s, []byte("forged"))
		forged[len(forged)-1] ^= 1

		o.SetLimit(3)
		for i, want := range []error{ErrBadMAC, ErrBadMAC, ErrForgeryLimit, ErrForgeryLimit} {
			if left := uint64(max(3-i, 0)); o.Remaining() != left {
				t.Errorf("%v: %d forgeries remain after %d, want %d", a, o.Remaining(), i, left)
			}
			if _, err := open(t, o, forged); !errors.Is(err, want) {
				t.Errorf("%v: forgery %d: %v, want %v", a, i+1, err, want)
			}
		}
		if o.Failed() != 3 {
			t.Errorf("%v: %d forgeries counted, want 3: beyond the limit none is tried", a, o.Failed())
		}
		if _, err := open(t, o, good); !errors.Is(err, ErrForgeryLimit) {
			t.Errorf("%v: an authentic record past the limit: %v", a, err)
		}
		o.SetLimit(1)
		if o.Remaining() != 0 {
			t.Errorf("%v: %d forgeries remain past a lowered limit", a, o.Remaining())
		}
	}
}

func TestOnlyFailedAuthenticationCounts(t *testing.T) {
	for _, a := range protected {
		s, o := newSealer(t, a), newOpener(t, a, 64)
		record := seal(t, s, []byte("x"))
		h, _, _, _ := Next(record)
		for range 2 { // the second is a replay
			_, _ = open(t, o, record) // counted below
		}
		_, _ = o.Open(h, nil)                                // short
		_, _ = o.Open(h, make([]byte, MaxCiphertext12+1))    // long
		_, _ = o.Open(Header{Number: Number{Epoch: 9}}, nil) // another epoch
		if o.Failed() != 0 {
			t.Errorf("%v: %d failures counted for records never decrypted", a, o.Failed())
		}
	}
}

// TestForgeryLimit13: as above, and only decryptions that were tried count.
func TestForgeryLimit13(t *testing.T) {
	for _, a := range protected {
		s, o := newSealer13(t, a), newOpener13(t, a, 64)
		good := seal13(t, s, []byte("good"))
		forged := seal13(t, s, []byte("forged"))
		forged[len(forged)-1] ^= 1
		other := bytes.Clone(forged)
		other[0] ^= 1 // of another epoch

		o.SetLimit(3)
		for i, want := range []error{ErrBadMAC, ErrBadMAC, ErrForgeryLimit, ErrForgeryLimit} {
			if _, _, err := open13(t, o, other); i < 3 && !errors.Is(err, ErrEpoch) {
				t.Errorf("%v: another epoch: %v", a, err)
			}
			if left := uint64(max(3-i, 0)); o.Remaining() != left {
				t.Errorf("%v: %d forgeries remain after %d, want %d", a, o.Remaining(), i, left)
			}
			if _, _, err := open13(t, o, forged); !errors.Is(err, want) {
				t.Errorf("%v: forgery %d: %v, want %v", a, i+1, err, want)
			}
		}
		if o.Failed() != 3 {
			t.Errorf("%v: %d forgeries counted, want 3: beyond the limit none is tried", a, o.Failed())
		}
		if _, _, err := open13(t, o, good); !errors.Is(err, ErrForgeryLimit) {
			t.Errorf("%v: an authentic record past the limit: %v", a, err)
		}
	}
}

func TestConfidentialityLimit13(t *testing.T) {
	for _, a := range protected {
		s := newSealer13(t, a)
		if want := min(a.ConfidentialityLimit(), MaxSeq+1); s.Remaining() != want {
			t.Errorf("%v: %d records remain at first, want %d", a, s.Remaining(), want)
		}
		s.SetLimit(1)
		seal13(t, s, nil)
		out, _, err := s.Seal([]byte("dst"), TypeAlert, nil, 0)
		if !errors.Is(err, ErrLimit) || string(out) != "dst" || s.Next() != 1 || s.Used() != 1 || s.Remaining() != 0 {
			t.Errorf("%v: at the limit: %q, %v, next %d, used %d, %d remain", a, out, err, s.Next(), s.Used(), s.Remaining())
		}
	}
}
