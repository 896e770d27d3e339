//go:build darwin || freebsd

package udpsock

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// dontFragment sets the option of the socket's family, or of both on a socket
// for both. An IPv4 socket has none of IPv6, and some IPv6 sockets none of IPv4,
// so it has failed only if nothing could be set.
func (*kernel) dontFragment(fd uintptr, on bool) []error {
	value := 0
	if on {
		value = 1
	}
	err4 := unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_DONTFRAG, value)
	err6 := unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, value)
	if err4 != nil && err6 != nil {
		return []error{fmt.Errorf("IP_DONTFRAG: %w", err4), fmt.Errorf("IPV6_DONTFRAG: %w", err6)}
	}
	return nil
}
