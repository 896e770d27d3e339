// Package lab builds a network path whose narrowest link neither end can see,
// out of Linux network namespaces:
//
//	client ──[1500]── r1 ──[Path.MTU]── r2 ──[1500]── server
//
// Every [Lab] has four namespaces of its own, joined by veth pairs; labs run
// side by side with the same addresses, and nothing touches the interfaces of
// the host. r1 also loses packets, on their way through it, at random or those that
// exceed a rate. There is no delay: a round trip takes some 0.1 ms.
//
// It needs root, iproute2 and nftables, and of the kernel network namespaces, veth,
// nf_tables with the inet family, nft_numgen for loss and nft_limit for rates; an
// error of Up names what is missing. Three programs run the library through it, the
// first two write tables of docs/mtu.md:
//
//   - matrix: single handshakes through narrow, lossy and silent paths,
//   - paths: many associations at a time, and which limits they have afterwards,
//   - forgery: forged "packet too big" messages to both ends.
package lab
