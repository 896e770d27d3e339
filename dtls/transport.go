package dtls

import (
	"errors"
	"net"

	"github.com/flightpath-dtls/flightpath/internal/alarms"
	"github.com/flightpath-dtls/flightpath/internal/transport"
	"github.com/flightpath-dtls/flightpath/internal/udpsock"
)

// socket is what carries the datagrams of one association, or of many, with the
// time-outs of these.
type socket struct {
	transport.Socket
	members *members            // of a shared one
	alarms  alarms.Group[*Conn] // call timeout
}

// peerAddr is the address of a peer on a socket.
type peerAddr = transport.Addr

// ownSocket is the socket of one association; see transport.Own.
func ownSocket(conn net.Conn, noticed func(udpsock.Notice)) *socket {
	s := &socket{Socket: transport.Own(conn, noticed, largePacket)}
	s.alarms.Init((*Conn).timeout)
	return s
}

// sharedSocket is the socket of the associations of members.
func sharedSocket(pc net.PacketConn, m *members, noticed func(udpsock.Notice)) *socket {
	s := &socket{Socket: transport.Shared(pc, noticed, largePacket), members: m}
	s.alarms.Init((*Conn).timeout)
	return s
}

// largePacket reports whether an error of a transport matches ErrLargePacket, and the
// path MTU that a *LargePacketError has: the transport may be a Conn of this package.
func largePacket(err error) (mtu int, ok bool) {
	var large *LargePacketError
	if errors.As(err, &large) {
		mtu = large.PathMTU
	}
	return mtu, errors.Is(err, ErrLargePacket)
}

// isTooLarge reports whether a transport refused a datagram for its size.
func isTooLarge(err error) bool { return transport.Large(largePacket).IsTooLarge(err) }

// isTransient reports whether an error of the transport passes.
func isTransient(err error) bool { return transport.Large(largePacket).IsTransient(err) }
