package dtls

import (
	"errors"
	"fmt"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// New keys of DTLS 1.3 (RFC 9147, Section 8). A KeyUpdate is repeated by the timer of
// flights until it is acknowledged: "Implementations MUST NOT send records with the
// new keys until the KeyUpdate and all preceding messages have been acknowledged."
//
// NSS 3.125 acknowledges a message once, and no repetition of it. Nothing else takes
// the place of that ACK if it is lost. Section 7: the peer's own KeyUpdate "does not
// implicitly acknowledge the earlier KeyUpdate message". So once all tries are used
// up and records of the peer have come meanwhile, the KeyUpdate is suspended and the
// present keys stay in use. The peer can open them: Section 8: "receivers MUST retain
// the pre-update keying material until receipt and successful decryption of a message
// using the new keys". The KeyUpdate is sent again, with the same message_seq, by the
// next UpdateKeys, for a request of the peer, and before the limit of the keys. An
// ACK of any of its transmissions completes it.

// keyUpdate is the state of our own KeyUpdate.
type keyUpdate struct {
	out     bool // a KeyUpdate is not acknowledged yet
	asks    bool // its request_update is update_requested
	again   bool // another one follows it
	request bool // with update_requested
}

var (
	errTooManyUpdates = errors.New("dtls: no more key updates in this association, a new one is needed")
	errNoKeyUpdate    = errors.New("dtls: DTLS 1.2 has no key update")

	// errKeysKept is not fatal: the keys did not change, another call tries again.
	errKeysKept error = &keysKeptError{}
)

type keysKeptError struct{}

func (*keysKeptError) Error() string {
	return "dtls: peer sends records but has not acknowledged key_update, the keys before stay in use"
}
func (*keysKeptError) Timeout() bool   { return true }
func (*keysKeptError) Temporary() bool { return true }

// lastEpoch is the last epoch that is used (RFC 9147, Section 8).
const lastEpoch = 1<<16 - 1

// peerUpdates takes a KeyUpdate of the peer: its next message comes in the next
// epoch.
func (p *post13) peerUpdates(e *Engine, requested bool) error {
	if p.peerEpoch == lastEpoch {
		return alert.Errorf(alert.UnexpectedMessage, "more than %d key updates", lastEpoch-epochData)
	}
	next := keys.NextTraffic13(p.suite.Hash, p.read)
	if err := e.keys.InstallRead13(p.suite, p.peerEpoch+1, next, e.p.replayWindow); err != nil {
		return err
	}
	keys.Wipe(p.read)
	p.read = next
	p.peerEpoch++
	e.logTraffic(!e.p.IsClient, int(p.peerEpoch-epochData), next)
	e.trace.keys(p.peerEpoch, p.suite.ID)
	// RFC 8446, Section 4.6.3: "the receiver MUST send a KeyUpdate of its own". A
	// KeyUpdate of ours that was sent before is no answer: if two requests "cross in
	// flight, then each side will also send a response".
	if requested {
		_ = e.startUpdate(false) // RFC 9147, Section 8: at the last epoch, ignored
	}
	return nil
}

// UpdateKeys sends a KeyUpdate of DTLS 1.3 (RFC 9147, Section 8). Once the peer has
// acknowledged it, records are protected with new keys and EventKeysUpdated is
// reported. requestPeer requests a KeyUpdate of the peer, too. A KeyUpdate that was
// not acknowledged in Retransmit.MaxTries tries, while records of the peer came, is
// not repeated any more and changes no keys; the next call sends it again. In DTLS
// 1.2 it is an error: keys change with a new handshake there.
func (e *Engine) UpdateKeys(now time.Time, requestPeer bool) error {
	e.tick(now)
	switch {
	case e.over():
		return e.err
	case !e.established():
		return errHandshakeOngoing
	case !e.speaks13():
		return errNoKeyUpdate
	case e.closing.begun():
		return errEngineClosed
	}
	if u := &e.post.update; e.keysKept() && (u.asks || !requestPeer) {
		e.resume() // a second KeyUpdate behind it would change nothing
		return nil
	}
	return e.startUpdate(requestPeer)
}

// startUpdate sends a KeyUpdate, or has one sent after the one that is out: RFC
// 9147, Section 5.8.4: they "MUST NOT send KeyUpdate [...] if an earlier message
// of the same type has not yet been acknowledged".
func (e *Engine) startUpdate(request bool) error {
	u := &e.post.update
	if u.out {
		u.again, u.request = true, u.request || request
		e.resume()
		return nil
	}
	// RFC 9147, Section 5.2: "Implementations MUST NOT allow message_seq to wrap". After
	// the handshake 0 can only be behind the last number.
	if e.keys.Write() == lastEpoch || e.out.flight.nextSeq == 0 {
		return errTooManyUpdates
	}
	u.out, u.asks = true, request
	// RFC 9846, Section 4.6.3: "Until receiving a subsequent KeyUpdate from the peer, the
	// sender MUST NOT send another KeyUpdate with request_update set to
	// "update_requested"".
	request = request && e.post.asked != e.post.peerEpoch
	if request {
		e.post.asked = e.post.peerEpoch
	}
	m := message.KeyUpdate{RequestUpdate: request}
	body, err := m.AppendBody(nil)
	if err != nil {
		return err
	}
	e.out.extend([]outMessage{e.newMessage(m.Type(), e.keys.Write(), body)})
	return nil
}

// keysKept reports whether a KeyUpdate is suspended.
func (e *Engine) keysKept() bool {
	return e.established13() && e.post.update.out && e.out.suspended()
}

// messagesArrived follows the acknowledgement of all messages after the handshake.
func (e *Engine) messagesArrived() {
	p := e.post
	if p == nil {
		return
	}
	e.keys.ForgetSealBefore(epochData)
	if e.p.IsClient {
		// The server has our last flight, and repeats its own no more.
		e.keys.CloseReadBefore(epochData)
	}
	if !p.update.out {
		return
	}
	again, request := p.update.again, p.update.request
	p.update = keyUpdate{}
	next := keys.NextTraffic13(p.suite.Hash, p.write)
	epoch := e.keys.Write() + 1
	e.keys.InstallWrite13(p.suite, epoch, next)
	keys.Wipe(p.write)
	p.write = next
	e.keys.StartWriting(epoch)
	e.keys.ForgetSealBefore(epoch)
	e.logTraffic(e.p.IsClient, int(epoch-epochData), next)
	e.trace.keys(epoch, p.suite.ID)
	e.events.push(Event{Kind: EventKeysUpdated})
	if again {
		_ = e.startUpdate(request)
	}
}

// keysUpdated grows with each change of our own keys.
func (e *Engine) keysUpdated() int {
	if !e.established13() {
		return 0
	}
	return int(e.keys.Write())
}

func (e *Engine) logTraffic(client bool, generation int, secret []byte) {
	if log := e.post.keyLog; log != nil {
		e.user(func() { log(keys.KeyLogLine(keys.LabelTraffic(client, generation), e.post.clientRandom, secret)) })
	}
}

// rekeyBefore is how many records before the limit of the keys a KeyUpdate is sent
// (RFC 9147, Section 4.5.3: "Implementations SHOULD initiate a key update before
// reaching this limit").
const rekeyBefore = 1 << 16

func (e *Engine) rekey() {
	if e.post.update.out {
		e.resume()
		return
	}
	_ = e.startUpdate(false)
}

// exhausted is the error when the keys in use cannot protect another record.
func (e *Engine) exhausted() error {
	if !e.established13() || !e.post.update.out || e.out.flight.began.IsZero() {
		return errKeysExhausted
	}
	return fmt.Errorf("%w: peer has not acknowledged key_update, sent %d times in %v",
		errKeysExhausted, e.out.sent.number, e.now.Sub(e.out.flight.began).Round(time.Millisecond))
}

// rekeyPeer requests new keys of the peer, once for each epoch, after half of the
// forgeries that the keys in use may refuse (RFC 9147, Section 4.5.3).
func (e *Engine) rekeyPeer() {
	if e.established13() && e.post.asked != e.post.peerEpoch {
		_ = e.startUpdate(true)
	}
}
