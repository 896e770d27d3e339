package record

import "testing"

func TestOverheadTable(t *testing.T) {
	for a, want := range map[AEAD]int{
		None: 13, AES128GCM: 37, AES256GCM: 37, ChaCha20Poly1305: 29,
		AES128CCM: 37, AES256CCM: 37, AES128CCM8: 29, AES256CCM8: 29,
	} {
		if got := a.Overhead12(); got != want {
			t.Errorf("%v: %d, want %d", a, got, want)
		}
	}
}

// TestMaxDataIsExact seals the longest plaintext for datagrams of every size,
// and one byte more, and weighs both.
func TestMaxDataIsExact(t *testing.T) {
	payload := make([]byte, MaxPlaintext)
	buf := make([]byte, 0, MaxPlaintext+64)
	weigh := func(s *Sealer12, n int) int {
		out, _, err := s.Seal(buf, TypeApplicationData, VersionDTLS12, payload[:n])
		if err != nil {
			t.Fatal(err)
		}
		return len(out)
	}
	for _, a := range everyAEAD {
		s := newSealer(t, a)
		for datagram := 228; datagram <= 9000; datagram++ {
			data := a.MaxData12(datagram)
			if got := weigh(s, data); got > datagram {
				t.Fatalf("%v: MaxData12(%d) = %d makes a record of %d", a, datagram, data, got)
			}
			if got := weigh(s, data+1); got <= datagram {
				t.Fatalf("%v: MaxData12(%d) = %d, and one more byte fits", a, datagram, data)
			}
		}
	}
}

func TestMaxDataAtTheEnds(t *testing.T) {
	for _, a := range everyAEAD {
		for _, c := range []struct {
			what           string
			datagram, want int
		}{
			{"a negative size", -1, 0},
			{"nothing", 0, 0},
			{"one byte less than an empty record", a.Overhead12() - 1, 0},
			{"an empty record", a.Overhead12(), 0},
			{"one byte", a.Overhead12() + 1, 1},
			{"one byte less than the longest record", a.Overhead12() + MaxPlaintext - 1, MaxPlaintext - 1},
			{"the longest record", a.Overhead12() + MaxPlaintext, MaxPlaintext},
			{"more than the longest record", 65507, MaxPlaintext},
		} {
			if got := a.MaxData12(c.datagram); got != c.want {
				t.Errorf("%v: %s: MaxData12(%d) = %d, want %d", a, c.what, c.datagram, got, c.want)
			}
		}
	}
}
