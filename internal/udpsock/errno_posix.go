//go:build !linux && (unix || js || wasip1)

package udpsock

import "syscall"

var (
	errnosTooLarge = []syscall.Errno{syscall.EMSGSIZE}

	errnosPending = []syscall.Errno{
		syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN,
		syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EACCES,
	}
)
