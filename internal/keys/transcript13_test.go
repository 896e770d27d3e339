package keys

import (
	"bytes"
	"crypto"
	"testing"
)

// RFC 8446, Section 4.4.1: Hash(message_hash || 00 00 Hash.length ||
// Hash(ClientHello1) || HelloRetryRequest || …). A server that kept the
// transcript and one that kept the hash alone arrive at the same.
func TestTranscriptReplace(t *testing.T) {
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384} {
		hello, retry := bytes.Repeat([]byte("ClientHello1 "), 100), []byte("HelloRetryRequest")
		sum := func(b []byte) []byte {
			state := h.New()
			state.Write(b)
			return state.Sum(nil)
		}

		var kept Transcript
		kept.Add(hello)
		helloHash := kept.Sum(h)
		kept.Replace(h)
		kept.Add(retry)

		var stateless Transcript
		stateless.Add(MessageHash13(h, helloHash))
		stateless.Add(retry)

		want := append([]byte{254, 0, 0, byte(h.Size())}, sum(hello)...)
		want = append(want, retry...)
		if !bytes.Equal(kept.Bytes(), want) || !bytes.Equal(stateless.Bytes(), want) {
			t.Errorf("%v:\n kept %x\n from hash %x\n want %x", h, kept.Bytes(), stateless.Bytes(), want)
		}
		if !bytes.Equal(kept.Sum(h), sum(want)) {
			t.Errorf("%v: Sum = %x", h, kept.Sum(h))
		}
	}
}

// A hello shorter than its hash must not be overwritten before it is hashed.
func TestTranscriptReplaceShort(t *testing.T) {
	var tr Transcript
	tr.Add([]byte("x"))
	want := MessageHash13(crypto.SHA384, tr.Sum(crypto.SHA384))
	if tr.Replace(crypto.SHA384); !bytes.Equal(tr.Bytes(), want) {
		t.Errorf("got %x, want %x", tr.Bytes(), want)
	}
}

// MessageHash13 returns a slice of its own.
func TestMessageHash13Copies(t *testing.T) {
	hash := make([]byte, 32, 64)
	message := MessageHash13(crypto.SHA256, hash)
	hash[0] = 1
	if message[4] != 0 {
		t.Error("message aliases the hash")
	}
}

func TestLabelTraffic(t *testing.T) {
	for _, test := range []struct {
		got, want string
	}{
		{LabelTraffic(true, 0), LabelClientTraffic0},
		{LabelTraffic(false, 0), LabelServerTraffic0},
		{LabelTraffic(true, 1), "CLIENT_TRAFFIC_SECRET_1"},
		{LabelTraffic(false, 12), "SERVER_TRAFFIC_SECRET_12"},
	} {
		if test.got != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
	}
}

// TestTranscriptSettle: the state of the hash is as good as the bytes, and Reset
// goes back to them.
func TestTranscriptSettle(t *testing.T) {
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384} {
		var kept, settled Transcript
		for i := range 5 {
			message := bytes.Repeat([]byte{byte(i)}, 100*i)
			kept.Add(message)
			if settled.Add(message); i == 2 {
				settled.Settle(h)
			}
			for range 2 { // a sum changes nothing
				if !bytes.Equal(kept.Sum(h), settled.Sum(h)) {
					t.Errorf("%v: after message %d: %x, want %x", h, i, settled.Sum(h), kept.Sum(h))
				}
			}
		}
		if settled.raw != nil {
			t.Errorf("%v: %d bytes are kept", h, len(settled.raw))
		}
		settled.Reset()
		settled.Add([]byte("again"))
		if string(settled.Bytes()) != "again" || settled.state != nil {
			t.Errorf("%v: after Reset: %q", h, settled.Bytes())
		}
	}
}
