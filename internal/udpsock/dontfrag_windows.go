package udpsock

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// From ws2ipdef.h; package windows does not have them.
const (
	ipDontFragment = 14 // IP_DONTFRAGMENT
	ipv6DontFrag   = 14 // IPV6_DONTFRAG
)

// dontFragment sets the option of the socket's family, or of both on a socket
// for both. It has failed only if nothing could be set.
func (*kernel) dontFragment(fd uintptr, on bool) []error {
	value := 0
	if on {
		value = 1
	}
	err4 := windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_IP, ipDontFragment, value)
	err6 := windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_IPV6, ipv6DontFrag, value)
	if err4 != nil && err6 != nil {
		return []error{fmt.Errorf("IP_DONTFRAGMENT: %w", err4), fmt.Errorf("IPV6_DONTFRAG: %w", err6)}
	}
	return nil
}
