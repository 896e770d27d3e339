package quotes

import (
	"encoding/binary"
	"testing"
)

// datagram is one of 600 bytes with a record number and ciphertext of its own.
func datagram(n uint64) []byte {
	d := make([]byte, 600)
	binary.BigEndian.PutUint64(d[numberAt:], n)
	binary.BigEndian.PutUint64(d[bodyAt:], n*0x9e3779b97f4a7c15)
	return d
}

// TestMatch: the ciphertext verifies a quote, the number alone does not, and a
// datagram is forgotten after 32 others.
func TestMatch(t *testing.T) {
	var none *Ring
	if _, v := none.Match(datagram(1)); v != Nothing {
		t.Errorf("nothing was sent, and the verdict is %d", v)
	}
	var r Ring
	for n := range uint64(40) {
		r.Note(datagram(n + 1))
	}
	for _, test := range []struct {
		name  string
		quote []byte
		want  Verdict
	}{
		{"whole", datagram(40), Authentic},
		{"up to the ciphertext", datagram(40)[:Whole], Authentic},
		{"the number alone", datagram(40)[:Min], NumberOnly},
		{"another ciphertext", append(datagram(40)[:bodyAt:bodyAt], make([]byte, 8)...), Nothing},
		{"another number", datagram(41), Nothing},
		{"the oldest that is kept", datagram(9), Authentic},
		{"the one before", datagram(8), Nothing},
	} {
		size, v := r.Match(test.quote)
		if v != test.want || v != Nothing && size != 600 {
			t.Errorf("%s: verdict %d, size %d", test.name, v, size)
		}
	}
}
