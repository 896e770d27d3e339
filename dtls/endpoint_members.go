package dtls

import (
	"net/netip"
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/roster"
)

// members are what shares a socket: the associations by address, the Listener,
// and the count of those that keep the socket open.
type members struct {
	shard *shard // reads the socket

	// mu guards what follows, the books of the Listener, and the standing of each
	// Conn. It may be taken with the mu of one Conn held, never the other way
	// round; what has to be done to another Conn is done after both are released.
	mu       sync.Mutex
	conns    roster.Roster[netip.AddrPort, Conn] // by peerAddr.key
	listener *Listener                           // nil: an Endpoint that does not listen
	ended    bool                                // no association may join any more
	users    int                                 // associations that may still send, and open fronts; the last one closes the socket
}

// at returns the associations of an address.
func (m *members) at(peer peerAddr) roster.At[Conn] {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.conns.At(peer.Key())
}

// listening returns the Listener, nil if there is none or it is closed, with mu
// held.
func (m *members) listening() *Listener {
	if l := m.listener; l != nil && !l.books.closed {
		return l
	}
	return nil
}

// open counts a front that keeps the socket open until it calls release.
func (m *members) open() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users++
}

// listen makes the Listener of a socket that has none.
func (m *members) listen(p *params) (*Listener, error) {
	door, err := newDoor(p, time.Now())
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ended:
		return nil, errEndpointClosed
	case m.listening() != nil:
		return nil, errAlreadyListening
	}
	m.users++
	m.listener = newListenerOf(m, p)
	m.shard.attach(door)
	return m.listener, nil
}

// dial puts in an association that begins its handshake from this side. It
// returns the one that lingers at that address, if any, for the caller to end.
func (m *members) dial(c *Conn) (lingering *Conn, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := c.peer.Key()
	lingering = m.conns.At(key).Dialed
	switch {
	case m.ended:
		return nil, errEndpointClosed
	case lingering != nil && lingering.standing.stage != stageLingering:
		return nil, ErrAlreadyDialed
	}
	m.users++
	m.conns.Dial(key, c)
	return lingering, nil
}

// accept puts in an association of the Listener that begins its handshake, with mu
// held. before is the newest association of its address: c takes its place if it
// is displaced, else it is the newcomer beside it until its handshake is complete.
func (m *members) accept(c, before *Conn) {
	m.users++
	if before != nil && before.standing.stage != stageDisplaced {
		before = nil
	}
	m.conns.Accept(c.peer.Key(), c, before)
}

// establish is called by an association, with its mu held, whose handshake is
// complete. It returns the one that it replaces, if any, for the caller to end.
func (m *members) establish(c *Conn) (replaced *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.standing.stage != stageHandshake {
		return nil
	}
	c.standing.moveTo(stageEstablished)
	if c.owner != nil {
		c.owner.books.established(c)
	}
	return m.conns.Complete(c.peer.Key(), c)
}

// linger keeps an association that is closed, until forget. It is called with c.mu
// held. It returns another one that lingers and has to end for it, if any.
func (m *members) linger(c *Conn) (goes *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.standing.stage != stageEstablished {
		return nil
	}
	c.standing.moveTo(stageLingering)
	if c.owner != nil {
		return c.owner.books.lingers(c, c.owner.p.maxHandshakes)
	}
	return nil
}

// forget takes out an association that has ended. It is called with c.mu held.
func (m *members) forget(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.standing.stage != stageGone && c.owner != nil {
		c.owner.books.left(c)
	}
	c.standing.moveTo(stageGone)
	m.conns.Remove(c.peer.Key(), c)
}

// release is called once by each user: by an association when it has sent its
// last datagram. The last user closes the socket. l is the Listener that accepted
// the association, or the user itself; nil if there is none.
func (m *members) release(l *Listener) {
	m.mu.Lock()
	m.users--
	last := m.users == 0
	m.mu.Unlock()
	if last {
		m.shard.close()
	}
	if l != nil {
		m.leave(l)
	}
}

// enter counts a user of the Listener more, unless that is closed.
func (m *members) enter(l *Listener) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return l.books.enter()
}

// leave counts a user of the Listener less. The last one ends Shutdown.
func (m *members) leave(l *Listener) {
	m.mu.Lock()
	emptied := l.books.release()
	m.mu.Unlock()
	if emptied {
		close(l.empty)
	}
}

// end refuses further members, and returns those that there are.
func (m *members) end() ([]*Conn, *Listener) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	return m.conns.All(), m.listener
}

// fail ends every association and the Listener because the socket is closed.
func (m *members) fail(err error) {
	all, l := m.end()
	if l != nil {
		_ = l.Close()
	}
	for _, c := range all {
		c.fail(err)
	}
}
