// Package cookie makes and checks the cookies that prove a peer's address
// before anything is kept for it.
//
// A server answers the first ClientHello with a cookie and forgets it. Who
// repeats the ClientHello with that cookie receives what is sent to its address
// (RFC 6347, Section 4.2.1), and the server has spent neither memory nor public
// key cryptography on anyone who does not.
//
//	byte    0     1      2   3      4 ... 19
//	     +-----+------+---------+-----------------------------------+
//	     | key | node |  stamp  | HMAC-SHA-256, the first 16 bytes  |
//	     +-----+------+---------+-----------------------------------+
//	           |<-- masked ---->|
//
// The key byte is the low byte of the period in which the cookie was made. A
// period has 30 seconds and a key of its own. The cookies of this period and of
// the one before are good, so a cookie lives 30 to 60 seconds.
//
// Servers may share secrets, each of which has keys of its own for every period.
// The first secret makes cookies, all of them check: a new one is given to all
// servers as the last of their secrets, then put first, and when the cookies of
// the old one have expired that is taken away. Periods of shared secrets are
// those of the wall clock. A cookie of the period after the present one is good
// too, so clocks may differ by half a minute.
//
// The stamp is the time of making, in milliseconds since the period began. It
// comes back with the cookie and so tells the round-trip time, which sets the
// retransmission timer of the server's first flight. The server has no other
// way to know it, for it has kept nothing.
//
// The node byte tells several servers apart that share a secret: a server knows
// its own cookies by it, and takes no round-trip time from another's clock.
//
// Stamp and node are masked with bytes of the period's key, because the
// server's clock is no one's business. The mask hides; it is the MAC that
// protects, over the first four bytes, the address and port, and whatever of the
// ClientHello the caller has covered.
package cookie
