package door

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/cookie"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/record"
)

// The door in DTLS 1.3. A hello without a cookie is answered with a HelloRetryRequest
// whose cookie has all that the handshake needs of it (RFC 9147, Section 5.1):
//
//	| suite, 2 | group asked for, 2 | fixed, 16 | Hash(ClientHello1), 32 or 48 bytes | cookie of internal/cookie |
//
// The last part is bound to the address, to the parts before it, and to the fields
// before the extensions. So a hello in several datagrams proves its address with
// the first of them that has the cookie: it is let in, and the engine takes the
// rest as it comes, however long that takes. "fixed" is the hash of everything that
// the second hello has to repeat (RFC 8446, Section 4.1.2). It is compared when all
// of the hello is here.

// The parts of a cookie, in bytes.
const (
	retryFixedAt = 2 + 2
	retryHeadLen = retryFixedAt + handshake.FixedLen // what stands before the hash
)

// door13 is what a Door needs for DTLS 1.3; its buffers are there so that nothing
// is allocated for a hello without a cookie.
type door13 struct {
	sha256, sha384 hash.Hash
	sum            [sha512.Size384]byte
	parts          [][]byte // that a cookie covers
	cookie         [retryHeadLen + sha512.Size384 + cookie.Len]byte
	header         [message.Header13Len]byte
}

func newDoor13() door13 { return door13{sha256: sha256.New(), sha384: sha512.New384()} }

// retryAnswer is what a HelloRetryRequest says.
type retryAnswer struct {
	handshake.Choice        // group is the one to ask for, 0: the hello has a share that will do
	fixed            []byte // hash of what the second hello must repeat
	body             []byte // of the hello it answers
	scan             message.HelloScan
}

// cookieLen is the size of a cookie in bytes.
func (a *retryAnswer) cookieLen() int { return retryHeadLen + a.Suite.Hash.Size() + cookie.Len }

// request is the HelloRetryRequest with that cookie.
func (a *retryAnswer) request(c []byte) message.HelloRetryRequest {
	return message.HelloRetryRequest{CipherSuite: a.Suite.ID, SelectedGroup: uint16(a.Group), Cookie: c}
}

// decide13 judges a whole hello that offers DTLS 1.3.
func (d *Door) decide13(now time.Time, from netip.AddrPort, body []byte, s *message.HelloScan, j judgement) judgement {
	switch {
	case len(s.Cookie) > 0:
		return d.check12(now, from, j)
	case len(s.RetryCookie) > 0 && d.mode != AddressProven:
		return d.checkRetry(now, from, s, j)
	case d.mode == AddressProven:
		j.proven, j.verdict = true, letIn
		return j
	}
	c, why := d.p.Choose(s, nil)
	if why != handshake.Accepted && d.p.ForClient == nil {
		return j.refuse(why.Alert())
	}
	size := serverHelloLen(&c)
	j.verdict = letIn
	if d.wantsCookie(now) || Amplification*(len(body)+record.HeaderLen+message.HeaderLen) < size {
		// RFC 9147, Section 5.1: what may be sent to an unproven address would not
		// carry the ServerHello; so it is proven first, in every Mode.
		j.verdict = askConfig
		if d.p.ForClient == nil {
			j.verdict, j.retry = askCookie, retryAnswer{Choice: asked(c), body: body, scan: *s}
		}
	}
	return j
}

// serverHelloLen is about how much the ServerHello with that choice will take.
func serverHelloLen(c *handshake.Choice) int {
	const rest = record.HeaderLen + message.HeaderLen + 128
	_, share := kex.ShareLen(c.Group)
	return rest + share
}

// checkRetry judges a hello with a cookie. RFC 9147, Section 5.1: "If a server
// receives a ClientHello with an invalid cookie, it MUST terminate the handshake
// with an "illegal_parameter" alert. This allows the client to restart the
// connection from scratch without a cookie."
func (d *Door) checkRetry(now time.Time, from netip.AddrPort, s *message.HelloScan, j judgement) judgement {
	j.retryCookie = s.RetryCookie
	if !d.checkCookie(now, from, &j) || !bytes.Equal(handshake.AppendFixed(d.v13.sum[:0], d.v13.sha256, s), j.retry.fixed) {
		return j.refuse(alert.IllegalParameter)
	}
	return j
}

// Recall returns what a HelloRetryRequest asked for whose cookie a ClientHello brings
// back; nil if the cookie is not of this Door's keys, or for another address.
func (d *Door) Recall(now time.Time, from netip.AddrPort, s *message.HelloScan) *handshake.Retry {
	if j := d.checkRetry(now, from, s, judgement{hello: s.HelloPrefix}); j.byWord {
		return j.retry.retried(j.retryCookie)
	}
	return nil
}

// decideBeginning13 judges a hello of which the rest is still to come: a cookie in
// the part that is here lets it in.
func (d *Door) decideBeginning13(now time.Time, from netip.AddrPort, body []byte, j judgement) judgement {
	_, c, ok := message.ScanRetryCookie(body)
	if !ok || len(j.hello.Cookie) > 0 || d.mode == AddressProven {
		return j
	}
	held := j
	if j.retryCookie = c; d.checkCookie(now, from, &j) {
		return j
	}
	return held // all of it gets the alert
}

// checkCookie fills in what the cookie says, if it is one of ours for this address
// and for the fields before the extensions.
func (d *Door) checkCookie(now time.Time, from netip.AddrPort, j *judgement) bool {
	c := j.retryCookie
	if len(c) < retryHeadLen {
		return false
	}
	a := retryAnswer{Choice: handshake.Choice{
		Version: message.Version13, Suite: suite.Lookup(binary.BigEndian.Uint16(c)), Group: kex.Group(binary.BigEndian.Uint16(c[2:])),
	}}
	if a.Suite == nil || !a.Suite.Is13() || len(c) != a.cookieLen() {
		return false
	}
	a.fixed = c[retryFixedAt:retryHeadLen]
	head := c[:len(c)-cookie.Len]
	if j.rtt, j.known, j.byWord = d.jar.Check(now, c[len(head):], from, d.covered(head, &j.hello)...); !j.byWord {
		return false
	}
	j.proven, j.verdict, j.retry = true, letIn, a
	return true
}

// covered is what a cookie is bound to besides the address.
func (w *ReplyWriter) covered(head []byte, p *message.HelloPrefix) [][]byte {
	w.v13.parts = append(w.v13.parts[:0], head, p.Covered[0], p.Covered[1])
	return w.v13.parts
}

// helloHash is the hash of a hello as the transcript has it (RFC 9147, Section
// 5.2: type and length, without the fields that are about fragments).
func (w *ReplyWriter) helloHash(s *suite.Suite, body []byte) []byte {
	h := w.v13.sha256
	if s.Hash.Size() == sha512.Size384 {
		h = w.v13.sha384
	}
	h.Reset()
	h.Write(message.AppendHeader13(w.v13.header[:0], message.TypeClientHello, len(body)))
	h.Write(body)
	return h.Sum(w.v13.sum[:0])
}

// appendRetry writes a HelloRetryRequest that answers a hello. Its record repeats
// the number of the hello's, and its message_seq that of the hello, so that none
// is used twice; the engine goes on behind them.
func (w *ReplyWriter) appendRetry(dst []byte, now time.Time, p Fragment, from netip.AddrPort, a *retryAnswer) []byte {
	c := binary.BigEndian.AppendUint16(w.v13.cookie[:0], a.Suite.ID)
	c = binary.BigEndian.AppendUint16(c, uint16(a.Group))
	c = handshake.AppendFixed(c, w.v13.sha256, &a.scan)
	c = append(c, w.helloHash(a.Suite, a.body)...)
	c = w.jar.Mint(c, now, from, w.covered(c, &a.scan.HelloPrefix)...)
	m := a.request(c)
	n := uint32(m.BodyLen())
	dst = record.AppendHeader(dst, record.Header{
		Type: record.TypeHandshake, Version: message.Version12, Number: record.Number{Seq: p.Record.Seq},
		Length: message.HeaderLen + int(n),
	})
	dst = message.Header{Type: message.TypeServerHello, Length: n, Seq: p.Seq, FragmentLength: n}.Append(dst)
	dst, _ = m.AppendBody(dst) // fails for longer cookies only
	return dst
}

// retried is what the engine has to know of the exchange: the HelloRetryRequest
// is made again out of the cookie (RFC 9147, Section 5.1).
func (a *retryAnswer) retried(c []byte) *handshake.Retry {
	m := a.request(c)
	n := m.BodyLen()
	raw := message.AppendHeader13(make([]byte, 0, message.Header13Len+n), message.TypeServerHello, n)
	raw, _ = m.AppendBody(raw) // fails for longer cookies only
	head := c[:len(c)-cookie.Len]
	return &handshake.Retry{
		Choice: a.Choice, Raw: raw,
		Fixed: bytes.Clone(head[retryFixedAt:retryHeadLen]), HelloHash: bytes.Clone(head[retryHeadLen:]),
	}
}

// refuse is the judgement of a hello that is answered with a fatal alert.
func (j judgement) refuse(a alert.Alert) judgement {
	j.verdict, j.alert = refuseHello, a
	return j
}

// appendRefusal writes a fatal alert under the number of the hello's record.
func appendRefusal(dst []byte, h record.Header, a alert.Alert) []byte {
	dst = record.AppendHeader(dst, record.Header{
		Type: record.TypeAlert, Version: message.Version12, Number: record.Number{Seq: h.Seq}, Length: alertLen,
	})
	return alert.Append(dst, alert.Fatal, a)
}

const alertLen = 2
