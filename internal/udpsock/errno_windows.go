package udpsock

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// Windows has error codes of Windows Sockets and, from overlapped calls, of the
// system below. Package syscall invents numbers for the POSIX names, which
// transports of the caller's may use.
var (
	errnosTooLarge = []error{windows.WSAEMSGSIZE, syscall.EMSGSIZE}

	errnosPending = []error{
		windows.WSAECONNRESET, // port unreachable, on UDP
		windows.WSAENETRESET,  // time exceeded, on UDP
		windows.WSAECONNREFUSED, windows.WSAEHOSTUNREACH, windows.WSAENETUNREACH, windows.WSAENETDOWN,
		windows.WSAEHOSTDOWN, windows.WSAENOPROTOOPT, windows.WSAEACCES,
		windows.ERROR_PORT_UNREACHABLE, windows.ERROR_HOST_UNREACHABLE,
		windows.ERROR_NETWORK_UNREACHABLE, windows.ERROR_PROTOCOL_UNREACHABLE,
		windows.ERROR_MORE_DATA, // a read that was cut off

		syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN,
		syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP, syscall.EACCES,
	}

	errnosRefused = []error{
		windows.WSAECONNRESET, windows.WSAECONNREFUSED, windows.ERROR_PORT_UNREACHABLE, syscall.ECONNREFUSED,
	}

	errnosBusy = []error{
		windows.WSAENOBUFS, windows.WSAEWOULDBLOCK, windows.WSAEINTR,
		syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN, syscall.EINTR, syscall.EPERM,
	}
)
