// Package door is the cookie exchange of a server in both versions (RFC 6347, Section
// 4.2.1; RFC 9147, Section 5.1), without I/O. It joins ClientHellos that come in
// several datagrams, before their address is proven, in a pool of fixed size, and
// tells ClientHellos apart for whoever shares a socket among associations.
package door
