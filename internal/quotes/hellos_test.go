package quotes

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"
)

// hello is the start of a ClientHello with a record number and a random of its own.
func hello(n uint64) []byte {
	d := make([]byte, 200)
	d[0], d[messageAt] = handshakeRecord, clientHello
	binary.BigEndian.PutUint64(d[numberAt:], n)
	binary.BigEndian.PutUint64(d[randomAt:], (n+1)*0x9e3779b97f4a7c15)
	return d
}

// TestHellos: two messages that quote different transmissions are enough, and nothing less.
func TestHellos(t *testing.T) {
	start := time.Unix(1000, 0)
	sent := [][]byte{hello(0), hello(1), hello(2)} // in transmissions 1, 1 and 2
	for _, test := range []struct {
		name   string
		quotes [][]byte
		closed bool
		hasten bool
	}{
		{"none", nil, false, false},
		{"one", [][]byte{sent[0]}, false, true},
		{"the same twice", [][]byte{sent[0], sent[0]}, false, true},
		{"two of one transmission", [][]byte{sent[0], sent[1]}, false, true},
		{"two of two transmissions", [][]byte{sent[0], sent[2]}, true, true},
		{"in any order", [][]byte{sent[2], sent[0]}, true, true},
		{"as short as may be", [][]byte{sent[0][:HelloQuote], sent[2][:HelloQuote]}, true, true},
		{"a byte too short", [][]byte{sent[0][:HelloQuote-1], sent[2][:HelloQuote-1]}, false, true},
		{"nothing quoted", [][]byte{nil, nil}, false, true},
		{"one of them too short", [][]byte{sent[0], sent[2][:16]}, false, true},
		{"of datagrams that were not sent", [][]byte{hello(7), hello(8)}, false, false},
		{"of another random", [][]byte{other(sent[0], randomAt+7), other(sent[2], randomAt+7)}, false, false},
		{"of another record number", [][]byte{other(sent[0], numberAt+7), other(sent[2], numberAt+7)}, false, false},
	} {
		var h Hellos
		for i, d := range sent {
			h.Note(d, 1+i/2)
		}
		closed := false
		for _, q := range test.quotes {
			closed = h.Closed(q, start) || closed
		}
		if closed != test.closed {
			t.Errorf("%s: %v", test.name, closed)
		}
		want := time.Time{}
		if test.hasten {
			want = start.Add(250 * time.Millisecond)
		}
		if due := h.NextTimeout(); due != want {
			t.Errorf("%s: a repetition is due at %v, want %v", test.name, due, want)
		}
	}
}

func other(d []byte, at int) []byte {
	d = bytes.Clone(d)
	d[at]++
	return d
}

// TestHellosDue: a repetition is due once, unless a timer came first; a message without
// proof has one brought forward once, and none by more of them.
func TestHellosDue(t *testing.T) {
	start := time.Unix(1000, 0)
	var none *Hellos
	if none.Note(hello(0), 1); none.Due(start) || !none.NextTimeout().IsZero() {
		t.Error("nothing was sent, and is repeated")
	}
	var h Hellos
	h.Note(hello(0), 1)
	h.Closed(nil, start)
	due := start.Add(250 * time.Millisecond)
	if h.Due(due.Add(-1)) || !h.Due(due) || h.Due(due) || !h.NextTimeout().IsZero() {
		t.Error("it is not due once, after 250 ms")
	}
	h.Note(hello(1), 2)
	if h.Closed(nil, due); !h.NextTimeout().IsZero() {
		t.Error("messages without proof repeat it twice")
	}
	h.Closed(hello(0), due) // one with proof does
	h.Note(hello(2), 3)     // but the timer was sooner
	if h.Due(due.Add(time.Second)) {
		t.Error("it is repeated twice at a time")
	}
}

// TestHellosOnly: other datagrams are not kept, and eight hellos are.
func TestHellosOnly(t *testing.T) {
	for at, what := range map[int]string{0: "no handshake", epochAt + 1: "protected", messageAt: "no ClientHello", offsetAt + 2: "not its start"} {
		var h Hellos
		d := other(hello(0), at)
		if h.Note(d, 1); h.transmission(helloMarkOf(d)) != 0 {
			t.Errorf("%s, and remembered", what)
		}
	}
	var h Hellos
	if h.Note(hello(0)[:HelloQuote-1], 1); h.at != 0 {
		t.Error("too short, and remembered")
	}
	for n := range uint64(9) {
		h.Note(hello(n), int(n)+1)
	}
	if h.transmission(helloMarkOf(hello(0))) != 0 || h.transmission(helloMarkOf(hello(1))) != 2 {
		t.Errorf("%+v", h)
	}
}
