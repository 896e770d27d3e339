package record

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// rec is a record with the given fragment and, when lie is not zero, another
// length than its own.
func rec(typ ContentType, seq uint64, fragment string, lie int) []byte {
	length := len(fragment)
	if lie != 0 {
		length = lie
	}
	h := Header{Type: typ, Version: VersionDTLS12, Number: Number{Epoch: 1, Seq: seq}, Length: length}
	return append(AppendHeader(nil, h), fragment...)
}

func TestHeaderOnTheWire(t *testing.T) {
	h := Header{
		Type:    TypeHandshake,
		Version: VersionDTLS12,
		Number:  Number{Epoch: 0x0102, Seq: 0x030405060708},
		Length:  0x0002,
	}
	want := []byte{22, 0xfe, 0xfd, 1, 2, 3, 4, 5, 6, 7, 8, 0, 2}
	got := AppendHeader([]byte("x"), h)[1:]
	if !bytes.Equal(got, want) || len(got) != HeaderLen {
		t.Fatalf("header %x, want %x", got, want)
	}
	back, fragment, rest, err := Next(append(got, "abc"...))
	if err != nil || back != h || string(fragment) != "ab" || string(rest) != "c" {
		t.Fatalf("read back %+v, %q, %q, %v", back, fragment, rest, err)
	}
	if cap(fragment) != len(fragment) {
		t.Errorf("an append to the fragment would write into the next record")
	}
}

// TestBadRecordInTheMiddle: threat 1. What stands before the bad record is kept,
// what stands behind is kept where the bad record's length is true.
func TestBadRecordInTheMiddle(t *testing.T) {
	first, last := rec(TypeApplicationData, 1, "first", 0), rec(TypeApplicationData, 3, "last", 0)
	for _, c := range []struct {
		what string
		bad  []byte
		want []string
		err  error
	}{
		{"an empty record is a record", rec(TypeApplicationData, 2, "", 0), []string{"first", "", "last"}, nil},
		{"an unknown type can be skipped", rec(99, 2, "what?", 0), []string{"first", "what?", "last"}, nil},
		{"a foreign version can be skipped", append([]byte{23, 3, 3}, rec(23, 2, "tls", 0)[3:]...), []string{"first", "tls", "last"}, nil},
		{"a length of 0xffff ends the datagram", rec(TypeApplicationData, 2, "bad", 0xffff), []string{"first"}, ErrLength},
		{"a length one past the datagram ends it", rec(TypeApplicationData, 2, "bad", 3+HeaderLen+4+1), []string{"first"}, ErrLength},
		{"a length one too long swallows a byte of the next", rec(TypeApplicationData, 2, "bad", 4), []string{"first", "bad\x17"}, ErrLength},
		{"a connection ID moves the length", rec(TypeTLS12CID, 2, "cid", 0), []string{"first"}, ErrLayout},
		{"a unified header has no such length", []byte{0x2f, 0, 1, 2, 3}, []string{"first"}, ErrLayout},
	} {
		t.Run(c.what, func(t *testing.T) {
			got, err := split(bytes.Join([][]byte{first, c.bad, last}, nil))
			if !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("records %q, want %q", got, c.want)
			}
		})
	}
}

func TestShortTails(t *testing.T) {
	for n := range HeaderLen {
		got, err := split(append(rec(TypeApplicationData, 1, "first", 0), rec(TypeAlert, 2, "", 0)[:n]...))
		want := ErrShortHeader
		if n == 0 {
			want = nil
		}
		if !errors.Is(err, want) || !slices.Equal(got, []string{"first"}) {
			t.Errorf("tail of %d bytes: %q, %v", n, got, err)
		}
	}
	if _, _, _, err := Next(nil); !errors.Is(err, ErrShortHeader) {
		t.Errorf("an empty datagram: %v", err)
	}
}

// TestLastByteOfTheDatagram: the lying length off by one, alone.
func TestLastByteOfTheDatagram(t *testing.T) {
	if _, _, _, err := Next(rec(TypeAlert, 1, "ab", 3)); !errors.Is(err, ErrLength) {
		t.Errorf("length one past the end: %v", err)
	}
	h, fragment, rest, err := Next(rec(TypeAlert, 1, "ab", 2))
	if err != nil || h.Length != 2 || string(fragment) != "ab" || len(rest) != 0 {
		t.Errorf("length to the end: %+v, %q, %q, %v", h, fragment, rest, err)
	}
}

// TestManyTinyRecords: the work in a full datagram is one step per record, and
// each step gets past a header at least.
func TestManyTinyRecords(t *testing.T) {
	datagram := bytes.Repeat(rec(TypeApplicationData, 7, "", 0), 65507/HeaderLen)
	steps := 0
	for rest := datagram; len(rest) > 0; steps++ {
		before := len(rest)
		var err error
		if _, _, rest, err = Next(rest); err != nil {
			t.Fatal(err)
		}
		if before-len(rest) != HeaderLen {
			t.Fatalf("step %d read %d bytes", steps, before-len(rest))
		}
	}
	if want := 65507 / HeaderLen; steps != want {
		t.Errorf("%d steps, want %d", steps, want)
	}
	if n := testing.AllocsPerRun(10, func() {
		for rest := datagram; len(rest) > 0; {
			_, _, rest, _ = Next(rest)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// split returns the fragments of a datagram up to the first error.
func split(datagram []byte) (fragments []string, err error) {
	for len(datagram) > 0 {
		_, fragment, rest, err := Next(datagram)
		if err != nil {
			return fragments, err
		}
		fragments, datagram = append(fragments, string(fragment)), rest
	}
	return fragments, nil
}

func TestContentTypeString(t *testing.T) {
	for typ, want := range map[ContentType]string{
		20: "change_cipher_spec", 21: "alert", 22: "handshake", 23: "application_data",
		24: "heartbeat", 25: "tls12_cid", 26: "ack", 99: "content_type(99)",
	} {
		if got := typ.String(); got != want {
			t.Errorf("%d is %q, want %q", typ, got, want)
		}
	}
}

// FuzzNext: records and rest are the datagram, and what was read writes back.
func FuzzNext(f *testing.F) {
	f.Add(rec(TypeHandshake, 0, "hello", 0))
	f.Add(append(rec(TypeAlert, 1, "\x01\x00", 0), rec(TypeApplicationData, 2, "data", 5)...))
	f.Add([]byte{25, 0xfe, 0xfd})
	f.Fuzz(func(t *testing.T, datagram []byte) {
		for rest := datagram; len(rest) > 0; {
			h, fragment, after, err := Next(rest)
			if err != nil {
				if fragment != nil || after != nil {
					t.Fatal("slices beside an error")
				}
				return
			}
			if h.Length != len(fragment) || h.Seq > MaxSeq || h.Epoch > 0xffff {
				t.Fatalf("header %+v for a fragment of %d bytes", h, len(fragment))
			}
			written := append(append(AppendHeader(nil, h), fragment...), after...)
			if !bytes.Equal(written, rest) {
				t.Fatalf("wrote %x, read %x", written, rest)
			}
			rest = after
		}
	})
}
