package dtls

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/deadline"
	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/ring"
	"github.com/flightpath-dtls/flightpath/internal/transport"
)

// Conn is one association over a transport that keeps message boundaries. It is
// a net.Conn: each Write is one record and one datagram, each Read returns one
// record. Records may be lost or reordered, never duplicated.
//
// All methods may be called at any time and by any number of goroutines. Once
// IsFatal holds for an error, every later call returns the same one; Close is
// still needed where the transport is the caller's.
//
// An association on the socket of a Listener or an Endpoint has no goroutine of its
// own: the goroutine that reads the socket opens its records. It leaves the socket and
// the limits of the Listener when it ends, also by the peer's close_notify; what it has
// received can still be read. A Conn of Dial, Client
// or Server has one reader from its first call until Close, or the end of
// Config.Linger. The handshake runs on the goroutine that calls Handshake, or the
// first Read or Write, and nowhere else: between two such calls nothing is sent.
type Conn struct {
	// mu guards everything below but standing. turn says who may use the engine, or
	// send, while it is not held. Nothing blocks, and no user code but Trace, Logger and
	// KeyLogWriter runs, while it is held: see outside.
	mu       sync.Mutex
	eng      *Engine   // nil until it is needed
	sock     *socket   // never changes
	owner    *Listener // that accepted it; nil: it was dialed. Never changes
	peer     peerAddr  // never changes: LocalAddr and RemoteAddr take no lock, so that hooks may call them
	hs       *opening  // nil once the handshake is over
	received ring.Queue
	cond     *sync.Cond // over mu; made by the first call that waits
	turn     turn
	dl       *deadline.Pair // made by the first SetDeadline
	alarm    *alarm         // made by the first time-out
	news     *news          // nil: none
	end      ending
	value    any      // SetValue
	hello    door.ID  // of the ClientHello it began with; listeners only. Never changes
	standing standing // guarded by sock.members.mu
}

var _ net.Conn = (*Conn)(nil)

// Client returns the client side of an association over conn, which must keep
// message boundaries: a connected UDP socket, ICE, a virtual network. Nothing
// is sent before the first call of Handshake, Read or Write. Mistakes in config
// are returned by those calls. Closing the Conn closes conn.
//
// config needs ServerName, InsecureSkipVerify or a ClientPSK.
func Client(conn net.Conn, config *Config) *Conn { return newOwnConn(conn, config, true) }

// Server returns the server side of an association over conn, as Client does.
// The address of conn is the caller's choice, so no cookie is exchanged, unless
// Config.CookieMode is CookieAlways. A peer that has lost its state and sends a new
// ClientHello ends the association with ErrPeerRestarted.
func Server(conn net.Conn, config *Config) *Conn { return newOwnConn(conn, config, false) }

func newOwnConn(conn net.Conn, config *Config, isClient bool) *Conn {
	c := &Conn{peer: peerAddr{AP: transport.AddrPort(conn.RemoteAddr())}}
	c.sock = ownSocket(conn, c.noticed)
	p, err := resolve(config, isClient)
	if err != nil {
		c.end = ending{err: err}
		return c
	}
	c.hs = &opening{p: p}
	c.sock.SetForeign(p.nonDTLS)
	c.sock.SetLogger(p.logger)
	return c
}

// ---- state of the engine ---------------------------------------------------

// engine returns the engine if it may be used now, with mu held: nil while the
// handshake's driver has it, and before the handshake.
func (c *Conn) engine() *Engine {
	if c.turn.driver {
		return nil
	}
	return c.eng
}

// seen is the state of the engine when its driver took it, or what is known before
// the handshake.
func (c *Conn) seen() snapshot {
	switch hs := c.hs; {
	case hs == nil:
		return snapshot{}
	case c.eng == nil:
		return hs.expected(c)
	default:
		return hs.seen
	}
}

// look is what the engine answers, or what is known without it.
func look[T any](c *Conn, now func(*Engine) T, seen func(snapshot) T) T {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.engine(); e != nil {
		return now(e)
	}
	return seen(c.seen())
}

// ConnectionState describes the association. While a handshake is under way it
// has what was negotiated so far; HandshakeComplete is false until then.
func (c *Conn) ConnectionState() ConnectionState {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.seen().state
	if e := c.engine(); e != nil {
		s = e.ConnectionState()
	}
	s.export = nil
	if s.HandshakeComplete {
		s.export = c.ExportKeyingMaterial
	}
	return s
}

// ExportKeyingMaterial derives length bytes for the application from the
// secrets of the association (RFC 5705; RFC 8446, Section 7.5). A nil and an empty
// context give different bytes in DTLS 1.2, and the same in 1.3. It is an error
// before the handshake is complete, and in DTLS 1.2 with peers that do not support
// the extended master secret (RFC 7627).
func (c *Conn) ExportKeyingMaterial(label string, context []byte, length int) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.end.err != nil:
		return nil, c.end.err
	case c.end.closed:
		return nil, errConnClosed
	case c.hs != nil:
		return nil, errHandshakeOngoing
	}
	return c.eng.ExportKeyingMaterial(label, context, length)
}

// Direction is what an unfinished Handshake waits for: Writing if it has datagrams
// to send, else Reading.
func (c *Conn) Direction() Direction {
	return look(c, (*Engine).Direction, func(s snapshot) Direction { return s.direction })
}

// NextTimeout is when the protocol will act by itself: for an unfinished
// handshake, when Handshake should be called again even if nothing arrives. The
// zero time means never.
func (c *Conn) NextTimeout() time.Time {
	now := func(e *Engine) time.Time {
		if c.end.left {
			return time.Time{}
		}
		return e.NextTimeout()
	}
	return look(c, now, func(s snapshot) time.Time { return s.next })
}

// Drops counts the records and datagrams of this association that were discarded,
// by reason. Memory counts those that found the receive queue full.
func (c *Conn) Drops() Drops {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.seen().drops
	if e := c.engine(); e != nil {
		d = e.Drops()
	}
	d.Memory += c.received.Lost()
	return d
}

// ---- the path ----------------------------------------------------------------

// MTU is the limit in force: the largest datagram sent now, bytes of UDP
// payload.
func (c *Conn) MTU() int {
	return look(c, (*Engine).MTU, func(s snapshot) int { return s.path.MTU })
}

// SetMTU sets the limit, in bytes of UDP payload, and with it the ceiling for
// all that is learned later. It takes effect with the next datagram, also in
// the middle of a flight: what was refused or is too large goes out in smaller
// fragments as soon as Handshake runs. 0 lifts the ceiling and goes back to
// Config.MTU; 1…227 is an error that changes nothing.
func (c *Conn) SetMTU(n int) error {
	c.mu.Lock()
	defer c.unlock()
	if err := c.end.returned(); err != nil {
		return err
	}
	if hs := c.hs; hs != nil {
		return hs.setMTU(c, n)
	}
	err := c.eng.SetMTU(n)
	if err == nil {
		c.takeLarge() // the caller has decided
		c.lastResort()
	}
	c.settle()
	return err
}

// MaxData is the largest Write that fits one datagram, exact, in bytes of
// application data; 0 while there is no handshake or when the association is
// over.
func (c *Conn) MaxData() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hs != nil || c.eng == nil {
		return 0
	}
	return c.eng.MaxData()
}

// SetMaxData bounds Writes to n bytes of application data, whatever the MTU
// would allow; 0 lifts that. It is an error before the handshake is complete,
// and for n above 16384 or below 0.
func (c *Conn) SetMaxData(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.end.returned() != nil:
		return c.end.returned()
	case c.hs != nil:
		return errMaxDataRange
	}
	return c.eng.SetMaxData(n)
}

// PathMTU is what is known of the path.
func (c *Conn) PathMTU() PathInfo {
	return look(c, (*Engine).PathMTU, func(s snapshot) PathInfo { return s.path })
}

// ReportDelivered reports that a datagram of n bytes of UDP payload has arrived:
// the application may have acknowledgements of its own, which DTLS cannot see.
func (c *Conn) ReportDelivered(n int) { c.report(n, (*Engine).ReportDelivered) }

// ReportLost reports that a datagram of n bytes of UDP payload is lost. Six such
// reports above 1232 bytes, with none delivered in between, take
// the path for a black hole: the limit falls to 1232 (MTUAuto).
func (c *Conn) ReportLost(n int) { c.report(n, (*Engine).ReportLost) }

func (c *Conn) report(n int, tell func(*Engine, int)) {
	c.mu.Lock()
	defer c.unlock()
	if c.hs != nil || c.eng == nil || c.end.returned() != nil {
		return // only data is reported on, and there was none yet
	}
	tell(c.eng, n)
	c.settle()
}

// ProbeMTU sends one datagram of n bytes of UDP payload and returns nil once it
// is acknowledged (RFC 8899). No extension that carries probes is implemented yet:
// the error is ErrNoProbeCarrier, or the one that ended the association.
func (c *Conn) ProbeMTU(_ context.Context, _ int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.end.returned(); err != nil {
		return err
	}
	return ErrNoProbeCarrier
}

// ---- names and values ---------------------------------------------------------

// LocalAddr is the address of the socket. If that is a wildcard address, it is the
// one that the peer sent its hello to, and is answered from, where the system
// reports that.
func (c *Conn) LocalAddr() net.Addr {
	addr := c.sock.LocalAddr()
	if local := c.peer.Local; local.IsValid() {
		return net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, transport.AddrPort(addr).Port()))
	}
	return addr
}

// RemoteAddr is the address of the peer.
func (c *Conn) RemoteAddr() net.Addr {
	if c.sock.Conn() != nil {
		return c.sock.Conn().RemoteAddr()
	}
	return c.peer.NetAddr()
}

// NetConn returns the transport of Dial, Client and Server, and nil on the socket
// of a Listener or an Endpoint, which others share. Reading or writing it directly
// disturbs the association.
func (c *Conn) NetConn() net.Conn { return c.sock.Conn() }

// SetValue stores v with the association, for the application.
func (c *Conn) SetValue(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value = v
}

// Value returns what SetValue was given last, nil if nothing.
func (c *Conn) Value() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value
}

// ---- mu ----------------------------------------------------------------------------

// outside runs f, which may block and may be user code, without mu. If user code
// panics, or ends its goroutine with runtime.Goexit, the association has failed.
// What is deferred by callers runs with mu held, as after a return.
func (c *Conn) outside(f func()) {
	returned := false
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		if !returned {
			c.failed()
		}
	}()
	f()
	returned = true
}

// unlock is deferred where mu is locked and the engine is used: a hook of Trace may
// have panicked, which ends the engine, and what was to follow.
func (c *Conn) unlock() {
	switch e := c.engine(); {
	case e == nil || e.Err() == nil:
	case !c.end.isOver():
		c.failed()
	case c.leavesSocket() && !c.turn.taken:
		go c.flush()
	}
	c.mu.Unlock()
}

// failed ends the association because of user code, with mu held. Its alert is sent by
// another goroutine: this one may be on its way out.
func (c *Conn) failed() {
	if !c.end.isOver() {
		c.over(errPanicked)
		go c.flush()
	}
}

// flush sends, in a goroutine of its own, what another one has left.
func (c *Conn) flush() {
	defer c.sock.Recovered()
	c.mu.Lock()
	defer c.unlock()
	if e := c.engine(); e != nil && c.end.err != nil {
		e.fail(c.end.err) // if it is not over
	}
	c.turn.ask()
	c.drain(context.Background())
}

// ---- waiting -------------------------------------------------------------------

// wait sleeps until something has changed, with mu held.
func (c *Conn) wait() {
	if c.cond == nil {
		c.cond = sync.NewCond(&c.mu)
	}
	c.cond.Wait()
}

// wake wakes all calls that wait, with mu held.
func (c *Conn) wake() {
	if c.cond != nil {
		c.cond.Broadcast()
	}
}

// wakeAll also wakes the Writes that wait for their turn, with mu held.
func (c *Conn) wakeAll() {
	c.wake()
	if c.turn.next != nil {
		c.turn.next.Broadcast()
	}
}
