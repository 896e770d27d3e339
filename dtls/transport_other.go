//go:build !unix && !js && !windows

package dtls

// Nothing is known of how these systems report errors of sockets. What a custom
// transport says with ErrLargePacket is understood everywhere.
var errnosTooLarge, errnosPending, errnosBusy []error
