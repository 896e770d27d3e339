package transport

import (
	"crypto/sha256"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
)

// Addr is the address of a peer on a socket.
type Addr struct {
	AP  netip.AddrPort // IPv4 is never mapped; invalid if the address is not UDP's
	Net net.Addr       // as a net.PacketConn gave it; nil on a UDP socket

	// Local is the local address that the peer sent to, which must be the source of
	// what is sent to the peer; invalid if unknown.
	Local netip.Addr
}

// AddrPort is a UDP address with IPv4 never mapped; invalid if a is no *net.UDPAddr.
func AddrPort(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		ap := u.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// NetAddr is the address as package net has it.
func (a Addr) NetAddr() net.Addr {
	if a.Net != nil {
		return a.Net
	}
	return net.UDPAddrFromAddrPort(a.AP)
}

// Key is the address in tables and cookies: itself, or for transports other than UDP
// a digest of its Network and String.
func (a Addr) Key() netip.AddrPort {
	if a.AP.IsValid() {
		return a.AP
	}
	var name string
	if a.Net != nil {
		name = a.Net.Network() + " " + a.Net.String()
	}
	sum := sha256.Sum256([]byte(name))
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(sum[:16])), binary.BigEndian.Uint16(sum[16:]))
}

// Prefix is the part of the address that its owner cannot choose: IPv4's /24,
// IPv6's /56, and all of an address that is not UDP's.
func (a Addr) Prefix() netip.Prefix {
	addr, bits := a.Key().Addr(), 56
	switch {
	case !a.AP.IsValid():
		bits = 128
	case addr.Is4():
		bits = 24
	}
	prefix, _ := addr.Prefix(bits) // the length is one that the family has
	return prefix
}

// Host is the host of an address such as "example.com:4433", without port and zone.
func Host(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	host, _, _ = strings.Cut(host, "%")
	return host
}

// IsStream reports whether a network loses message boundaries.
func IsStream(network string) bool {
	return strings.HasPrefix(network, "tcp") || network == "unix"
}
