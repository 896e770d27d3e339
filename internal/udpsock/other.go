//go:build !linux

package udpsock

import (
	"errors"
	"net/netip"
)

// kernel is what systems other than Linux do for one socket: perhaps, not to cut
// datagrams.
type kernel struct {
	pktinfo bool // never
}

func (k *kernel) open(fd uintptr, _ bool, opts Options) []error {
	if !opts.Hints {
		return nil
	}
	return k.dontFragment(fd, true)
}

func (*kernel) close() {}

func (*Socket) readPktinfo([]byte) (n int, from netip.AddrPort, to netip.Addr, err error) {
	return 0, netip.AddrPort{}, netip.Addr{}, errors.ErrUnsupported
}

func (*Socket) writePktinfo([]byte, netip.AddrPort, netip.Addr) error {
	return errors.ErrUnsupported
}

func (*Socket) drain(func(Notice)) int { return 0 }

func (*Socket) linkMTU(netip.AddrPort) (mtu int, ok bool) { return 0, false }
