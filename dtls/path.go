package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// MTU is the limit in force: the largest datagram sent now, bytes of UDP
// payload.
func (e *Engine) MTU() int { return e.path.limit() }

// SetMTU sets the limit and a ceiling for all that is learned later, from the
// next datagram on, also in the middle of a flight; larger datagrams of that
// flight are cut anew. 0 lifts the ceiling and goes back to Config.MTU;
// 1…227 is an error.
func (e *Engine) SetMTU(n int) error {
	if n != 0 && n < minMTU {
		return errBelowMinimumMTU
	}
	n = min(n, maxUDPPayload)
	e.path.set(n, e.p.mtu, e.now)
	if !e.out.sent.answered() {
		e.out.withdrawOver(e.path.limit())
	}
	return nil
}

// PathMTU is what is known of the path.
func (e *Engine) PathMTU() PathInfo {
	overhead := 0
	if e.peer.IsValid() {
		overhead = ipOverhead(e.peer.Addr())
	}
	return e.path.info(overhead)
}

// PathHint tells the engine that the path is said to carry mtu bytes of UDP
// payload. quoted is the beginning of the datagram that was too large, as the
// notice quotes it; nil for the value of a kernel's cache. An ICMP message is
// believed if what it quotes was sent recently and is larger than mtu, and if
// the path can be meant to be so small: from 548 bytes, on IPv6 1232
// (RFC 9147, Section 4.4). One that quotes something else is dropped. One that
// quotes less than 16 bytes, as old routers do, is a rumour like the cache: it
// may only lower a handshake's first try, not below these sizes nor below what
// is known to arrive.
//
// A hint never sends anything; it lowers the limit and marks what did not fit
// as unsent, so that PollTransmit goes on at once. With MTUManual it is an
// event instead.
func (e *Engine) PathHint(now time.Time, mtu int, quoted []byte) {
	if e.over() || mtu <= 0 {
		return
	}
	e.tick(now)
	size, verdict := 0, quotesNumber
	if len(quoted) >= quoteMin {
		if size, verdict = e.out.quotes.match(quoted); verdict == quotesNothing || mtu >= size {
			return // a datagram that fits cannot have been too big
		}
	}
	verified := verdict == quotesOurs
	switch {
	case e.path.mode == MTUManual:
		if verified && e.path.credible(mtu) {
			e.tellCaller(mtu, size)
		}
	case !verified && (!e.handshaking() || e.out.sent.hinted):
		// Rumours cost nothing to make: one of them has part of a flight sent
		// again, the timer serves the others.
	case e.path.hint(mtu, verified, e.now):
		if e.out.withdrawOver(e.path.limit()) && !verified {
			e.out.sent.hint()
		}
		e.pathChanged()
	}
}

// tellCaller reports a verified notice about a datagram of size bytes to a
// caller who decides (MTUManual): in a handshake at once, later to the next
// Write that is too large.
func (e *Engine) tellCaller(mtu, size int) {
	if !e.handshaking() {
		e.path.told = mtu
		path := e.PathMTU()
		if path.LinkMTU > 0 {
			path.LinkMTU += mtu - path.MTU
		}
		path.MTU, path.Source, path.At = mtu, FromICMP, e.now
		e.trace.mtu(path)
		e.events.push(Event{Kind: EventMTU, Path: path})
		return
	}
	asked := e.out.sent.stalled
	e.out.withdrawOver(mtu)
	if !asked { // once for all that was lost
		e.askCaller(e.largePacket("handshake", size, mtu, FromICMP))
	}
}

// TransmitRefused says that the transport did not take the datagram with that
// ID because it is too large; hint is the size it would take, 0 if unknown. Say
// so before the next PollTransmit. What was in it goes out again in smaller
// datagrams under new record numbers.
func (e *Engine) TransmitRefused(now time.Time, id uint64, hint int) {
	e.transmitRefused(now, id, hint, nil)
}

// transmitRefused is TransmitRefused with what the transport said.
func (e *Engine) transmitRefused(now time.Time, id uint64, hint int, cause error) {
	if e.over() {
		return
	}
	e.tick(now)
	if id == e.dataID && id != 0 {
		e.events.push(Event{Kind: EventLargePacket, Err: e.writeRefused(e.dataSize, hint, cause)})
		return
	}
	if id == e.acks.id && id != 0 {
		if e.path.refused(e.acks.size, hint, e.now) {
			e.acks.sendNow() // again, with as many numbers as fit then
			e.pathChanged()
		}
		return
	}
	size, ok := e.out.withdraw(id)
	if !ok {
		return // an alert or a cookie: too small to be cut, and not repeated
	}
	e.trace.refused(size, hint)
	if e.path.refused(size, hint, e.now) {
		e.pathChanged()
		return
	}
	lp := e.largePacket("handshake", size, hint, FromKernel)
	lp.Err = cause
	if e.path.mode != MTUManual {
		e.narrow(lp)
		return
	}
	e.askCaller(lp)
}

// askCaller reports a refusal to a caller who decides (MTUManual). The flight
// stands still until the event was polled. Each is a try, or a caller who
// changes nothing would be asked for ever.
func (e *Engine) askCaller(lp *LargePacketError) {
	if !e.out.timer.try() {
		e.fail(e.timeoutError())
		return
	}
	if lp.Suggest() == 0 {
		e.narrow(lp)
		return
	}
	e.out.sent.stall(lp.Source == FromKernel)
	e.events.push(Event{Kind: EventLargePacket, Err: lp})
}

// narrow ends a handshake over a path that takes nothing useful. An alert of a
// few bytes may pass, and spares the peer its time-out.
func (e *Engine) narrow(lp *LargePacketError) {
	e.sendAlert(alert.Fatal, alert.InternalError)
	e.end(lp)
}

func (e *Engine) largePacket(op string, size, hint int, source MTUSource) *LargePacketError {
	lp := &LargePacketError{Op: op, Size: size, MTU: e.path.limit(), Source: source}
	if hint > 0 && hint < size {
		lp.PathMTU = hint
	}
	return lp
}

// overtaken reports whether data sealed in a datagram of size bytes is too large
// by now.
func (e *Engine) overtaken(size int) bool {
	return size > e.path.limit() || e.path.told > 0 && size > e.path.told
}

// dataOvertaken is the error for that datagram, which was not sent.
func (e *Engine) dataOvertaken(size int, cause error) *LargePacketError {
	lp := e.largePacket("write", size, e.path.limit(), e.path.source)
	if size <= e.path.limit() { // the caller's limit
		lp.PathMTU, lp.Source = e.path.told, FromICMP
		e.path.told = 0
	}
	lp.Err = cause
	return e.withMaxData(lp)
}

// forewarned is the error of the next Write that is larger than what a notice
// said (MTUManual). It is told once: whoever writes the same again means it.
func (e *Engine) forewarned(size int) error {
	if !e.overtaken(size) {
		return nil
	}
	return e.dataOvertaken(size, nil)
}

// silence lets an unanswered transmission lower the limit. It reports whether
// smaller datagrams are tried now for the first time.
func (e *Engine) silence() bool {
	o := &e.out
	if hello := o.flight.hello(); hello != nil && hello.datagram() <= e.path.limitAt(rungFallback) {
		changed, first := e.path.silentHello(hello.datagram(), e.now)
		if changed {
			hello.rejoin() // its cuts at the floor are the same each time
			e.pathChanged()
		}
		return first
	}
	e.path.rttTimer = o.timer.measured
	if !e.path.silence(o.sent.biggest, o.timer.timeout, e.now) {
		return false
	}
	e.pathChanged()
	return true
}

func (e *Engine) pathChanged() {
	e.trace.mtu(e.PathMTU())
	e.events.push(Event{Kind: EventMTU, Path: e.PathMTU()})
}

// ReportDelivered says that a datagram of n bytes of UDP payload is known to
// have arrived.
func (e *Engine) ReportDelivered(n int) { e.path.deliveredSize(n) }

// ReportLost says that a datagram of n bytes of UDP payload is known to be
// lost. Six such reports above 1232 bytes, with nothing of that size delivered
// in between, take the path for a black hole: the limit falls to 1232.
func (e *Engine) ReportLost(n int) {
	if e.path.reportedLost(n, e.now) {
		e.pathChanged()
	}
}
