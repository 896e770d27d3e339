package udpsock

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// kernel is what Linux does for one socket.
type kernel struct {
	family  int  // AF_INET or AF_INET6
	pktinfo bool // datagrams come with the address they called
	queries queries
}

// open sets the options. wildcard: the socket is bound to no address.
func (k *kernel) open(fd uintptr, wildcard bool, opts Options) (errs []error) {
	var err error
	if k.family, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil {
		return []error{fmt.Errorf("SO_DOMAIN: %w", err)}
	}
	if wildcard {
		errs = k.set(fd,
			option{"IP_PKTINFO", unix.SOL_IP, unix.IP_PKTINFO, 1},
			option{"IPV6_RECVPKTINFO", unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1})
		k.pktinfo = len(errs) == 0
	}
	if opts.Hints {
		errs = append(errs, k.dontFragment(fd, true)...)
		errs = append(errs, k.set(fd,
			option{"IP_RECVERR", unix.SOL_IP, unix.IP_RECVERR, 1},
			option{"IPV6_RECVERR", unix.SOL_IPV6, unix.IPV6_RECVERR, 1})...)
		k.queries.like(fd)
	}
	return errs
}

// dontFragment chooses between two ways of path MTU discovery. PROBE sets DF and
// refuses only what the first link does not take. What ICMP says about the path
// is told and not acted upon.
func (k *kernel) dontFragment(fd uintptr, on bool) []error {
	mode4, mode6 := unix.IP_PMTUDISC_DONT, unix.IPV6_PMTUDISC_DONT
	if on {
		mode4, mode6 = unix.IP_PMTUDISC_PROBE, unix.IPV6_PMTUDISC_PROBE
	}
	return k.set(fd,
		option{"IP_MTU_DISCOVER", unix.SOL_IP, unix.IP_MTU_DISCOVER, mode4},
		option{"IPV6_MTU_DISCOVER", unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, mode6})
}

func (k *kernel) close() { k.queries.close() }

type option struct {
	name       string
	level, opt int
	value      int
}

// set sets an option at both levels. An AF_INET6 socket obeys the IPv4 one when
// it sends to ::ffff:a.b.c.d.
func (k *kernel) set(fd uintptr, ip4, ip6 option) (errs []error) {
	for _, o := range [...]option{ip4, ip6} {
		if o.level == unix.SOL_IPV6 && k.family != unix.AF_INET6 {
			continue
		}
		if err := unix.SetsockoptInt(int(fd), o.level, o.opt, o.value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", o.name, err))
		}
	}
	return errs
}
