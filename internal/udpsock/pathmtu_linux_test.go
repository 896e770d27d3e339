package udpsock

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPathMTUOfPeersInTurn(t *testing.T) {
	conn, local := listen(t, "udp", "[::]:0")
	s := open(t, conn, Options{Hints: true})
	mtu := loopbackMTU(t)
	for range 2 {
		for _, tt := range []struct {
			peer string
			ok   bool
		}{
			{"127.0.0.1", true},
			{"::1", true},
			{"127.0.0.2", true},
			{"::ffff:127.0.0.1", true},
			{"240.0.0.1", false}, // no route, or none that is told apart
		} {
			peer := netip.AddrPortFrom(netip.MustParseAddr(tt.peer), local.Port())
			got, ok := s.PathMTU(peer)
			if want := payloadOf(mtu, peer.Addr()); tt.ok && (!ok || got != want) {
				t.Errorf("%v: %d, %v, want %d", peer, got, ok, want)
			}
		}
		if _, ok := s.PathMTU(netip.AddrPort{}); ok {
			t.Error("a path to nobody")
		}
	}
}

func TestPathMTUOfConnectedSockets(t *testing.T) {
	mtu := loopbackMTU(t)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		_, peer := listen(t, "udp", address)
		s := open(t, dial(t, peer), Options{Hints: true})
		if got, ok := s.PathMTU(netip.AddrPort{}); !ok || got != payloadOf(mtu, peer.Addr()) {
			t.Errorf("%v: %d, %v", peer, got, ok)
		}
	}
}

// Nobody can send to a query socket: it has no port between queries.
func TestQuerySocketHasNoPort(t *testing.T) {
	conn, local := listen(t, "udp4", "127.0.0.1:0")
	s := open(t, conn, Options{Hints: true})
	for _, peer := range []netip.AddrPort{local, netip.MustParseAddrPort("255.255.255.255:9")} {
		s.PathMTU(peer) // the second one fails: broadcasts need leave
		sa, err := unix.Getsockname(s.kernel.queries.ip4.fd)
		if err != nil {
			t.Fatal(err)
		}
		if sa := sa.(*unix.SockaddrInet4); sa.Port != 0 || sa.Addr != [4]byte{} {
			t.Errorf("after %v: %+v", peer, sa)
		}
	}
}

func TestQuerySocketTakesTheSameRoutes(t *testing.T) {
	conn, local := listen(t, "udp4", "127.0.0.1:0")
	s := open(t, conn, Options{Hints: true})
	s.kernel.queries.traits.netns++ // as if made in another network namespace
	if n, ok := s.PathMTU(local); ok {
		t.Errorf("path MTU %d of another host", n)
	}
}
