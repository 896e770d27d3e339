package dtls

import (
	"crypto/sha256"
	"encoding/binary"
	"net"
	"net/netip"
)

// table finds associations by the address of their peer. The owner locks.
type table struct {
	byAddr shrinkingMap[netip.AddrPort, *Conn]
	byName shrinkingMap[string, *Conn] // of transports other than UDP
}

func (t *table) len() int { return len(t.byAddr.m) + len(t.byName.m) }

func (t *table) get(a peerAddr) *Conn {
	switch {
	case a.ap.IsValid():
		return t.byAddr.m[a.ap]
	case len(t.byName.m) > 0:
		return t.byName.m[nameOf(a)]
	}
	return nil
}

func (t *table) put(c *Conn) {
	if c.peer.ap.IsValid() {
		t.byAddr.put(c.peer.ap, c)
	} else {
		t.byName.put(nameOf(c.peer), c)
	}
}

// remove takes c out, if it is in there.
func (t *table) remove(c *Conn) bool {
	if t.get(c.peer) != c {
		return false
	}
	if c.peer.ap.IsValid() {
		t.byAddr.remove(c.peer.ap)
	} else {
		t.byName.remove(nameOf(c.peer))
	}
	return true
}

func (t *table) all() []*Conn {
	conns := make([]*Conn, 0, t.len())
	for _, c := range t.byAddr.m {
		conns = append(conns, c)
	}
	for _, c := range t.byName.m {
		conns = append(conns, c)
	}
	return conns
}

// shrinkingMap gives memory back: Go's maps keep the room of their best days.
type shrinkingMap[K comparable, V any] struct {
	m    map[K]V
	peak int // largest size since it was built
}

const shrinkFrom = 1024 // entries

func (s *shrinkingMap[K, V]) put(key K, v V) {
	if s.m == nil {
		s.m = make(map[K]V)
	}
	s.m[key] = v
	s.peak = max(s.peak, len(s.m))
}

func (s *shrinkingMap[K, V]) remove(key K) {
	delete(s.m, key)
	if s.peak < shrinkFrom || len(s.m) > s.peak/4 {
		return
	}
	smaller := make(map[K]V, len(s.m))
	for k, v := range s.m {
		smaller[k] = v
	}
	s.m, s.peak = smaller, len(smaller)
}

// nameOf is the key of an address that is not UDP's.
func nameOf(a peerAddr) string {
	if a.addr == nil {
		return ""
	}
	return a.addr.Network() + " " + a.addr.String()
}

// cookieAddr is what a cookie is bound to: the address, or for transports other
// than UDP a digest of its name.
func cookieAddr(a peerAddr) netip.AddrPort {
	if a.ap.IsValid() {
		return a.ap
	}
	sum := sha256.Sum256([]byte(nameOf(a)))
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(sum[:16])), binary.BigEndian.Uint16(sum[16:]))
}

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
