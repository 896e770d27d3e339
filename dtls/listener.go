package dtls

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Listener accepts associations on one socket. One goroutine reads it for all
// of them: it opens the records of those that are established, and answers
// strangers without keeping anything. Handshakes of clients that have proven
// their address run side by side on goroutines of their own, at most
// Config.MaxHandshakes, which end with the handshake. An association that is
// established costs memory and nothing else.
//
// A client that has restarted may begin anew from the address of an association
// that is still known. The old one lives until the new handshake is complete,
// and then ends with ErrPeerRestarted.
//
// All methods may be called concurrently.
type Listener struct {
	sock  *socket
	p     *params
	local netip.AddrPort
	door  *Door      // the reader's
	ready chan *Conn // the backlog of Accept
	done  chan struct{}

	inboxDropped atomic.Uint64
	gone         atomic.Bool // the socket was closed here

	mu        sync.Mutex // may be taken with a Conn's mu held, never the other way round
	conns     table      // one for each address: established, or the first in its handshake
	newcomers table      // handshakes from the address of an established one
	closed    bool
	users     int // associations that may still send; the last one closes the socket
	ended     Drops
	stats     ListenerStats // what is counted in place
}

var _ net.Listener = (*Listener)(nil)

// maxBacklog bounds the associations that wait for Accept.
const maxBacklog = 1024

// Listen opens a socket on address, such as ":4433", and listens on it. network
// is "udp", "udp4", "udp6" or another one that keeps message boundaries. config
// needs Certificates, GetCertificate, GetConfigForClient or ServerPSK.
func Listen(network, address string, config *Config) (*Listener, error) {
	p, err := listenerParams(config)
	if err != nil {
		return nil, err
	}
	if isStream(network) {
		return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
	}
	pc, err := net.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	l, err := newListener(pc, p)
	if err != nil {
		_ = pc.Close()
		return nil, err
	}
	return l, nil
}

// NewListener listens on pc, which may be any transport that keeps message
// boundaries. It reads pc from now on, and closes it when the Listener and all
// its associations are closed.
//
// Addresses that are not *net.UDPAddr are told apart by Network and String.
// Errors of pc end nothing, unless they match net.ErrClosed or io.EOF. A
// datagram that is too large for pc should be refused with an error for which
// errors.Is(err, ErrLargePacket) or syscall.EMSGSIZE holds; a method
// PathMTU() int of the error, or of pc, tells what would pass.
func NewListener(pc net.PacketConn, config *Config) (*Listener, error) {
	p, err := listenerParams(config)
	if err != nil {
		return nil, err
	}
	return newListener(pc, p)
}

func listenerParams(config *Config) (*params, error) {
	p, err := resolve(config, false)
	if err == nil && p.mtuMode == MTUManual && p.onLargePacket == nil {
		err = errManualListen
	}
	return p, err
}

func newListener(pc net.PacketConn, p *params) (*Listener, error) {
	door, err := newDoor(p, time.Now())
	if err != nil {
		return nil, err
	}
	l := &Listener{
		p: p, door: door, local: addrOf(pc.LocalAddr()),
		ready: make(chan *Conn, maxBacklog), done: make(chan struct{}),
	}
	l.sock = sharedSocket(pc, l.noticed)
	go l.read()
	return l, nil
}

// Accept waits for an association whose handshake is complete and returns it;
// the dynamic type is *Conn. A slow, stuck or hostile peer delays nobody. After
// Close the error is ErrServerClosed, which matches net.ErrClosed. Up to 1024
// associations wait for Accept; further ones are closed.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptContext(context.Background())
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptContext is Accept that also returns when ctx ends, with an error that
// matches ErrInterrupted, ctx.Err() and context.Cause(ctx).
func (l *Listener) AcceptContext(ctx context.Context) (*Conn, error) {
	select {
	case <-l.done:
		return nil, ErrServerClosed
	default:
	}
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.done:
		return nil, ErrServerClosed
	case <-ctx.Done():
		return nil, interrupted(ctx)
	}
}

// Addr is the address of the socket.
func (l *Listener) Addr() net.Addr { return l.sock.localAddr() }

// Close ends the Listener: no new associations, and those that no Accept has
// returned are closed. Accepted ones live on, and the socket with them until
// the last of them is closed. A second Close does nothing.
func (l *Listener) Close() error {
	for _, c := range l.shut() {
		_ = c.Close()
	}
	l.mu.Lock()
	last := l.users == 0
	l.mu.Unlock()
	if last {
		l.closeSocket()
	}
	return nil
}

// shut lets nobody in any more and returns those who are not accepted.
func (l *Listener) shut() (unaccepted []*Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.done)
	for {
		select {
		case c := <-l.ready:
			unaccepted = append(unaccepted, c)
			continue
		default:
		}
		break
	}
	for _, c := range append(l.conns.all(), l.newcomers.all()...) {
		if !c.established {
			unaccepted = append(unaccepted, c)
		}
	}
	return unaccepted
}

func (l *Listener) closeSocket() {
	l.gone.Store(true)
	l.sock.alarms.stop()
	_ = l.sock.close()
}

// ListenerStats counts what a Listener has done since it began.
type ListenerStats struct {
	Associations      int    // established now
	HandshakesOpen    int    // under way now
	HandshakesDone    uint64 // complete
	HandshakesFailed  uint64 // ended otherwise: by alerts, time-outs, Close, or a restart of the client
	HandshakesRefused uint64 // proven hellos that were dropped because MaxHandshakes were under way

	CookiesSent      uint64 // strangers asked to prove their address
	CookiesRefused   uint64 // cookies that were wrong or too old
	StrangersDropped uint64 // datagrams of unknown addresses that are no hello

	InboxDropped   uint64 // datagrams that came faster than a handshake, or its callback, took them
	BacklogDropped uint64 // associations closed because 1024 were waiting for Accept

	DatagramsIn, DatagramsOut uint64 // of all peers and strangers
	BytesIn, BytesOut         uint64 // UDP payload

	Drops Drops // of all associations, ended ones included
}

// Stats returns the counters. It looks at every association: its cost grows
// with their number.
func (l *Listener) Stats() ListenerStats {
	l.mu.Lock()
	s := l.stats
	s.Drops = l.ended
	conns := append(l.conns.all(), l.newcomers.all()...)
	l.mu.Unlock()
	for _, c := range conns {
		s.Drops.add(c.Drops())
	}
	s.InboxDropped = l.inboxDropped.Load()
	t := &l.sock.traffic
	s.DatagramsIn, s.BytesIn = t.datagramsIn.Load(), t.bytesIn.Load()
	s.DatagramsOut, s.BytesOut = t.datagramsOut.Load(), t.bytesOut.Load()
	return s
}

// ---- the reader -----------------------------------------------------------------

func (l *Listener) read() {
	buf := make([]byte, readBuffer)
	var (
		reply []byte
		slow  backOff
	)
	for {
		n, from, err := l.sock.receive(buf)
		switch {
		case err == nil:
			slow = 0
			reply = l.take(time.Now(), buf[:n], from, reply[:0])
		case l.gone.Load():
			return // whatever a closed transport calls it
		case isClosed(err):
			l.fail(&transportError{err: err, closed: true})
			return
		default:
			slow.pause()
		}
	}
}

// fail ends everything because the socket is gone.
func (l *Listener) fail(err error) {
	l.mu.Lock()
	all := append(l.conns.all(), l.newcomers.all()...)
	l.mu.Unlock()
	_ = l.Close()
	for _, c := range all {
		c.fail(err)
	}
}

// take routes one datagram. reply is a buffer, and returned for the next time.
func (l *Listener) take(now time.Time, datagram []byte, from peerAddr, reply []byte) []byte {
	l.mu.Lock()
	c := l.conns.get(from)
	var newcomer *Conn
	if l.newcomers.len() > 0 {
		newcomer = l.newcomers.get(from)
	}
	closed := l.closed
	l.mu.Unlock()

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
	case !closed:
		return l.greet(now, datagram, from, reply)
	}
	return reply
}

// greet takes the datagram of a stranger to the door.
func (l *Listener) greet(now time.Time, datagram []byte, from peerAddr, reply []byte) []byte {
	if from.addr == nil && !from.ap.IsValid() {
		return reply // from nowhere
	}
	called := l.local
	if from.local.IsValid() {
		called = netip.AddrPortFrom(from.local, called.Port())
	}
	out, hello := l.door.Handle(now, datagram, cookieAddr(from), called, reply)
	if out != nil {
		_ = l.sock.send(out, from, nil) // if it is lost, the client asks again
		reply = out
	}
	if hello != nil {
		hello.From = from.ap
		l.open(hello, from)
	}
	door := l.door.Stats()
	l.mu.Lock()
	l.stats.CookiesSent, l.stats.CookiesRefused, l.stats.StrangersDropped = door.Asked, door.Refused, door.Dropped
	l.mu.Unlock()
	return reply
}

// open begins the handshake of a client that the door let in.
func (l *Listener) open(hello *ProvenHello, from peerAddr) {
	c := &Conn{sock: l.sock, owner: l, peer: from, hello: helloMark(hello.Datagram)}
	c.hs = &opening{p: l.p, proof: hello}
	c.hs.inbox.push(hello.Datagram)

	l.mu.Lock()
	before := l.conns.get(from)
	if newcomer := l.newcomers.get(from); newcomer != nil {
		before = newcomer
	}
	switch {
	case l.closed:
		l.mu.Unlock()
		return
	case l.stats.HandshakesOpen >= l.p.maxHandshakes,
		// Without a cookie anybody could invent restarts: one at a time.
		before != nil && !before.established && !hello.proven:
		l.stats.HandshakesRefused++
		l.mu.Unlock()
		return
	}
	l.stats.HandshakesOpen++
	l.users++
	if before != nil && before.established {
		l.newcomers.put(c)
		before = nil
	} else if before != nil && l.newcomers.remove(before) {
		l.newcomers.put(c)
	} else {
		l.conns.put(c)
	}
	l.mu.Unlock()

	if before != nil {
		before.fail(ErrPeerRestarted) // it has never been established
	}
	go l.handshake(c)
}

// handshake runs one on its own goroutine.
func (l *Listener) handshake(c *Conn) {
	err := c.handshake(context.Background(), 0, true)
	drop := err != nil
	var old *Conn
	l.mu.Lock()
	l.stats.HandshakesOpen--
	if err != nil {
		l.stats.HandshakesFailed++
	} else {
		l.stats.HandshakesDone++
		old = l.admit(c)
		drop = l.closed
		if !drop {
			select {
			case l.ready <- c:
			default:
				l.stats.BacklogDropped++
				drop = true
			}
		}
	}
	l.mu.Unlock()
	if old != nil {
		old.fail(ErrPeerRestarted)
	}
	if drop {
		_ = c.Close()
	}
}

// admit makes c the association of its address, with mu held, and returns the
// one that was there before.
func (l *Listener) admit(c *Conn) (old *Conn) {
	if l.newcomers.remove(c) {
		old = l.conns.get(c.peer)
		l.conns.put(c)
	}
	if l.conns.get(c.peer) == c { // it may have ended already
		c.established = true
		l.stats.Associations++
	}
	return old
}

// forget takes an association that has ended out of the table: its address is a
// stranger's again. c.mu is held.
func (l *Listener) forget(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.forgotten {
		c.forgotten = true
		if c.eng != nil && !c.flags.busy {
			l.ended.add(c.eng.Drops())
		}
		l.ended.Memory += c.lost
	}
	if c.established {
		c.established = false
		l.stats.Associations--
	}
	if l.newcomers.remove(c) || !l.conns.remove(c) {
		return
	}
	if newcomer := l.newcomers.get(c.peer); newcomer != nil {
		l.newcomers.remove(newcomer)
		l.conns.put(newcomer)
	}
}

// release is called once by each association, when it has sent its last.
func (l *Listener) release(*Conn) {
	l.mu.Lock()
	l.users--
	last := l.closed && l.users == 0
	l.mu.Unlock()
	if last {
		l.closeSocket()
	}
}
