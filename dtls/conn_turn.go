package dtls

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/deadline"
	"github.com/flightpath-dtls/flightpath/internal/transport"
)

// turn says which goroutine works for an association while Conn.mu is not held:
// one that sends, and the driver of the handshake. Conn.mu guards it.
type turn struct {
	next   *sync.Cond // for Writes that wait for their turn; made by the first
	taken  bool       // a goroutine is sending: one at a time, so that records leave in the order of their numbers
	output bool       // the engine may have something to send
	inside bool       // a datagram is being handed to the transport
	kicked bool       // and that call was interrupted
	gone   bool       // the socket was given back
	driver bool       // the driver of the handshake uses the engine
}

// ask makes the goroutine that has the turn, or takes it next, look at the
// engine's output.
func (t *turn) ask() { t.output = true }

// lend gives the engine to f, which runs without mu: callbacks may block.
func (c *Conn) lend(f func()) {
	c.turn.driver = true
	c.owner.busy(c, true)
	defer func() {
		c.turn.driver = false
		c.owner.busy(c, false)
	}()
	c.outside(f)
}

// take takes the turn if no goroutine has it.
func (t *turn) take() bool {
	if t.taken {
		return false
	}
	t.taken = true
	return true
}

// pass wakes one Write that waits, if no goroutine is sending.
func (t *turn) pass() {
	if t.next != nil && !t.taken {
		t.next.Signal()
	}
}

// wait waits until the turn may be free, with mu held.
func (t *turn) wait(mu *sync.Mutex) {
	if t.next == nil {
		t.next = sync.NewCond(mu)
	}
	t.next.Wait()
}

// give gives the turn back.
func (t *turn) give() {
	t.taken = false
	t.pass()
}

// drain sends what the engine has, with mu held. If another goroutine has the
// turn, that one sends it: it looks at turn.output before it gives the turn back,
// so no caller waits for it. Datagrams of a handshake are not sent any more when
// ctx ends.
func (c *Conn) drain(ctx context.Context) {
	if c.turn.take() {
		c.sendAll(ctx)
	}
}

// doneSending gives back the turn, after sending what was asked for meanwhile, with
// mu held. A Write whose deadline has passed sends nothing more, since the transport
// may block.
func (c *Conn) doneSending() {
	switch {
	case c.turn.output && c.sock.Conn() != nil && c.expired(deadline.Write):
		c.turn.give()
		go c.flush()
	case c.turn.output || c.hasNews():
		c.sendAll(context.Background())
	default:
		c.turn.give()
	}
}

// sendAll sends in its turn until nothing more is asked for, and gives back the
// turn and, behind the last datagram of an association that is over, the socket.
func (c *Conn) sendAll(ctx context.Context) {
	giveBack := c.sendTurn(ctx)
	c.announce()
	if giveBack {
		c.outside(c.giveBack)
	}
}

func (c *Conn) sendTurn(ctx context.Context) (giveBack bool) {
	t := &c.turn
	defer t.give()
	b := transport.GetBuffer()
	if c.end.closed && c.sock.Conn() != nil && !t.gone {
		// A transport that blocks must not keep the close_notify for ever.
		_ = c.sock.Conn().SetWriteDeadline(time.Now().Add(closeTimeout))
	}
	for t.output {
		t.output = false
		c.sendPending(ctx, b)
		if c.hs == nil && c.eng != nil {
			c.takeEvents()
			c.rearm()
		}
	}
	b.Release()
	if c.hs != nil {
		c.wake() // the driver reports refusals
	}
	giveBack = c.leavesSocket()
	t.gone = t.gone || giveBack
	return giveBack
}

// leavesSocket reports whether the socket is to be given back, behind what is still to be sent.
func (c *Conn) leavesSocket() bool {
	ended := c.end.closed && !c.end.lingers || (c.end.err != nil || c.end.left) && c.sock.members != nil
	return ended && !c.turn.gone && !c.turn.driver
}

// sendPending sends what the engine has now, in the caller's turn.
func (c *Conn) sendPending(ctx context.Context, b *transport.Buffer) {
	for c.eng != nil && !c.turn.driver && (c.hs == nil || ctx.Err() == nil) {
		tx, ok := c.eng.PollTransmit(time.Now(), b.P)
		if !ok {
			return
		}
		b.P = tx.Data[:0]
		c.transmit(tx)
	}
}

// closeTimeout bounds how long a transport that blocks may take for the last
// datagram.
const closeTimeout = 100 * time.Millisecond

// giveBack ends the use of the socket, after the last datagram.
func (c *Conn) giveBack() {
	if m := c.sock.members; m != nil {
		m.release(c.owner)
		return
	}
	c.sock.alarms.Stop()
	_ = c.sock.Close()
}

// transmit sends one datagram of the engine, in the caller's turn, with mu held;
// it is released meanwhile. Whatever the transport returns, the handshake goes on:
// what is lost is sent again.
func (c *Conn) transmit(tx Transmit) {
	inFlight := c.eng.out.sent.has(tx.ID)
	_, err := c.handOver(tx.Data, func() bool { return inFlight && c.withdrawn(tx.ID) })
	switch {
	case err == nil, c.turn.driver, errors.Is(err, transport.ErrWithdrawn):
	case isTooLarge(err):
		c.eng.transmitRefused(time.Now(), tx.ID, c.sock.PathHint(err), err)
	case transport.IsClosed(err):
		c.over(&transport.Error{Err: err, Closed: true})
	default:
		c.noteTransport(err, nil)
	}
}

// handOver hands a datagram to the transport, in the caller's turn, with mu held;
// it is released meanwhile. kicked says that the call was interrupted.
func (c *Conn) handOver(datagram []byte, withdrawn func() bool) (kicked bool, err error) {
	t, to := &c.turn, c.peer
	t.inside = true
	defer func() { t.inside = false }()
	c.outside(func() { err = c.sock.Send(datagram, to, withdrawn) })
	if kicked = t.kicked; kicked {
		t.kicked = false
		var until time.Time
		if c.end.closed {
			until = time.Now().Add(closeTimeout) // its close_notify follows
		}
		_ = c.sock.Conn().SetWriteDeadline(until)
	}
	return kicked, err
}

// kick interrupts a transport that blocks, with mu held. A shared socket is not
// interrupted: other associations use it.
func (c *Conn) kick() {
	if t := &c.turn; t.inside && !t.kicked && c.sock.Conn() != nil {
		t.kicked = true
		_ = c.sock.Conn().SetWriteDeadline(aLongTimeAgo)
	}
}

var aLongTimeAgo = time.Unix(1, 0)
