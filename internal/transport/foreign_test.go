package transport

import (
	"net"
	"net/netip"
	"testing"
)

// TestFirstBytes: RFC 7983, Section 7.
func TestFirstBytes(t *testing.T) {
	for b := range 256 {
		if got, want := isDTLS([]byte{byte(b)}), b > 19 && b < 64; got != want {
			t.Errorf("%d: %v", b, got)
		}
	}
}

// TestForeignDatagramsDoNotAllocate: media on the same socket is a hot path.
func TestForeignDatagramsDoNotAllocate(t *testing.T) {
	var got net.Addr
	var s Socket
	s.SetForeign(func(_ []byte, from net.Addr) { got = from })
	rtp := []byte{128, 0, 0, 1}
	from := Addr{AP: netip.MustParseAddrPort("192.0.2.1:5004")}
	s.PassForeign(rtp, from)
	kept := got
	if n := testing.AllocsPerRun(100, func() { s.PassForeign(rtp, from) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	s.PassForeign(rtp, Addr{AP: netip.MustParseAddrPort("192.0.2.2:5004")})
	if kept.String() != "192.0.2.1:5004" || got.String() != "192.0.2.2:5004" {
		t.Errorf("an address that was kept is now %v, the next one %v", kept, got)
	}
}
