package dtls

import (
	"errors"
	"fmt"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
)

// Messages after the handshake of DTLS 1.3 that the peer does not acknowledge.
//
// Some peers acknowledge a message once: when that ACK is lost, and NSS 3.125 is
// the peer, no repetition gets another. A ticket is the client's loss. Of a
// KeyUpdate we must know: RFC 9147, Section 8: "Implementations MUST NOT send
// records with the new keys until the KeyUpdate and all preceding messages have
// been acknowledged." Nothing else says as much:
//
//   - A KeyUpdate of the peer does not, though ours asked for one. Section 7:
//     it "does not implicitly acknowledge the earlier KeyUpdate message because
//     the two KeyUpdate messages might have crossed in flight".
//   - An ACK for something later would, but there is nothing later. Section 8:
//     "subsequent post-handshake messages may not be sent until receiving the
//     ACK".
//
// Yet nothing but the change is lost. The peer keeps the keys before it until it
// has seen a record with the new ones (Section 8: "receivers MUST retain the
// pre-update keying material until receipt and successful decryption of a message
// using the new keys"), so an association whose peer is heard goes on with the
// keys that it has. The KeyUpdate rests, and goes out again, under the same
// number, when somebody wants it: UpdateKeys, the peer, or the limit of the keys,
// at which the association ends if it is still not acknowledged then. An ACK that
// comes meanwhile, for whichever transmission, completes it.

// rests reports whether a flight waits without a timer.
func (o *outbox) rests() bool {
	return o.flight.state == flightWaiting && !o.timer.running() && !o.sent.stalled && len(o.flight.msgs) > 0
}

// rouse sends a flight that rests again, with all its tries.
func (e *Engine) rouse() {
	if o := &e.out; o.rests() {
		o.timer.newTries()
		e.sendAgain(flightRepeated, TimerExpired)
	}
}

// giveRest is asked when the tries for a flight are used up. It reports whether
// the association goes on without an acknowledgement.
func (e *Engine) giveRest() bool {
	switch {
	case e.post == nil:
		return false
	case e.lingers():
		e.out.timer.suspend() // it has done what it could
		return true
	case !e.post.update.out:
		if e.p.IsClient && !e.closing.received {
			return false // its last flight: the server may not have the handshake
		}
		// Tickets: the peer has gone to sleep, or does not acknowledge twice. A
		// server that has closed may be gone, with the ACK of our Finished lost.
		e.out.timer.suspend()
		return true
	case !e.heard.After(e.out.timer.since) || !e.mayRest():
		return false
	}
	e.post.update.kept = &keysKeptError{tries: e.out.sent.number, elapsed: e.now.Sub(e.out.flight.began)}
	e.out.timer.suspend()
	e.events.push(Event{Kind: EventKeysKept, Err: e.post.update.kept})
	return true
}

// mayRest reports whether the peer has all of our handshake.
func (e *Engine) mayRest() bool {
	return !e.out.flight.awaitsACK(message.TypeKeyUpdate, message.TypeNewSessionTicket)
}

// keysKeptError is not fatal: the keys did not change.
type keysKeptError struct {
	tries   int
	elapsed time.Duration
}

func (e *keysKeptError) Error() string {
	return fmt.Sprintf("dtls: peer is there but has not acknowledged key_update, sent %d times in %v; the keys before stay in use",
		e.tries, e.elapsed.Round(time.Millisecond))
}

func (*keysKeptError) Timeout() bool   { return true }
func (*keysKeptError) Temporary() bool { return true }

// keysKept is what to tell who waits for a KeyUpdate that rests, else nil.
func (e *Engine) keysKept() error {
	if e.post == nil || !e.post.update.out || !e.out.rests() {
		return nil
	}
	return e.post.update.kept
}

// exhausted is why the keys in use cannot protect another record.
func (e *Engine) exhausted() error {
	if e.post == nil || !e.post.update.out {
		return errKeysExhausted
	}
	return fmt.Errorf("%w: peer has not acknowledged key_update, sent %d times in %v",
		errKeysExhausted, e.out.sent.number, e.now.Sub(e.out.flight.began).Round(time.Millisecond))
}

// unansweredError ends an association whose peer acknowledges nothing that was
// sent after the handshake, and says nothing either. ErrHandshakeTimeout matches
// it.
type unansweredError struct {
	sent    string // message names
	tries   int
	elapsed time.Duration // since they went out first
	mtu     int           // limit of the last try
	heard   time.Duration // since something authentic came, as far as that is known
	silent  bool          // nothing did since they went out first
}

// unanswered says what nobody acknowledged.
func (e *Engine) unanswered() error {
	return &unansweredError{
		sent: e.out.flight.names(), tries: e.out.sent.number, elapsed: e.now.Sub(e.out.flight.began), mtu: e.path.limit(),
		heard: e.now.Sub(e.heard), silent: !e.heard.After(e.out.flight.began),
	}
}

func (e *unansweredError) Error() string {
	heard := "nothing was received meanwhile"
	if !e.silent {
		heard = fmt.Sprintf("the last record came %v ago", e.heard.Round(time.Millisecond))
	}
	return fmt.Sprintf("dtls: peer has not acknowledged %s, sent %d times in %v (last with MTU %d); %s",
		e.sent, e.tries, e.elapsed.Round(time.Millisecond), e.mtu, heard)
}

func (*unansweredError) Is(target error) bool { return target == ErrHandshakeTimeout }
func (*unansweredError) Timeout() bool        { return true }
func (*unansweredError) Temporary() bool      { return false }

// isKeysKept is for IsFatal.
func isKeysKept(err error) bool {
	var kept *keysKeptError
	return errors.As(err, &kept)
}
