package udpsock

import (
	"net/netip"
	"testing"
)

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	for _, tt := range []struct{ name, network, address, ip string }{
		{"IPv4", "udp4", "0.0.0.0:0", "127.0.0.1"},
		{"IPv6", "udp6", "[::]:0", "::1"},
		{"both families, IPv4", "udp", "[::]:0", "127.0.0.1"},
		{"one address", "udp4", "127.0.0.1:0", "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, local := listen(t, tt.network, tt.address)
			server := open(t, conn, Options{Hints: true})
			addr := netip.MustParseAddr(tt.ip)
			client := open(t, dial(t, netip.AddrPortFrom(addr, local.Port())), Options{Hints: true})
			b := make([]byte, 100)
			closed := closedPort(t, tt.ip)
			none := netip.AddrPort{}
			for _, c := range []struct {
				name string
				f    func() bool
			}{
				{"a datagram each way", func() bool {
					err := client.WriteMsg(b, none, netip.Addr{})
					_, from, to, err2 := server.ReadMsg(b)
					err3 := server.WriteMsg(b, from, to)
					_, _, _, err4 := client.ReadMsg(b)
					return err == nil && err2 == nil && err3 == nil && err4 == nil
				}},
				{"nothing to drain", func() bool { return server.Drain(func(Notice) {}) == 0 }},
				{"a notice", func() bool {
					err := server.WriteMsg(b, closed, netip.Addr{})
					n := server.Drain(func(Notice) {})
					return err == nil && n <= 1
				}},
			} {
				ok := true
				if n := testing.AllocsPerRun(200, func() { ok = c.f() && ok }); n != 0 || !ok {
					t.Errorf("%s: %v allocations, ok %v", c.name, n, ok)
				}
			}
		})
	}
}
