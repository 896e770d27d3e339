package dtls

import "bytes"

// inbox holds copies of datagrams that wait for the handshake's driver.
type inbox struct {
	q     [][]byte
	bytes int
}

const (
	maxInbox      = 32 << 10 // bytes, with inboxOverhead for each datagram
	inboxOverhead = 48
)

// push copies a datagram in. It reports false if there is no room.
func (b *inbox) push(datagram []byte) bool {
	if !b.hasRoom(len(datagram)) {
		return false
	}
	b.bytes += len(datagram) + inboxOverhead
	b.q = append(b.q, bytes.Clone(datagram))
	return true
}

func (b *inbox) hasRoom(n int) bool { return b.bytes+n+inboxOverhead <= maxInbox }

// pop returns the oldest datagram, nil if there is none.
func (b *inbox) pop() []byte {
	if len(b.q) == 0 {
		return nil
	}
	d := b.q[0]
	b.q[0] = nil
	b.bytes -= len(d) + inboxOverhead
	if b.q = b.q[1:]; len(b.q) == 0 {
		b.q = nil
	}
	return d
}
