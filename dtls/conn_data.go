package dtls

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// Read waits for a record of application data and copies it into p. A record
// that is longer than p is cut: n is len(p), the error ErrShortBuffer, and the
// rest is gone. An empty record gives 0 and no error.
//
// The first Read or Write runs the handshake if nobody has. Other errors:
// io.EOF after the peer's close_notify and all data before it; ErrAgain when
// the read deadline has passed; one that matches net.ErrClosed after Close;
// what ended the association, after the data that had come until then.
func (c *Conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.flags.closed:
			return 0, errConnClosed
		case c.expired(readDeadline):
			return 0, ErrAgain
		case c.queue != nil:
			n, whole := c.queue.pop(p)
			if c.queue.size == 0 {
				c.queue = c.queue.release()
			}
			if !whole {
				return n, ErrShortBuffer
			}
			return n, nil
		case c.err != nil:
			return 0, c.err
		case c.flags.eof:
			return 0, io.EOF
		case c.hs != nil:
			c.mu.Unlock()
			err := c.handshake(context.Background(), readDeadline, true)
			c.mu.Lock()
			if err != nil && c.queue == nil {
				return 0, err
			}
			continue
		}
		c.wait()
	}
}

// Write sends p as one record in one datagram; an empty p is an empty record.
// The first Read or Write runs the handshake if nobody has.
//
// If p is longer than MaxData, or the transport says that the datagram is too
// large, the error is a *LargePacketError, n is 0 and the association lives on;
// its MaxData says what would fit. ErrAgain says that the write deadline has
// passed, and an error that matches net.ErrClosed that either side has closed.
// Other refusals of the transport are returned as they are; IsFatal is false
// for them. On a shared socket the deadline does not interrupt the transport.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if err := c.awaitTurn(); err != nil {
		c.mu.Unlock()
		return 0, err
	}
	b := getBuffer()
	if c.eng.Direction() == Writing {
		c.sendPending(context.Background(), b) // a flight, whose keys the record may need
		c.hear()
		c.rearm()
		if err := c.mayWrite(); err != nil {
			b.release()
			c.doneSending()
			return 0, err
		}
	}
	now := time.Now()
	datagram, err := c.eng.appendData(now, b.p, p)
	if err != nil {
		if failed := c.eng.Err(); failed != nil {
			c.over(failed)
		}
		b.release()
		c.doneSending()
		return 0, err
	}
	b.p = datagram[:0]
	c.flags.sending = true
	c.mu.Unlock()

	size := len(datagram)
	err = c.sock.send(datagram, c.peer, func() bool { return c.overtaken(size) })

	c.mu.Lock()
	kicked := c.sent()
	if err != nil {
		err = c.notSent(datagram, err, kicked)
	}
	b.release()
	c.doneSending()
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// awaitTurn completes the handshake and waits until nobody else is sending,
// with mu held. The turn is given back by doneSending.
func (c *Conn) awaitTurn() error {
	for {
		if err := c.mayWrite(); err != nil {
			c.passTurn()
			return err
		}
		switch {
		case c.hs != nil:
			c.mu.Unlock()
			err := c.handshake(context.Background(), writeDeadline, true)
			c.mu.Lock()
			if err != nil {
				return err
			}
		case !c.flags.turn:
			c.flags.turn = true
			return nil
		default:
			if c.turn == nil {
				c.turn = sync.NewCond(&c.mu)
			}
			c.turn.Wait()
		}
	}
}

// passTurn wakes one Write that waits, if nobody is sending.
func (c *Conn) passTurn() {
	if c.turn != nil && !c.flags.turn {
		c.turn.Signal()
	}
}

// mayWrite says why nothing can be written now, with mu held.
func (c *Conn) mayWrite() error {
	switch {
	case c.flags.closed || c.err != nil:
		return c.overErr()
	case c.flags.eof:
		return errPeerClosed
	case c.expired(writeDeadline):
		return ErrAgain
	case c.large != nil:
		lp := c.large
		c.large = nil
		return lp
	}
	return nil
}

// errPeerClosed: RFC 5246, Section 7.2.1 has both sides stop writing.
var errPeerClosed error = &closedError{"dtls: peer has closed the association"}

// notSent turns what the transport said about a datagram of Write into Write's
// error, with mu held.
func (c *Conn) notSent(datagram []byte, err error, kicked bool) error {
	switch {
	case c.flags.closed:
		return errConnClosed
	case errors.Is(err, errWithdrawn):
		return c.eng.dataOvertaken(len(datagram), nil)
	case isTooLarge(err):
		lp := c.eng.dataRefused(time.Now(), len(datagram), c.sock.pathHint(err), err)
		c.hear()
		return lp
	case isClosed(err):
		c.over(&transportError{err: err, closed: true})
		return c.overErr()
	case kicked, errors.Is(err, os.ErrDeadlineExceeded):
		return ErrAgain
	}
	return &transportError{err: err}
}

// ---- sending ---------------------------------------------------------------------

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

// ---- receiving ---------------------------------------------------------------------

// read is the reader of a socket with one peer.
func (c *Conn) read() {
	buf := make([]byte, readBuffer)
	var slow backOff
	from := peerAddr{addr: c.sock.conn.RemoteAddr()}
	for {
		n, _, err := c.sock.receive(buf)
		switch {
		case err == nil:
			slow = 0
			if !c.sock.foreign.takes(buf[:n], from) && !c.deliver(time.Now(), buf[:n]) && c.letGo() {
				return
			}
		case isClosed(err):
			c.fail(&transportError{err: err, closed: true})
			return
		default:
			if c.letGo() || c.closedAfter(err) {
				return
			}
			slow.pause()
		}
	}
}

// closedAfter reports whether Close was called, and notes the error that made the
// reader ask. If the association lingers that was its end: the transport says
// that the peer is not there.
func (c *Conn) closedAfter(err error) bool {
	c.mu.Lock()
	c.trouble(err)
	closed := c.flags.closed
	c.mu.Unlock()
	if closed {
		c.close(false)
	}
	return closed
}

// deliver takes a datagram from the socket's reader; the bytes are decrypted in
// place. It never blocks: in a handshake the datagram goes to the inbox. It
// reports whether the association was there to take it.
func (c *Conn) deliver(now time.Time, datagram []byte) bool {
	c.mu.Lock()
	if c.sock.members == nil {
		c.awaitRoom(len(datagram)) // nobody else waits for this reader
	}
	if c.isOver() {
		c.mu.Unlock()
		return false
	}
	if c.hs != nil {
		if !c.hs.inbox.push(datagram) {
			c.lost++
			if c.owner != nil {
				c.owner.inboxDropped.Add(1)
			}
		}
		c.wake()
		c.mu.Unlock()
		return true
	}
	_ = c.eng.HandleDatagram(now, datagram, c.peer.ap) // hear asks Err
	c.settle()
	return true
}

// awaitRoom waits until the inbox takes a datagram of n bytes, or is needed no
// more, with mu held: what a transport has room for is not lost.
func (c *Conn) awaitRoom(n int) {
	for c.hs != nil && c.hs.driving && !c.hs.inbox.hasRoom(n) && !c.flags.closed && c.err == nil {
		c.wait()
	}
}

// recognizes reports whether a datagram was sealed with the keys of the peer. Its
// bytes are gone afterwards. In a handshake nobody knows.
func (c *Conn) recognizes(datagram []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hs == nil && !c.isOver() && c.eng.recognizes(datagram)
}

// timeout is called when the alarm rings.
func (c *Conn) timeout(now time.Time) {
	c.mu.Lock()
	c.flags.armed = false
	switch {
	case c.isOver():
		c.mu.Unlock()
	case c.hs != nil:
		c.overdue(now)
	default:
		if at := c.idleAt(); !at.IsZero() && !now.Before(at) {
			c.eng.close(now, ErrIdleTimeout) // hear asks Err
		} else {
			_ = c.eng.HandleTimeout(now)
		}
		c.settle()
	}
}

// settle does what follows each input of an established association, and lets
// go of mu.
func (c *Conn) settle() {
	c.hear()
	c.rearm()
	if c.eng.Direction() == Writing {
		c.flags.output = true
	}
	if c.flags.output && !c.flags.turn {
		c.drain(context.Background())
		return
	}
	c.announce()
	c.mu.Unlock()
}

// hear takes the engine's events, with mu held.
func (c *Conn) hear() {
	if c.eng == nil || c.flags.busy {
		return
	}
	established := false
	for ev, ok := c.eng.PollEvent(); ok; ev, ok = c.eng.PollEvent() {
		switch ev.Kind {
		case EventData:
			c.enqueue(ev.Data)
		case EventEstablished:
			established = true
		case EventWarning:
			if c.hs != nil {
				c.hs.tell = append(c.hs.tell, ev.Err)
			}
		case EventLargePacket:
			if c.hs != nil && !established {
				c.hs.tell = append(c.hs.tell, ev.Err)
			} else if errors.As(ev.Err, &c.large) {
				c.wake()
			}
		case EventMTU:
			if !c.flags.closed {
				path := ev.Path
				c.news = &path
			}
		case EventClosed:
			c.flags.eof = true
			c.wake()
		case EventSession:
			c.flags.sessions = true
		case EventKeysUpdated, EventKeysKept:
			c.wake()
		}
	}
	if established {
		c.opened()
	}
	if err := c.eng.Err(); err != nil {
		c.over(err)
	}
}

// announce calls Config.OnMTU and OnSession if there is something new, with mu
// held; it is let go meanwhile.
func (c *Conn) announce() {
	c.takeSessions()
	news := c.news
	if news == nil {
		return
	}
	c.news = nil
	if tell := c.eng.p.onMTU; tell != nil {
		c.mu.Unlock()
		tell(*news)
		c.mu.Lock()
	}
}

// rearm sets the alarm to the engine's next time-out, or to the end of our
// patience with a silent peer. Each record puts that off, and moving an alarm
// costs; so one that is set stays, and looks again when it rings.
func (c *Conn) rearm() {
	if c.hs != nil || c.isOver() {
		return
	}
	next, idle := c.eng.NextTimeout(), c.idleAt()
	switch {
	case next.IsZero() && c.flags.armed:
		return
	case c.alarm != nil:
	case next.IsZero() && idle.IsZero():
		return
	default:
		c.alarm = newAlarm(c)
	}
	c.flags.armed = !idle.IsZero()
	c.sock.alarms.set(c.alarm, earliest(next, idle))
}

// idleAt is when the association is over if the peer stays silent, zero if never.
func (c *Conn) idleAt() time.Time {
	if patience := c.eng.p.idleTimeout; patience > 0 && !c.flags.lingers {
		return c.eng.heard.Add(patience)
	}
	return time.Time{}
}

// enqueue copies a record into the queue of Read.
func (c *Conn) enqueue(record []byte) {
	if c.flags.closed {
		return
	}
	need, used := recordHead+len(record), 0
	if c.queue != nil {
		used = c.queue.size
	}
	if used > 0 && used+need > c.eng.p.receiveQueue {
		c.lost++
		return
	}
	c.queue = c.queue.push(record)
	c.wake()
}
