package dtls

import (
	"context"
	"errors"
	"slices"
	"time"
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
	return c.handshake(ctx, eitherDeadline, false)
}

// opening is what a Conn has only until its handshake is over.
type opening struct {
	p        *params
	proof    *ProvenHello // of a listener's door
	admitted time.Time    // when that let it in; zero: nobody did
	began    bool         // the first call has come
	mtu      int          // of SetMTU, to be told to the engine; valid if told
	told     bool

	inbox   inbox
	hints   hints
	driving bool        // a goroutine is in drive
	seen    snapshot    // the engine before its driver took it
	trouble error       // what the transport said last that was no refusal
	tell    []error     // warnings and refusals that Handshake has still to return
	timer   *time.Timer // wakes the driver

	replaced *Conn // had the address until this handshake was complete
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
	c := &Conn{sock: l.members.shard.sock, owner: l, peer: from, hello: helloIDOf(hello.Datagram)}
	c.hs = &opening{p: l.p, proof: hello, admitted: now}
	c.hs.inbox.push(hello.Datagram)
	return c
}

// limitHandshake sets an alarm that ends the handshake in time, whether its caller
// drives it or not.
func (c *Conn) limitHandshake(after time.Duration, from time.Time) {
	if after > 0 {
		c.alarm = newAlarm(c)
		c.sock.alarms.set(c.alarm, from.Add(after))
	}
}

// make makes the engine, with mu held. HandshakeTimeout runs from now, or from
// the door.
func (hs *opening) make(c *Conn, now time.Time) (err error) {
	if !hs.admitted.IsZero() {
		now = hs.admitted
	}
	if hs.p.isClient {
		c.eng, err = newClientEngine(hs.p, now)
	} else {
		c.eng, err = newServerEngine(hs.p, hs.proof, now)
	}
	if err != nil {
		return err
	}
	if c.peer.ap.IsValid() {
		c.eng.setPeer(c.peer.ap)
	} else if addr := c.RemoteAddr(); addr != nil && c.sock.conn != nil {
		c.eng.named = peerAddr{addr: addr}.key()
	}
	if c.eng.trace.asksPeer() {
		peer := PeerInfo{Client: hs.p.isClient, Addr: c.peer.ap}
		if addr := c.RemoteAddr(); addr != nil {
			peer.Name = addr.String()
		}
		c.eng.trace = c.eng.trace.forPeer(peer)
	}
	if hs.told {
		err = c.eng.SetMTU(hs.mtu)
	}
	return err
}

// begin is called by the first driver: the engine's times count from here, and
// the reader starts.
func (hs *opening) begin(c *Conn) error {
	if hs.began {
		return nil
	}
	hs.began = true
	if err := hs.make(c, time.Now()); err != nil {
		return err
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
	if hs.mtu, hs.told = n, true; !c.flags.busy && c.eng != nil {
		if err := c.eng.SetMTU(n); err != nil {
			return err
		}
	}
	// The caller has decided: refusals it has not heard yet are answered too, and
	// those that the engine still has.
	c.hear()
	hs.tell = slices.DeleteFunc(hs.tell, func(err error) bool { return errors.Is(err, ErrLargePacket) })
	c.wake() // the driver sends what fits now
	return nil
}

// end frees what timers and queues hold. It may be called for nil.
func (hs *opening) end() {
	if hs == nil {
		return
	}
	hs.inbox = inbox{}
	if hs.timer != nil {
		hs.timer.Stop()
	}
}

// handshake is Handshake for all its callers. by says which deadlines apply;
// auto is for callers that cannot return what is not fatal: warnings are
// skipped, refusals decided by Config.OnLargePacket.
func (c *Conn) handshake(ctx context.Context, by deadlineSet, auto bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hs != nil && ctx.Done() != nil {
		stop := context.AfterFunc(ctx, c.interrupt)
		defer stop()
	}
	for {
		switch {
		case c.flags.closed || c.err != nil:
			return c.overErr()
		case c.hs == nil && c.large != nil && !auto:
			lp := c.large
			c.large = nil
			return lp
		case c.hs == nil:
			return nil
		case ctx.Err() != nil:
			return interrupted(ctx)
		case !c.hs.driving:
			hs := c.hs
			hs.driving = true
			err := c.drive(ctx, by, auto)
			hs.driving = false
			c.wake() // whoever waits for us drives on
			if old := hs.replaced; old != nil {
				hs.replaced = nil
				c.mu.Unlock()
				old.fail(ErrPeerRestarted)
				c.mu.Lock()
			}
			return err
		case c.expired(by):
			return ErrAgain
		}
		c.wait()
	}
}

// drive runs the handshake, with mu held by one goroutine at a time. Each turn
// sends what the engine has, reports what it has to say, and gives it the next
// datagram or time-out. If there is none it waits.
func (c *Conn) drive(ctx context.Context, by deadlineSet, auto bool) error {
	if err := c.hs.begin(c); err != nil {
		c.over(err)
		return err
	}
	if _, err := c.tellCaller(auto); err != nil {
		return err // left over from the call before
	}
	for {
		c.flags.output = true
		c.lastResort()
		c.drain(ctx)
		c.mu.Lock()
		c.hear()
		c.announce()
		again, err := c.tellCaller(auto)
		switch {
		case err != nil:
			return err
		case c.flags.closed || c.err != nil:
			return c.overErr()
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

// tellCaller returns the next thing that Handshake has to tell its caller, nil
// if there is none. With auto it is decided here; again reports that the flight
// can go on because of that.
func (c *Conn) tellCaller(auto bool) (again bool, err error) {
	for c.hs != nil && len(c.hs.tell) > 0 {
		hs := c.hs
		err := hs.tell[0]
		hs.tell = hs.tell[1:]
		var large *LargePacketError
		switch {
		case !auto:
			return false, err
		case !errors.As(err, &large):
			continue
		case hs.p.onLargePacket == nil:
			return false, err
		}
		c.mu.Unlock()
		mtu, ok := hs.p.onLargePacket(large)
		c.mu.Lock()
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
// reports whether there was one. mu is let go meanwhile: callbacks may block.
func (c *Conn) takeInput() bool {
	hs := c.hs
	now := time.Now()
	datagram := hs.inbox.pop()
	if datagram == nil {
		if next := c.eng.NextTimeout(); next.IsZero() || now.Before(next) {
			return false
		}
	}
	e := c.eng
	hs.seen = snapshot{e.ConnectionState(), e.PathMTU(), e.NextTimeout(), e.Direction(), e.Drops()}
	mtu, told := hs.mtu, hs.told
	e.transportSaid(hs.trouble)
	c.flags.busy = true
	c.mu.Unlock()
	if datagram != nil {
		_ = e.HandleDatagram(now, datagram, c.peer.ap) // hear asks Err
	} else {
		before := e.out.total
		_ = e.HandleTimeout(now)
		if e.out.total != before { // the flight goes out again
			if mtu, ok := c.sock.pathMTU(c.peer); ok {
				e.PathHint(now, mtu, nil) // see askKernel
			}
		}
	}
	c.mu.Lock()
	c.flags.busy = false
	c.wake() // the inbox has room
	if hs.told && (hs.mtu != mtu || !told) {
		_ = e.SetMTU(hs.mtu) // in range, setMTU looked
	}
	switch {
	case c.flags.closed:
		e.Close(time.Now())
		c.flags.output = true
	case c.err != nil:
		c.silence(c.err)
		c.flags.output = true
	}
	c.hear()
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
	for d := hs.inbox.pop(); d != nil && c.err == nil; d = hs.inbox.pop() {
		_ = c.eng.HandleDatagram(time.Now(), d, c.peer.ap)
		c.hear()
	}
	hs.end()
	c.rearm()
	c.flags.output = true
	c.wake()
}

// overdue ends a handshake of AcceptHandshake, when its time is up, which its
// caller has left alone. It is called with mu held, and lets go of it.
func (c *Conn) overdue(now time.Time) {
	if c.hs.driving {
		// It ends by itself, as soon as a callback lets it.
		c.sock.alarms.set(c.alarm, now.Add(time.Second))
		c.mu.Unlock()
		return
	}
	if e := c.engine(); e != nil {
		e.transportSaid(c.hs.trouble)
		_ = e.HandleTimeout(now) // hear asks Err
		c.hear()
	}
	c.flags.output = true
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
