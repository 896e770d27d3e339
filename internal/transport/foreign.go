package transport

import (
	"net"
	"net/netip"
)

// isDTLS: RFC 7983, Section 7 gives DTLS the datagrams whose first byte is 20 to
// 63.
func isDTLS(datagram []byte) bool { return datagram[0] >= 20 && datagram[0] <= 63 }

// foreign passes on what is not DTLS. It belongs to the reader.
type foreign struct {
	take func(p []byte, from net.Addr)
	ap   netip.AddrPort
	addr *net.UDPAddr // ap, as it was given out last: media comes from few addresses
}

// SetForeign sets the function that takes what is not DTLS; nil: nothing does. It comes
// before the first PassForeign.
func (s *Socket) SetForeign(take func(p []byte, from net.Addr)) { s.foreign.take = take }

// PassForeign passes a received datagram on if it is not DTLS, and reports whether it
// did.
func (s *Socket) PassForeign(datagram []byte, from Addr) bool {
	return s.foreign.passes(datagram, from)
}

func (f *foreign) passes(datagram []byte, from Addr) bool {
	if f.take == nil || len(datagram) == 0 || isDTLS(datagram) {
		return false
	}
	switch {
	case from.Net != nil:
		f.take(datagram, from.Net)
	default:
		if f.addr == nil || f.ap != from.AP {
			f.ap, f.addr = from.AP, net.UDPAddrFromAddrPort(from.AP)
		}
		f.take(datagram, f.addr)
	}
	return true
}
