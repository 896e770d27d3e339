package dtls

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/transport"
)

// Listener accepts associations on one socket. One goroutine reads it for all of
// them: it opens the records of those that are established, and runs a Door for the
// datagrams of unknown addresses. The handshakes of clients that the Door admits run
// side by side, at most Config.MaxHandshakes, each on a goroutine that ends with it.
// An established association costs memory and nothing else.
//
// A client that has restarted may begin a new association from the address of one
// that is established. The old one goes on until the new handshake is complete, and
// ends with ErrPeerRestarted then (RFC 6347, Section 4.2.8; RFC 9147, Section 5.11).
//
// All methods may be called concurrently.
type Listener struct {
	members *members
	p       *params
	local   netip.AddrPort
	done    chan struct{} // closed with the Listener
	empty   chan struct{} // closed when its associations have sent their last datagram, too

	inboxDropped atomic.Uint64
	hellos       door.Jobs[peerAddr]

	books books // guarded by members.mu
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
	if transport.IsStream(network) {
		return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
	}
	pc, err := net.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	transport.MakeRoom(pc)
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
// Addresses that are not *net.UDPAddr are compared by Network and String. Errors of
// pc end nothing, unless they match net.ErrClosed or io.EOF. A datagram that is too
// large for pc should be refused with an error for which errors.Is(err,
// ErrLargePacket) or syscall.EMSGSIZE holds; a method PathMTU() int of the error, or
// of pc, returns the size that would pass.
func NewListener(pc net.PacketConn, config *Config) (*Listener, error) {
	p, err := resolve(config, false)
	if err != nil {
		return nil, err
	}
	return newListener(pc, p)
}

func newListener(pc net.PacketConn, p *params) (*Listener, error) {
	s := newShard(pc, p.nonDTLS, p.logger)
	l, err := s.members.listen(p)
	if err != nil {
		return nil, err
	}
	go s.read()
	return l, nil
}

// newListenerOf makes a Listener for a socket.
func newListenerOf(m *members, p *params) *Listener {
	return &Listener{
		members: m, p: p, local: transport.AddrPort(m.shard.sock.LocalAddr()),
		done: make(chan struct{}), empty: make(chan struct{}), books: newBooks(p.needsDriver()),
	}
}

// Accept waits for an association whose handshake is complete and returns it;
// the dynamic type is *Conn. A slow, stuck or hostile peer delays no other. After
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
	return l.await(ctx, false)
}

// AcceptHandshake waits for a client that the Door admits, and returns the
// association with its handshake not run: the caller drives it, as one of Server, by
// Handshake or the first Read or Write, with deadlines, SetMTU and the errors of
// those calls. The errors of AcceptHandshake itself are those of AcceptContext.
//
// From its first call on no handshake of the Listener runs by itself any more,
// and Accept gets only what is complete by then or was begun; AcceptHandshake
// returns those too, and their Handshake returns nil at once. Call it before
// clients come, and not beside Accept. With MTUManual and no OnLargePacket none
// ever runs by itself.
//
// What waits to be accepted, or was and is not driven, counts as a handshake:
// Config.MaxHandshakes bounds it, and Config.HandshakeTimeout runs from the
// hello. A handshake that is not driven in time ends, and so do those that were not
// accepted when the Listener is closed.
func (l *Listener) AcceptHandshake(ctx context.Context) (*Conn, error) {
	l.members.mu.Lock()
	l.books.drive()
	l.members.mu.Unlock()
	return l.await(ctx, true)
}

// await returns the next association: one that is ready, or else one that is
// offered if those are asked for.
func (l *Listener) await(ctx context.Context, offered bool) (*Conn, error) {
	var moreOffered <-chan struct{} // nil: never
	if offered {
		moreOffered = l.books.offered.More()
	}
	for {
		c, err := l.next(offered)
		if c != nil || err != nil {
			return c, err
		}
		select {
		case <-l.books.ready.More():
		case <-moreOffered:
		case <-l.done:
		case <-ctx.Done():
			return nil, interrupted(ctx)
		}
	}
}

// next is await without waiting.
func (l *Listener) next(offered bool) (*Conn, error) {
	l.members.mu.Lock()
	defer l.members.mu.Unlock()
	if l.books.closed {
		return nil, ErrServerClosed
	}
	return l.books.next(offered), nil
}

// Addr is the address of the socket.
func (l *Listener) Addr() net.Addr { return l.members.shard.sock.LocalAddr() }

// Close ends the Listener: no new associations, and those that no Accept has
// returned are closed. Accepted ones live on, and the socket with them until
// the last of them is closed and does not linger; that of an Endpoint lives on
// by itself. A second Close does nothing.
func (l *Listener) Close() error {
	l.end(false)
	return nil
}

// Shutdown ends the Listener and closes all its associations, accepted or not,
// with a close_notify. It returns nil when each of them has sent its last datagram,
// those that linger (Config.Linger) have the answer of their peer or have used up
// their time, and the socket is closed, unless it is an Endpoint's. It waits for
// callbacks of handshakes.
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

// end closes the Listener and its associations: all of them, or those that are not
// accepted.
func (l *Listener) end(accepted bool) {
	first, conns := l.shut(accepted)
	for _, c := range conns {
		_ = c.Close()
	}
	if first {
		l.members.release(l)
	}
}

// shut accepts no further association and returns those that there are: all of
// them, or those that are not accepted. first is false if the Listener was closed
// already.
func (l *Listener) shut(accepted bool) (first bool, conns []*Conn) {
	l.members.mu.Lock()
	defer l.members.mu.Unlock()
	if first = l.books.close(); first {
		close(l.done)
	}
	for _, c := range l.members.conns.All() {
		if c.owner == l && (accepted || first && !c.standing.accepted && c.standing.stage <= stageEstablished) {
			conns = append(conns, c)
		}
	}
	return first, conns
}

// ListenerStats are the counters of a Listener. Every hello that the Door admitted
// is in one of HandshakesOpen, Done, Failed, Shed and Refused,
// AssociationsRefused and PrefixRefused.
type ListenerStats struct {
	Associations     int    // established now
	Lingering        int    // closed, but kept for Config.Linger
	HandshakesOpen   int    // under way now, also those that wait for AcceptHandshake or its caller
	HandshakesDone   uint64 // complete
	HandshakesFailed uint64 // ended otherwise: by alerts, time-outs, Close, or a restart of the client
	HandshakesShed   uint64 // ended to make room for another one, see Config.MaxHandshakes

	HandshakesRefused   uint64 // hellos dropped: MaxHandshakes were under way, none of which had to go, or a restart that needs no cookie had just begun
	AssociationsRefused uint64 // likewise, for MaxAssociations
	PrefixRefused       uint64 // likewise, for MaxPerPrefix

	IdleClosed uint64 // associations ended by IdleTimeout

	CookiesSent      uint64 // HelloVerifyRequests and HelloRetryRequests with a cookie
	HellosInline     uint64 // answered from the Listener's own Config: too many waited for GetConfigForClient
	CookiesRefused   uint64 // cookies that were wrong or too old
	HellosRejected   uint64 // answered with an alert: of no version spoken here, or illegal
	HellosMalformed  uint64 // that could not be parsed, which are not answered
	StrangersDropped uint64 // datagrams of unknown addresses that are no hello
	FragmentsHeld    uint64 // datagrams with a part of a hello, kept for a second to wait for the rest

	InboxDropped   uint64 // datagrams that came faster than a handshake, or its callback, took them
	BacklogDropped uint64 // associations closed because 1024 were waiting for Accept

	DatagramsIn, DatagramsOut uint64 // of the socket: all peers and protocols
	BytesIn, BytesOut         uint64 // UDP payload

	Drops Drops // of all associations, ended ones included
}

// Stats returns the counters. It looks at every association: its cost grows
// with their number.
func (l *Listener) Stats() ListenerStats {
	l.members.mu.Lock()
	s := l.books.stats
	s.Drops = l.books.ended
	conns := l.members.conns.All()
	l.members.mu.Unlock()
	for _, c := range conns {
		if c.owner == l {
			s.Drops.add(c.Drops())
		}
	}
	s.InboxDropped = l.inboxDropped.Load()
	asked, inline := l.hellos.Counts()
	s.CookiesSent += asked
	s.HellosInline = inline
	t := l.members.shard.sock.Traffic()
	s.DatagramsIn, s.BytesIn = t.DatagramsIn, t.BytesIn
	s.DatagramsOut, s.BytesOut = t.DatagramsOut, t.BytesOut
	return s
}
