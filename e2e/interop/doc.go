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
// that drive a library, and inside the test process a scripted server, [TinyDTLS],
// and pion: version 3 for DTLS 1.2, [Pion], and version 4 for DTLS 1.3, [Pion13].
// What a peer cannot do is in its [Limits] and [Abilities], and in the comment of its
// type.
//
// DTLS 1.3 is tried with [NSS], by lists of cases, and with [Pion13], by the pairwise
// cover of [Cases13] and by lists: key updates, resumptions, external keys, versions
// and refusals. There each case also compares what the ends export.
//
// Nothing here skips. A missing program is a failed test whose message names
// the package to install.
package interop
