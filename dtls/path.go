package dtls

import (
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/quotes"
	"github.com/flightpath-dtls/flightpath/internal/timing"
)

// path is a way to the peer: an address, and what is known of the network on the
// way to it. Records, keys and flights do not depend on it.
type path struct {
	pathMTU
	addr   netip.AddrPort // of the peer, invalid if unknown
	credit credit
	quotes *quotes.Ring // of datagrams sent, nil: none was large
}

func newPath(p *params, now time.Time) path { return path{pathMTU: newPathMTU(p, now)} }

// setAddr sets the address of the peer, which may be invalid.
func (p *path) setAddr(addr netip.AddrPort) {
	p.addr = addr
	p.setIPv6(isIPv6(addr))
}

// learnFamily takes the family of IP of whoever has sent a datagram.
func (p *path) learnFamily(from netip.AddrPort) {
	if from.IsValid() && !p.addr.IsValid() {
		p.setIPv6(isIPv6(from))
	}
}

// addressProven lifts the limit of RFC 9147, Section 5.1, or sets it: a cookie or
// keys have proven that the peer receives at its address.
func (p *path) addressProven(proven bool) { p.credit.unlimited = proven }

// room is how large the next datagram may be.
func (p *path) room() int { return p.credit.left(p.limit()) }

// noteQuote remembers a datagram that an ICMP message may quote. Smaller ones fit
// every path.
func (p *path) noteQuote(datagram []byte) {
	if len(datagram) <= fallbackMTU4 {
		return
	}
	if p.quotes == nil {
		p.quotes = new(quotes.Ring)
	}
	p.quotes.Note(datagram)
}

func (p *path) dropQuotes() { p.quotes = nil }

// credit limits what is sent to an unproven address to three times what came from
// it (RFC 9147, Section 5.1). Bytes of UDP payload.
type credit struct {
	unlimited bool
	in, out   int
}

const amplification = door.Amplification

func (c *credit) received(n int) { c.in += n }

func (c *credit) sent(n int) { c.out += n }

// left is how large the next datagram may be, at most limit.
func (c *credit) left(limit int) int {
	if c.unlimited {
		return limit
	}
	return min(limit, amplification*c.in-c.out)
}

func isIPv6(a netip.AddrPort) bool { return a.Addr().Is6() && !a.Addr().Is4In6() }

// ---- the engine's path ----------------------------------------------------------

// MTU is the limit in force: the largest datagram sent now, bytes of UDP
// payload.
func (e *Engine) MTU() int { return e.path.limit() }

// SetMTU sets the limit, and the ceiling of later values, from the next datagram on,
// also in the middle of a flight; larger datagrams of that flight are cut anew. 0
// lifts the ceiling and goes back to Config.MTU; 1…227 is an error.
func (e *Engine) SetMTU(n int) error {
	if n != 0 && n < minMTU {
		return errBelowMinimumMTU
	}
	n = min(n, maxUDPPayload)
	e.path.set(n, e.p.mtu, e.now)
	e.pollDue = e.pollDue || e.out.sent.stalled
	if !e.out.sent.answered() {
		e.out.withdrawOver(e.path.limit())
	}
	return nil
}

// PathMTU describes the path.
func (e *Engine) PathMTU() PathInfo {
	return e.path.describe()
}

// describe is what is known of the path.
func (p *path) describe() PathInfo {
	overhead := 0
	if p.addr.IsValid() {
		overhead = ipOverhead(p.addr.Addr())
	}
	return p.info(overhead)
}

// PathHint takes the report that the path carries mtu bytes of UDP payload. quoted
// is the beginning of the datagram that was too large, from the ICMP message; nil
// for the value of a kernel's cache. An ICMP message is verified if the quoted
// datagram was sent recently and is larger than mtu. It lowers the limit to values
// from 548 bytes, on IPv6 1232 (RFC 9147, Section 4.4). One that quotes something
// else is dropped. One that quotes less than 16 bytes, as those of old routers do,
// counts as little as the cache: it may only lower the size at which a handshake's
// flight begins, not below these values nor below a size that was acknowledged.
//
// A hint sends nothing. It lowers the limit and marks the content of larger
// datagrams as unsent, so that PollTransmit continues with it. With MTUManual it is
// an event instead.
func (e *Engine) PathHint(now time.Time, mtu int, quoted []byte) {
	if e.over() || mtu <= 0 {
		return
	}
	e.tick(now)
	size, verdict := 0, quotes.NumberOnly
	if len(quoted) >= quotes.Min {
		if size, verdict = e.path.quotes.Match(quoted); verdict == quotes.Nothing || mtu >= size {
			return // a datagram that fits cannot have been too big
		}
	}
	verified := verdict == quotes.Authentic
	switch {
	case e.path.mode == MTUManual:
		if verified && e.path.credible(mtu) {
			e.reportNotice(mtu, size)
		}
	case !verified && (!e.handshaking() || e.out.sent.hinted):
		// Anybody can make an unverified hint. One of them has part of a
		// transmission sent again; after that only the timer does.
	case e.path.hint(mtu, verified, e.now):
		if e.out.withdrawOver(e.path.limit()) && !verified {
			e.out.sent.hint()
		}
		e.pathChanged()
	}
}

// reportNotice reports a verified notice about a datagram of size bytes to the
// caller (MTUManual): with an event and, after the handshake, as the error of the
// next Write that is too large.
func (e *Engine) reportNotice(mtu, size int) {
	if !e.handshaking() {
		e.path.announce(mtu)
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

// TransmitRefused reports that the transport refused the datagram with that ID
// because it is too large. hint is the size that the transport takes, 0 if unknown.
// It must be called before the next PollTransmit. The content goes out again in
// smaller datagrams under new record numbers.
func (e *Engine) TransmitRefused(now time.Time, id uint64, hint int) {
	e.transmitRefused(now, id, hint, nil)
}

// transmitRefused is TransmitRefused with the error of the transport.
func (e *Engine) transmitRefused(now time.Time, id uint64, hint int, cause error) {
	if e.over() {
		return
	}
	e.tick(now)
	if id == e.dataID && id != 0 {
		e.events.push(Event{Kind: EventLargePacket, Err: e.writeRefused(e.dataSize, hint, cause)})
		return
	}
	size, ok := e.out.withdraw(id)
	withACK := id == e.acks.ID && id != 0
	if withACK && !ok && e.path.refused(int(e.acks.Size), hint, e.now) {
		e.acks.SendNow() // again, with as many numbers as fit then
		e.pathChanged()
	}
	if !ok {
		return // an alert or a cookie: too small to be cut, and not repeated
	}
	if withACK {
		e.acks.SendNow()
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

// askCaller reports a refusal to the caller (MTUManual). The flight stalls until the
// event was polled. Each refusal is a try: a caller that changes nothing would get
// the same event for ever.
func (e *Engine) askCaller(lp *LargePacketError) {
	if !e.out.timer.Try() {
		e.end(e.timeoutError())
		return
	}
	if lp.Suggest() == 0 {
		e.narrow(lp)
		return
	}
	e.out.sent.stall(lp.Source == FromKernel)
	e.events.push(Event{Kind: EventLargePacket, Err: lp})
}

// narrow ends a handshake over a path on which not even the floor passes. The alert
// of a few bytes may pass, and saves the peer its time-out.
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

// tooLarge reports whether a datagram of data with size bytes exceeds the limit, or
// the size in a notice (MTUManual).
func (e *Engine) tooLarge(size int) bool {
	return size > e.path.limit() || e.path.notice > 0 && size > e.path.notice
}

// tooLargeError is the error for that datagram, which was not sent. With MTUManual a
// notice fails one Write; the caller may repeat it all the same.
func (e *Engine) tooLargeError(size int, cause error) *LargePacketError {
	lp := e.largePacket("write", size, e.path.limit(), e.path.source)
	if size <= e.path.limit() {
		lp.PathMTU, lp.Source = e.path.takeNotice(), FromICMP
	}
	lp.Err = cause
	return e.withMaxData(lp)
}

// silence lets an unanswered transmission lower the size of the flight.
func (e *Engine) silence() timing.Step {
	o, m := &e.out, &e.path.pathMTU
	before := m.limit()
	if hello := o.flight.hello(); hello != nil && hello.datagram() <= m.limitAt(rungFallback) {
		changed, first := m.silentHello(hello.datagram(), e.now)
		if changed {
			hello.rejoin() // its cuts at the floor are the same each time
			e.limitWas(before)
		}
		if first {
			return timing.StepHello
		}
		return timing.StepNone
	}
	fell, last := m.silence(o.sent.biggest, o.flight.hello() != nil, o.timer.Timeout, o.timer.Measured(), e.now)
	e.limitWas(before)
	switch {
	case fell && o.flight.hello() != nil:
		return timing.StepHello
	case !m.repeated || m.rung == rungFloor: // the peer may have all of the flight, and compute
		return timing.StepNone
	case fell:
		return timing.StepDown
	case last && m.rung < rungFallback:
		return timing.StepNext
	}
	return timing.StepNone
}

// limitWas reports the limit if it has changed.
func (e *Engine) limitWas(before int) {
	if e.path.limit() != before {
		e.pathChanged()
	}
}

// nextFlight has the path begin a new flight.
func (e *Engine) nextFlight() {
	before := e.path.limit()
	e.path.newFlight()
	e.limitWas(before)
}

// flightHeard takes the end of a flight whose answer is here.
func (e *Engine) flightHeard() {
	if e.path.answered(e.out.sent.biggest, e.now) && e.path.settled {
		e.pathChanged()
	}
}

func (e *Engine) pathChanged() {
	e.trace.mtu(e.PathMTU())
	e.events.push(Event{Kind: EventMTU, Path: e.PathMTU()})
}

// ReportDelivered reports that a datagram of n bytes of UDP payload arrived.
func (e *Engine) ReportDelivered(n int) { e.path.deliveredSize(n) }

// ReportLost reports that a datagram of n bytes of UDP payload was lost. After six
// reports of sizes above the next smaller of 1232, 548 and 228 bytes, with nothing of such
// a size delivered in between, the path counts as a black hole: the limit falls to that
// (MTUAuto). On IPv6 it does not fall below 1232.
func (e *Engine) ReportLost(n int) {
	if e.path.reportedLost(n, e.now) {
		e.pathChanged()
	}
}
