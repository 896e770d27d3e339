package dtls

import (
	"context"
	"errors"
	"time"
)

// drain sends what the engine has, and lets go of mu. If another goroutine is
// sending, that one does it: whoever has the turn looks at flags.output before
// it gives it back, so nobody needs to wait. Datagrams of a handshake stop when
// ctx ends; it may be nil.
func (c *Conn) drain(ctx context.Context) {
	if c.flags.turn {
		c.mu.Unlock()
		return
	}
	c.flags.turn = true
	c.sendAll(ctx)
}

// doneSending gives back the turn, after sending what was asked for meanwhile,
// and lets go of mu. A Write that is late sends nothing more: the transport may
// block.
func (c *Conn) doneSending() {
	if c.flags.output && c.sock.conn != nil && c.expired(writeDeadline) {
		go c.sendAllLater()
		c.mu.Unlock()
		return
	}
	if c.flags.output || c.news != nil || c.flags.sessions {
		c.sendAll(context.Background())
		return
	}
	c.flags.turn = false
	c.passTurn()
	c.mu.Unlock()
}

// sendAllLater is sendAll in a goroutine of its own, which ends with it.
func (c *Conn) sendAllLater() {
	c.mu.Lock()
	c.sendAll(context.Background())
}

// sendAll sends in its turn until nothing more is asked for, gives back the turn
// and, behind the last datagram of an association that is over, the socket. It
// lets go of mu.
func (c *Conn) sendAll(ctx context.Context) {
	b := getBuffer()
	if c.flags.closed && c.sock.conn != nil && !c.flags.gone {
		// A transport that blocks must not keep the close_notify for ever.
		_ = c.sock.conn.SetWriteDeadline(time.Now().Add(closeTimeout))
	}
	for c.flags.output {
		c.flags.output = false
		c.sendPending(ctx, b)
		if c.hs == nil && c.eng != nil {
			c.hear()
			c.rearm()
		}
	}
	if c.hs != nil {
		c.wake() // the driver has to hear of refusals
	}
	ended := c.flags.closed && !c.flags.lingers || c.err != nil && c.sock.members != nil
	giveBack := ended && !c.flags.gone && !c.flags.busy
	c.flags.gone = c.flags.gone || giveBack
	c.flags.turn = false
	c.passTurn()
	c.announce()
	c.mu.Unlock()
	b.release()
	if giveBack {
		c.giveBack()
	}
}

// sendPending sends what the engine has now, in the caller's turn.
func (c *Conn) sendPending(ctx context.Context, b *buffer) {
	for c.eng != nil && !c.flags.busy && (c.hs == nil || ctx.Err() == nil) {
		tx, ok := c.eng.PollTransmit(time.Now(), b.p)
		if !ok {
			return
		}
		b.p = tx.Data[:0]
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
	c.sock.alarms.stop()
	_ = c.sock.close()
}

// transmit sends one datagram of the engine, in its turn, with mu held; mu is
// let go meanwhile. Whatever the transport says, the handshake goes on: what it
// lost is sent again.
func (c *Conn) transmit(tx Transmit) {
	c.flags.sending = true
	inFlight := c.eng.out.has(tx.ID)
	c.mu.Unlock()
	err := c.sock.send(tx.Data, c.peer, func() bool { return inFlight && c.withdrawn(tx.ID) })
	c.mu.Lock()
	c.sent()
	switch {
	case err == nil, c.flags.busy, errors.Is(err, errWithdrawn):
	case isTooLarge(err):
		c.eng.transmitRefused(time.Now(), tx.ID, c.sock.pathHint(err), err)
	case isClosed(err):
		c.over(&transportError{err: err, closed: true})
	default:
		c.trouble(err)
	}
}

// trouble notes, with mu held, what the transport said last: if nothing comes
// through, a time-out that names it helps more than one that does not.
func (c *Conn) trouble(err error) {
	if c.hs != nil && err != nil {
		c.hs.trouble = err
	}
}

// sent notes that the transport has returned, with mu held. It reports whether
// that was because somebody wanted it to.
func (c *Conn) sent() (kicked bool) {
	c.flags.sending = false
	if kicked = c.flags.kicked; kicked {
		c.flags.kicked = false
		if !c.flags.closed {
			_ = c.sock.conn.SetWriteDeadline(time.Time{})
		}
	}
	return kicked
}

// kick interrupts a transport that blocks, with mu held. A shared socket is not
// interrupted: others use it.
func (c *Conn) kick() {
	if c.flags.sending && !c.flags.kicked && c.sock.conn != nil {
		c.flags.kicked = true
		_ = c.sock.conn.SetWriteDeadline(aLongTimeAgo)
	}
}

var aLongTimeAgo = time.Unix(1, 0)
