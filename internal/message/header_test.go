package message

import (
	"bytes"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

func TestNextFragment(t *testing.T) {
	for _, tt := range []struct {
		name             string
		in               string
		header           Header
		body, rest       string
		refused, canGoOn bool
	}{
		{
			name: "a whole message", in: "01 000003 0007 000000 000003 aabbcc",
			header: Header{TypeClientHello, 3, 7, 0, 3}, body: "aabbcc",
		},
		{
			name: "a piece from the middle", in: "0b 010203 ffff 010000 000002 aabb",
			header: Header{TypeCertificate, 0x10203, 0xffff, 0x10000, 2}, body: "aabb",
		},
		{
			name: "two messages in one record", in: "0e 000000 0004 000000 000000  14 00000c 0005",
			header: Header{TypeServerHelloDone, 0, 4, 0, 0}, rest: "1400000c0005",
		},
		{name: "nothing", in: "", refused: true},
		{name: "a header that lacks its last byte", in: "01 000003 0000 000000 0000", refused: true},
		{name: "a fragment that lacks its last byte", in: "01 000003 0000 000000 000003 aabb", refused: true},
		{name: "a fragment of 16 MB in a small record", in: "01 ffffff 0000 000000 ffffff aabb", refused: true},
		{name: "a fragment past the end of its message", in: "01 000003 0000 000002 000002 aabb ccdd", refused: true, canGoOn: true, rest: "ccdd"},
		{name: "an offset past the end of its message", in: "01 000003 0000 ffffff 000001 aa", refused: true, canGoOn: true},
		{name: "an empty fragment of a message that is not empty", in: "01 000003 0000 000000 000000 aa", refused: true, canGoOn: true, rest: "aa"},
		{name: "an empty fragment at the very end", in: "01 000003 0000 000003 000000", refused: true, canGoOn: true},
		{name: "an empty message with an offset", in: "0e 000000 0000 000001 000000", refused: true, canGoOn: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, body, rest, err := NextFragment(fromHex(t, tt.in))
			if (err != nil) != tt.refused {
				t.Fatalf("error %v, want one: %v", err, tt.refused)
			}
			if !bytes.Equal(rest, fromHex(t, tt.rest)) {
				t.Errorf("left %x, want %s", rest, tt.rest)
			}
			if tt.refused {
				if alert.Of(err) != alert.DecodeError || body != nil || (rest != nil) != tt.canGoOn {
					t.Errorf("error %v, body %x, rest %x", err, body, rest)
				}
				return
			}
			if h != tt.header {
				t.Errorf("got %+v, want %+v", h, tt.header)
			}
			if !bytes.Equal(body, fromHex(t, tt.body)) {
				t.Errorf("got body %x, want %s", body, tt.body)
			}
		})
	}
}

func TestNextFragmentDoesNotAllocate(t *testing.T) {
	record := make([]byte, 0, 64)
	record = Header{Type: TypeFinished, Length: 12, FragmentLength: 12}.Append(record)
	record = append(record, "twelve bytes"...)
	hollow := Header{Type: TypeFinished, Length: 12}.Append(nil)
	if n := testing.AllocsPerRun(100, func() {
		_, _, _, _ = NextFragment(record)
		_, _, _, _ = NextFragment(record[:20])
		_, _, _, _ = NextFragment(record[:5])
		_, _, _, _ = NextFragment(hollow)
		record = Header{Type: TypeFinished}.Append(record[:0])[:24]
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestAppendHeader13: the transcript's header is what is left of a fragment's without the fields of DTLS.
func TestAppendHeader13(t *testing.T) {
	for _, tt := range []struct {
		t    Type
		n    int
		want string
	}{
		{TypeClientHello, 3, "01 000003"},
		{TypeFinished, 0x20, "14 000020"},
		{TypeCertificate, 0x10203, "0b 010203"},
		{TypeServerHelloDone, 0, "0e 000000"},
		{TypeKeyUpdate, 1<<24 - 1, "18 ffffff"},
	} {
		got := AppendHeader13([]byte("kept"), tt.t, tt.n)
		if want := append([]byte("kept"), fromHex(t, tt.want)...); !bytes.Equal(got, want) {
			t.Errorf("got %x, want %x", got, want)
		}
		if n := len(got) - len("kept"); n != Header13Len {
			t.Errorf("%d bytes, want %d", n, Header13Len)
		}
		whole := Header{Type: tt.t, Length: uint32(tt.n), FragmentLength: uint32(tt.n)}.Append(nil)
		if !bytes.HasPrefix(whole, got[len("kept"):]) {
			t.Errorf("a fragment begins with %x, and not with %x", whole, got[len("kept"):])
		}
	}
}
