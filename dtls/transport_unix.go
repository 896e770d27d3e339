//go:build unix || js

package dtls

import "syscall"

var (
	errnosTooLarge = []error{syscall.EMSGSIZE}

	// errnosPending are what ICMP errors for earlier datagrams turn into, and
	// what firewalls say.
	errnosPending = []error{
		syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN,
		syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EACCES,
	}

	errnosBusy = []error{syscall.ENOBUFS, syscall.EAGAIN, syscall.EINTR, syscall.EPERM, syscall.ENOMEM}
)
