package dtls

import (
	"bytes"
	"net"
	"time"
)

// What tests do to memNet.

// inject delivers a datagram as if it came from there.
func (n *memNet) inject(from, to net.Addr, p []byte) {
	n.mu.Lock()
	peer := n.sockets[to.String()]
	n.mu.Unlock()
	if peer != nil {
		peer.put(from, p)
	}
}

// drop forgets a socket.
func (n *memNet) drop(addr net.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.sockets, addr.String())
}

// delay makes every datagram take that long.
func (n *memNet) delay(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.path = func(from, to net.Addr, p []byte) bool {
		p = bytes.Clone(p)
		time.AfterFunc(d, func() { n.inject(from, to, p) })
		return false
	}
}

// recordOf returns the datagram that do sends.
func recordOf(s *memConn, do func()) (datagram []byte) {
	s.set(func(s *memSocket) { s.tap = func(_ int, p []byte, _ net.Addr) { datagram = bytes.Clone(p) } })
	do()
	s.set(func(s *memSocket) { s.tap = nil })
	return datagram
}
