package record

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
)

// cidLen is the length of the connection IDs in these tests.
const cidLen = 4

// unified is a record as any peer may write it: the first byte chooses the form.
func unified(first byte, body string, lie int) []byte {
	b := []byte{first}
	if first&cidBit != 0 {
		b = append(b, "cid!"[:cidLen]...)
	}
	b = append(b, 0x12)
	if first&seq16Bit != 0 {
		b = append(b, 0x34)
	}
	if first&lengthBit != 0 {
		length := len(body)
		if lie != 0 {
			length = lie
		}
		b = append(b, byte(length>>8), byte(length))
	}
	return append(b, body...)
}

func TestUnifiedHeaderOnTheWire(t *testing.T) {
	got := appendUnified([]byte("x"), Number{Epoch: 0x1_0000_0007, Seq: 0xabcd_0123_4567}, 0x0102)[1:]
	if want := []byte{0b001_0_1_1_11, 0x45, 0x67, 1, 2}; !bytes.Equal(got, want) || len(got) != HeaderLen13 {
		t.Fatalf("header %x, want %x", got, want)
	}
}

// TestEveryForm reads a record of each form, and what stands behind it.
func TestEveryForm(t *testing.T) {
	for first := byte(0x20); first < 0x40; first++ {
		t.Run(fmt.Sprintf("%08b", first), func(t *testing.T) {
			datagram := append(unified(first, "body", 0), "rest"...)
			body, rest := "body", "rest"
			if first&lengthBit == 0 {
				body, rest = "bodyrest", ""
			}
			u, after, err := NextUnified(datagram, cidLen)
			if err != nil {
				t.Fatal(err)
			}
			if string(u.Body) != body || string(after) != rest || u.EpochBits != first&3 {
				t.Errorf("body %q, rest %q, epoch %d", u.Body, after, u.EpochBits)
			}
			if want := 1 + int(first&seq16Bit)/seq16Bit; u.SeqLen != want || !bytes.Equal(u.seq(), []byte{0x12, 0x34}[:want]) {
				t.Errorf("number %x of %d bytes", u.seq(), u.SeqLen)
			}
			if withCID := first&cidBit != 0; withCID != (u.CID != nil) || withCID && string(u.CID) != "cid!" {
				t.Errorf("connection ID %q", u.CID)
			}
			if !bytes.Equal(append(bytes.Clone(u.Header), u.Body...), datagram[:len(datagram)-len(after)]) {
				t.Errorf("header %x and body %q are not the record", u.Header, u.Body)
			}
			if cap(u.Header) != len(u.Header) || cap(u.Body) != len(u.Body) || cap(u.CID) != len(u.CID) {
				t.Errorf("an append would write into what follows")
			}
		})
	}
}

// TestBadUnifiedRecordInTheMiddle: threat 1. What stands before is kept.
func TestBadUnifiedRecordInTheMiddle(t *testing.T) {
	first, last := unified(0x2f, "first", 0), unified(0x2f, "last", 0)
	for _, c := range []struct {
		what string
		bad  []byte
		want []string
		err  error
	}{
		{"an empty record is a record", unified(0x2f, "", 0), []string{"first", "", "last"}, nil},
		{"another epoch can be skipped", unified(0x2c, "what?", 0), []string{"first", "what?", "last"}, nil},
		{"a number of 8 bits", unified(0x27, "short", 0), []string{"first", "short", "last"}, nil},
		{"a connection ID", unified(0x3f, "cid", 0), []string{"first", "cid", "last"}, nil},
		{"no length: it takes what follows", unified(0x2b, "all:", 0), []string{"first", "all:" + string(last)}, nil},
		{"a length of 0xffff ends the datagram", unified(0x2f, "bad", 0xffff), []string{"first"}, ErrLength},
		{"a length one past the datagram ends it", unified(0x2f, "bad", 3+len(last)+1), []string{"first"}, ErrLength},
		{"a length one too long swallows a byte of the next", unified(0x2f, "bad", 4), []string{"first", "bad\x2f"}, ErrLayout},
		{"plaintext is another layout", rec(TypeACK, 1, "ack", 0), []string{"first"}, ErrLayout},
		{"bits 010", append([]byte{0x40}, unified(0x2f, "", 0)[1:]...), []string{"first"}, ErrLayout},
		{"bits 000", append([]byte{0x1f}, unified(0x2f, "", 0)[1:]...), []string{"first"}, ErrLayout},
	} {
		t.Run(c.what, func(t *testing.T) {
			got, err := splitUnified(bytes.Join([][]byte{first, c.bad, last}, nil))
			if !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("records %q, want %q", got, c.want)
			}
		})
	}
}

// splitUnified returns the bodies of a datagram up to the first error.
func splitUnified(datagram []byte) (bodies []string, err error) {
	for len(datagram) > 0 {
		u, rest, err := NextUnified(datagram, cidLen)
		if err != nil {
			return bodies, err
		}
		bodies, datagram = append(bodies, string(u.Body)), rest
	}
	return bodies, nil
}

// TestShortUnifiedHeaders cuts every form within its header and at its end.
func TestShortUnifiedHeaders(t *testing.T) {
	for first := byte(0x20); first < 0x40; first++ {
		header := unified(first, "", 0)
		for n := range header {
			if _, _, err := NextUnified(header[:n], cidLen); !errors.Is(err, ErrShortHeader) {
				t.Errorf("%08b: %d of %d bytes: %v", first, n, len(header), err)
			}
		}
		if u, rest, err := NextUnified(header, cidLen); err != nil || len(u.Body)+len(rest) > 0 {
			t.Errorf("%08b: the header alone: %q, %q, %v", first, u.Body, rest, err)
		}
	}
}

// TestUnexpectedCID: without a length for it nothing behind can be found.
func TestUnexpectedCID(t *testing.T) {
	for first := byte(0x20); first < 0x40; first++ {
		for _, length := range []int{0, -1, -1 << 31} {
			_, _, err := NextUnified(unified(first, "body", 0), length)
			if want := first&cidBit != 0; errors.Is(err, ErrLayout) != want || !want && err != nil {
				t.Errorf("%08b: connection IDs of %d bytes: %v", first, length, err)
			}
		}
		// RFC 9147, Section 4: the C bit alone says whether there is one.
		for _, length := range []int{20, 1 << 30, math.MaxInt} {
			if _, _, err := NextUnified(unified(first, "body", 0), length); first&cidBit != 0 && !errors.Is(err, ErrShortHeader) {
				t.Errorf("%08b: a connection ID of %d bytes in a shorter datagram: %v", first, length, err)
			}
		}
	}
	for _, length := range []int{1, 8, 20, 255} { // threat 62
		datagram := append(append([]byte{0x37}, make([]byte, length)...), 0x12, 0, 1, 'b')
		u, rest, err := NextUnified(datagram, length)
		if err != nil || len(u.CID) != length || string(u.Body) != "b" || len(rest) > 0 {
			t.Errorf("a connection ID of %d bytes: %+v, %q, %v", length, u, rest, err)
		}
	}
}

// TestFirstBytes: no record is of both kinds.
func TestFirstBytes(t *testing.T) {
	for first := range 256 {
		want := first >= 32 && first <= 63 // RFC 9147, Section 4.1
		if got := IsUnified(byte(first)); got != want {
			t.Errorf("IsUnified(%d) is %v", first, got)
		}
		datagram := append([]byte{byte(first)}, make([]byte, 40)...)
		_, _, _, err := Next(datagram)
		if _, _, err13 := NextUnified(datagram, cidLen); err == nil && err13 == nil {
			t.Errorf("%d begins records of both kinds", first)
		}
	}
}

// TestManyTinyUnifiedRecords: the work in a full datagram is one step per record.
func TestManyTinyUnifiedRecords(t *testing.T) {
	one := unified(0x27, "", 0)
	datagram := bytes.Repeat(one, 65507/len(one))
	steps := 0
	for rest := datagram; len(rest) > 0; steps++ {
		before := len(rest)
		var err error
		if _, rest, err = NextUnified(rest, 0); err != nil {
			t.Fatal(err)
		}
		if before-len(rest) != len(one) {
			t.Fatalf("step %d read %d bytes", steps, before-len(rest))
		}
	}
	if n := testing.AllocsPerRun(10, func() {
		for rest := datagram; len(rest) > 0; {
			_, rest, _ = NextUnified(rest, 0)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzNextUnified: header, body and rest are the datagram, and the first byte
// says what is in the header.
func FuzzNextUnified(f *testing.F) {
	for first := byte(0x20); first < 0x40; first++ {
		f.Add(append(unified(first, "body", 0), unified(0x2f, "more", 0)...), cidLen)
	}
	f.Add(unified(0x2f, "bad", 0xffff), 0)
	f.Add(rec(TypeAlert, 1, "\x01\x00", 0), 255)
	f.Fuzz(func(t *testing.T, datagram []byte, cidLen int) {
		for rest := datagram; len(rest) > 0; {
			u, after, err := NextUnified(rest, cidLen)
			if err != nil {
				if u.Header != nil || u.Body != nil || u.CID != nil || after != nil {
					t.Fatal("slices beside an error")
				}
				return
			}
			if got := slices.Concat(u.Header, u.Body, after); !bytes.Equal(got, rest) {
				t.Fatalf("cut %x, read %x", got, rest)
			}
			length := 1 + len(u.CID) + u.SeqLen
			if rest[0]&lengthBit != 0 {
				length += 2
			}
			if len(u.Header) != length || u.EpochBits > 3 || u.SeqLen < 1 || u.SeqLen > 2 || (u.CID != nil) != (rest[0]&cidBit != 0) {
				t.Fatalf("%08b gives %+v", rest[0], u)
			}
			if rest[0]&lengthBit == 0 && len(after) > 0 {
				t.Fatalf("%d bytes behind a record without length", len(after))
			}
			rest = after
		}
	})
}
