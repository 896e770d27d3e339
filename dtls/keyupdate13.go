package dtls

import (
	"errors"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

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
