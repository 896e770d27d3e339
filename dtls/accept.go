package dtls

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

// Door performs the cookie exchange of a server, without I/O. The first hello of a
// client is answered with a cookie. Only the hello that brings the cookie back, and
// so proves that its sender receives at its address, is admitted (RFC 6347, Section
// 4.2.1; RFC 9147, Section 5.1), unless Config.CookieMode says otherwise. For a hello
// without a cookie nothing is allocated and no public-key operation is done. Such a
// hello gets one answer at most, and its address never more than three times the
// bytes that came from it.
//
// A Door keeps nothing of a hello, except for the fragments of hellos that came in
// several datagrams: those are held for a second, in a fixed pool of at most 1024
// hellos of 4 KiB. Its memory is allocated when it is first used.
//
// It is not safe for concurrent use.
type Door struct {
	p *params
	replyWriter
	load  load
	room  *antechamber.Room // nil until the first hello that needs it
	stats DoorStats
}

// replyWriter writes HelloVerifyRequests, HelloRetryRequests and alerts.
type replyWriter struct {
	jar *cookie.Jar
	v13 door13
}

// clone returns a replyWriter for another goroutine; the cookies of both are good
// at either.
func (w *replyWriter) clone() *replyWriter { return &replyWriter{w.jar.Clone(), newDoor13()} }

// DoorStats counts what a Door has done.
type DoorStats struct {
	Asked   uint64 // cookies sent
	Proven  uint64 // hellos let in
	Refused uint64 // cookies that were wrong or too old: DTLS 1.2 asks anew, 1.3 answers with an alert
	Held    uint64 // datagrams with a part of a hello that waits for the rest
	Dropped uint64 // datagrams that do not begin with a hello

	Rejected uint64 // hellos answered with an alert: of no version spoken here, or illegal
}

// ProvenHello is a hello that a Door let in. Hand it to NewServerEngine, and
// then Datagram to the engine's HandleDatagram.
type ProvenHello struct {
	From netip.AddrPort
	// Datagram is all that has come of the hello, the owner's: a copy of the one
	// datagram that it is in, or what was in several as records of one.
	Datagram []byte

	recordSeq uint64        // record number to go on from
	rtt       time.Duration // from the cookie to its return
	rttKnown  bool
	proven    bool // the address is; false where no cookie was asked for
	whole     bool // it came in one datagram
	local     netip.AddrPort
	cookie    []byte            // that proved it, nil if none was asked
	chosen    *handshake.Choice // before the cookie by GetConfigForClient, if that was no HelloRetryRequest
	retry     *handshake.Retry  // what was asked for with it, nil: by a HelloVerifyRequest
}

// NewDoor returns a door with a cookie secret of its own, or Config.CookieKeys.
func NewDoor(config *Config, now time.Time) (*Door, error) {
	p, err := resolve(config, false)
	if err != nil {
		return nil, err
	}
	return newDoor(p, now)
}

func newDoor(p *params, now time.Time) (*Door, error) {
	jar, err := cookie.NewJar(now, p.cookieKeys...)
	if err != nil {
		return nil, err
	}
	return &Door{p: p, replyWriter: replyWriter{jar, newDoor13()}, load: load{limit: p.maxHandshakes / 4}}, nil
}

// Stats returns the counters.
func (d *Door) Stats() DoorStats { return d.stats }

// SetLoad tells how many handshakes are under way, for CookieUnderLoad: over a
// quarter of Config.MaxHandshakes, cookies are asked for.
func (d *Door) SetLoad(handshakes int) { d.load.open = handshakes }

// Handle takes a datagram that belongs to no association: from is its source
// address, to its destination, if known. A reply, to be sent back, is appended to
// dst; hello is not nil if it is admitted. If there is neither, the datagram was
// dropped, or has a part of a hello that waits for the rest.
//
// Config.GetConfigForClient is called for a first hello that offers DTLS 1.3, whose
// address is not proven, before Handle returns. A Listener calls it on other
// goroutines than that which reads its socket.
func (d *Door) Handle(now time.Time, datagram []byte, from, to netip.AddrPort, dst []byte) (reply []byte, hello *ProvenHello) {
	reply, hello, q := d.handle(now, datagram, from, to, dst)
	if q != nil {
		p, err := q.call(&d.p.Config, handshake.HelloSource{Local: to, Remote: from})
		var refused bool
		reply, refused = d.appendChosen(dst, now, q, p, err)
		d.answered(refused)
	}
	return reply, hello
}

// handle is Handle without GetConfigForClient: if that has to be called, q is the
// hello. It was counted, but for the answer, and one of up to maxReply bytes is allowed.
func (d *Door) handle(now time.Time, datagram []byte, from, to netip.AddrPort, dst []byte) (reply []byte, hello *ProvenHello, q *question) {
	rest := helloPieces{datagram: datagram}
	first, ok := rest.next()
	// A server goes on from the number of the hello's record, and must have
	// numbers left. No client gets as far as half of them.
	if !ok || first.record.Seq > record.MaxSeq/2 {
		d.stats.Dropped++
		return nil, nil, nil
	}
	var alone judgement
	if first.FragmentOffset == 0 {
		alone = d.decide(now, from, first.body, first.whole())
	}
	switch {
	case alone.verdict == askCookie, alone.verdict == refuseHello: // nothing need be kept
		d.asked(now, &alone)
		return d.appendAnswer(dst, now, from, first, &alone), nil, nil
	case alone.verdict == askConfig:
		d.count(now, &alone)
		return nil, nil, newQuestion(now, from, to, first, first.body)
	case !first.whole() && first.waits(from):
		return d.gather(now, from, to, first, &rest, len(datagram), dst)
	case alone.verdict == letIn:
		return nil, d.admit(now, &alone, &ProvenHello{
			From: from, Datagram: bytes.Clone(datagram), local: to, recordSeq: first.record.Seq, whole: first.whole(),
		}), nil
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
	has13 := d.p.Offers(VersionDTLS13) || d.p.ForClient != nil
	if has13 && !whole {
		// The version is in supported_versions: wait for the whole ClientHello
		// unless a valid cookie came.
		return d.decideBeginning13(now, from, body, j)
	}
	spoken := d.p.Offers(VersionDTLS12) || d.p.ForClient != nil
	if whole {
		s, ok := message.ScanClientHello(body)
		switch {
		case has13 && !ok:
			j.verdict = isNoHello
			return j
		case has13 && s.Offers(VersionDTLS13):
			return d.decide13(now, from, body, &s, j)
		case s.SupportedVersions != nil:
			// RFC 8446, Section 4.2.1: "servers [...] MUST use only the
			// "supported_versions" extension". Clients of DTLS 1.3 alone need not
			// know a HelloVerifyRequest.
			spoken = spoken && s.Offers(VersionDTLS12)
		}
	}
	if !spoken {
		return j.refuse(alert.ProtocolVersion)
	}
	if len(hello.Cookie) > 0 {
		// RFC 6347, Section 4.2.1: the server checks version, random, session
		// id, suites and compression along with the address.
		j.rtt, j.known, j.byWord = d.jar.Check(now, hello.Cookie, from, hello.Covered[0], hello.Covered[1])
	}
	j.proven = j.byWord || d.p.cookieMode == AddressProven
	j.verdict = letIn
	if !j.proven && d.wantsCookie(now) {
		j.verdict = askCookie // a wrong one: "as if no cookie was included", as the RFC recommends
	}
	return j
}

// wantsCookie reports whether a hello whose address is not proven has to bring a
// cookie. Reasons beyond CookieMode have their place here.
func (d *Door) wantsCookie(now time.Time) bool {
	switch d.p.cookieMode {
	case CookieNever, AddressProven:
		return false
	case CookieUnderLoad:
		return d.load.high(now)
	default:
		return true
	}
}

// asked notes an answer.
func (d *Door) asked(now time.Time, j *judgement) {
	d.count(now, j)
	d.answered(j.verdict == refuseHello)
}

// answered notes that an answer was sent; refused says that it is an alert.
func (d *Door) answered(refused bool) {
	if refused {
		d.stats.Rejected++
		return
	}
	d.stats.Asked++
}

// admit fills in what the judgement knows of a hello.
func (d *Door) admit(now time.Time, j *judgement, hello *ProvenHello) *ProvenHello {
	d.count(now, j)
	d.stats.Proven++
	hello.rtt, hello.rttKnown, hello.proven, hello.chosen = j.rtt, j.known, j.proven, j.chosen
	switch {
	case j.byWord && j.retryCookie != nil:
		hello.cookie, hello.retry = bytes.Clone(j.retryCookie), j.retry.retried(j.retryCookie)
	case j.byWord:
		hello.cookie = bytes.Clone(j.hello.Cookie)
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
func (w *replyWriter) appendAnswer(dst []byte, now time.Time, from netip.AddrPort, p helloPiece, j *judgement) []byte {
	switch {
	case j.verdict == refuseHello:
		return appendRefusal(dst, p.record, j.alert)
	case j.retry.Suite != nil:
		return w.appendRetry(dst, now, p, from, &j.retry)
	}
	return w.appendVerifyRequest(dst, now, from, p, &j.hello)
}

// appendVerifyRequest writes a HelloVerifyRequest. RFC 6347, Section 4.2.1: its
// version is DTLS 1.0 whatever comes later, and its record repeats the number of
// the hello's record, so that no number is used twice.
func (w *replyWriter) appendVerifyRequest(
	dst []byte, now time.Time, from netip.AddrPort, p helloPiece, hello *message.HelloPrefix, more ...[]byte,
) []byte {
	dst = record.AppendHeader(dst, record.Header{
		Type: record.TypeHandshake, Version: message.Version10, Number: record.Number{Seq: p.record.Seq},
		Length: message.HeaderLen + helloVerifyLen,
	})
	dst = message.Header{Type: message.TypeHelloVerifyRequest, Length: helloVerifyLen, FragmentLength: helloVerifyLen}.Append(dst)
	dst = append(dst, byte(message.Version10>>8), byte(message.Version10&0xff), cookie.Len)
	w.v13.parts = append(append(w.v13.parts[:0], hello.Covered[0], hello.Covered[1]), more...)
	return w.jar.Mint(dst, now, from, w.v13.parts...)
}
