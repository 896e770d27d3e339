// Package dtlstest holds what tests and demonstrations of this project share: a
// UDP relay that loses, reorders, doubles, delays and swallows datagrams by a
// seed, certificate chains of any key type and almost any size, and readers of
// packet captures, of key logs and of recorded messages.
//
// Nothing here knows DTLS. A relay sits between any two UDP endpoints, so the
// same one serves our own engines, foreign command line peers and the demo.
package dtlstest
