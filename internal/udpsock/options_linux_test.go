package udpsock

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func sockopt(t *testing.T, conn *net.UDPConn, level, opt int) (value int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, opt) }), err)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestOptionsAreSetAtBothLevels(t *testing.T) {
	type opt struct{ level, opt int }
	ip4 := func(o int) opt { return opt{unix.SOL_IP, o} }
	ip6 := func(o int) opt { return opt{unix.SOL_IPV6, o} }
	for _, tt := range []struct {
		name, network, address string
		opts                   Options
		want                   map[opt]int
	}{
		{"IPv4", "udp4", "0.0.0.0:0", Options{Hints: true}, map[opt]int{
			ip4(unix.IP_MTU_DISCOVER): unix.IP_PMTUDISC_PROBE, ip4(unix.IP_RECVERR): 1, ip4(unix.IP_PKTINFO): 1,
		}},
		{"both families", "udp", "[::]:0", Options{Hints: true}, map[opt]int{
			ip4(unix.IP_MTU_DISCOVER): unix.IP_PMTUDISC_PROBE, ip4(unix.IP_RECVERR): 1, ip4(unix.IP_PKTINFO): 1,
			ip6(unix.IPV6_MTU_DISCOVER): unix.IPV6_PMTUDISC_PROBE, ip6(unix.IPV6_RECVERR): 1, ip6(unix.IPV6_RECVPKTINFO): 1,
		}},
		{"IPv6 alone", "udp6", "[::]:0", Options{Hints: true}, map[opt]int{
			ip6(unix.IPV6_MTU_DISCOVER): unix.IPV6_PMTUDISC_PROBE, ip6(unix.IPV6_RECVERR): 1, ip6(unix.IPV6_RECVPKTINFO): 1,
		}},
		{"one address: it needs no telling", "udp4", "127.0.0.1:0", Options{Hints: true}, map[opt]int{
			ip4(unix.IP_MTU_DISCOVER): unix.IP_PMTUDISC_PROBE, ip4(unix.IP_RECVERR): 1, ip4(unix.IP_PKTINFO): 0,
		}},
		{"no hints", "udp4", "0.0.0.0:0", Options{}, map[opt]int{
			ip4(unix.IP_MTU_DISCOVER): unix.IP_PMTUDISC_WANT, ip4(unix.IP_RECVERR): 0, ip4(unix.IP_PKTINFO): 1,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, _ := listen(t, tt.network, tt.address)
			s := open(t, conn, tt.opts)
			if s.Err() != nil {
				t.Error(s.Err())
			}
			for o, want := range tt.want {
				if got := sockopt(t, conn, o.level, o.opt); got != want {
					t.Errorf("option %v: %d, want %d", o, got, want)
				}
			}
			if !tt.opts.Hints {
				return
			}
			if err := s.SetDontFragment(false); err != nil {
				t.Error(err)
			}
			for o := range tt.want {
				if o == ip4(unix.IP_MTU_DISCOVER) || o == ip6(unix.IPV6_MTU_DISCOVER) {
					if got := sockopt(t, conn, o.level, o.opt); got != unix.IP_PMTUDISC_DONT {
						t.Errorf("option %v: %d after SetDontFragment(false)", o, got)
					}
				}
			}
		})
	}
}
