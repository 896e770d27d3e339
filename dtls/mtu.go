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
}

// pathMTU decides how large a datagram may be (RFC 9147, Section 4.4):
//
//	0 ─── 228 ──────── 548 ─────────── confirmed ───── limit ──── ceiling
//	      floor        fallback        acknowledged    in force   the caller's
//
// The limit follows a ladder of rungs: full size, then the fallback of the address
// family, then (IPv4) the floor. What lowers it:
//
//	event                                     modes         to
//	a refusal of the transport                auto, kernel  the size it takes, or the next of 1232, 548, 228
//	a verified hint, not under the fallback   auto, kernel  its size
//	an unverified hint, in a handshake        auto, kernel  the largest of its size, fallback, confirmed
//	a flight unanswered tries() times         auto          the next rung, if the flight was larger than that
//	an ACK without the large datagrams        auto          the fallback
//	six reports of losses above 1232 bytes    auto          1232
//	SetMTU                                    all           its value, the ceiling as well
//
// Each lasts as long as the association: only SetMTU raises the limit again, and
// forgets rung and confirmed. A size that is confirmed, by an ACK or an answer, is
// not lowered by silence.
//
// A ClientHello that fits the fallback is an exception. Many servers cannot join the
// fragments of one, hardly any path carries less than 548 bytes, and many paths lose
// a few hellos in a row. After four tries it goes out cut and whole by turns. As this
// shows nothing of larger datagrams, the flight after it is back at the rung before.
type pathMTU struct {
	mode      MTUMode
	v6        bool  // fallback is 1232: IPv6 links carry 1280
	rung      uint8 // rungFull, rungFallback, rungFloor
	byTurns   bool  // a hello alternates between the floor and the rung before
	before    uint8
	source    MTUSource
	full      int // size of the first rung: config, SetMTU or a hint
	ceiling   int // SetMTU or Config.MaxMTU, 0: none
	confirmed int // largest size known to have arrived, 0: none
	silent    int // unanswered transmissions at this rung
	lost      int // ReportLost since something above base was delivered
	notice    int // MTUManual: size in an ICMP message about data, until a Write has failed with it; 0: none
	at        time.Time
}

const (
	rungFull uint8 = iota
	rungFallback
	rungFloor
)

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

// limit is the largest datagram to send now.
func (m *pathMTU) limit() int { return m.limitAt(m.rung) }

func (m *pathMTU) limitAt(rung uint8) int {
	n := m.full
	if m.mode == MTUAuto {
		switch rung {
		case rungFallback:
			n = min(n, m.fallback())
		case rungFloor:
			n = min(n, minMTU)
		}
	}
	if m.ceiling > 0 {
		n = min(n, m.ceiling)
	}
	return n
}

func (m *pathMTU) fallback() int {
	if m.v6 {
		return defaultMTU
	}
	return fallbackMTU4
}

func (m *pathMTU) info(linkOverhead int) PathInfo {
	p := PathInfo{MTU: m.limit(), Source: m.source, At: m.at}
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
	m.rung, m.silent, m.confirmed, m.notice = rungFull, 0, 0, 0
	m.byTurns = false
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
	for _, n := range [...]int{defaultMTU, fallbackMTU4, minMTU} {
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
	if n > m.fallback() {
		m.lost = 0
	}
}

// silence counts an unanswered transmission, whose largest datagram had size bytes
// (RFC 9147, Section 4.4: two or three tries). timer is how long it waited, measured
// whether that comes from a round trip. It reports whether the limit fell. Silence
// about a size that is confirmed, or that fits the next rung too, means loss.
func (m *pathMTU) silence(size int, timer time.Duration, measured bool, now time.Time) bool {
	if m.mode != MTUAuto || m.rung == rungFloor || size <= m.confirmed {
		return false
	}
	next, rung, tries := m.fallback(), rungFallback, m.tries(timer, measured)
	switch {
	case m.rung == rungFallback:
		next, rung = minMTU, rungFloor
	case size <= next:
		// The fallback changes nothing, so its tries count here.
		next, rung, tries = minMTU, rungFloor, tries+fallbackTries
	}
	if rung == rungFloor && (m.v6 || size <= next) {
		return false
	}
	if m.silent++; m.silent < tries {
		return false
	}
	m.rung, m.silent = rung, 0
	m.source, m.at = FromSilence, now
	return true
}

// helloTries is how many transmissions a hello that fits the fallback gets before it
// is cut.
const helloTries = 4

// silentHello is silence for such a hello, of size bytes. It reports whether the
// limit changed, and whether the hello is cut now for the first time.
func (m *pathMTU) silentHello(size int, now time.Time) (changed, first bool) {
	if m.mode != MTUAuto || m.v6 || size <= minMTU || size <= m.confirmed {
		return false, false
	}
	if m.silent++; m.silent < helloTries {
		return false, false
	}
	switch {
	case m.byTurns && m.rung == rungFloor:
		m.rung = m.before
	case m.byTurns:
		m.rung = rungFloor
	default:
		first, m.byTurns, m.before, m.rung = true, true, m.rung, rungFloor
	}
	m.source, m.at = FromSilence, now
	return true, first
}

// answered confirms size, the largest datagram of a flight that was answered.
func (m *pathMTU) answered(size int) {
	if m.byTurns {
		return // the answer may be to the whole hello or to the cut one
	}
	m.deliveredSize(size)
}

// follow begins a flight; hello: it is a ClientHello. It reports whether the limit
// changed.
func (m *pathMTU) follow(hello bool, now time.Time) (changed bool) {
	if !m.byTurns || hello {
		return false
	}
	changed = m.rung != m.before
	m.byTurns, m.silent, m.rung, m.at = false, 0, m.before, now
	return changed
}

// lostLarge takes an ACK of small datagrams without the large ones. It reports
// whether the limit fell.
func (m *pathMTU) lostLarge(now time.Time) bool {
	if m.mode != MTUAuto || m.rung != rungFull || m.limit() <= m.fallback() || m.confirmed > m.fallback() {
		return false
	}
	m.rung, m.silent = rungFallback, 0
	m.source, m.at = FromSilence, now
	return true
}

// fallbackTries is how many transmissions the fallback gets.
const fallbackTries = 2

// tries is how many transmissions a rung gets: two where the timer came from a
// measured round trip (they cost little), else one, or two if the timer is
// short.
func (m *pathMTU) tries(timer time.Duration, measured bool) int {
	if m.rung == rungFallback {
		return fallbackTries
	}
	if measured || timer <= 400*time.Millisecond {
		return 2
	}
	return 1
}

// blackHoleLosses is how many reports of losses above the base size, with none
// delivered in between, make the path a black hole.
const blackHoleLosses = 6

// reportedLost is ReportLost. It reports whether the limit fell.
func (m *pathMTU) reportedLost(n int, now time.Time) bool {
	if m.mode != MTUAuto || n <= defaultMTU || m.limit() <= defaultMTU {
		return false
	}
	if m.lost++; m.lost < blackHoleLosses {
		return false
	}
	m.lost, m.confirmed = 0, 0
	m.lower(defaultMTU, FromSilence, now)
	return true
}
