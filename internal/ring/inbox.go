package ring

import "bytes"

// Inbox holds copies of datagrams that wait for a handshake, the oldest first.
type Inbox struct {
	q     [][]byte
	bytes int
}

// MaxInbox is how much an Inbox holds, in bytes, with inboxOverhead for each datagram.
const (
	MaxInbox      = 32 << 10
	inboxOverhead = 48
)

// Bytes is how much it holds now.
func (b *Inbox) Bytes() int { return b.bytes }

// Push copies a datagram in. It reports false if there is no room.
func (b *Inbox) Push(datagram []byte) bool {
	if !b.HasRoom(len(datagram)) {
		return false
	}
	b.bytes += len(datagram) + inboxOverhead
	b.q = append(b.q, bytes.Clone(datagram))
	return true
}

// HasRoom reports whether a datagram of n bytes fits.
func (b *Inbox) HasRoom(n int) bool { return b.bytes+n+inboxOverhead <= MaxInbox }

// Pop returns the oldest datagram, nil if there is none.
func (b *Inbox) Pop() []byte {
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
