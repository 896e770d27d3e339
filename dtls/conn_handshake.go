package dtls

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/deadline"
	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/quotes"
	"github.com/flightpath-dtls/flightpath/internal/ring"
	"github.com/flightpath-dtls/flightpath/internal/transport"
	"github.com/flightpath-dtls/flightpath/internal/udpsock"
)

// Handshake runs the handshake until it is complete, and returns nil at once if
// it is. Errors for which IsFatal is false leave everything where it stood;
// calling again goes on from there:
//
//   - ErrAgain: the earlier one of the deadlines has passed. With a deadline in
//     the past Handshake takes what has arrived, sends what is due and returns
//     without waiting.
//   - *AlertError with Warning: the peer sent a warning alert.
//   - *LargePacketError: the transport refused a datagram (MTUManual). Call
//     SetMTU(err.Suggest()); the same flight goes on at once, in smaller
//     fragments.
//
// Config.HandshakeTimeout bounds all calls of it together, from the first one
// on; for a Conn of AcceptHandshake, from the hello. Of several concurrent
// callers one does the work.
func (c *Conn) Handshake() error { return c.HandshakeContext(context.Background()) }

// HandshakeContext is Handshake that also returns when ctx ends, with an error
// that matches ErrInterrupted, ctx.Err() and context.Cause(ctx). Unlike that of
// crypto/tls, a cancelled context does not end the association: it sends
// nothing more until the next call, and loses nothing.
func (c *Conn) HandshakeContext(ctx context.Context) error {
	return c.handshake(ctx, deadline.Either, false)
}

// opening is the part of a Conn that it has until its handshake is over. Conn.mu
// guards it.
type opening struct {
	p        *params
	proof    *ProvenHello // of a listener's door
	admitted time.Time    // when that let it in; zero: not by a door
	dials    bool         // of Dial, on a UDP socket: it ends if the port of the peer is closed
	began    bool         // the first call has come
	mtu      int          // of SetMTU, for the engine; valid if mtuSet
	mtuSet   bool

	inbox   ring.Inbox
	hints   transport.Hints // that came while the driver had the engine
	driving bool            // a goroutine is in drive
	seen    snapshot        // the engine before its driver took it
	lastErr error           // the transport's last error that was no refusal
	reports []error         // warnings and refusals that Handshake has still to return
	timer   *time.Timer     // wakes the driver

	replaced *Conn // had the address until this handshake was complete

	// Of the call that drives.
	ctx     context.Context
	calls   context.Context // of its callbacks; nil: none has asked for it
	endCall context.CancelFunc
}

// caller is a Conn whose handshake is run.
type caller Conn

// Context is that of the call, and ends with the association.
func (c *caller) Context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	hs := c.hs
	if hs == nil { // it has ended meanwhile
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx
	}
	if hs.calls == nil {
		hs.calls, hs.endCall = context.WithCancel(hs.ctx)
	}
	return hs.calls
}

// snapshot is what others can see while a driver has the engine.
type snapshot struct {
	state     ConnectionState
	path      PathInfo
	next      time.Time
	direction Direction
	drops     Drops
}

// newAcceptedConn is an association of a Listener that begins its handshake with a
// hello that the door has let in.
func newAcceptedConn(l *Listener, now time.Time, hello *ProvenHello, from peerAddr) *Conn {
	c := &Conn{sock: l.members.shard.sock, owner: l, peer: from, hello: door.IDOf(hello.Datagram)}
	c.hs = &opening{p: l.p, proof: hello, admitted: now}
	c.hs.inbox.Push(hello.Datagram)
	return c
}

// limitHandshake sets an alarm that ends the handshake in time, whether its caller
// drives it or not.
func (c *Conn) limitHandshake(after time.Duration, from time.Time) {
	if after > 0 {
		c.setAlarm(from.Add(after))
	}
}

// expected is what a Conn shows before its handshake, with mu held.
func (hs *opening) expected(c *Conn) (s snapshot) {
	path := newPath(hs.p, time.Now())
	path.setAddr(c.peer.AP)
	if hs.mtuSet {
		path.set(min(hs.mtu, maxUDPPayload), hs.p.mtu, time.Now())
	}
	s.path = path.describe()
	if hs.p.IsClient {
		s.direction = Writing
	}
	return s
}

// newEngine makes the engine; mu is not held: callbacks may block. HandshakeTimeout
// runs from now, or from the door.
func (hs *opening) newEngine(c *Conn) (e *Engine, err error) {
	now, peer := time.Now(), PeerInfo{Addr: c.peer.AP}
	if !hs.admitted.IsZero() {
		now = hs.admitted
	}
	addr := c.RemoteAddr()
	if addr != nil && hs.p.trace != nil {
		peer.Name = addr.String()
	}
	if hs.p.IsClient {
		e, err = newClientEngine(hs.p, (*caller)(c), peer, now)
	} else {
		e, err = newServerEngine(hs.p, hs.proof, (*caller)(c), peer, now)
		hs.proof = nil // the hello in it, while the client may have a minute
	}
	if err != nil {
		return nil, err
	}
	if c.peer.AP.IsValid() {
		e.path.setAddr(c.peer.AP)
	} else if addr != nil && c.sock.Conn() != nil {
		e.knowPeer().named = peerAddr{Net: addr}.Key()
	}
	if hs.p.ForClient != nil {
		e.knowPeer().Conn = transport.Addrs{Local: c.LocalAddr(), Remote: addr}
	}
	return e, nil
}

// begin is called by the first driver: it makes the engine, whose times count from
// here, and starts the reader.
func (hs *opening) begin(c *Conn) (err error) {
	if hs.began {
		return nil
	}
	hs.began = true
	var e *Engine
	c.lend(func() { e, err = hs.newEngine(c) })
	c.eng = e // with mu held
	switch {
	case c.end.returned() != nil:
		c.silence(c.end.returned())
		return c.end.returned()
	case err != nil:
		return err
	case hs.mtuSet:
		_ = c.eng.SetMTU(hs.mtu) // in range, setMTU looked
	}
	if c.sock.members == nil {
		go c.read()
	}
	c.askKernel()
	return nil
}

// setMTU is SetMTU during the handshake, with mu held.
func (hs *opening) setMTU(c *Conn, n int) error {
	if n != 0 && n < minMTU {
		return errBelowMinimumMTU
	}
	if hs.mtu, hs.mtuSet = n, true; !c.turn.driver && c.eng != nil {
		if err := c.eng.SetMTU(n); err != nil {
			return err
		}
	}
	// The caller has decided: this answers refusals that were not returned yet, too,
	// and those that the engine still has.
	c.takeEvents()
	hs.reports = slices.DeleteFunc(hs.reports, func(err error) bool { return errors.Is(err, ErrLargePacket) })
	c.wake() // the driver sends what fits now
	return nil
}

// report adds a warning or refusal for Handshake to return. It may be called for
// nil, after the handshake.
func (hs *opening) report(err error) {
	if hs != nil {
		hs.reports = append(hs.reports, err)
	}
}

// noteTransport notes, with mu held, the transport's last error: if nothing comes
// through, the error of the time-out names it. quoted is what it is about, if known.
func (c *Conn) noteTransport(err error, quoted []byte) {
	hs := c.hs
	if hs == nil || err == nil {
		return
	}
	hs.lastErr = err
	switch {
	case !hs.dials || !udpsock.IsRefused(err):
	case c.turn.driver:
		hs.hints.Push(udpsock.Notice{Errno: err, Quoted: quoted}, quotes.HelloQuote)
	case c.eng != nil:
		c.eng.PortUnreachable(time.Now(), quoted, err)
		c.takeEvents()
		c.wake()
	}
}

// endHandshake ends the handshake of an association that is over, with mu held.
func (c *Conn) endHandshake() {
	c.hs.end()
	c.hs = nil
}

// end frees the memory of timers and queues. It may be called for nil.
func (hs *opening) end() {
	if hs == nil {
		return
	}
	hs.inbox = ring.Inbox{}
	hs.endCalls()
	if hs.timer != nil {
		hs.timer.Stop()
	}
}

// handshake is Handshake for all its callers. by are the deadlines that apply;
// auto is for callers that cannot return what is not fatal: warnings are
// skipped, refusals decided by Config.OnLargePacket.
func (c *Conn) handshake(ctx context.Context, by deadline.Set, auto bool) error {
	c.mu.Lock()
	defer c.unlock()
	return c.handshakeLocked(ctx, by, auto)
}

// handshakeLocked is handshake with mu held.
func (c *Conn) handshakeLocked(ctx context.Context, by deadline.Set, auto bool) error {
	if c.hs != nil && ctx.Done() != nil {
		stop := context.AfterFunc(ctx, c.interrupt)
		defer stop()
	}
	for {
		switch {
		case c.end.returned() != nil:
			return c.end.returned()
		case c.hs == nil:
			if !auto {
				if large := c.takeLarge(); large != nil {
					return large
				}
			}
			return nil
		case ctx.Err() != nil:
			return interrupted(ctx)
		case !c.hs.driving:
			return c.hs.run(c, ctx, by, auto)
		case c.expired(by):
			return ErrAgain
		}
		c.wait()
	}
}

// run is the one call that drives the handshake, with mu held.
func (hs *opening) run(c *Conn, ctx context.Context, by deadline.Set, auto bool) error {
	hs.driving, hs.ctx = true, ctx
	defer func() {
		hs.driving = false
		hs.endCalls()
		c.wake() // a caller that waits becomes the driver
		if old := hs.replaced; old != nil {
			hs.replaced = nil
			c.outside(func() { old.fail(ErrPeerRestarted) })
		}
	}()
	if err := hs.begin(c); err != nil {
		c.over(err)
		c.drain(ctx) // of a Conn that was closed: it gives back the socket
		return err
	}
	return c.drive(ctx, by, auto)
}

// endCalls ends the contexts of callbacks.
func (hs *opening) endCalls() {
	if hs.endCall != nil {
		hs.endCall()
	}
	hs.calls, hs.endCall = nil, nil
}

// drive runs the handshake, with mu held by one goroutine at a time. Each turn
// sends what the engine has, returns warnings and refusals, and gives the engine
// the next datagram or time-out. If there is none it waits.
func (c *Conn) drive(ctx context.Context, by deadline.Set, auto bool) error {
	if _, err := c.reportToCaller(auto); err != nil {
		return err // left over from the call before
	}
	for {
		c.turn.ask()
		c.lastResort()
		c.drain(ctx)
		c.takeEvents()
		c.announce()
		again, err := c.reportToCaller(auto)
		switch {
		case err != nil:
			return err
		case c.end.returned() != nil:
			return c.end.returned()
		case c.hs == nil:
			return nil
		case ctx.Err() != nil:
			return interrupted(ctx)
		case again, c.takeInput():
			continue
		case c.expired(by):
			return ErrAgain
		}
		c.waitFor(c.eng.NextTimeout())
	}
}

// reportToCaller returns the next warning or refusal that Handshake has to return,
// nil if there is none. With auto it is decided here; again reports that the flight
// can go on because of that.
func (c *Conn) reportToCaller(auto bool) (again bool, err error) {
	for c.hs != nil && len(c.hs.reports) > 0 {
		hs := c.hs
		err := hs.reports[0]
		hs.reports = hs.reports[1:]
		var large *LargePacketError
		switch {
		case !auto:
			return false, err
		case !errors.As(err, &large):
			continue
		case hs.p.onLargePacket == nil:
			return false, err
		}
		var mtu int
		var ok bool
		c.outside(func() { mtu, ok = hs.p.onLargePacket(large) })
		if !ok {
			return false, err
		}
		if err := hs.setMTU(c, mtu); err != nil {
			return false, err
		}
		again = true
	}
	return again, nil
}

// takeInput gives the engine the next datagram, or a time-out that is due. It
// reports whether there was one. mu is released meanwhile: callbacks may block.
func (c *Conn) takeInput() bool {
	hs := c.hs
	now := time.Now()
	datagram := hs.inbox.Pop()
	if datagram == nil {
		if next := c.eng.NextTimeout(); next.IsZero() || now.Before(next) {
			return false
		}
	}
	e := c.eng
	hs.seen = snapshot{e.ConnectionState(), e.PathMTU(), e.NextTimeout(), e.Direction(), e.Drops()}
	mtu, mtuSet := hs.mtu, hs.mtuSet
	e.transportSaid(hs.lastErr)
	peer := c.peer
	c.lend(func() {
		before := e.out.sent.number
		if datagram != nil {
			_ = e.HandleDatagram(now, datagram, peer.AP) // takeEvents asks Err
		} else {
			_ = e.HandleTimeout(now)
		}
		if n := e.out.sent.number; n != before && n > 1 { // the flight goes out again
			if mtu, ok := c.sock.PathMTU(peer); ok {
				e.PathHint(now, mtu, nil) // see askKernel
			}
		}
	})
	c.wake() // the inbox has room
	if hs.mtuSet && (hs.mtu != mtu || !mtuSet) {
		_ = e.SetMTU(hs.mtu) // in range, setMTU looked
	}
	switch {
	case c.end.closed:
		e.Close(time.Now())
		c.turn.ask()
	case c.end.err != nil:
		c.silence(c.end.err)
		c.turn.ask()
	}
	c.takeEvents()
	c.takeHints(hs)
	return true
}

// opened ends the handshake: what the inbox has left is handled here, and from
// now on the reader does it.
func (c *Conn) opened() {
	hs := c.hs
	if hs == nil {
		return
	}
	c.hs = nil
	if m := c.sock.members; m != nil {
		hs.replaced = m.establish(c)
	}
	for d := hs.inbox.Pop(); d != nil && c.end.err == nil; d = hs.inbox.Pop() {
		_ = c.eng.HandleDatagram(time.Now(), d, c.peer.AP)
		c.takeEvents()
	}
	hs.end()
	c.rearm()
	c.turn.ask()
	c.wake()
}

// overdue ends a handshake of AcceptHandshake whose time is up and whose caller
// does not drive it, with mu held.
func (c *Conn) overdue(now time.Time) {
	if c.hs.driving {
		// It ends by itself, as soon as a callback lets it.
		c.setAlarm(now.Add(time.Second))
		return
	}
	hs := c.hs
	hs.driving = true
	defer func() { hs.driving = false }()
	if hs.begin(c) == nil {
		c.eng.transportSaid(hs.lastErr)
		_ = c.eng.HandleTimeout(now) // takeEvents asks Err
		c.takeEvents()
	}
	c.turn.ask()
	c.drain(context.Background())
}

// waitFor sleeps until something has changed, at the latest until t.
func (c *Conn) waitFor(t time.Time) {
	hs := c.hs
	if t.IsZero() {
		c.wait()
		return
	}
	d := time.Until(t)
	if d <= 0 {
		return
	}
	if hs.timer == nil {
		hs.timer = time.AfterFunc(d, c.nudge)
	} else {
		hs.timer.Reset(d)
	}
	c.wait()
	hs.timer.Stop()
}

// nudge is wake for timers.
func (c *Conn) nudge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake()
}

// interrupt makes a driver look at its context, even inside the transport.
func (c *Conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kick()
	c.wake()
}
