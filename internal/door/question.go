package door

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/cookie"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// GetConfigForClient at the door. The HelloRetryRequest fixes version, suite and
// group (RFC 8446, Section 4.1.4), so the Config has to be known before it is
// sent, to an address that nothing has proven yet. What was chosen is in the
// cookie, and the handshake asks for the Config again. A HelloVerifyRequest fixes
// the version alone: a hello without DTLS 1.3 gets one at once, and one with both
// gets one whose cookie is bound to that choice if the Config has DTLS 1.2 alone.

// Question is a first ClientHello that offers DTLS 1.3 and for which
// GetConfigForClient has to be called before it is answered.
type Question struct {
	At       time.Time
	From, To netip.AddrPort
	record   record.Header // of the hello
	header   message.Header
	body     []byte
}

func newQuestion(now time.Time, from, to netip.AddrPort, p Fragment, body []byte) *Question {
	return &Question{now, from, to, p.Record, p.Header, bytes.Clone(body)}
}

// Body is the ClientHello, without the header of its message.
func (q *Question) Body() []byte { return q.body }

// MaxReply is at least the size of any answer to a Question, in bytes.
const MaxReply = 256

// Call calls GetConfigForClient.
func (q *Question) Call(p *handshake.Config, from handshake.HelloSource) (*handshake.Config, error) {
	m, err := message.Parse(message.TypeClientHello, 0, q.body)
	if err != nil {
		return p, nil // the handshake reports what is wrong with it
	}
	other, err := p.ForClient(handshake.HelloInfo(m.(*message.ClientHello)), from)
	if other == nil {
		other = p
	}
	return other, err
}

// AppendChosen answers a question out of the params that GetConfigForClient has
// returned, or with an alert if it has failed. refused says that it is an alert.
func (w *ReplyWriter) AppendChosen(dst []byte, now time.Time, q *Question, p *handshake.Config, err error) (reply []byte, refused bool) {
	if err != nil {
		return appendRefusal(dst, q.record, alert.Hook(alert.InternalError, "GetConfigForClient", err).Alert), true
	}
	v, _ := message.ScanClientHello(q.body) // it was read before
	piece := Fragment{q.header, q.record, q.body}
	c, why := p.Choose(&v, nil)
	switch {
	case why != handshake.Accepted:
		return appendRefusal(dst, q.record, why.Alert()), true
	case c.Version == message.Version12:
		return w.appendVerifyRequest(dst, now, q.From, piece, &v.HelloPrefix, chosen12), false
	}
	return w.appendRetry(dst, now, piece, q.From, &retryAnswer{Choice: asked(c), body: q.body, scan: v}), false
}

// asked is the choice as a HelloRetryRequest states it: a group that the hello has
// a share for is not in it.
func asked(c handshake.Choice) handshake.Choice {
	if !c.NeedsRetry() {
		c.Group = 0
	}
	return c
}

// chosen12 is covered by the cookie of a HelloVerifyRequest that answers a hello
// with DTLS 1.3, so that no other cookie lets such a hello in.
var chosen12 = []byte("DTLS 1.2 was chosen")

// check12 judges a hello with DTLS 1.3 and a legacy_cookie, by whether DTLS 1.2 was
// chosen for it. If not, RFC 9147, Section 5.3: "the server MUST abort the handshake
// with an "illegal_parameter" alert".
func (d *Door) check12(now time.Time, from netip.AddrPort, j judgement) judgement {
	if d.p.ForClient != nil && len(j.hello.Cookie) == cookie.Len {
		covered := j.hello.Covered12()
		j.rtt, j.known, j.byWord = d.jar.Check(now, j.hello.Cookie, from, covered[0], covered[1], chosen12)
	}
	if !j.byWord {
		return j.refuse(alert.IllegalParameter)
	}
	j.proven, j.verdict, j.chosen = true, letIn, &handshake.Choice{Version: message.Version12}
	return j
}
