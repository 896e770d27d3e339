package dtls

import (
	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/reassembly"
	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/internal/timeout"
)

// post13 is what an association of DTLS 1.3 goes on with after its handshake:
// new tickets and new keys (RFC 8446, Section 4.6). Messages are sent in the
// order they are made, and each until it is acknowledged (RFC 9147, Section
// 5.8.4): a KeyUpdate is the last one of its epoch.
type post13 struct {
	suite        *suite.Suite
	clientRandom [32]byte // names the keys in a key log
	in           reassembly.Joiner

	write, read []byte // traffic secrets of the newest epochs
	exporter    []byte
	resumption  *handshake.Resumption // of tickets to come, nil: none do
	keyLog      func(string)
	peerEpoch   uint16 // in which the peer's next message must be
	seenEpoch   uint16 // the newest one that a record has opened in

	update   keyUpdate
	asked    uint16 // epoch for which new keys of the peer were asked for by us
	sessions [][]byte
}

func (p *post13) wipe() {
	if p == nil {
		return
	}
	keys.Wipe(p.write, p.read, p.exporter)
	p.resumption.Wipe()
	for _, s := range p.sessions {
		keys.Wipe(s)
	}
}

// finish13 leaves the handshake of DTLS 1.3 behind.
func (hs *driver) finish13(r *handshake.Result) {
	e, s := hs.e, r.Secrets13
	post := &post13{
		suite: r.Suite, clientRandom: r.ClientRandom, exporter: s.Exporter, resumption: s.Resumption,
		keyLog: hs.m.Config.KeyLog, write: s.Write, read: s.Read, peerEpoch: epochData,
	}
	e.state.HandshakeComplete = true
	e.complete()
	e.post = post
	post.in = hs.in
	e.keys.CloseReadBefore(epochHandshake)
	if !e.p.IsClient {
		// RFC 9147, Section 5.8.1: the client's Finished acknowledges ours; a
		// client that repeats it misses our ACK.
		e.flightConfirmed()
		e.keys.ForgetSealBefore(epochData)
		e.keys.RetireAt(e.now.Add(keepHandshake))
		e.path.addressProven(true)
		e.sendTickets13(hs.m.Config)
	}
	e.trace.keys(epochData, post.suite.ID)
	hs.announce()
}

// handleFragment takes a fragment of a message after the handshake.
func (p *post13) handleFragment(e *Engine, epoch uint16, h message.Header, body []byte) (v reassembly.Verdict, disorder bool) {
	if epoch < epochHandshake {
		// An honest peer may repeat its flights, anybody may invent one.
		return reassembly.Refused, false
	}
	disorder = !p.in.InOrder(h)
	switch v = p.in.Add(epoch, h, body); v {
	case reassembly.Kept:
		p.drive(e)
	case reassembly.Old:
		if epoch == epochHandshake && e.p.IsClient {
			e.peerRepeated() // it misses our last flight
		}
	case reassembly.TooLong:
		e.fail(tooLong(&p.in, h))
	case reassembly.Repeated, reassembly.Refused, reassembly.NoRoom:
	}
	return v, disorder
}

// drive takes the messages that are complete, in order.
func (p *post13) drive(e *Engine) {
	for !e.over() {
		m, ok := p.in.Take()
		if !ok {
			return
		}
		if err := p.take(e, m); err != nil {
			e.fail(err)
			return
		}
		p.in.Accept(m)
	}
}

func (p *post13) take(e *Engine, m *reassembly.Message) error {
	// RFC 9147, Section 8: no message follows a KeyUpdate in its epoch, and none
	// comes under the keys of the handshake any more. Section 5.2: nor does one
	// comes behind message_seq 65535: 0 was the number of the first hello.
	if m.Epoch != p.peerEpoch || m.Seq == 0 {
		return alert.Errorf(alert.UnexpectedMessage, "%s in epoch %d, which has had its last message", m.Type, m.Epoch)
	}
	expected := message.SetOf(message.TypeKeyUpdate)
	if e.p.IsClient {
		expected = message.SetOf(message.TypeKeyUpdate, message.TypeNewSessionTicket)
	}
	if !expected.Has(m.Type) {
		return alert.Errorf(alert.UnexpectedMessage, "%s after the handshake", m.Type)
	}
	parsed, err := message.Parse(m.Type, message.TLS13, m.Body())
	if err != nil {
		return err
	}
	e.trace.message(m, expected, nil)
	switch t := parsed.(type) {
	case *message.NewSessionTicket13:
		return p.keepTicket(e, t)
	case *message.KeyUpdate:
		return p.peerUpdates(e, t.RequestUpdate)
	}
	return nil
}

// ---- messages that are not acknowledged -------------------------------------------

// suspend is asked when the tries for a flight after the handshake are used up. It
// reports whether the association goes on without the ACK. The messages are kept:
// later ones are useless to a peer without them, and have all of them sent again.
func (e *Engine) suspend() bool {
	switch {
	case !e.established13():
		return false
	case e.lingers():
	case e.post.update.out && !e.lastRecord.After(e.out.timer.Since):
		return false // no record of the peer has come during these tries
	case e.out.flight.awaitsACK(message.TypeKeyUpdate, message.TypeNewSessionTicket) && (e.post.update.out || !e.closing.received):
		// The client's last flight: without it the server has no association. One
		// that has sent close_notify may be gone, with the ACK of it lost.
		return false
	}
	e.out.timer.Suspend()
	e.trace.suspended(e.out.flight.names())
	return true
}

// resume sends a suspended flight once more, with all its tries.
func (e *Engine) resume() {
	if o := &e.out; o.suspended() {
		o.timer.NewTries()
		e.sendAgain(flightRepeated, TimerExpired)
	}
}

// suspended reports whether messages wait for an ACK without a timer.
func (o *outbox) suspended() bool {
	return o.flight.state == flightWaiting && !o.timer.Running() && !o.sent.stalled && len(o.flight.msgs) > 0
}

// unanswered is the error for the messages that are outstanding.
func (e *Engine) unanswered() error {
	return &timeout.Unanswered{
		Sent: e.out.flight.names(), Tries: e.out.sent.number, Elapsed: e.now.Sub(e.out.flight.began), MTU: e.path.limit(),
		Quiet: e.now.Sub(e.lastRecord), Silent: !e.lastRecord.After(e.out.flight.began),
	}
}

// ---- tickets ----------------------------------------------------------------------

// sendTickets13 gives the client what it can resume with (RFC 8446, Section 4.6.1).
func (e *Engine) sendTickets13(p *handshake.Config) {
	var list []outMessage
	for _, body := range p.IssueTickets(e.now, e.post.resumption, e.peerInfo()) {
		list = append(list, e.newMessage(message.TypeNewSessionTicket, e.keys.Write(), body))
	}
	e.post.resumption.Wipe()
	e.post.resumption = nil
	if len(list) > 0 {
		e.out.extend(list)
	}
}

// ticketTries is how often a ClientHello with a ticket is sent in several datagrams. A
// server may have no room for a hello that its own ticket has made so long.
const ticketTries = 4

// dropTicket begins anew without the ticket of a ClientHello that is longer than a
// datagram of Config.MTU and was not answered. It reports whether there was one.
func (hs *driver) dropTicket() bool {
	e := hs.e
	if hello := e.out.flight.hello(); hello == nil || len(hello.body) <= e.p.mtu || !hs.m.OffersTicket() {
		return false
	}
	e.dropFlight() // not answered
	if err := hs.m.DropTicket(); err != nil {
		e.fail(err)
	}
	return true
}

// peerInfo is what a session keeps of the association.
func (e *Engine) peerInfo() *handshake.Info {
	return &handshake.Info{NegotiatedProtocol: e.state.NegotiatedProtocol, ServerName: e.state.ServerName, PeerCertificates: e.state.PeerCertificates, PSKIdentity: e.state.PSKIdentity}
}

// maxSessions is how many unused tickets an association keeps.
const maxSessions = 4

// keepTicket makes a session of a ticket.
func (p *post13) keepTicket(e *Engine, m *message.NewSessionTicket13) error {
	if e.lingers() {
		return nil // whom it is from is forgotten, so it could not be trusted
	}
	blob, err := e.p.SessionOf(m, e.now, p.resumption, e.peerInfo())
	if blob == nil || err != nil {
		return err
	}
	if sink := e.p.sessionSink; sink.direct && sink.cache != nil {
		sink.cache.Put(e.p.ServerName, blob)
		return nil
	}
	if len(p.sessions) == maxSessions {
		keys.Wipe(p.sessions[0])
		p.sessions = p.sessions[1:]
	}
	p.sessions = append(p.sessions, blob)
	e.events.push(Event{Kind: EventSession})
	return nil
}

// Session returns the newest session of the association that nobody has taken
// yet, for Config.Session of the next: a secret. A session of DTLS 1.3 is good
// for one association (RFC 8446, Appendix C.4). ErrNoSession: the server has
// given none, or, with DTLS 1.3, not yet; see EventSession. Those that
// go to Config.ClientSessionCache are not returned.
func (e *Engine) Session() ([]byte, error) {
	if e.established() && !e.speaks13() {
		return e.session12()
	}
	if !e.established13() || len(e.post.sessions) == 0 {
		return nil, ErrNoSession
	}
	last := len(e.post.sessions) - 1
	s := e.post.sessions[last]
	e.post.sessions = e.post.sessions[:last]
	return s, nil
}

// sessionMade12 announces the session that a handshake of DTLS 1.2 has made, if any.
func (e *Engine) sessionMade12() {
	if sink := e.p.sessionSink; e.secrets.Session != nil && (!sink.direct || sink.cache == nil) {
		e.events.push(Event{Kind: EventSession})
	} else if blob, err := e.session12(); err == nil {
		sink.cache.Put(e.p.ServerName, blob)
	}
}

// session12 is Session for DTLS 1.2: a handshake makes one at most.
func (e *Engine) session12() ([]byte, error) {
	if s := e.secrets.TakeSession(); s != nil {
		return s.Marshal()
	}
	return nil, ErrNoSession
}
