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
	e.out.stalled = false
	if !e.out.answered() {
		e.out.unsendOver(e.path.limit())
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
// payload. quoted is what the notice quoted of the refused datagram, nil if it
// quoted nothing (a kernel's cached value): quotes are believed if they match a
// datagram that was sent and is larger. A hint never sends anything; it lowers
// the limit and marks what did not fit as unsent, so that PollTransmit goes on
// at once.
func (e *Engine) PathHint(now time.Time, mtu int, quoted []byte) {
	if e.err != nil || mtu <= 0 {
		return
	}
	e.advance(now)
	verified := false
	if quoted != nil {
		size, ok := e.out.quotes.match(quoted)
		if ok && mtu >= size {
			return // a datagram that fits cannot have been too big
		}
		verified = ok
	}
	if e.path.mode == MTUManual {
		if e.hs != nil && verified && e.path.credible(mtu) {
			e.surfaceLarge(e.largePacket("handshake", e.path.limit(), mtu, FromICMP))
			e.out.unsendOver(mtu)
		}
		return
	}
	if e.path.hint(mtu, verified, e.now) {
		e.out.unsendOver(e.path.limit())
		e.pathChanged()
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
	if e.err != nil {
		return
	}
	e.advance(now)
	if id == e.dataID && id != 0 {
		e.events.push(Event{Kind: EventLargePacket, Err: e.writeRefused(e.dataSize, hint, cause)})
		return
	}
	size, ok := e.out.refused(id)
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
	if e.out.tries++; e.out.tries > e.p.retransmit.MaxTries {
		e.fail(e.timeoutError())
		return
	}
	e.surfaceLarge(lp)
}

// surfaceLarge reports a refusal to a caller who decides (MTUManual). The
// flight stands still until the event was polled.
func (e *Engine) surfaceLarge(lp *LargePacketError) {
	if lp.Suggest() == 0 {
		e.narrow(lp)
		return
	}
	e.out.stalled, e.out.refusal = true, lp.Source == FromKernel
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
