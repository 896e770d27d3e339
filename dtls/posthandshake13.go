package dtls

import (
	"errors"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// post13 is what an association of DTLS 1.3 goes on with after its handshake:
// new tickets and new keys (RFC 8446, Section 4.6). Messages are sent in the
// order they are made, and each until it is acknowledged (RFC 9147, Section
// 5.8.4): a KeyUpdate is the last one of its epoch.
type post13 struct {
	suite        *suite.Suite
	clientRandom [32]byte // names the keys in a key log
	in           reassembly

	write, read []byte // traffic secrets of the newest epochs
	exporter    []byte
	resumption  []byte // of tickets to come
	keyLog      func(string)
	peerEpoch   uint16 // in which the peer's next message must be
	seenEpoch   uint16 // the newest one that a record has opened in

	update   keyUpdate
	asked    uint16 // epoch for which new keys of the peer were asked for by us
	sessions [][]byte
}

// keyUpdate is what there is to do about our own keys.
type keyUpdate struct {
	out     bool           // a KeyUpdate is not acknowledged yet
	asks    bool           // it asks for the peer's
	again   bool           // another one follows it
	request bool           // that one asks for the peer's
	kept    *keysKeptError // why it rests, if it does
}

var errTooManyUpdates = errors.New("dtls: no more key updates in this association, a new one is needed")

// lastSeq is the last message_seq, and lastEpoch the last epoch that is used
// (RFC 9147, Section 8).
const (
	lastSeq   = 1<<16 - 1
	lastEpoch = 1<<16 - 1
)

func (p *post13) wipe() {
	if p == nil {
		return
	}
	keys.Wipe(p.write, p.read, p.exporter, p.resumption)
	for _, s := range p.sessions {
		keys.Wipe(s)
	}
}

// finish13 leaves the handshake of DTLS 1.3 behind.
func (hs *driver) finish13(r handshake.Result) {
	e := hs.e
	post := &post13{
		suite: r.Suite, clientRandom: r.ClientRandom, exporter: r.Exporter, resumption: r.Resumption,
		keyLog: hs.m.Config.KeyLog, write: r.Write, read: r.Read, peerEpoch: epochData,
	}
	e.state.HandshakeComplete = true
	e.complete()
	e.post = post
	post.in = hs.in
	e.keys.closeReadBefore(epochHandshake)
	if !e.p.IsClient {
		// RFC 9147, Section 5.8.1: the client's Finished acknowledges ours; a
		// client that repeats it misses our ACK.
		e.flightConfirmed()
		e.keys.forgetSealBefore(epochData)
		e.keys.retire = e.now.Add(keepHandshake)
		e.path.addressProven(true)
		e.sendTickets13(hs.m.Config)
	}
	e.trace.keys(epochData, post.suite.ID)
	hs.announce()
}

// handleFragment takes a fragment of a message after the handshake.
func (p *post13) handleFragment(e *Engine, epoch uint16, h message.Header, body []byte) (v fragmentVerdict, disorder bool) {
	if epoch < epochHandshake {
		// An honest peer may repeat its flights, anybody may invent one.
		return fragmentRefused, false
	}
	disorder = !p.in.inOrder(h)
	switch v = p.in.add(epoch, h, body); v {
	case fragmentKept:
		p.drive(e)
	case fragmentOld:
		if epoch == epochHandshake && e.p.IsClient {
			e.peerRepeated() // it misses our last flight
		}
	case fragmentRepeated, fragmentRefused, fragmentNoRoom:
	}
	return v, disorder
}

// drive takes the messages that are complete, in order.
func (p *post13) drive(e *Engine) {
	for !e.over() {
		m, ok := p.in.take()
		if !ok {
			return
		}
		if err := p.take(e, m); err != nil {
			e.fail(err)
			return
		}
		p.in.accept(m)
	}
}

func (p *post13) take(e *Engine, m *inMessage) error {
	// RFC 9147, Section 8: no message follows a KeyUpdate in its epoch, and none
	// comes under the keys of the handshake any more.
	if m.epoch != p.peerEpoch || m.seq == lastSeq {
		return alert.Errorf(alert.UnexpectedMessage, "%s in epoch %d, which has had its last message", m.typ, m.epoch)
	}
	expected := message.SetOf(message.TypeKeyUpdate)
	if e.p.IsClient {
		expected = message.SetOf(message.TypeKeyUpdate, message.TypeNewSessionTicket)
	}
	if !expected.Has(m.typ) {
		return alert.Errorf(alert.UnexpectedMessage, "%s after the handshake", m.typ)
	}
	parsed, err := message.Parse(m.typ, message.TLS13, m.body())
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

// ---- new keys --------------------------------------------------------------------

// peerUpdates: the peer goes on to the next epoch (RFC 9147, Section 8).
func (p *post13) peerUpdates(e *Engine, requested bool) error {
	if p.peerEpoch == lastEpoch {
		return alert.Errorf(alert.UnexpectedMessage, "more than %d key updates", lastEpoch-epochData)
	}
	next := keys.NextTraffic13(p.suite.Hash, p.read)
	if err := e.keys.installRead13(p.suite, p.peerEpoch+1, next, e.p.replayWindow); err != nil {
		return err
	}
	keys.Wipe(p.read)
	p.read = next
	p.peerEpoch++
	e.logTraffic(!e.p.IsClient, int(p.peerEpoch-epochData), next)
	e.trace.keys(p.peerEpoch, p.suite.ID)
	// RFC 8446, Section 4.6.3: "the receiver MUST send a KeyUpdate of its own". One
	// that is under way is no answer: if two that ask "cross in flight, then each
	// side will also send a response", and "increments by two generations".
	if requested {
		_ = e.startUpdate(false) // RFC 9147, Section 8: at the last epoch, ignored
	}
	return nil
}

// UpdateKeys sends a KeyUpdate of DTLS 1.3 (RFC 9147, Section 8): records are
// protected with new keys once the peer has acknowledged it, which
// EventKeysUpdated tells; EventKeysKept, that it does not and is there all the
// same. requestPeer asks the peer to do the same. In DTLS 1.2
// it is an error: keys change with a new handshake there.
func (e *Engine) UpdateKeys(now time.Time, requestPeer bool) error {
	e.advance(now)
	switch {
	case e.over():
		return e.err
	case !e.established():
		return errHandshakeOngoing
	case e.post == nil:
		return errNoKeyUpdate
	case e.closing.sent || e.closing.received:
		return errEngineClosed
	}
	if u := &e.post.update; u.out && e.out.rests() && (u.asks || !requestPeer) {
		e.rouse() // the one that is out will do
		return nil
	}
	return e.startUpdate(requestPeer)
}

var errNoKeyUpdate = errors.New("dtls: DTLS 1.2 has no key update")

// startUpdate sends a KeyUpdate, or has one sent after the one that is out: RFC
// 9147, Section 5.8.4: they "MUST NOT send KeyUpdate [...] if an earlier message
// of the same type has not yet been acknowledged".
func (e *Engine) startUpdate(request bool) error {
	u := &e.post.update
	if u.out {
		u.again, u.request = true, u.request || request
		e.rouse()
		return nil
	}
	if e.keys.write == lastEpoch || e.out.flight.nextSeq == lastSeq {
		return errTooManyUpdates
	}
	m := message.KeyUpdate{RequestUpdate: request}
	body, err := m.AppendBody(nil)
	if err != nil {
		return err
	}
	u.out, u.asks = true, request
	e.out.extend([]outMessage{e.newMessage(m.Type(), body)})
	return nil
}

// messagesArrived: everything of ours is acknowledged.
func (e *Engine) messagesArrived() {
	p := e.post
	if p == nil {
		return
	}
	e.keys.forgetSealBefore(epochData)
	if e.p.IsClient {
		// The server has our last flight, and repeats its own no more.
		e.keys.closeReadBefore(epochData)
	}
	if !p.update.out {
		return
	}
	again, request := p.update.again, p.update.request
	p.update = keyUpdate{}
	next := keys.NextTraffic13(p.suite.Hash, p.write)
	epoch := e.keys.write + 1
	if err := e.keys.installWrite13(p.suite, epoch, next); err != nil {
		e.fail(err)
		return
	}
	keys.Wipe(p.write)
	p.write = next
	e.keys.startWriting(epoch)
	e.keys.forgetSealBefore(epoch)
	e.logTraffic(e.p.IsClient, int(epoch-epochData), next)
	e.trace.keys(epoch, p.suite.ID)
	e.events.push(Event{Kind: EventKeysUpdated})
	if again {
		_ = e.startUpdate(request)
	}
}

// keysUpdated grows with every update of our keys.
func (e *Engine) keysUpdated() int {
	if e.post == nil {
		return 0
	}
	return int(e.keys.write)
}

func (e *Engine) logTraffic(client bool, generation int, secret []byte) {
	e.post.keyLog(keys.KeyLogLine(keys.LabelTraffic(client, generation), e.post.clientRandom, secret))
}

// rekeyBefore is how many records before the limit of our keys new ones are made
// (RFC 9147, Section 4.5.3: "Implementations SHOULD initiate a key update before
// reaching this limit").
const rekeyBefore = 1 << 16

func (e *Engine) rekey() {
	if e.post.update.out {
		e.rouse()
		return
	}
	_ = e.startUpdate(false)
}

// rekeyPeer asks for new keys of the peer when half of the forgeries that those
// in use may refuse have come, once for each epoch.
func (e *Engine) rekeyPeer() {
	if e.post != nil && e.post.asked != e.post.peerEpoch {
		e.post.asked = e.post.peerEpoch
		_ = e.startUpdate(true)
	}
}

// ---- tickets ----------------------------------------------------------------------

// ticketsPerHandshake: RFC 8446, Appendix C.4: a client that opens two
// associations at once should not have to use a ticket twice.
const ticketsPerHandshake = 2

// sendTickets13 gives the client what it can resume with (RFC 8446, Section
// 4.6.1). A failure to make one costs the client a full handshake some day,
// nothing else.
func (e *Engine) sendTickets13(p *handshake.Config) {
	post := e.post
	defer func() {
		keys.Wipe(post.resumption)
		post.resumption = nil
	}()
	if p.Tickets == nil {
		return
	}
	var list []outMessage
	for i := range ticketsPerHandshake {
		m, err := p.IssueTicket(byte(i), e.now, post.suite, post.resumption, e.peerInfo())
		if err != nil {
			return
		}
		body, err := m.AppendBody(nil)
		if err != nil {
			return
		}
		list = append(list, e.newMessage(m.Type(), body))
	}
	e.out.extend(list)
}

// peerInfo is what a session keeps of the association.
func (e *Engine) peerInfo() *handshake.Info {
	return &handshake.Info{NegotiatedProtocol: e.state.NegotiatedProtocol, ServerName: e.state.ServerName, PeerCertificates: e.state.PeerCertificates}
}

// maxSessions is how many unused tickets an association keeps.
const maxSessions = 4

// keepTicket makes a session of a ticket.
func (p *post13) keepTicket(e *Engine, m *message.NewSessionTicket13) error {
	if m.Lifetime == 0 {
		return nil // RFC 8446, Section 4.6.1: "should be discarded immediately"
	}
	if e.lingers() {
		return nil // whom it is from is forgotten, so it could not be trusted
	}
	blob, err := e.p.SessionOf(m, e.now, p.suite, p.resumption, e.peerInfo())
	if blob == nil || err != nil {
		return err
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
// given none, or not yet; they come after the handshake.
func (e *Engine) Session() ([]byte, error) {
	if e.post == nil || len(e.post.sessions) == 0 {
		return nil, ErrNoSession
	}
	last := len(e.post.sessions) - 1
	s := e.post.sessions[last]
	e.post.sessions = e.post.sessions[:last]
	return s, nil
}
