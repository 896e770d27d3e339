//go:build linux

package main

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

func TestChecksum(t *testing.T) {
	// The example of RFC 1071, Section 3.
	if got := checksum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); got != ^uint16(0xddf2) {
		t.Errorf("%#04x", got)
	}
	f := forger{family: ipv4}
	if b := f.notice(552, f.header(true)); checksum(b) != 0 || binary.BigEndian.Uint16(b[6:]) != 552 {
		t.Errorf("%x", b)
	}
}

func TestHeader(t *testing.T) {
	for _, fam := range []family{ipv4, ipv6} {
		f := forger{family: fam}
		b := f.header(true)
		udp := b[len(b)-8:]
		size := len(netip.MustParseAddr(fam.server).AsSlice())
		from, _ := netip.AddrFromSlice(b[len(b)-8-2*size:][:size])
		to, _ := netip.AddrFromSlice(b[len(b)-8-size:][:size])
		if len(b) != fam.headers || from.String() != fam.server || to.String() != fam.client {
			t.Errorf("%v: %d bytes, from %v to %v", fam, len(b), from, to)
		}
		if src, dst := binary.BigEndian.Uint16(udp), binary.BigEndian.Uint16(udp[2:]); src != serverPort || dst != clientPort {
			t.Errorf("%v: ports %d and %d", fam, src, dst)
		}
	}
}

func TestQuotes(t *testing.T) {
	f := forger{family: ipv4, last: map[bool][]byte{true: append((&forger{family: ipv4}).header(true), make([]byte, 1232)...)}}
	for q, size := range map[quote]int{nothing: 0, headers: 28, zeros: 540, noise: 540, guess: 540, otherPort: 540, seen: 540} {
		if b, err := f.quoted(shot{ToServer: true, Quote: q}); err != nil || len(b) != size {
			t.Errorf("%s: %d bytes, %v", q, len(b), err)
		}
	}
	if _, err := f.quoted(shot{Quote: seen}); err == nil {
		t.Error("a datagram that was never seen is quoted")
	}
}
