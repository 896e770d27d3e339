// Package interop runs the library against foreign DTLS implementations,
// in both roles, through a relay that loses and reorders datagrams and
// swallows those above a size.
//
// A [Peer] is how to start a foreign endpoint, a [Case] is what one run does,
// and [Pairwise] picks the cases: few enough for every commit, yet any two
// values of different dimensions meet in at least one of them. With
// FLIGHTPATH_FULL=1 the whole product runs instead.
//
// Peers are programs with a command line, small programs of our own in e2e/peers
// that drive a library, and pion inside the test process. What a peer cannot do is
// in its [Limits] and [Abilities].
//
// Nothing here skips. A missing program is a failed test whose message names
// the package to install.
package interop
