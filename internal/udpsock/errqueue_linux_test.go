package udpsock

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// recvErr is the control message of the error queue.
func recvErr(errno uint32, origin byte, info uint32) []byte {
	offender := make([]byte, 16)
	return message(unix.SOL_IP, unix.IP_RECVERR,
		slices.Concat(native(errno), []byte{origin, 3, 4, 0}, native(info), native(0), offender)...)
}

func TestQueueEntry(t *testing.T) {
	const (
		mtu     = uint32(unix.EMSGSIZE)
		refused = uint32(unix.ECONNREFUSED)
	)
	ip4 := netip.MustParseAddrPort("192.0.2.1:4433")
	ip6 := netip.MustParseAddrPort("[2001:db8::1]:4433")
	mapped := netip.AddrPortFrom(netip.AddrFrom16(ip4.Addr().As16()), ip4.Port())
	for _, tt := range []struct {
		name string
		peer netip.AddrPort
		oob  []byte
		want Notice // Origin 0: none
	}{
		{"too big, IPv4", ip4, recvErr(mtu, 2, 1280), Notice{ip4, 1252, ICMP, unix.EMSGSIZE, []byte("quote")}},
		{"too big, IPv6", ip6, recvErr(mtu, 3, 1280), Notice{ip6, 1232, ICMP, unix.EMSGSIZE, []byte("quote")}},
		{"too big, IPv4 on a socket for both", mapped, recvErr(mtu, 2, 1280), Notice{ip4, 1252, ICMP, unix.EMSGSIZE, []byte("quote")}},
		{"too big, the router says no number", ip4, recvErr(mtu, 2, 0), Notice{ip4, 0, ICMP, unix.EMSGSIZE, []byte("quote")}},
		{"too big, the router lies: too small for headers", ip4, recvErr(mtu, 2, 20), Notice{ip4, 0, ICMP, unix.EMSGSIZE, []byte("quote")}},
		{"too big, the router lies: too large", ip4, recvErr(mtu, 2, 1<<32-1), Notice{ip4, 65507, ICMP, unix.EMSGSIZE, []byte("quote")}},
		{"our own link", ip4, recvErr(mtu, 1, 1500), Notice{ip4, 1472, Local, unix.EMSGSIZE, nil}},
		{"port closed: the number is no MTU", ip4, recvErr(refused, 2, 1280), Notice{ip4, 0, ICMP, unix.ECONNREFUSED, []byte("quote")}},
		{"a timestamp", ip4, recvErr(uint32(unix.ENOMSG), 4, 0), Notice{}},
		{"cut off", ip4, recvErr(mtu, 2, 1280)[:20], Notice{}},
		{"no control message", ip4, nil, Notice{}},
	} {
		e := new(queueEntry)
		e.name = rawSockaddr(tt.peer)
		e.header.SetControllen(copy(e.control.b[:], tt.oob))
		e.n = copy(e.data[:], "quote")
		got, ok := e.notice()
		if ok != (tt.want.Origin != 0) || got.Peer != tt.want.Peer || got.MTU != tt.want.MTU || got.Origin != tt.want.Origin ||
			!errors.Is(got.Errno, tt.want.Errno) || !bytes.Equal(got.Quoted, tt.want.Quoted) {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.name, got, tt.want)
		}
	}
}

func rawSockaddr(a netip.AddrPort) (sa unix.RawSockaddrInet6) {
	if a.Addr().Is4() {
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa))
		*sa4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: ntohs(a.Port()), Addr: a.Addr().As4()}
		return sa
	}
	return unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: ntohs(a.Port()), Addr: a.Addr().As16()}
}

func TestSockaddr(t *testing.T) {
	for _, want := range []string{"192.0.2.1:4433", "[2001:db8::1]:4433", "192.0.2.1:0"} {
		sa := rawSockaddr(netip.MustParseAddrPort(want))
		if got := sockaddr(&sa); got.String() != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if got := sockaddr(new(unix.RawSockaddrInet6)); got.IsValid() {
		t.Errorf("no family: %v", got)
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip(err)
	}
	sa := rawSockaddr(netip.MustParseAddrPort("[fe80::1]:4433"))
	sa.Scope_id = uint32(lo.Index)
	if got := sockaddr(&sa); got != netip.MustParseAddrPort("[fe80::1%lo]:4433") {
		t.Errorf("link-local: %v", got)
	}
}

type noted struct {
	Notice
	quoted string
}

func drainAll(s *Socket) (all []noted) {
	s.Drain(func(n Notice) { all = append(all, noted{n, string(n.Quoted)}) })
	return all
}

// A datagram too large for the first link is refused in the call, which is no
// pending error: the second call says the same.
func TestTooLargeForTheFirstLink(t *testing.T) {
	for _, tt := range []struct{ name, network, address, to string }{
		{"IPv4", "udp4", "0.0.0.0:0", "127.0.0.1"},
		{"IPv6", "udp6", "[::]:0", "::1"},
		{"both families", "udp", "[::]:0", "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, local := listen(t, tt.network, tt.address)
			s := open(t, conn, Options{Hints: true})
			to := netip.AddrPortFrom(netip.MustParseAddr(tt.to), local.Port())
			largest := payloadOf(loopbackMTU(t), to.Addr())
			if got, ok := s.PathMTU(to); !ok || got != largest {
				t.Errorf("path MTU %d, %v, want %d", got, ok, largest)
			}
			b := make([]byte, 1<<16)
			for range 2 {
				err := s.WriteMsg(b[:largest+1], to, netip.Addr{})
				if !IsTooLarge(err) || !IsPending(err) {
					t.Fatalf("%d bytes: %v", largest+1, err)
				}
			}
			// IPv4 over loopback, of 65536, ends at the 16 bits of its length
			// and not at the link. Linux finds out later, and sends itself ICMP.
			got := drainAll(s)
			for _, n := range got {
				local := n.Origin == Local && n.quoted == ""
				if !errors.Is(n.Errno, unix.EMSGSIZE) || n.Peer.Addr() != to.Addr() || n.MTU != largest || !local && to.Addr().Is6() {
					t.Errorf("notice of %v by %v for %v: %v, %d bytes quoted", n.Errno, n.Origin, n.Peer, n.MTU, len(n.quoted))
				}
			}
			if len(got) == 0 {
				t.Error("no notice")
			}
			if err := s.WriteMsg(b[:largest], to, netip.Addr{}); err != nil {
				t.Fatalf("%d bytes: %v", largest, err)
			}
			if n, _, _, err := s.ReadMsg(b); n != largest || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
}

func loopbackMTU(t *testing.T) int {
	t.Helper()
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip(err)
	}
	return lo.MTU
}

// A closed port is the ICMP error one gets without privileges.
func TestPendingErrorOfOnePeerHitsAnother(t *testing.T) {
	for _, tt := range []struct{ name, network, address, ip string }{
		{"IPv4", "udp4", "0.0.0.0:0", "127.0.0.1"},
		{"IPv6", "udp6", "[::]:0", "::1"},
		{"both families", "udp", "[::]:0", "127.0.0.1"},
		{"one address", "udp4", "127.0.0.1:0", "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, _ := listen(t, tt.network, tt.address)
			s := open(t, conn, Options{Hints: true})
			closed := closedPort(t, tt.ip)
			_, open := listen(t, "udp", net.JoinHostPort(tt.ip, "0"))

			if err := s.WriteMsg([]byte("is anybody there?"), closed, netip.Addr{}); err != nil {
				t.Fatal(err)
			}
			err := pendingError(s, open)
			if !IsPending(err) || IsTooLarge(err) || !errors.Is(err, syscall.ECONNREFUSED) {
				t.Fatalf("a write to another peer: %v", err)
			}
			got := drainAll(s)
			if len(got) != 1 || got[0].Peer != closed || got[0].Origin != ICMP || !errors.Is(got[0].Errno, unix.ECONNREFUSED) ||
				got[0].MTU != 0 || got[0].quoted != "is anybody there?" {
				t.Errorf("drained %+v", got)
			}
			if err := s.WriteMsg([]byte("x"), open, netip.Addr{}); err != nil {
				t.Errorf("once more: %v", err)
			}
			if got := drainAll(s); len(got) != 0 {
				t.Errorf("drained again: %+v", got)
			}
		})
	}
}

// pendingError is what the next writes to a peer say; over loopback, ICMP is
// there at once, or nearly.
func pendingError(s *Socket, peer netip.AddrPort) error {
	for range 100 {
		if err := s.WriteMsg([]byte("x"), peer, netip.Addr{}); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

func closedPort(t *testing.T, ip string) netip.AddrPort {
	t.Helper()
	conn, addr := listen(t, "udp", net.JoinHostPort(ip, "0"))
	_ = conn.Close()
	return addr
}

// A read that waits is woken by the error, drains and goes on; and draining takes
// the error away for those who come later.
func TestPendingErrorWakesAReader(t *testing.T) {
	closed := closedPort(t, "127.0.0.1")
	s := open(t, dial(t, closed), Options{Hints: true})
	woken := make(chan error)
	go func() {
		_, _, _, err := s.ReadMsg(make([]byte, 100))
		woken <- err
	}()
	time.Sleep(10 * time.Millisecond)
	if err := s.WriteMsg([]byte("hello"), netip.AddrPort{}, netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	if err := <-woken; !IsPending(err) {
		t.Fatal(err)
	}
	if got := drainAll(s); len(got) != 1 || got[0].Peer != closed || got[0].quoted != "hello" {
		t.Errorf("drained %+v", got)
	}
}

func TestDrainIsBoundedAndLosesNothing(t *testing.T) {
	conn, _ := listen(t, "udp4", "127.0.0.1:0")
	s := open(t, conn, Options{Hints: true})
	_, peer := listen(t, "udp4", "127.0.0.1:0")
	closed := closedPort(t, "127.0.0.1")
	// Every second call returns the error of the one before, and sends nothing.
	for range 3 * maxDrain {
		_ = s.WriteMsg([]byte("x"), closed, netip.Addr{})
	}
	if n := s.Drain(func(Notice) {}); n != maxDrain {
		t.Skipf("%d notices: the receive buffer is small here, or ICMP is rare", n)
	}
	if err := s.WriteMsg([]byte("x"), peer, netip.Addr{}); !IsPending(err) {
		t.Errorf("with notices left: %v", err)
	}
	if n := s.Drain(func(Notice) {}); n == 0 || n > maxDrain {
		t.Errorf("%d notices were left", n)
	}
	if err := s.WriteMsg([]byte("x"), peer, netip.Addr{}); err != nil {
		t.Errorf("with none left: %v", err)
	}
}

func TestDrainFromManyGoroutines(t *testing.T) {
	conn, _ := listen(t, "udp4", "127.0.0.1:0")
	s := open(t, conn, Options{Hints: true})
	closed := closedPort(t, "127.0.0.1")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				_ = s.WriteMsg([]byte("hello"), closed, netip.Addr{})
				s.Drain(func(n Notice) {
					s.Drain(func(Notice) {}) // nothing is locked
					s.PathMTU(n.Peer)
					if n.Origin != ICMP || n.Peer != closed || string(n.Quoted) != "hello" {
						t.Errorf("%+v", n)
					}
				})
			}
		})
	}
	wg.Wait()
}
