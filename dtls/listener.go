package dtls

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/roster"
)

// Listener accepts associations on one socket. One goroutine reads it for all
// of them: it opens the records of those that are established, and answers
// strangers through a Door. Handshakes of clients that were let in run side by
// side on goroutines of their own, at most Config.MaxHandshakes, which end with
// the handshake. An association that is
// established costs memory and nothing else.
//
// A client that has restarted may begin anew from the address of an association
// that is still known. The old one lives until the new handshake is complete,
// and then ends with ErrPeerRestarted.
//
// All methods may be called concurrently.
type Listener struct {
	d     *demux
	p     *params
	local netip.AddrPort
	door  *Door         // the socket's reader's
	done  chan struct{} // closed with the Listener
	empty chan struct{} // closed when its associations have sent their last, too

	inboxDropped atomic.Uint64

	// Guarded by d.mu.
	closed  bool
	users   int  // associations that may still send, and the Listener until it is closed
	driven  bool // handshakes wait for AcceptHandshake instead of running by themselves
	crowd   roster.Crowd[Conn]
	ready   roster.Backlog[Conn] // of Accept: handshake complete
	offered roster.Backlog[Conn] // of AcceptHandshake
	ended   Drops
	stats   ListenerStats // what is counted in place
}

var _ net.Listener = (*Listener)(nil)

// Listen opens a socket on address, such as ":4433", and listens on it. network
// is "udp", "udp4", "udp6" or another one that keeps message boundaries. config
// needs Certificates, GetCertificate, GetConfigForClient or ServerPSK.
func Listen(network, address string, config *Config) (*Listener, error) {
	p, err := resolve(config, false)
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
	makeRoom(pc)
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
	p, err := resolve(config, false)
	if err != nil {
		return nil, err
	}
	return newListener(pc, p)
}

func newListener(pc net.PacketConn, p *params) (*Listener, error) {
	d := newDemux(pc, p.nonDTLS)
	l, err := listenOn(d, p)
	if err != nil {
		return nil, err
	}
	go d.read()
	return l, nil
}

// listenOn makes a Listener of a socket that has none.
func listenOn(d *demux, p *params) (*Listener, error) {
	door, err := newDoor(p, time.Now())
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.ended:
		return nil, errEndpointClosed
	case d.listener != nil && !d.listener.closed:
		return nil, errAlreadyListening
	}
	d.users++
	d.listener = &Listener{
		d: d, p: p, door: door, local: addrOf(d.sock.localAddr()), done: make(chan struct{}), empty: make(chan struct{}),
		users: 1, driven: p.needsDriver(), ready: roster.NewBacklog[Conn](), offered: roster.NewBacklog[Conn](),
	}
	return d.listener, nil
}

// Accept waits for an association whose handshake is complete and returns it;
// the dynamic type is *Conn. A slow, stuck or hostile peer delays nobody. After
// Close the error is ErrServerClosed, which matches net.ErrClosed. Up to 1024
// associations wait for Accept; further ones are closed.
//
// With MTUManual, Accept needs Config.OnLargePacket to decide what to do when a
// datagram is refused; without it use AcceptHandshake.
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
	if l.p.needsDriver() {
		return nil, errManualListen
	}
	return l.await(ctx, new(roster.Backlog[Conn]))
}

// AcceptHandshake waits for a client that the Door lets in, and returns
// the association with its handshake not run: the caller drives it, as one of
// Server, by Handshake or the first Read or Write, with deadlines, SetMTU and
// errors that tell how it fares. The errors of AcceptHandshake itself are those
// of AcceptContext.
//
// From its first call on no handshake of the Listener runs by itself any more,
// and Accept gets only what is complete by then or was begun; AcceptHandshake
// returns those too, and their Handshake returns nil at once. Call it before
// clients come, and not beside Accept. With MTUManual and no OnLargePacket none
// ever runs by itself.
//
// What waits to be accepted, or was and is not driven, counts as a handshake:
// Config.MaxHandshakes bounds it, and Config.HandshakeTimeout runs from the
// hello. One that nobody drives in time is over and forgotten, and so are those
// that nobody has accepted when the Listener is closed.
func (l *Listener) AcceptHandshake(ctx context.Context) (*Conn, error) {
	l.d.mu.Lock()
	l.driven = true
	l.d.mu.Unlock()
	return l.await(ctx, &l.offered)
}

// await returns the next association: one that is ready, or else one that is
// offered. The zero backlog stays
// empty.
func (l *Listener) await(ctx context.Context, offered *roster.Backlog[Conn]) (*Conn, error) {
	for {
		c, err := l.next(offered)
		if c != nil || err != nil {
			return c, err
		}
		select {
		case <-l.ready.More():
		case <-offered.More():
		case <-l.done:
		case <-ctx.Done():
			return nil, interrupted(ctx)
		}
	}
}

// next takes an association out of a backlog, if one is there.
func (l *Listener) next(offered *roster.Backlog[Conn]) (*Conn, error) {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if l.closed {
		return nil, ErrServerClosed
	}
	c := l.ready.Pop()
	if c == nil {
		c = offered.Pop()
	}
	if c != nil {
		c.accepted = true
	}
	return c, nil
}

// Addr is the address of the socket.
func (l *Listener) Addr() net.Addr { return l.d.sock.localAddr() }

// Close ends the Listener: no new associations, and those that no Accept has
// returned are closed. Accepted ones live on, and the socket with them until
// the last of them is closed and does not linger; that of an Endpoint lives on
// by itself. A second Close does nothing.
func (l *Listener) Close() error {
	l.end(false)
	return nil
}

// Shutdown ends the Listener and closes all its associations, accepted or not,
// with a close_notify. It returns nil when each of them is through with it:
// their last datagram was sent, those that linger (Config.Linger) have their
// peer's answer or their time is up, and the socket is closed, unless it is an
// Endpoint's. A callback of a handshake is waited for.
//
// If ctx ends first, the associations that linger end at once, and the error
// matches ErrInterrupted, ctx.Err() and context.Cause(ctx). It may be called
// after Close, for the associations that live on.
func (l *Listener) Shutdown(ctx context.Context) error {
	l.end(true)
	select {
	case <-l.empty:
		return nil
	default:
	}
	select {
	case <-l.empty:
		return nil
	case <-ctx.Done():
	}
	_, conns := l.shut(true)
	for _, c := range conns {
		c.close(false)
	}
	return interrupted(ctx)
}

// end closes the Listener, and everybody or those that are not accepted.
func (l *Listener) end(everybody bool) {
	first, conns := l.shut(everybody)
	for _, c := range conns {
		_ = c.Close()
	}
	if first {
		l.d.release(l)
	}
}

// shut lets nobody in any more and returns all associations, or those that are
// not accepted; first is false if the Listener was closed already.
func (l *Listener) shut(everybody bool) (first bool, conns []*Conn) {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if first = !l.closed; first {
		l.closed = true
		close(l.done)
	}
	for _, c := range l.d.conns.All() {
		if c.owner == l && (everybody || first && !c.accepted && c.stage <= stageEstablished) {
			conns = append(conns, c)
		}
	}
	return first, conns
}

// ListenerStats counts what a Listener has done since it began. Every hello that
// the door let in is in one of HandshakesOpen, Done, Failed, Shed and Refused,
// AssociationsRefused and PrefixRefused.
type ListenerStats struct {
	Associations     int    // established now
	Lingering        int    // closed, but kept for Config.Linger
	HandshakesOpen   int    // under way now, also those that wait for AcceptHandshake or its caller
	HandshakesDone   uint64 // complete
	HandshakesFailed uint64 // ended otherwise: by alerts, time-outs, Close, or a restart of the client
	HandshakesShed   uint64 // given up for a newcomer, see Config.MaxHandshakes

	HandshakesRefused   uint64 // hellos dropped: MaxHandshakes were under way, none of which had to go, or a restart that needs no cookie had just begun
	AssociationsRefused uint64 // likewise, for MaxAssociations
	PrefixRefused       uint64 // likewise, for MaxPerPrefix

	IdleClosed uint64 // associations ended by IdleTimeout

	CookiesSent      uint64 // strangers asked to prove their address
	CookiesRefused   uint64 // cookies that were wrong or too old
	StrangersDropped uint64 // datagrams of unknown addresses that are no hello
	FragmentsHeld    uint64 // datagrams with a part of a hello, kept for a second to wait for the rest

	InboxDropped   uint64 // datagrams that came faster than a handshake, or its callback, took them
	BacklogDropped uint64 // associations closed because 1024 were waiting for Accept

	DatagramsIn, DatagramsOut uint64 // of the socket: all peers, strangers and protocols
	BytesIn, BytesOut         uint64 // UDP payload

	Drops Drops // of all associations, ended ones included
}

// Stats returns the counters. It looks at every association: its cost grows
// with their number.
func (l *Listener) Stats() ListenerStats {
	l.d.mu.Lock()
	s := l.stats
	s.Drops = l.ended
	conns := l.d.conns.All()
	l.d.mu.Unlock()
	for _, c := range conns {
		if c.owner == l {
			s.Drops.add(c.Drops())
		}
	}
	s.InboxDropped = l.inboxDropped.Load()
	t := &l.d.sock.traffic
	s.DatagramsIn, s.BytesIn = t.datagramsIn.Load(), t.bytesIn.Load()
	s.DatagramsOut, s.BytesOut = t.datagramsOut.Load(), t.bytesOut.Load()
	return s
}
