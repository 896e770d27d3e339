package udpsock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// message is one control message, as the kernel lays it out.
func message(level, typ int32, data ...byte) []byte {
	var c control
	copy(c.message(messageType{level, typ}, len(data)), data)
	return slices.Clone(c.b[:unix.CmsgSpace(len(data))])
}

func pktinfo4(answer, header string) []byte {
	a, h := netip.MustParseAddr(answer).As4(), netip.MustParseAddr(header).As4()
	return message(unix.SOL_IP, unix.IP_PKTINFO, slices.Concat(native(7), a[:], h[:])...)
}

func pktinfo6(header string, index uint32) []byte {
	h := netip.MustParseAddr(header).As16()
	return message(unix.SOL_IPV6, unix.IPV6_PKTINFO, slices.Concat(h[:], native(index))...)
}

func native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func TestCalledAddr(t *testing.T) {
	stranger := message(unix.SOL_SOCKET, unix.SO_TIMESTAMP, make([]byte, 16)...)
	for _, tt := range []struct {
		name string
		oob  []byte
		want string // "": invalid
	}{
		{"nothing", nil, ""},
		{"IPv4", pktinfo4("192.0.2.1", "192.0.2.1"), "192.0.2.1"},
		{"IPv4 broadcast: answered from our address", pktinfo4("192.0.2.1", "192.0.2.255"), "192.0.2.1"},
		{"IPv6", pktinfo6("2001:db8::1", 7), "2001:db8::1"},
		{"IPv6 link-local: the interface is part of it", pktinfo6("fe80::1", 7), "fe80::1%7"},
		{"IPv6 multicast: the kernel chooses", pktinfo6("ff02::1", 7), ""},
		{"IPv4 told by both levels, IPv6 first", slices.Concat(pktinfo6("::ffff:192.0.2.255", 7), pktinfo4("192.0.2.1", "192.0.2.255")), "192.0.2.1"},
		{"IPv4 told by both levels, IPv4 first", slices.Concat(pktinfo4("192.0.2.1", "192.0.2.255"), pktinfo6("::ffff:192.0.2.255", 7)), "192.0.2.1"},
		{"after a message of somebody else's", slices.Concat(stranger, pktinfo6("2001:db8::1", 7)), "2001:db8::1"},
		{"before one", slices.Concat(pktinfo6("2001:db8::1", 7), stranger), "2001:db8::1"},
		{"too short a struct, IPv4", message(unix.SOL_IP, unix.IP_PKTINFO, 1, 2, 3, 4), ""},
		{"too short a struct, IPv6", message(unix.SOL_IPV6, unix.IPV6_PKTINFO, make([]byte, 16)...), ""},
	} {
		got := calledAddr(tt.oob)
		if want, _ := netip.ParseAddr(tt.want); got != want {
			t.Errorf("%s: %v, want %v", tt.name, got, want)
		}
	}
}

func TestSourceAddrIsWhatTheKernelExpects(t *testing.T) {
	for _, tt := range []struct {
		from string
		want []byte
	}{
		{"192.0.2.1", unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte{192, 0, 2, 1}})},
		{"::ffff:192.0.2.1", unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte{192, 0, 2, 1}})},
		{"2001:db8::1", unix.PktInfo6(&unix.Inet6Pktinfo{Addr: netip.MustParseAddr("2001:db8::1").As16()})},
		{"fe80::1%7", unix.PktInfo6(&unix.Inet6Pktinfo{Addr: netip.MustParseAddr("fe80::1").As16(), Ifindex: 7})},
		{"fe80::1%eth0", unix.PktInfo6(&unix.Inet6Pktinfo{Addr: netip.MustParseAddr("fe80::1").As16()})},
	} {
		c := new(control)
		for i := range c.b {
			c.b[i] = 0xff // what another datagram has left
		}
		if got := c.sourceAddr(netip.MustParseAddr(tt.from)); !bytes.Equal(got, tt.want) {
			t.Errorf("%s:\n got %x\nwant %x", tt.from, got, tt.want)
		}
	}
}

// Every prefix of a control message, and every length it may claim, is read
// without a look past its end.
func TestControlMessagesCutOff(t *testing.T) {
	whole := slices.Concat(pktinfo6("::ffff:192.0.2.1", 7), pktinfo4("192.0.2.1", "192.0.2.1"), recvErr(90, 2, 1280))
	for n := range len(whole) {
		prefix := slices.Clone(whole[:n])
		calledAddr(prefix)
		extendedErr(prefix)
		for claimed := range 2 * len(whole) {
			lying := slices.Clone(prefix)
			if len(lying) < 4 {
				break
			}
			copy(lying, native(uint32(claimed)))
			calledAddr(lying)
			extendedErr(lying)
		}
	}
}

func FuzzControlMessages(f *testing.F) {
	f.Add(pktinfo4("192.0.2.1", "192.0.2.1"))
	f.Add(pktinfo6("2001:db8::1", 7))
	f.Add(recvErr(90, 2, 1280))
	f.Fuzz(func(_ *testing.T, oob []byte) {
		c := new(control) // aligned, as received
		n := copy(c.b[:], oob)
		calledAddr(c.b[:n])
		extendedErr(c.b[:n])
	})
}

// A server on all addresses answers from the one it was called at.
func TestAnswersFromTheAddressCalled(t *testing.T) {
	for _, tt := range []struct{ name, network, address string }{
		{"IPv4", "udp4", "0.0.0.0:0"},
		{"both families", "udp", "[::]:0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, local := listen(t, tt.network, tt.address)
			server := open(t, conn, Options{})
			client, _ := listen(t, "udp4", "127.0.0.1:0")
			for _, called := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.1"} {
				addr := netip.AddrPortFrom(netip.MustParseAddr(called), local.Port())
				if _, err := client.WriteToUDPAddrPort([]byte("hello"), addr); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, 100)
				_, from, to, err := server.ReadMsg(b)
				if err != nil || to != addr.Addr() {
					t.Fatalf("called at %v, %v, want %v", to, err, addr.Addr())
				}
				if err := server.WriteMsg(b[:1], from, to); err != nil {
					t.Fatal(err)
				}
				_, answered, err := client.ReadFromUDPAddrPort(b)
				if err != nil || answered != addr {
					t.Errorf("answered from %v, %v, want %v", answered, err, addr)
				}
				// The kernel's own choice is what would have been wrong.
				if err := server.WriteMsg(b[:1], from, netip.Addr{}); err != nil {
					t.Fatal(err)
				}
				if _, answered, err = client.ReadFromUDPAddrPort(b); err != nil || answered.Addr().String() != "127.0.0.1" {
					t.Errorf("the kernel answered from %v, %v", answered, err)
				}
			}
		})
	}
}

// The error may look like a pending one, but stays.
func TestAnAddressThatIsNotOursIsRefused(t *testing.T) {
	for _, tt := range []struct{ name, network, address, to, from string }{
		{"IPv4", "udp4", "0.0.0.0:0", "127.0.0.1", "192.0.2.1"},
		{"IPv6", "udp6", "[::]:0", "::1", "2001:db8::1"},
		{"both families", "udp", "[::]:0", "127.0.0.1", "192.0.2.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, local := listen(t, tt.network, tt.address)
			s := open(t, conn, Options{Hints: true})
			to := netip.AddrPortFrom(netip.MustParseAddr(tt.to), local.Port())
			for range 2 {
				err := s.WriteMsg([]byte("x"), to, netip.MustParseAddr(tt.from))
				if !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EINVAL) {
					t.Errorf("%v", err)
				}
			}
			if err := s.WriteMsg([]byte("x"), to, netip.Addr{}); err != nil {
				t.Errorf("from the kernel's choice: %v", err)
			}
		})
	}
}
