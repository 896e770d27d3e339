package door

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/antechamber"
	"github.com/flightpath-dtls/flightpath/internal/cookie"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Mode chooses when a ClientHello has to bring a cookie.
type Mode uint8

// Modes.
const (
	Always        Mode = iota
	UnderLoad          // more than a quarter of MaxHandshakes under way, or many hellos
	Never              // unless Amplification does not allow a ServerHello
	AddressProven      // addresses are proven otherwise: neither cookies nor that limit
)

// Amplification is how many times the bytes received from an unproven address may be
// sent to it (RFC 9147, Section 5.1).
const Amplification = 3

// Config has the settings of a Door.
type Config struct {
	*handshake.Config
	Mode          Mode
	CookieKeys    [][]byte // none: a random one
	MaxHandshakes int
}

// Door performs the cookie exchange of a server, see dtls.Door.
type Door struct {
	p    *handshake.Config
	mode Mode
	ReplyWriter
	load  load
	room  *antechamber.Room // nil until the first hello that needs it
	stats Stats
}

// New returns a Door.
func New(c Config, now time.Time) (*Door, error) {
	jar, err := cookie.NewJar(now, c.CookieKeys...)
	if err != nil {
		return nil, err
	}
	return &Door{p: c.Config, mode: c.Mode, ReplyWriter: ReplyWriter{jar, newDoor13()}, load: load{limit: c.MaxHandshakes / 4}}, nil
}

// ReplyWriter writes HelloVerifyRequests, HelloRetryRequests and alerts.
type ReplyWriter struct {
	jar *cookie.Jar
	v13 door13
}

// Clone returns a ReplyWriter for another goroutine; the cookies of both are good
// at either.
func (w *ReplyWriter) Clone() *ReplyWriter { return &ReplyWriter{w.jar.Clone(), newDoor13()} }

// Stats counts ClientHellos and datagrams.
type Stats struct {
	Asked   uint64 // cookies sent
	Proven  uint64 // hellos let in
	Refused uint64 // cookies that were wrong or too old: DTLS 1.2 asks anew, 1.3 answers with an alert
	Held    uint64 // datagrams with a part of a hello that waits for the rest
	Dropped uint64 // datagrams that do not begin with a hello

	Rejected  uint64 // hellos answered with an alert: of no version spoken here, or illegal
	Malformed uint64 // hellos that could not be parsed, which are not answered
}

// Hello is a ClientHello that a Door has admitted.
type Hello struct {
	From netip.AddrPort
	// Datagram is all that has come of the hello, the owner's: a copy of the one
	// datagram that it is in, or what was in several as records of one.
	Datagram []byte

	RecordSeq uint64        // record number to go on from
	RTT       time.Duration // from the cookie to its return
	RTTKnown  bool
	Proven    bool // the address is; false where no cookie was asked for
	Whole     bool // it came in one datagram
	Local     netip.AddrPort
	Cookie    []byte            // that proved it, nil if none was asked
	Chosen    *handshake.Choice // before the cookie by GetConfigForClient, if that was no HelloRetryRequest
	Retry     *handshake.Retry  // what was asked for with it, nil: by a HelloVerifyRequest
}

// Stats returns the counters.
func (d *Door) Stats() Stats { return d.stats }

// Handle takes a datagram that belongs to no association: from is its source address,
// to its destination, if known. A reply is appended to dst; hello is not nil if it is
// admitted; q is a hello for which GetConfigForClient has to be called first: the
// answer to it is of up to MaxReply bytes, and counted by Answered.
func (d *Door) Handle(now time.Time, datagram []byte, from, to netip.AddrPort, dst []byte) (reply []byte, hello *Hello, q *Question) {
	rest := FragmentsOf(datagram)
	first, ok := rest.Next()
	// A server goes on from the number of the hello's record, and must have
	// numbers left. No client gets as far as half of them.
	if !ok || first.Record.Seq > record.MaxSeq/2 {
		d.stats.Dropped++
		return nil, nil, nil
	}
	var alone judgement
	if first.FragmentOffset == 0 {
		alone = d.decide(now, from, first.Body, first.whole())
	}
	switch {
	case alone.verdict == askCookie, alone.verdict == refuseHello: // nothing need be kept
		d.asked(now, &alone)
		return d.appendAnswer(dst, now, from, first, &alone), nil, nil
	case alone.verdict == askConfig:
		d.count(now, &alone)
		return nil, nil, newQuestion(now, from, to, first, first.Body)
	case !first.whole() && first.waits(from):
		return d.gather(now, from, to, first, &rest, len(datagram), dst)
	case alone.verdict == letIn:
		return nil, d.admit(now, &alone, &Hello{
			From: from, Datagram: bytes.Clone(datagram), Local: to, RecordSeq: first.Record.Seq, Whole: first.whole(),
		}), nil
	case alone.verdict == isNoHello:
		d.stats.Malformed++
		return nil, nil, nil
	}
	d.stats.Dropped++
	return nil, nil, nil
}

type verdict uint8

const (
	awaitMore verdict = iota // the bytes that are here say too little
	isNoHello                // and never will
	askCookie
	askConfig   // GetConfigForClient, and then for a cookie
	refuseHello // with an alert
	letIn
)

// judgement is what a Door makes of a hello.
type judgement struct {
	verdict
	hello  message.HelloPrefix
	proven bool          // its address is
	byWord bool          // by a cookie
	rtt    time.Duration // since the cookie was made
	known  bool          // rtt is
	alert  alert.Alert   // that refuses it

	chosen      *handshake.Choice // by GetConfigForClient before the cookie, if that was no HelloRetryRequest
	retry       retryAnswer       // DTLS 1.3: what is asked for, or was; without a suite it is not spoken
	retryCookie []byte            // that came
}

// decide judges a hello by its body, as far as it is here without a gap from the
// start; whole says that this is all of it. It changes nothing.
func (d *Door) decide(now time.Time, from netip.AddrPort, body []byte, whole bool) (j judgement) {
	hello, ok := message.PeekClientHello(body)
	switch {
	case !ok && whole:
		j.verdict = isNoHello
		return j
	case !ok:
		return j
	}
	j.hello = hello
	has13 := d.p.Offers(message.Version13) || d.p.ForClient != nil
	if has13 && !whole {
		// The version is in supported_versions: wait for the whole ClientHello
		// unless a valid cookie came. That of a HelloVerifyRequest without chosen12 was
		// for a hello that offers no DTLS 1.3; of one that does, the handshake refuses it.
		if len(hello.Cookie) > 0 && !d.p.Offers(message.Version13) && d.checkPlain(now, from, &j) {
			return j
		}
		return d.decideBeginning13(now, from, body, j)
	}
	spoken := d.p.Offers(message.Version12) || d.p.ForClient != nil
	if whole {
		s, ok := message.ScanClientHello(body)
		switch {
		case has13 && !ok:
			j.verdict = isNoHello
			return j
		case has13 && s.Offers(message.Version13):
			return d.decide13(now, from, body, &s, j)
		case s.SupportedVersions != nil:
			// RFC 8446, Section 4.2.1: "servers [...] MUST use only the
			// "supported_versions" extension". Clients of DTLS 1.3 alone need not
			// know a HelloVerifyRequest.
			spoken = spoken && s.Offers(message.Version12)
		}
	}
	if !spoken {
		return j.refuse(alert.ProtocolVersion)
	}
	if len(hello.Cookie) > 0 {
		d.checkPlain(now, from, &j)
	}
	j.proven = j.byWord || d.mode == AddressProven
	j.verdict = letIn
	if !j.proven && d.wantsCookie(now) {
		j.verdict = askCookie // a wrong one: "as if no cookie was included", as the RFC recommends
	}
	return j
}

// checkPlain fills in what the cookie of a HelloVerifyRequest says. RFC 6347, Section
// 4.2.1: the server checks version, random, suites and compression along with the
// address, and recommends the session ID too, which is left out here (Covered12).
func (d *Door) checkPlain(now time.Time, from netip.AddrPort, j *judgement) bool {
	covered := j.hello.Covered12()
	if j.rtt, j.known, j.byWord = d.jar.Check(now, j.hello.Cookie, from, covered[:]...); j.byWord {
		j.proven, j.verdict = true, letIn
	}
	return j.byWord
}

// wantsCookie reports whether a hello whose address is not proven has to bring a
// cookie.
func (d *Door) wantsCookie(now time.Time) bool {
	switch d.mode {
	case Never, AddressProven:
		return false
	case UnderLoad:
		return d.load.high(now)
	default:
		return true
	}
}

// asked notes an answer.
func (d *Door) asked(now time.Time, j *judgement) {
	d.count(now, j)
	d.Answered(j.verdict == refuseHello)
}

// Answered counts an answer: an alert if refused is set, else a cookie.
func (d *Door) Answered(refused bool) {
	if refused {
		d.stats.Rejected++
		return
	}
	d.stats.Asked++
}

// admit fills in what the judgement knows of a hello.
func (d *Door) admit(now time.Time, j *judgement, hello *Hello) *Hello {
	d.count(now, j)
	d.stats.Proven++
	hello.RTT, hello.RTTKnown, hello.Proven, hello.Chosen = j.rtt, j.known, j.proven, j.chosen
	switch {
	case j.byWord && j.retryCookie != nil:
		hello.Cookie, hello.Retry = bytes.Clone(j.retryCookie), j.retry.retried(j.retryCookie)
	case j.byWord:
		hello.Cookie = bytes.Clone(j.hello.Cookie)
	}
	return hello
}

// count notes a hello that proved nothing.
func (d *Door) count(now time.Time, j *judgement) {
	if j.byWord {
		return
	}
	d.load.hello(now)
	if len(j.hello.Cookie) > 0 || j.retryCookie != nil {
		d.stats.Refused++
	}
}

// helloVerifyLen is the size of the body: version, cookie length, cookie.
const helloVerifyLen = 2 + 1 + cookie.Len

// appendAnswer writes what answers the hello that p completed.
func (w *ReplyWriter) appendAnswer(dst []byte, now time.Time, from netip.AddrPort, p Fragment, j *judgement) []byte {
	switch {
	case j.verdict == refuseHello:
		return appendRefusal(dst, p.Record, j.alert)
	case j.retry.Suite != nil:
		return w.appendRetry(dst, now, p, from, &j.retry)
	}
	return w.appendVerifyRequest(dst, now, from, p, &j.hello)
}

// appendVerifyRequest writes a HelloVerifyRequest. RFC 6347, Section 4.2.1: its
// version is DTLS 1.0 whatever comes later, and its record repeats the number of
// the hello's record, so that no number is used twice.
func (w *ReplyWriter) appendVerifyRequest(
	dst []byte, now time.Time, from netip.AddrPort, p Fragment, hello *message.HelloPrefix, more ...[]byte,
) []byte {
	dst = record.AppendHeader(dst, record.Header{
		Type: record.TypeHandshake, Version: message.Version10, Number: record.Number{Seq: p.Record.Seq},
		Length: message.HeaderLen + helloVerifyLen,
	})
	dst = message.Header{Type: message.TypeHelloVerifyRequest, Length: helloVerifyLen, FragmentLength: helloVerifyLen}.Append(dst)
	dst = append(dst, byte(message.Version10>>8), byte(message.Version10&0xff), cookie.Len)
	covered := hello.Covered12()
	w.v13.parts = append(append(w.v13.parts[:0], covered[:]...), more...)
	return w.jar.Mint(dst, now, from, w.v13.parts...)
}
