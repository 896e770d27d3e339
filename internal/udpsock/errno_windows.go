package udpsock

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// Windows has error codes of Windows Sockets and, from overlapped calls, of the
// system below.
var (
	errnosTooLarge = []syscall.Errno{windows.WSAEMSGSIZE}

	errnosPending = []syscall.Errno{
		windows.WSAECONNRESET, // port unreachable, on UDP
		windows.WSAENETRESET,  // time exceeded, on UDP
		windows.WSAECONNREFUSED, windows.WSAEHOSTUNREACH, windows.WSAENETUNREACH, windows.WSAEHOSTDOWN,
		windows.WSAENOPROTOOPT, windows.WSAEACCES,
		windows.ERROR_PORT_UNREACHABLE, windows.ERROR_HOST_UNREACHABLE,
		windows.ERROR_NETWORK_UNREACHABLE, windows.ERROR_PROTOCOL_UNREACHABLE,
		windows.ERROR_MORE_DATA, // a read that was cut off
	}
)
