// Package kex makes the ephemeral key exchanges of a handshake.
//
// Each group is one exchange of two shares with a secret at the end. Seen from
// here there are two roles, and they are not client and server:
//
//	initiator                          responder
//	Generate(g) -> key
//	key.Public() ------ share ------>  Respond(g, share) -> share, secret
//	key.Shared(share) <--- share ----
//	  -> secret
//
// In DTLS 1.3 the client initiates with its key_share (RFC 8446, Section
// 4.2.8). In DTLS 1.2 the server initiates with its ServerKeyExchange (RFC 8422,
// Section 5.4), and the client responds.
//
// With Diffie-Hellman the roles are alike, but a KEM has them: its responder
// encapsulates to the initiator's share. Code that keeps to the picture above
// works for both kinds, and for the hybrids of DTLS 1.3, which are one of each.
//
// What crosses the wire is the group's share without a length, and the secret
// is what goes into the key schedule as it is. A share that cannot be right is
// the peer's fault and an illegal_parameter alert; every other error is ours.
package kex
