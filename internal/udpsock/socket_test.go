package udpsock

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// listen makes a socket on a loopback address, or skips the test.
func listen(t testing.TB, network, address string) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	pc, err := net.ListenPacket(network, address)
	if err != nil {
		t.Skipf("no %s %s here: %v", network, address, err)
	}
	conn := pc.(*net.UDPConn)
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn, addrPort(conn.LocalAddr())
}

func dial(t testing.TB, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

func open(t testing.TB, conn *net.UDPConn, opts Options) *Socket {
	t.Helper()
	s := New(conn, opts)
	t.Cleanup(s.Close)
	if err := s.Err(); err != nil {
		t.Logf("refused here: %v", err)
	}
	return s
}

func TestEcho(t *testing.T) {
	for _, opts := range []Options{{}, {Hints: true}} {
		for _, tt := range []struct {
			name, network, address string
			called                 string // the address a client calls
		}{
			{"IPv4 on one address", "udp4", "127.0.0.1:0", "127.0.0.1"},
			{"IPv6 on one address", "udp6", "[::1]:0", "::1"},
			{"IPv4 on all addresses", "udp4", "0.0.0.0:0", "127.0.0.1"},
			{"IPv6 on all addresses", "udp6", "[::]:0", "::1"},
			{"both families, called by IPv4", "udp", "[::]:0", "127.0.0.1"},
			{"both families, called by IPv6", "udp", "[::]:0", "::1"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				conn, local := listen(t, tt.network, tt.address)
				server := open(t, conn, opts)
				called := netip.AddrPortFrom(netip.MustParseAddr(tt.called), local.Port())
				client := open(t, dial(t, called), opts)
				echo(t, server, client, called)
			})
		}
	}
}

// echo sends a datagram from the client and back from the address it called.
func echo(t *testing.T, server, client *Socket, called netip.AddrPort) {
	t.Helper()
	if err := client.WriteMsg([]byte("hello"), netip.AddrPort{}, netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, from, to, err := server.ReadMsg(b)
	if err != nil || string(b[:n]) != "hello" {
		t.Fatalf("server read %q, %v", b[:n], err)
	}
	if want := addrPort(client.conn.LocalAddr()); from != want {
		t.Errorf("from %v, want %v", from, want)
	}
	if to.IsValid() && to != called.Addr() || !to.IsValid() && server.kernel.pktinfo {
		t.Errorf("to %v, want %v", to, called.Addr())
	}
	if err := server.WriteMsg([]byte("back"), from, to); err != nil {
		t.Fatal(err)
	}
	n, from, to, err = client.ReadMsg(b)
	if err != nil || string(b[:n]) != "back" {
		t.Fatalf("client read %q, %v", b[:n], err)
	}
	if from != called {
		t.Errorf("answer from %v, want %v", from, called)
	}
	if want := addrPort(client.conn.LocalAddr()).Addr(); to != want {
		t.Errorf("answer to %v, want %v", to, want)
	}
}

func TestConnectedSocketWritesToItsPeerOnly(t *testing.T) {
	_, peer := listen(t, "udp4", "127.0.0.1:0")
	client := open(t, dial(t, peer), Options{Hints: true})
	for _, tt := range []struct {
		name string
		to   netip.AddrPort
		want error
	}{
		{"nobody named", netip.AddrPort{}, nil},
		{"the peer", peer, nil},
		{"the peer, as IPv6 has it", netip.AddrPortFrom(netip.AddrFrom16(peer.Addr().As16()), peer.Port()), nil},
		{"somebody else", netip.AddrPortFrom(peer.Addr(), peer.Port()^1), net.ErrWriteToConnected},
	} {
		if err := client.WriteMsg([]byte("x"), tt.to, netip.Addr{}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestWithoutHintsNothingIsKnown(t *testing.T) {
	conn, local := listen(t, "udp4", "127.0.0.1:0")
	s := open(t, conn, Options{})
	if n, ok := s.PathMTU(local); ok {
		t.Errorf("path MTU %d", n)
	}
	if n := s.Drain(func(n Notice) { t.Errorf("%+v", n) }); n != 0 {
		t.Errorf("%d notices", n)
	}
}

func TestAfterClose(t *testing.T) {
	conn, local := listen(t, "udp4", "127.0.0.1:0")
	s := open(t, conn, Options{Hints: true})
	s.PathMTU(local)
	s.Close()
	s.Close()
	if n, ok := s.PathMTU(local); ok {
		t.Errorf("path MTU %d", n)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if n := s.Drain(func(Notice) {}); n != 0 {
		t.Errorf("%d notices", n)
	}
	if _, _, _, err := s.ReadMsg(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := s.WriteMsg([]byte("x"), local, netip.Addr{}); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := s.SetDontFragment(false); !errors.Is(err, net.ErrClosed) && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	New(conn, Options{Hints: true}).Close() // too late, and no harm
}

func TestPayloadOf(t *testing.T) {
	ip4, ip6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	mapped := netip.AddrFrom16(ip4.As16())
	for _, tt := range []struct {
		name string
		link int
		addr netip.Addr
		want int
	}{
		{"Ethernet, IPv4", 1500, ip4, 1472},
		{"Ethernet, IPv6", 1500, ip6, 1452},
		{"Ethernet, IPv4 on a socket for both", 1500, mapped, 1472},
		{"the least of IPv6", 1280, ip6, 1232},
		{"loopback, IPv4: the length of a packet has 16 bits", 65536, ip4, 65507},
		{"loopback, IPv6", 65536, ip6, 65488},
		{"jumbo, IPv6: the length of a datagram has 16 bits", 1 << 20, ip6, 65527},
		{"headers only", 28, ip4, 0},
		{"less than headers", 20, ip6, 0},
		{"not said", 0, ip4, 0},
		{"absurd", 1 << 30, ip4, 65507},
	} {
		if got := payloadOf(tt.link, tt.addr); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func BenchmarkEcho(b *testing.B) {
	conn, local := listen(b, "udp", "[::]:0")
	server := open(b, conn, Options{Hints: true})
	client := open(b, dial(b, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), local.Port())), Options{Hints: true})
	_, _ = conn, client.conn.SetDeadline(time.Time{})
	_ = conn.SetDeadline(time.Time{})
	p := make([]byte, 1232)
	b.ReportAllocs()
	for b.Loop() {
		if err := client.WriteMsg(p, netip.AddrPort{}, netip.Addr{}); err != nil {
			b.Fatal(err)
		}
		_, from, to, err := server.ReadMsg(p)
		if err != nil {
			b.Fatal(err)
		}
		if err := server.WriteMsg(p, from, to); err != nil {
			b.Fatal(err)
		}
		if _, _, _, err := client.ReadMsg(p); err != nil {
			b.Fatal(err)
		}
	}
}
