package dtls

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// demux has a socket that many associations share. One goroutine reads it, and
// gives each datagram to the association that it is for, by the address it came
// from; what none of them expects goes to the Listener.
type demux struct {
	sock *socket
	gone atomic.Bool // the socket was closed here

	// mu guards what follows, and the books of the Listener. It may be taken
	// with a Conn's mu held, never the other way round.
	mu        sync.Mutex
	conns     table // one for each address: established, or the first in its handshake
	newcomers table // handshakes from the address of an established one
	listener  *Listener
	users     int // who may still send, and the front until it is closed; the last one closes the socket
}

// newDemux returns a demux with one user, its front.
func newDemux(pc net.PacketConn) *demux {
	d := &demux{sock: sharedSocket(pc), users: 1}
	d.sock.demux = d
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
	d.mu.Lock()
	c := d.conns.get(from)
	var newcomer *Conn
	if d.newcomers.len() > 0 {
		newcomer = d.newcomers.get(from)
	}
	open := !d.listener.closed
	d.mu.Unlock()

	mark := helloMark(datagram)
	switch {
	case c != nil && newcomer == nil && (mark == 0 || mark == c.hello):
		c.deliver(now, datagram)
	case newcomer != nil && (mark == 0 || mark == newcomer.hello):
		// Protected records go to both: the keys that open one tell whose it
		// is. What comes in the clear can only be the newcomer's.
		newcomer.deliver(now, datagram)
		if c != nil && !isPlaintext(datagram) {
			c.deliver(now, datagram)
		}
	case c != nil && mark == c.hello:
		// An old hello, late.
	case open:
		return d.listener.greet(now, datagram, from, reply)
	}
	return reply
}

// fail ends everything because the socket is gone.
func (d *demux) fail(err error) {
	d.mu.Lock()
	all := d.all()
	d.mu.Unlock()
	_ = d.listener.Close()
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
	stageGone
)

// all returns every association, with mu held.
func (d *demux) all() []*Conn { return append(d.conns.all(), d.newcomers.all()...) }

// newest returns the association of an address that began last, nil if there is
// none, with mu held.
func (d *demux) newest(a peerAddr) *Conn {
	if newcomer := d.newcomers.get(a); newcomer != nil {
		return newcomer
	}
	return d.conns.get(a)
}

// add lets in an association that begins its handshake, with mu held. before is
// the newest one of its address: c takes its place if that is in its handshake
// too, else it waits beside it until its own is complete.
func (d *demux) add(c, before *Conn) {
	d.users++
	switch {
	case before != nil && before.stage != stageHandshake, before != nil && d.newcomers.remove(before):
		d.newcomers.put(c)
	default:
		d.conns.put(c)
	}
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
	c.owner.established(c)
	if d.newcomers.remove(c) {
		old = d.conns.get(c.peer)
		d.conns.put(c)
	}
	return old
}

// forget takes out an association that has ended: its address is a stranger's
// again. It is called with c.mu held.
func (d *demux) forget(c *Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.stage != stageGone {
		c.owner.left(c)
		c.stage = stageGone
	}
	if d.newcomers.remove(c) || !d.conns.remove(c) {
		return
	}
	if newcomer := d.newcomers.get(c.peer); newcomer != nil {
		d.newcomers.remove(newcomer)
		d.conns.put(newcomer)
	}
}

// release is called once by each user: by an association when it has sent its
// last. The last user closes the socket.
func (d *demux) release() {
	d.mu.Lock()
	d.users--
	last := d.users == 0
	d.mu.Unlock()
	if last {
		d.gone.Store(true)
		d.sock.alarms.stop()
		_ = d.sock.pc.Close()
	}
}
