package handshake

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// State is a state of the handshake: it lists the messages that may come, and
// returns the next state. Each state holds the data that the messages before it have
// brought. Take changes nothing but the flight under preparation unless it succeeds,
// so that a forged message can be put aside and the genuine one taken in the same
// state.
type State interface {
	// Expects drives unexpected_message, in one place.
	Expects() message.Set
	// Take returns the next state, Complete{} after the last message.
	Take(hs *Handshake, in Received) (State, error)
}

// complete is the state after the last message.
type complete struct{}

func (complete) Expects() message.Set { return message.Set{} }

func (complete) Take(*Handshake, Received) (State, error) {
	return nil, errors.New("message after the handshake")
}

// Received is a whole message of the peer.
type Received struct {
	message.Message
	raw    []byte // with its header, as the transcript has it
	seq    uint16 // message_seq
	record uint64 // number of the record that completed it
}

// ErrIgnore: the message is no fault, and changes nothing but the data of the
// present state.
var ErrIgnore = errors.New("message put aside")

// Handshake is one handshake: its state, and what all states share.
type Handshake struct {
	link       Link
	Config     *Config // GetConfigForClient may replace it
	step       State
	kx         message.KeyExchange // shape of the key exchange messages, once agreed on
	recordSize uint16              // limit of the first Config, which the link enforces; 0: none
	transcript keys.Transcript
	Info       Info
	Result     *Result // nil: no secret has been made that outlives the handshake

	agreed wiper // what has secrets that are not in Result, nil: nothing yet
}

// wiper is what the hellos have agreed on, once it has secrets.
type wiper interface{ wipe() }

// New returns a handshake without a first state.
func New(p *Config, l Link) *Handshake {
	return &Handshake{link: l, Config: p, recordSize: uint16(p.RecordSizeLimit)}
}

// StartServer awaits a ClientHello. cookie and retry are those of the exchange
// before it, nil if there was none. chosen is what a HelloVerifyRequest was sent
// for after GetConfigForClient, nil if it was not called.
func (hs *Handshake) StartServer(cookie []byte, chosen *Choice, retry *Retry) {
	hs.step = awaitClientHello{cookie, retry, chosen}
}

// Expects are the messages that may come.
func (hs *Handshake) Expects() message.Set { return hs.step.Expects() }

// Take gives a whole message of the peer to the present state. raw has its header,
// record is the number of the record that completed it. After ErrIgnore the message
// was put aside; after another error nothing has changed.
func (hs *Handshake) Take(typ message.Type, raw []byte, seq uint16, record uint64) error {
	if !hs.step.Expects().Has(typ) {
		return alert.Errorf(alert.UnexpectedMessage, "%s while awaiting %s", typ, hs.step.Expects())
	}
	parsed, err := message.Parse(typ, hs.kx, raw[message.HeaderLen:])
	if err != nil {
		return err
	}
	next, err := hs.step.Take(hs, Received{parsed, raw, seq, record})
	if err == nil || errors.Is(err, ErrIgnore) {
		hs.step = next
	}
	return err
}

// IsComplete reports whether the last message was taken.
func (hs *Handshake) IsComplete() bool {
	_, ok := hs.step.(complete)
	return ok
}

// Restart begins a client's handshake anew in place of ending it with an alert that
// is not authenticated. It reports whether the handshake goes on.
func (hs *Handshake) Restart() bool {
	s, ok := hs.step.(awaitServerHello)
	if !ok {
		return false
	}
	next, ok := s.restart(hs)
	hs.step = next
	return ok
}

// Hello is the ClientHello that a client has sent last, nil once it is answered.
func (hs *Handshake) Hello() *message.ClientHello {
	if s, ok := hs.step.(awaitServerHello); ok {
		return s.hello
	}
	return nil
}

// Restarted reports whether restart has begun the handshake anew, and no ServerHello
// has come since.
func (hs *Handshake) Restarted() bool {
	s, ok := hs.step.(awaitServerHello)
	return ok && s.restarted
}

// StateName names the present state, for logs and tests.
func (hs *Handshake) StateName() string {
	name := fmt.Sprintf("%T", hs.step)
	return name[strings.LastIndexByte(name, '.')+1:]
}

// AwaitsHello reports whether a server has taken no ClientHello yet.
func (hs *Handshake) AwaitsHello() bool {
	_, ok := hs.step.(awaitClientHello)
	return ok
}

// AwaitsSecondHello reports whether a server awaits the answer to its
// HelloRetryRequest.
func (hs *Handshake) AwaitsSecondHello() bool {
	_, ok := hs.step.(awaitSecondHello13)
	return ok
}

// HasCookie reports whether a server has taken no ClientHello yet, and the body of one
// has the cookie that the door accepted.
func (hs *Handshake) HasCookie(body []byte) bool {
	s, ok := hs.step.(awaitClientHello)
	if !ok {
		return false
	}
	if s.retry != nil {
		hello, ok := message.ScanClientHello(body)
		return ok && bytes.Equal(hello.RetryCookie, s.cookie)
	}
	hello, ok := message.PeekClientHello(body)
	return ok && bytes.Equal(hello.Cookie, s.cookie)
}

// guard notes what has secrets that are not in Result yet.
func (hs *Handshake) guard(w wiper) { hs.agreed = w }

// Wipe zeroes the secrets of a handshake that has failed.
func (hs *Handshake) Wipe() {
	if hs.agreed != nil {
		hs.agreed.wipe()
	}
	hs.Result.Wipe()
}

// Release frees the memory that only the handshake needs.
func (hs *Handshake) Release() { hs.transcript.Release() }

// agree notes the version that both hellos have agreed on, or a HelloRetryRequest
// asks for; 0: none yet.
func (hs *Handshake) agree(version uint16) {
	hs.Info.Version = version
	hs.link.VersionAgreed(version)
}

// agreeOn notes the cipher suite of the ServerHello, and with it the version.
func (hs *Handshake) agreeOn(s *suite.Suite) {
	version := message.Version12
	if hs.kx = s.KeyExchange; s.Is13() {
		version, hs.kx = message.Version13, message.TLS13
	}
	hs.Info.CipherSuite = s.ID
	hs.agree(version)
}

// adopt goes on with the Config that GetConfigForClient returned.
func (hs *Handshake) adopt(p *Config) { hs.Config = p }

// enter sets the state that follows no message.
func (hs *Handshake) enter(s State) { hs.step = s }

// logSecret writes a line of the key log, if the Config has one.
func (hs *Handshake) logSecret(label string, clientRandom [32]byte, secret []byte) {
	if log := hs.Config.KeyLog; log != nil {
		log(keys.KeyLogLine(label, clientRandom, secret))
	}
}

// yield notes the secrets that outlive the handshake.
func (hs *Handshake) yield(r *Result) { hs.Result = r }

// usePSK notes whom a pre-shared key authenticates: for a session the peer of then.
func (hs *Handshake) usePSK(k *offeredPSK) {
	old := k.session
	if old == nil {
		hs.Info.PSKIdentity = k.identity
		return
	}
	hs.Info.DidResume, hs.Info.PSKIdentity = true, old.identity
	if old.peer != nil {
		hs.Info.PeerCertificates, hs.Info.VerifiedChains = old.peer.Certificates, old.peer.Verified
	}
}

// now is the time that certificates and tickets are judged by.
func (hs *Handshake) now() time.Time { return hs.Config.ValidAt(hs.link.Now()) }

// transcribe adds a message, with its header, to the transcript. RFC 9147,
// Section 5.2: that of DTLS 1.3 is without "the message_seq, fragment_offset,
// and fragment_length fields".
func (hs *Handshake) transcribe(raw []byte) {
	if hs.Info.Version == message.Version13 {
		hs.transcript.Add(raw[:message.Header13Len])
		raw = raw[message.HeaderLen:]
	}
	hs.transcript.Add(raw)
}

// add appends a message to the flight under preparation and to the transcript.
func (hs *Handshake) add(m message.Message) error {
	body, err := m.AppendBody(nil)
	if err != nil {
		return err
	}
	hs.addBody(m.Type(), body)
	return nil
}

// addBody is add for a message that is written already.
func (hs *Handshake) addBody(typ message.Type, body []byte) {
	n := uint32(len(body))
	h := message.Header{Type: typ, Length: n, Seq: hs.link.Add(typ, body), FragmentLength: n}
	hs.transcribe(h.Append(make([]byte, 0, message.HeaderLen)))
	hs.transcript.Add(body)
}
