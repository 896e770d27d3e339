//go:build !unix && !js && !windows

package udpsock

// Nothing is known of how these systems report errors of sockets.
var errnosTooLarge, errnosPending, errnosRefused, errnosBusy []error
