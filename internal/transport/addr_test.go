package transport

import (
	"net/netip"
	"testing"
)

func TestPrefixOf(t *testing.T) {
	udp := func(s string) Addr { return Addr{AP: netip.MustParseAddrPort(s)} }
	for _, test := range []struct {
		a, b Addr
		same bool
	}{
		{udp("192.0.2.1:1"), udp("192.0.2.254:2"), true},
		{udp("192.0.2.1:1"), udp("192.0.3.1:1"), false},
		{udp("[2001:db8:0:100::1]:1"), udp("[2001:db8:0:1ff:ffff::2]:1"), true},
		{udp("[2001:db8:0:100::1]:1"), udp("[2001:db8:0:200::1]:1"), false},
		{udp("[fe80::1%eth0]:1"), udp("[fe80::1%eth1]:1"), true},
		{udp("[2001:db8::1]:1"), udp("32.1.13.184:1"), false},
		{Addr{Net: name("a")}, Addr{Net: name("a")}, true},
		{Addr{Net: name("a")}, Addr{Net: name("b")}, false},
	} {
		if a, b := test.a.Prefix(), test.b.Prefix(); (a == b) != test.same || !a.IsValid() {
			t.Errorf("%v is of %v, %v is of %v", test.a, a, test.b, b)
		}
	}
}

// name is an address that is not UDP's.
type name string

func (name) Network() string  { return "mem" }
func (n name) String() string { return string(n) }

func TestHost(t *testing.T) {
	for address, want := range map[string]string{
		"example.com:4433": "example.com", "192.0.2.1:1": "192.0.2.1", "[2001:db8::1]:1": "2001:db8::1",
		"[fe80::1%eth0]:1": "fe80::1", "no-port": "no-port",
	} {
		if got := Host(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
