package dtls

import (
	"net/netip"
	"testing"
)

func TestPrefixOf(t *testing.T) {
	udp := func(s string) peerAddr { return peerAddr{ap: netip.MustParseAddrPort(s)} }
	for _, test := range []struct {
		a, b peerAddr
		same bool
	}{
		{udp("192.0.2.1:1"), udp("192.0.2.254:2"), true},
		{udp("192.0.2.1:1"), udp("192.0.3.1:1"), false},
		{udp("[2001:db8:0:100::1]:1"), udp("[2001:db8:0:1ff:ffff::2]:1"), true},
		{udp("[2001:db8:0:100::1]:1"), udp("[2001:db8:0:200::1]:1"), false},
		{udp("[fe80::1%eth0]:1"), udp("[fe80::1%eth1]:1"), true},
		{udp("[2001:db8::1]:1"), udp("32.1.13.184:1"), false},
		{peerAddr{addr: memName("a")}, peerAddr{addr: memName("a")}, true},
		{peerAddr{addr: memName("a")}, peerAddr{addr: memName("b")}, false},
	} {
		if a, b := test.a.prefix(), test.b.prefix(); (a == b) != test.same || !a.IsValid() {
			t.Errorf("%v is of %v, %v is of %v", test.a, a, test.b, b)
		}
	}
}
