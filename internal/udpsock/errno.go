package udpsock

import (
	"errors"
	"net"
	"slices"
)

// The lists of these files have what each system says. A transport of the
// caller's may say the same with an Is method.

// IsPending reports whether an error of a read or a write may belong to an
// earlier datagram, perhaps to another peer: it is what the kernel makes of ICMP
// messages. What to do: Drain, and repeat the call once.
func IsPending(err error) bool {
	return isOneOf(err, errnosTooLarge) || isOneOf(err, errnosPending) || isNotPollable(err)
}

// IsTooLarge reports whether an error of a write says that the datagram is too
// large, if it is not a pending error. An error of a read never says so: on
// Linux it is a pending one, on Windows it means that the buffer was too small.
func IsTooLarge(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "read" {
		return false
	}
	return isOneOf(err, errnosTooLarge)
}

// IsRefused reports whether an error says that a port is closed: ICMP's "port
// unreachable".
func IsRefused(err error) bool { return isOneOf(err, errnosRefused) }

// IsBusy reports whether an error says that this host has no room or lets
// nothing out at the moment, which concerns one datagram and passes.
func IsBusy(err error) bool { return isOneOf(err, errnosBusy) }

// isNotPollable reports whether a read says what package net makes of a socket
// with an error when there is nothing to read and no room to write. It reads
// nothing until one of these changes, not even the error; so whoever repeats the
// call for long had better pause. The error has no name outside package
// internal/poll.
func isNotPollable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "read" && op.Err != nil && op.Err.Error() == "not pollable"
}

func isOneOf(err error, list []error) bool {
	return err != nil && slices.ContainsFunc(list, func(errno error) bool { return errors.Is(err, errno) })
}
