package dtls

import (
	"net"
	"net/netip"
)

// isDTLS: RFC 7983, Section 7 gives DTLS the datagrams whose first byte is 20 to
// 63.
func isDTLS(datagram []byte) bool { return datagram[0] >= 20 && datagram[0] <= 63 }

// foreign takes what is not DTLS, for Config.NonDTLS. It belongs to the reader.
type foreign struct {
	take func(p []byte, from net.Addr)
	ap   netip.AddrPort
	addr net.Addr // ap, as it was given out last: media comes from few addresses
}

// takes reports whether a datagram was not for us, and was given away.
func (f *foreign) takes(datagram []byte, from peerAddr) bool {
	if f.take == nil || len(datagram) == 0 || isDTLS(datagram) {
		return false
	}
	switch {
	case from.addr != nil:
		f.take(datagram, from.addr)
	default:
		if f.addr == nil || f.ap != from.ap {
			f.ap, f.addr = from.ap, from.netAddr()
		}
		f.take(datagram, f.addr)
	}
	return true
}
