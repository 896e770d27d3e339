// Package udpsock asks the kernel about UDP sockets: which of our addresses a
// datagram came to, what ICMP said about one we sent, and how large one may be.
//
// All of it is optional. On a system or a socket without that help every method
// works and knows nothing; [Socket.Err] says what was refused. Linux gives all
// the help there is. macOS, FreeBSD and Windows do not cut datagrams into
// fragments when asked not to, and that is all; elsewhere, not even that.
//
// # Why a DTLS library cares
//
// Three habits of Linux have ended associations that were well:
//
//	us                     router                peer A           peer B
//	 | -- datagram to A ----> | does not fit        |                |
//	 | <---- ICMP: too big -- |                     |                |
//	 | -- datagram to B: refused with EMSGSIZE! ------------------>  |
//
// An ICMP error stays with the socket and is returned by whatever call comes
// next: a read, a datagram of ten bytes, or one to another peer. So the errors
// for which [IsPending] holds say nothing about the call that returned them.
// Whom they are about is in the error queue, which [Socket.Drain] reads. It
// quotes the datagram that was refused, so that a forged ICMP message can be
// told from a true one.
//
// A kernel that was told by ICMP how large a path is uses it against us: it cuts
// the next datagrams into fragments, which many firewalls drop, or refuses to
// send them. With IP_PMTUDISC_PROBE it does neither; the route's value is there
// to be asked for with [Socket.PathMTU], and to be doubted, for it is not
// authenticated.
//
// A server with several addresses answers from the one its routing table likes.
// A client that called another one drops the answer. So [Socket.ReadMsg] tells
// the address that was called and [Socket.WriteMsg] sends from it.
//
// # Sending
//
// The rule that follows, for limit() of what the caller believes about the path:
//
//	err := s.WriteMsg(b, peer, local)
//	if udpsock.IsPending(err) {
//		s.Drain(believe) // may lower limit()
//		if len(b) > limit() {
//			return refused // cut anew; the same bytes would be lost in the path
//		}
//		err = s.WriteMsg(b, peer, local)
//	}
//	// An error of the second call is about this datagram.
//
// And for reading: after an error for which IsPending holds, drain and read on,
// with a pause if there are many and nothing was read in between.
// Somebody must drain, because entries of the queue occupy the receive buffer.
//
// # Sizes
//
// Every size is bytes of UDP payload, without IP and UDP headers.
package udpsock
