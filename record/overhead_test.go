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

func TestOverheadTable13(t *testing.T) {
	for a, want := range map[AEAD]int{
		None: 13, AES128GCM: 22, AES256GCM: 22, ChaCha20Poly1305: 22,
		AES128CCM: 22, AES256CCM: 22, AES128CCM8: 14, AES256CCM8: 14,
	} {
		if got := a.Overhead13(); got != want {
			t.Errorf("%v: %d, want %d", a, got, want)
		}
	}
}

// TestDataBudget13: what is left of the datagrams of some common paths.
func TestDataBudget13(t *testing.T) {
	datagrams := []int{1472, 1452, 1252, 1232, 872, 548}
	for a, want := range map[AEAD][]int{
		None:             {1459, 1439, 1239, 1219, 859, 535},
		AES128GCM:        {1450, 1430, 1230, 1210, 850, 526},
		ChaCha20Poly1305: {1450, 1430, 1230, 1210, 850, 526},
		AES128CCM:        {1450, 1430, 1230, 1210, 850, 526},
		AES128CCM8:       {1458, 1438, 1238, 1218, 858, 534},
	} {
		for i, datagram := range datagrams {
			if got := a.MaxData13(datagram); got != want[i] {
				t.Errorf("%v: %d bytes of data in a datagram of %d, want %d", a, got, datagram, want[i])
			}
		}
	}
}

// TestMaxDataIsExact13 seals the longest plaintext for datagrams of every size,
// and one byte more, and weighs both.
func TestMaxDataIsExact13(t *testing.T) {
	payload := make([]byte, MaxPlaintext)
	buf := make([]byte, 0, MaxCiphertext13+HeaderLen13)
	for _, a := range protected {
		s := newSealer13(t, a)
		weigh := func(n int) int {
			out, _, err := s.Seal(buf, TypeApplicationData, payload[:n], 0)
			if err != nil {
				t.Fatal(err)
			}
			return len(out)
		}
		exact := func(datagram int) {
			data := a.MaxData13(datagram)
			if got := weigh(data); got > datagram && weigh(0) <= datagram {
				t.Fatalf("%v: MaxData13(%d) = %d makes a record of %d", a, datagram, data, got)
			}
			if got := weigh(data + 1); got <= datagram {
				t.Fatalf("%v: MaxData13(%d) = %d, and one more byte fits", a, datagram, data)
			}
		}
		for datagram := range 40 { // where records of AES-CCM_8 are padded
			exact(datagram)
		}
		for datagram := 228; datagram <= 9000; datagram++ {
			exact(datagram)
		}
	}
}

func TestMaxDataAtTheEnds13(t *testing.T) {
	for _, a := range everyAEAD {
		smallest := a.Overhead13()
		if a != None {
			smallest = max(smallest, HeaderLen13+16)
		}
		for _, c := range []struct {
			what           string
			datagram, want int
		}{
			{"a negative size", -1, 0},
			{"nothing", 0, 0},
			{"one byte less than an empty record", smallest - 1, 0},
			{"an empty record", smallest, smallest - a.Overhead13()},
			{"one byte more", smallest + 1, smallest - a.Overhead13() + 1},
			{"one byte less than the longest record", a.Overhead13() + MaxPlaintext - 1, MaxPlaintext - 1},
			{"the longest record", a.Overhead13() + MaxPlaintext, MaxPlaintext},
			{"more than the longest record", 65507, MaxPlaintext},
		} {
			if got := a.MaxData13(c.datagram); got != c.want {
				t.Errorf("%v: %s: MaxData13(%d) = %d, want %d", a, c.what, c.datagram, got, c.want)
			}
		}
	}
}
