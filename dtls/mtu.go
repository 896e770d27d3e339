package dtls

import (
	"net/netip"
	"time"
)

// All sizes here are bytes of UDP payload in one datagram, unless a name has
// link: a link MTU counts IP and UDP headers too.
const (
	minMTU        = 228   // floor: an IPv4 packet of 256 bytes
	fallbackMTU4  = 548   // an IPv4 packet of 576 bytes
	defaultMTU    = 1232  // an IPv6 packet of 1280 bytes, on IPv4 too
	maxUDPPayload = 65507 // an IPv4 packet of 65535 bytes
)

const (
	overheadIPv4 = 20 + 8 // IP and UDP header
	overheadIPv6 = 40 + 8
)

// PayloadMTU converts a link MTU (bytes of IP packet) to the UDP payload that
// fits it on the way to addr: 28 bytes less for IPv4 and IPv4-mapped
// addresses, 48 less for IPv6.
func PayloadMTU(link int, addr netip.Addr) int {
	return link - ipOverhead(addr)
}

func ipOverhead(addr netip.Addr) int {
	if addr.Is6() && !addr.Is4In6() {
		return overheadIPv6
	}
	return overheadIPv4
}

// MTUMode chooses what may lower the limit for datagrams.
type MTUMode uint8

const (
	// MTUAuto: refusals of the transport, validated hints and, in a handshake,
	// silence lower the limit. ErrLargePacket surfaces from a handshake only
	// when not even 228 bytes pass.
	MTUAuto MTUMode = iota
	// MTUKernel: refusals of the transport and validated hints only.
	MTUKernel
	// MTUManual: only the caller. Every refusal surfaces as ErrLargePacket,
	// and SetMTU lets the same handshake go on.
	MTUManual
)

func (m MTUMode) String() string {
	switch m {
	case MTUAuto:
		return "auto"
	case MTUKernel:
		return "kernel"
	case MTUManual:
		return "manual"
	}
	return "invalid"
}

// MTUSource is the source of a limit.
type MTUSource uint8

// Sources.
const (
	FromConfig  MTUSource = iota // Config.MTU or SetMTU
	FromKernel                   // the transport refused a datagram or reported its limit
	FromICMP                     // a "packet too big" that quoted our own bytes
	FromProbe                    // a datagram of that size was acknowledged
	FromSilence                  // larger datagrams were never answered
)

func (s MTUSource) String() string {
	switch s {
	case FromConfig:
		return "config"
	case FromKernel:
		return "kernel"
	case FromICMP:
		return "icmp"
	case FromProbe:
		return "probe"
	case FromSilence:
		return "silence"
	}
	return "unknown"
}

// PathInfo describes the path of an association.
type PathInfo struct {
	MTU       int       // limit in force, bytes of UDP payload; for OnMTU with MTUManual: the size in an ICMP message
	LinkMTU   int       // the same as an IP packet, 0 while the peer's address is unknown
	Source    MTUSource // what set the limit
	At        time.Time // when
	Searching bool      // probes for a larger size are under way
	Confirmed int       // largest datagram of ours known to have arrived, bytes of UDP payload; 0: none
}

// pathMTU decides how large a datagram may be (RFC 9147, Section 4.4). The sizes of a
// flight are rungs of a ladder; base is the rung of data, and of the flight to come:
//
//	full ─── 1232 ─── 548 ─── 228    IPv6: full ─── 1232
//
// What lowers the limit, for how long, and what raises it again:
//
//	event                                     modes         to                               for
//	a flight unanswered tries() times         auto          the next rung                    the handshake
//	… if the peer has repeated its flight,    auto          that rung                        the association
//	  and the first smaller transmission is
//	  answered within one timer
//	an empty ACK in epoch 0                   auto          the fallback                     the flight
//	an ACK without the large datagrams        auto          the fallback                     the association
//	a refusal of the transport                auto, kernel  the size it takes, or the next   the association
//	a verified hint, not under the fallback   auto, kernel  its size                         the association
//	an unverified hint, in a handshake        auto, kernel  the largest of its size, the     the association
//	                                                        fallback, confirmed
//	six reports of losses over the next size  auto          the next size of the ladder      the association
//	SetMTU                                    all           its value, the ceiling as well   until the next SetMTU
//
// Silence is not size: a peer that computes for a second, or loses a few datagrams, is
// silent as well. So a rung ends with the handshake, unless the peer has shown that it
// missed the larger datagrams: by repeating its own flight, which a peer that has all of
// ours does not do, and by answering the smaller ones at once. All else is evidence,
// and stays until SetMTU. A size that is confirmed, by an ACK or an answer, is not
// lowered by silence.
//
// A ClientHello that fits the fallback is an exception. Many servers cannot join the
// fragments of one, hardly any path carries less than 548 bytes, and many paths lose
// a few hellos in a row. After four tries it goes out cut and whole by turns, which
// shows nothing of larger datagrams.
type pathMTU struct {
	mode      MTUMode
	v6        bool // fallback is 1232: IPv6 links carry 1280
	settled   bool // the handshake is complete: base is the limit, rung is that of flights
	base      uint8
	rung      uint8 // of the flight at hand
	byTurns   bool  // a hello alternates between the floor and base
	unproven  bool  // the rung comes from an ACK in epoch 0
	repeated  bool  // the peer has repeated its flight since ours began
	prompt    bool  // the first transmission at this rung was answered within one timer
	heard     bool  // an answer to the flight has begun
	source    MTUSource
	full      int   // size of the first rung: config, SetMTU or a hint
	ceiling   int   // SetMTU or Config.MaxMTU, 0: none
	confirmed int   // largest size known to have arrived, 0: none
	silent    uint8 // unanswered transmissions at this rung
	lost      uint8 // ReportLost since something above the next rung was delivered
	notice    int   // MTUManual: size in an ICMP message about data, until a Write has failed with it; 0: none
	at        time.Time
}

// The rungs.
const (
	rungFull uint8 = iota
	rungBase
	rungFallback
	rungFloor
)

var rungSizes = [...]int{rungFull: maxUDPPayload, rungBase: defaultMTU, rungFallback: fallbackMTU4, rungFloor: minMTU}

func newPathMTU(p *params, now time.Time) pathMTU {
	return pathMTU{mode: p.mtuMode, full: p.mtu, ceiling: p.maxMTU, at: now}
}

// setIPv6 sets whether the address of the peer is one of IPv6.
func (m *pathMTU) setIPv6(is bool) { m.v6 = is }

// announce notes the size in a notice about data (MTUManual).
func (m *pathMTU) announce(n int) { m.notice = n }

// takeNotice returns that size, once.
func (m *pathMTU) takeNotice() (n int) {
	n, m.notice = m.notice, 0
	return n
}

// limit is the largest datagram of data, and in a handshake of the flight.
func (m *pathMTU) limit() int {
	if m.settled {
		return m.limitAt(m.base)
	}
	return m.limitAt(m.rung)
}

// flightLimit is the largest datagram of the flight at hand.
func (m *pathMTU) flightLimit() int { return m.limitAt(m.rung) }

func (m *pathMTU) limitAt(rung uint8) int {
	n := m.full
	if m.mode == MTUAuto {
		n = min(n, m.size(rung))
	}
	if m.ceiling > 0 {
		n = min(n, m.ceiling)
	}
	return n
}

// size is that of a rung. RFC 8200, Section 5: IPv6 links carry 1280 bytes.
func (m *pathMTU) size(rung uint8) int {
	if m.v6 {
		rung = min(rung, rungBase)
	}
	return rungSizes[rung]
}

func (m *pathMTU) fallback() int { return m.size(rungFallback) }

func (m *pathMTU) info(linkOverhead int) PathInfo {
	p := PathInfo{MTU: m.limit(), Source: m.source, At: m.at, Confirmed: m.confirmed}
	if !m.settled && m.rung > m.base {
		p.Source = FromSilence
	}
	if linkOverhead > 0 {
		p.LinkMTU = p.MTU + linkOverhead
	}
	return p
}

// set is SetMTU, which replaces all that was measured.
func (m *pathMTU) set(n int, start int, now time.Time) {
	if n == 0 {
		m.ceiling, m.full = 0, start
	} else {
		m.ceiling, m.full = n, n
	}
	m.base, m.rung, m.confirmed, m.notice = rungFull, rungFull, 0, 0
	m.newFlight()
	m.source, m.at = FromConfig, now
}

// refused lowers the limit after the transport refused a datagram of size bytes;
// hint is the size that it takes, 0 if unknown. In MTUManual the caller decides. It
// reports whether a smaller limit is in force.
func (m *pathMTU) refused(size, hint int, now time.Time) bool {
	if m.mode == MTUManual {
		return false
	}
	next := hint
	if next <= 0 || next >= size {
		next = m.nextBelow(size)
	}
	if next < minMTU {
		return false
	}
	m.lower(next, FromKernel, now)
	return true
}

// nextBelow is the next smaller size worth trying, 0 below the floor.
func (m *pathMTU) nextBelow(size int) int {
	for _, n := range rungSizes[rungBase:] {
		if n < size {
			return n
		}
	}
	return 0
}

func (m *pathMTU) lower(n int, source MTUSource, now time.Time) {
	m.full = n
	m.silent = 0
	m.source, m.at = source, now
	if m.confirmed > n {
		m.confirmed = n
	}
}

// hint takes a report that the path carries n bytes. A verified hint quoted bytes of
// ours. An unverified one, as from a kernel's cache, never lowers the limit below the
// fallback or a confirmed size. It reports whether the limit fell.
func (m *pathMTU) hint(n int, verified bool, now time.Time) bool {
	if m.mode == MTUManual || n >= m.limit() {
		return false
	}
	if verified {
		if !m.credible(n) {
			return false
		}
		m.lower(n, FromICMP, now)
		return true
	}
	if n = max(n, m.fallback(), m.confirmed); n >= m.limit() {
		return false
	}
	m.lower(n, FromKernel, now)
	return true
}

// credible reports whether a verified hint of n bytes lowers the limit. RFC 9147,
// Section 4.4: values below the minimum of the protocol are ignored. A path that
// lost a whole flight sends an ICMP message for each of its datagrams, of which the
// first lowers the limit and the others no longer do.
func (m *pathMTU) credible(n int) bool { return n >= m.fallback() && n < m.limit() }

// deliveredSize confirms that a datagram of n bytes arrived. For a confirmed size
// silence means loss, never a small path.
func (m *pathMTU) deliveredSize(n int) {
	m.silent = 0
	if n > m.confirmed && n <= m.limit() {
		m.confirmed = n
	}
	if n > m.nextBelow(m.limit()) {
		m.lost = 0
	}
}

// ---- silence ------------------------------------------------------------------

// newFlight begins a flight: in a handshake with the size of the one before, unless that
// was a hello or lowered by an ACK in epoch 0.
func (m *pathMTU) newFlight() {
	if m.byTurns || m.unproven || m.settled {
		m.rung = m.base
	}
	m.silent = 0
	m.byTurns, m.unproven, m.repeated, m.prompt, m.heard = false, false, false, false, false
}

// settle ends the handshake.
func (m *pathMTU) settle() { m.settled = true }

// peerRepeated: the peer has repeated its flight, so it misses part of ours.
func (m *pathMTU) peerRepeated() { m.repeated = true }

// answerBegins takes the first bytes of an answer to the flight; inTime: they came within
// one timer of the last transmission, and that is measured.
func (m *pathMTU) answerBegins(inTime bool) {
	if !m.heard {
		m.heard, m.prompt = true, inTime && m.silent == 0
	}
}

// answered ends a flight, whose largest datagram in the last transmission had size
// bytes. It reports whether the limit that stays fell.
func (m *pathMTU) answered(size int, now time.Time) (fell bool) {
	switch {
	case m.byTurns: // the answer may be to the whole hello or to the cut one
	case m.rung == m.base:
		m.deliveredSize(size)
	case m.repeated && m.prompt:
		return m.keepRung(size, now)
	}
	return false
}

// keepRung has the rung of the flight stay.
func (m *pathMTU) keepRung(size int, now time.Time) (fell bool) {
	fell = m.limitAt(m.rung) < m.limitAt(m.base)
	m.base, m.source, m.at = m.rung, FromSilence, now
	m.deliveredSize(size)
	return fell
}

// below is the next rung for a flight whose largest datagram has size bytes: one that
// changes it. ok is false if there is none.
func (m *pathMTU) below(size int) (rung uint8, ok bool) {
	if m.mode != MTUAuto || size <= m.confirmed {
		return 0, false
	}
	for rung = m.rung + 1; rung <= rungFloor; rung++ {
		if m.limitAt(rung) < min(size, m.limitAt(m.rung)) {
			return rung, true
		}
	}
	return 0, false
}

// silence counts an unanswered transmission, whose largest datagram had size bytes
// (RFC 9147, Section 4.4: two or three tries). timer is how long it waited, measured
// whether that comes from a round trip. It reports whether the rung of the flight fell,
// and whether it falls after the next one that is not answered.
func (m *pathMTU) silence(size int, hello bool, timer time.Duration, measured bool, now time.Time) (fell, last bool) {
	rung, ok := m.below(size)
	if !ok {
		return false, false
	}
	tries := m.tries(rung, hello, timer, measured)
	if m.silent++; m.silent < tries {
		return false, m.silent == tries-1
	}
	m.rung, m.silent, m.heard = rung, 0, false
	m.at = now
	return true, false
}

// fallbackTries is how many transmissions the fallback gets.
const fallbackTries = 2

// tries is how many transmissions the present rung gets before the next, rung. A hello,
// which is cut for the fallback if it does not fit one datagram, gets three. Others: three
// where the timer came from a measured round trip (they cost little), else two, or
// three if the timer is short. A peer that repeats nothing may have all of the flight,
// and gets two more.
func (m *pathMTU) tries(rung uint8, hello bool, timer time.Duration, measured bool) (n uint8) {
	n = 2
	switch {
	case hello:
		return 3
	case m.rung >= rungFallback:
		n = fallbackTries
	case measured || timer <= 400*time.Millisecond:
		n = 3
	}
	if m.rung < rungFallback && rung == rungFloor {
		n += fallbackTries // the rung between changes nothing, so its tries count here
	}
	if !m.repeated {
		n += 2
	}
	return n
}

// helloTries is how many transmissions a hello that fits the fallback gets before it
// is cut.
const helloTries = 4

// silentHello is silence for such a hello, of size bytes. It reports whether the size
// changed, and whether the hello is cut now for the first time.
func (m *pathMTU) silentHello(size int, now time.Time) (changed, first bool) {
	if m.mode != MTUAuto || m.v6 || size <= minMTU || size <= m.confirmed {
		return false, false
	}
	if m.silent++; m.silent < helloTries {
		return false, false
	}
	m.silent, m.at = helloTries, now
	if m.rung > m.base {
		m.rung = m.base
		return true, false
	}
	first = !m.byTurns
	m.byTurns, m.rung = true, rungFloor
	return true, first
}

// fallBack takes a sign that the datagrams of the flight that are larger than a rung are
// missing; proven: an authentic one, whose rung stays. It reports whether one fell.
func (m *pathMTU) fallBack(rung uint8, proven bool, now time.Time) bool {
	n := m.size(rung)
	if m.mode != MTUAuto || m.confirmed > m.size(min(rung, rungFallback)) || m.limitAt(m.base) <= n || m.flightLimit() <= n && !proven {
		return false
	}
	if m.rung < rung {
		m.rung, m.silent, m.heard = rung, 0, true // an answer may be to the large ones
		m.unproven = !proven
	}
	m.at = now
	if proven {
		m.base, m.source = rung, FromSilence
	}
	return true
}

// blackHoleLosses is how many reports of losses make the path a black hole: of datagrams
// that are larger than the next size of the ladder, with none such delivered in between.
const blackHoleLosses = 6

// reportedLost is ReportLost. It reports whether the limit fell.
func (m *pathMTU) reportedLost(n int, now time.Time) bool {
	next := m.nextBelow(m.limit())
	if m.mode != MTUAuto || n <= next || next < m.size(rungFloor) {
		return false
	}
	if m.lost++; m.lost < blackHoleLosses {
		return false
	}
	m.lost, m.confirmed = 0, 0
	m.lower(next, FromSilence, now)
	return true
}
