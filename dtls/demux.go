package dtls

import (
	"cmp"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/roster"
)

// demux has a socket that many associations share. One goroutine reads it, and
// gives each datagram to the association that it is for, by the address it came
// from; what none of them expects goes to the Listener, if there is one.
//
// An address may have two associations, one in each direction: two nodes that
// dial each other at the same time get what they asked for. A ClientHello is for
// the one it began or for the door, other plaintext for whom the direction
// fits, and protected records for the one whose keys open them.
type demux struct {
	sock *socket
	gone atomic.Bool // the socket was closed here

	spare []byte // the reader's, for datagrams that may be for several

	// mu guards what follows, and the books of the Listener. It may be taken
	// with a Conn's mu held, never the other way round.
	mu       sync.Mutex
	conns    roster.Roster[netip.AddrPort, Conn] // by peerAddr.key
	listener *Listener                           // nil: an Endpoint that does not listen
	ended    bool                                // no association may join any more
	users    int                                 // associations that may still send, and open fronts; the last one closes the socket
}

func newDemux(pc net.PacketConn, nonDTLS func([]byte, net.Addr)) *demux {
	d := &demux{}
	d.sock = sharedSocket(pc, d.noticed)
	d.sock.demux = d
	d.sock.foreign.take = nonDTLS
	return d
}

// ---- the reader -----------------------------------------------------------------

func (d *demux) read() {
	buf := make([]byte, readBuffer)
	var (
		reply []byte
		slow  backOff
	)
	for {
		n, from, err := d.sock.receive(buf)
		switch {
		case err == nil:
			slow = 0
			reply = d.take(time.Now(), buf[:n], from, reply[:0])
		case d.gone.Load():
			return // whatever a closed transport calls it
		case isClosed(err):
			d.fail(&transportError{err: err, closed: true})
			return
		default:
			slow.pause()
		}
	}
}

// take routes one datagram. reply is a buffer, and returned for the next time.
func (d *demux) take(now time.Time, datagram []byte, from peerAddr, reply []byte) []byte {
	if d.sock.foreign.takes(datagram, from) {
		return reply
	}
	key := from.key()
	d.mu.Lock()
	at := d.conns.At(key)
	l := d.listener
	if l != nil && l.closed {
		l = nil
	}
	if l != nil {
		l.door.SetLoad(l.stats.HandshakesOpen)
	}
	d.mu.Unlock()

	accepted, newcomer, dialed := at.Accepted, at.Newcomer, at.Dialed
	if l != nil && (accepted != nil || dialed != nil) && isHelloTail(datagram) {
		// Whose hello it belongs to its bytes do not tell: if that of accepted is
		// complete it may be that of a client which has restarted. But the rest of
		// a hello that was let in must not wait at the door, or the next one of
		// that size would be joined with it.
		if size := helloSize(datagram); !newcomer.hasSize(size) && !accepted.hasSize(size) || l.door.hasBegun(now, datagram, key) {
			reply = l.greet(now, datagram, from, reply)
		}
		if accepted == nil && newcomer == nil {
			return reply
		}
	}
	if mark := helloMark(datagram); mark != 0 {
		switch {
		case newcomer != nil && mark == newcomer.hello:
			newcomer.deliver(now, datagram)
		case accepted != nil && mark == accepted.hello:
			if newcomer == nil { // else it is an old hello, late
				accepted.deliver(now, datagram)
			}
		case l != nil:
			return l.greet(now, datagram, from, reply)
		}
		return reply
	}

	var list [3]*Conn
	to := list[:0]
	for _, c := range [...]*Conn{newcomer, accepted, dialed} {
		if c != nil {
			to = append(to, c)
		}
	}
	switch {
	case len(to) == 1:
		to[0].deliver(now, datagram)
	case len(to) > 1 && isPlaintext(datagram):
		// The accepted one beside a newcomer is established: what comes in the
		// clear is not for it.
		d.shareInTheClear(now, datagram, cmp.Or(newcomer, accepted), dialed)
	case len(to) > 1:
		d.share(now, datagram, to)
	case l != nil:
		return l.greet(now, datagram, from, reply)
	}
	return reply
}

// hasSize reports whether an association began with a hello of that helloSize.
func (c *Conn) hasSize(size uint64) bool { return c != nil && c.size == size }

// share gives a protected datagram to the one of several associations whose keys
// open it. If there is none each gets a copy: one in its handshake may have those
// keys soon.
func (d *demux) share(now time.Time, datagram []byte, to []*Conn) {
	for _, c := range to {
		d.spare = append(d.spare[:0], datagram...)
		if c.recognizes(d.spare) {
			c.deliver(now, datagram)
			return
		}
	}
	for _, c := range to {
		d.spare = append(d.spare[:0], datagram...)
		c.deliver(now, d.spare)
	}
}

// shareInTheClear gives a datagram without protection to those that it may be
// for, by who speaks such messages; dialed may be nil.
func (d *demux) shareInTheClear(now time.Time, datagram []byte, accepted, dialed *Conn) {
	fromClient, fromServer := directions(datagram)
	if fromClient || dialed == nil {
		d.spare = append(d.spare[:0], datagram...)
		accepted.deliver(now, d.spare)
	}
	if fromServer && dialed != nil {
		dialed.deliver(now, datagram)
	}
}

// fail ends everything because the socket is gone.
func (d *demux) fail(err error) {
	d.mu.Lock()
	d.ended = true
	all, l := d.conns.All(), d.listener
	d.mu.Unlock()
	if l != nil {
		_ = l.Close()
	}
	for _, c := range all {
		c.fail(err)
	}
}

// ---- who is there ---------------------------------------------------------------

// stage is where an association on a shared socket stands in the books of its
// demux and its Listener.
type stage uint8

const (
	stageHandshake stage = iota
	stageEstablished
	stageLingering // closed, and kept for its peer's sake
	stageDisplaced // off the books for another, and about to hear of it
	stageGone
)

// dial lets in an association that begins its handshake from here. It returns
// one that lingers at that address, if any, for the caller to end.
func (d *demux) dial(c *Conn) (before *Conn, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before = d.conns.At(c.peer.key()).Dialed
	switch {
	case d.ended:
		return nil, errEndpointClosed
	case before != nil && before.stage != stageLingering:
		return nil, ErrAlreadyDialed
	}
	d.users++
	d.conns.Dial(c.peer.key(), c)
	return before, nil
}

// add lets in a client that begins its handshake, with mu held. before is the
// newest association of its address: c takes its place if that was displaced,
// else it waits beside it until its handshake is complete.
func (d *demux) add(c, before *Conn) {
	d.users++
	c.owner.users++
	if before != nil && before.stage != stageDisplaced {
		before = nil
	}
	d.conns.Accept(c.peer.key(), c, before)
}

// establish is told by an association, with its mu held, that its handshake is
// complete. It returns the one that had the address before, if any, for the
// caller to end.
func (d *demux) establish(c *Conn) (old *Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.stage != stageHandshake {
		return nil
	}
	c.stage = stageEstablished
	if c.owner != nil {
		c.owner.established(c)
	}
	return d.conns.Complete(c.peer.key(), c)
}

// linger keeps an association that is closed, until forget. It is called with
// c.mu held. It returns one that lingers too and has to go for it, if any.
func (d *demux) linger(c *Conn) (goes *Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.stage != stageEstablished {
		return nil
	}
	c.stage = stageLingering
	if c.owner != nil {
		return c.owner.lingers(c)
	}
	return nil
}

// forget takes out an association that has ended: its address is a stranger's
// again. It is called with c.mu held.
func (d *demux) forget(c *Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.stage != stageGone && c.owner != nil {
		c.owner.left(c)
	}
	c.stage = stageGone
	d.conns.Remove(c.peer.key(), c)
}

// release is called once by each user: by an association when it has sent its
// last. The last user closes the socket. l is the Listener that let it in, or
// that it is; nil if there is none.
func (d *demux) release(l *Listener) {
	d.mu.Lock()
	d.users--
	last, emptied := d.users == 0, false
	if l != nil {
		l.users--
		emptied = l.users == 0
	}
	d.mu.Unlock()
	if last {
		d.closeSocket()
	}
	if emptied {
		close(l.empty)
	}
}

func (d *demux) closeSocket() {
	if d.gone.Swap(true) {
		return
	}
	d.sock.alarms.stop()
	_ = d.sock.close()
}
