package dtls

import (
	"crypto/sha256"
	"encoding/binary"
	"net"
	"net/netip"
)

// peerAddr is the address of a peer on a socket.
type peerAddr struct {
	ap   netip.AddrPort // IPv4 is never mapped; invalid if the address is not UDP's
	addr net.Addr       // as a net.PacketConn gave it; nil on a UDP socket

	// local is the address of ours that the peer called, and that it must be
	// answered from; invalid if unknown.
	local netip.Addr
}

func (a peerAddr) netAddr() net.Addr {
	if a.addr != nil {
		return a.addr
	}
	return net.UDPAddrFromAddrPort(a.ap)
}

// key is the address in tables and cookies: itself, or for transports other than UDP
// a digest of its Network and String.
func (a peerAddr) key() netip.AddrPort {
	if a.ap.IsValid() {
		return a.ap
	}
	var name string
	if a.addr != nil {
		name = a.addr.Network() + " " + a.addr.String()
	}
	sum := sha256.Sum256([]byte(name))
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(sum[:16])), binary.BigEndian.Uint16(sum[16:]))
}

// prefix is the part of the address that its owner cannot choose: IPv4's /24,
// IPv6's /56, and all of an address that is not UDP's.
func (a peerAddr) prefix() netip.Prefix {
	addr, bits := a.key().Addr(), 56
	switch {
	case !a.ap.IsValid():
		bits = 128
	case addr.Is4():
		bits = 24
	}
	prefix, _ := addr.Prefix(bits) // the length is one that the family has
	return prefix
}
