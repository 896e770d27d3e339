//go:build !linux && (unix || js)

package udpsock

import "syscall"

var (
	errnosTooLarge = []error{syscall.EMSGSIZE}

	errnosPending = []error{
		syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN,
		syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP, syscall.EACCES,
	}

	errnosRefused = []error{syscall.ECONNREFUSED}

	errnosBusy = []error{syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN, syscall.EINTR, syscall.EPERM}
)
