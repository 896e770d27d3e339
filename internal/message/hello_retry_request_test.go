package message

import (
	"bytes"
	"testing"
)

// TestHelloRetryRequest: it is the ServerHello of the same fields, and writing it allocates nothing.
func TestHelloRetryRequest(t *testing.T) {
	for _, m := range []HelloRetryRequest{
		{CipherSuite: 0x1301, SelectedGroup: 29},
		{CipherSuite: 0x1302, Cookie: []byte("cookie")},
		{CipherSuite: 0x1303, SelectedGroup: 0x11ec, Cookie: bytes.Repeat([]byte{7}, 300)},
	} {
		want, err := (&ServerHello{
			Version: Version12, SupportedVersion: Version13, Random: RetryRandom,
			CipherSuite: m.CipherSuite, SelectedGroup: m.SelectedGroup, RetryCookie: m.Cookie,
		}).AppendBody(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.AppendBody(nil)
		if err != nil || !bytes.Equal(got, want) || m.BodyLen() != len(want) || m.Type() != TypeServerHello {
			t.Errorf("%+v: %x (%v), want %x", m, got, err, want)
		}
		buf := make([]byte, 0, len(want))
		if n := testing.AllocsPerRun(100, func() { _, _ = m.AppendBody(buf) }); n != 0 {
			t.Errorf("%+v: %v allocations", m, n)
		}
	}
	if _, err := (&HelloRetryRequest{Cookie: make([]byte, max16)}).AppendBody(nil); err == nil {
		t.Error("a cookie that no extension can hold is written")
	}
}
