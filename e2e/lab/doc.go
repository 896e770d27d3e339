// Package lab builds a network path whose narrowest link neither end can see,
// out of Linux network namespaces:
//
//	client ──[1500]── r1 ──[Path.MTU]── r2 ──[1500]── server
//
// Every [Lab] has four namespaces of its own, joined by veth pairs; labs run
// side by side with the same addresses, and nothing touches the interfaces of
// the host. r1 also loses packets, on their way through it. There is no delay:
// a round trip takes some 0.1 ms.
//
// It needs root, iproute2 and nftables. Two programs run the library through it:
// that in the directory matrix measures handshakes and writes the table of
// docs/mtu.md, and that in forgery sends forged "packet too big" messages to both
// ends.
package lab
