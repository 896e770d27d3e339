package dtls

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/acks"
	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/epochs"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/quotes"
	"github.com/flightpath-dtls/flightpath/internal/recordsize"
)

// Engine is one association without any I/O: datagrams and the time go in,
// datagrams, events and the next time-out come out. It starts no goroutine,
// takes no lock and asks no clock; the same inputs give the same outputs, but
// for the randomness of keys. It is not safe for concurrent use.
//
// The loop of its owner, after every input:
//
//	eng.HandleDatagram(now, datagram, from) // or HandleTimeout, Write, Close
//	for {
//		tx, ok := eng.PollTransmit(now, buf[:0])
//		if !ok {
//			break
//		}
//		if refused := send(tx.Data); refused {
//			eng.TransmitRefused(now, tx.ID, 0)
//		}
//	}
//	for ev, ok := eng.PollEvent(); ok; ev, ok = eng.PollEvent() {
//		…
//	}
//	arm(eng.NextTimeout())
//
// A server of many clients has a Door and the engines by address. Its loop for a
// datagram, before the above:
//
//	eng := door.Route(now, datagram, from, engines[from])
//	if eng == nil {
//		reply, hello := door.Handle(now, datagram, from, local, nil)
//		… // send reply; without a hello this was all
//		eng, err = dtls.NewServerEngine(config, hello, now)
//		… // add it to engines[from], see Door.Route
//		datagram = hello.Datagram
//	}
//	eng.HandleDatagram(now, datagram, from)
//
// An error of HandleDatagram or HandleTimeout is fatal: the association is
// over, and one last PollTransmit may give its alert. What the
// network sends is never an error by itself; it is dropped and counted in
// Drops.
//
// A panic of a function of the Config goes on through the method that called it. The
// association has failed then: later calls return that error.
//
// Times are compared with each other only; use one clock, if possible a
// monotonic one.
type Engine struct {
	phase
	p    *params
	door *Door // server that still asks for a cookie, else nil
	path path
	out  outbox
	acks acks.Owed
	keys epochs.Epochs
	post *post13 // what DTLS 1.3 goes on with after the handshake, else nil

	restart *restartWatch // server that nobody else takes hellos for, else nil

	events  events
	alerts  alert.Queue
	data    [][]byte // records of Write, to be sent, in order
	replies [][]byte // whole datagrams of the door, to be sent

	now        time.Time
	hello      uint64       // door.Mark of the ClientHello that a Door let in, else 0
	pollDue    bool         // the flight stood still and may go on: PollTransmit, at once
	addrOpen   bool         // the address is that of a ClientHello that is not accepted yet
	lastSeq12  uint16       // message_seq of the peer's Finished of DTLS 1.2
	lastRecord time.Time    // when the last authentic record came
	source     *helloSource // what the owner knows of the peer; nil: nothing but its address
	state      ConnectionState
	secrets    *handshake.Result // of DTLS 1.2, after the handshake, for exporters
	maxData    int               // SetMaxData, 0: none
	sizes      recordsize.Limits
	nextID     uint64
	dataID     uint64 // ID of the last datagram with data of Write
	dataSize   int

	closing closing
	trace   *tracer
	drops   Drops
}

// NewClientEngine returns a client that has its first flight ready.
func NewClientEngine(config *Config, now time.Time) (*Engine, error) {
	p, err := resolve(config, true)
	if err != nil {
		return nil, err
	}
	p.sessionSink.direct = true
	return newClientEngine(p, nil, PeerInfo{}, now)
}

func newClientEngine(p *params, caller handshake.Caller, peer PeerInfo, now time.Time) (*Engine, error) {
	e, err := newEngine(p, caller, peer, now)
	if err != nil {
		return nil, err
	}
	e.path.addressProven(true)
	if !p.ignoreClosed {
		e.hs.hellos = new(quotes.Hellos)
	}
	if err := handshake.StartClient(e.hs.m); errors.Is(err, handshake.ErrBadPSK) {
		return nil, badConfig("%v", err)
	} else if err != nil {
		return nil, err
	}
	return e, nil
}

// NewServerEngine returns a server that waits for a hello. hello is what a Door
// let in; nil says that the first datagrams come to HandleDatagram, with a
// cookie asked only if Config.CookieMode is CookieAlways. Such an engine also
// finds out that its peer has restarted: HandleTimeout returns ErrPeerRestarted. With
// a Door, Door.Route does.
func NewServerEngine(config *Config, hello *ProvenHello, now time.Time) (*Engine, error) {
	p, err := resolve(config, false)
	if err != nil {
		return nil, err
	}
	var peer PeerInfo
	if hello != nil && hello.From.IsValid() {
		peer = PeerInfo{Addr: hello.From, Name: hello.From.String()}
	}
	return newServerEngine(p, hello, nil, peer, now)
}

func newServerEngine(p *params, hello *ProvenHello, caller handshake.Caller, peer PeerInfo, now time.Time) (*Engine, error) {
	e, err := newEngine(p, caller, peer, now)
	if err != nil {
		return nil, err
	}
	if hello != nil {
		e.admit(hello)
		return e, nil
	}
	e.hs.m.StartServer(nil, nil, nil)
	e.restart = &restartWatch{}
	switch p.cookieMode {
	case CookieAlways:
		d, err := newDoor(p.recognizing(), now)
		if err != nil {
			return nil, err
		}
		e.door = d
		e.path.addressProven(true)
	case CookieNever, CookieUnderLoad:
	default:
		e.path.addressProven(true)
	}
	return e, nil
}

func newEngine(p *params, caller handshake.Caller, peer PeerInfo, now time.Time) (*Engine, error) {
	e := &Engine{p: p, now: now, path: newPath(p, now)}
	e.trace = p.trace.forPeer(e, peer)
	if err := e.keys.OpenPlaintext(); err != nil {
		return nil, err
	}
	e.begin(newHandshake(e, caller, now))
	e.out.init(&p.retransmit, p.IsClient)
	return e, nil
}

// admit begins where the door left off.
func (e *Engine) admit(hello *ProvenHello) {
	e.hello = door.MarkWithin(hello.Datagram)
	e.hs.m.StartServer(hello.proof.Cookie, hello.proof.Chosen, hello.proof.Retry)
	e.hs.cookie, e.hs.whole = hello.proof.Cookie != nil, hello.proof.Cookie != nil && hello.proof.Whole
	if e.p.ForClient != nil && hello.proof.Local.IsValid() {
		e.knowPeer().Local = hello.proof.Local
	}
	e.path.addressProven(hello.proof.Proven)
	e.path.setAddr(hello.From)
	if hello.proof.RTTKnown {
		e.out.timer.Learn(hello.proof.RTT)
	}
	// RFC 6347, Section 4.2.1: the HelloVerifyRequest carried the record
	// number of the hello it answered; ours go on behind it.
	e.keys.SkipTo(hello.proof.RecordSeq)
}

// helloSource is what the owner of an engine knows of its peer.
type helloSource struct {
	handshake.HelloSource
	named netip.AddrPort // stands for a peer without an address of UDP in cookies
}

func (e *Engine) knowPeer() *helloSource {
	if e.source == nil {
		e.source = new(helloSource)
	}
	return e.source
}

// sourceOf is where a ClientHello came from, with what the owner of the engine knows.
func (e *Engine) sourceOf(from netip.AddrPort, proven bool) (source handshake.HelloSource) {
	if e.source != nil {
		source = e.source.HelloSource
	}
	source.Remote, source.Proven = from, proven
	return source
}

// cookieAddr is what cookies are bound to. A peer that is nowhere shares it with all
// others of that kind.
func (e *Engine) cookieAddr() netip.AddrPort {
	if e.path.addr.IsValid() {
		return e.path.addr
	}
	if e.source != nil {
		return e.source.named
	}
	return netip.AddrPort{}
}

// HandleDatagram takes what the transport received, decrypting it in place.
// from is the sender's address; an engine whose transport has one peer may
// leave it invalid. Without an address of a ProvenHello it answers to that of the
// first ClientHello, else of the first authentic record. The error is fatal.
func (e *Engine) HandleDatagram(now time.Time, datagram []byte, from netip.AddrPort) error {
	e.user(func() { e.handleDatagram(now, datagram, from) })
	return e.err
}

func (e *Engine) handleDatagram(now time.Time, datagram []byte, from netip.AddrPort) {
	if e.over() {
		return
	}
	e.advance(now)
	if e.door != nil {
		e.handleAtDoor(datagram, from)
		return
	}
	e.path.learnFamily(from)
	if e.handshaking() && e.hs.m.AwaitsHello() && door.Mark(datagram) != 0 {
		e.learnAddr(from, true)
	}
	if e.handleRestartHello(datagram) {
		return
	}
	e.path.credit.received(len(datagram))
	if e.handshaking() {
		e.hs.received, e.hs.hellos = e.hs.received+1, nil
	}
	e.out.pacer.Arrival()
	before := e.drops
	e.handleRecords(datagram)
	if !e.lastRecord.IsZero() {
		e.learnAddr(from, false)
	}
	e.trace.dropped(before, e.drops, len(datagram))
	e.continueLinger()
}

// learnAddr takes the address of an authentic record, or of a ClientHello (open), if the
// owner has given none. Nothing else that a stranger sends chooses where to answer.
func (e *Engine) learnAddr(addr netip.AddrPort, open bool) {
	if addr.IsValid() && (e.addrOpen || !e.path.addr.IsValid()) {
		e.path.setAddr(addr)
		e.addrOpen = open
	}
}

// HandleTimeout does what is due: call it when NextTimeout has come, or at any
// time. The error is fatal.
func (e *Engine) HandleTimeout(now time.Time) error {
	e.user(func() { e.handleTimeout(now) })
	return e.err
}

func (e *Engine) handleTimeout(now time.Time) {
	if e.over() {
		return
	}
	e.advance(now)
	e.pollDue = false
	if e.handshaking() {
		e.hs.handleTimeout(now)
	}
	if !e.over() {
		e.handleFlightTimeout(now)
	}
	if !e.over() {
		e.handleACKTimeout(now)
		e.retireKeys(now)
		e.restart.handleTimeout(e)
	}
	e.continueLinger()
}

// user runs f, in which functions of the Config are called. If one of them panics or
// ends its goroutine, the state of the association is that of the middle of f: it
// fails. The panic goes on.
func (e *Engine) user(f func()) {
	returned := false
	defer func() {
		if !returned {
			e.fail(errPanicked)
		}
	}()
	f()
	returned = true
}

var errPanicked = errors.New("dtls: a function of the Config or a method of the transport has panicked or ended its goroutine")

// NextTimeout is when HandleTimeout should be called next, the zero time for
// never. It is a pure question.
func (e *Engine) NextTimeout() time.Time {
	switch {
	case e.over():
		return time.Time{}
	case e.pollDue:
		return e.now
	}
	t := earliest(e.out.nextTimeout(), e.acks.Due)
	if e.handshaking() {
		t = earliest(t, e.hs.nextTimeout())
	}
	t = earliest(earliest(t, e.keys.Retirement()), e.restart.nextTimeout())
	return earliest(t, e.closing.nextTimeout())
}

// advance notes the time of an input. The clock may jump; it never runs
// backwards in here.
func (e *Engine) advance(now time.Time) {
	e.tick(now)
	e.events.forgetData()
}

// tick is advance for inputs that leave the data of earlier events alone.
func (e *Engine) tick(now time.Time) {
	if now.After(e.now) {
		e.now = now
	}
}

// PollEvent returns the next event; its bytes are valid until the next
// HandleDatagram, HandleTimeout or Close.
func (e *Engine) PollEvent() (Event, bool) {
	ev, ok := e.events.Pop()
	if ok && ev.Kind == EventLargePacket {
		e.out.sent.resume() // the owner knows; going on is its decision
		e.pollDue = true
	}
	return ev, ok
}

// Err returns the error that ended the association, nil while it lives.
func (e *Engine) Err() error { return e.err }

// Established reports whether the handshake is complete.
func (e *Engine) Established() bool { return e.established() }

// ConnectionState describes the association; fields are filled in as the
// handshake learns them.
func (e *Engine) ConnectionState() ConnectionState {
	s := e.state
	if s.HandshakeComplete {
		s.export = e.ExportKeyingMaterial
	}
	return s
}

// Direction says what an unfinished handshake waits for.
func (e *Engine) Direction() Direction {
	if !e.alerts.Empty() || len(e.replies) > 0 || e.acks.Now || e.out.flight.state == flightSending {
		return Writing
	}
	return Reading
}

// Direction is what an unfinished call waits for.
type Direction uint8

const (
	// Reading: a datagram of the peer, or a time-out.
	Reading Direction = iota
	// Writing: the transport, or the caller's decision about its MTU.
	Writing
)

func (d Direction) String() string {
	if d == Writing {
		return "writing"
	}
	return "reading"
}

// fail ends the association with err. A fault of the peer, or of a callback,
// is answered with its alert; a is false where nothing may be said.
func (e *Engine) fail(err error) {
	if e.over() {
		return
	}
	var cause *alert.Error
	if !errors.As(err, &cause) {
		var remote *AlertError
		if errors.As(err, &remote) {
			e.end(err) // nothing to say: the peer said it
			return
		}
		cause = &alert.Error{Alert: alert.InternalError, Cause: err}
	}
	e.sendAlert(alert.Fatal, cause.Alert)
	e.end(&AlertError{Alert: cause.Alert, Cause: cause})
}

// end stops everything but the alerts that are queued. An association ends
// once: the first error stays.
func (e *Engine) end(err error) {
	if e.handshaking() {
		e.hs.m.Wipe()
	}
	first := e.phase.end(err)
	e.data = nil
	e.dropFlight()
	e.acks.Clear()
	e.post.wipe()
	e.post = nil
	e.secrets.Wipe()
	if e.alerts.Empty() {
		e.keys.Wipe() // else behind the last alert
	}
	if first {
		e.trace.ended(err)
	}
}

// Drops returns the counters.
func (e *Engine) Drops() Drops { return e.drops }

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// String names the role and state, for logs.
func (e *Engine) String() string {
	role := "server"
	if e.p.IsClient {
		role = "client"
	}
	switch {
	case e.over():
		return fmt.Sprintf("%s, over: %v", role, e.err)
	case e.handshaking():
		return fmt.Sprintf("%s, awaiting %s", role, e.hs.awaited())
	}
	return fmt.Sprintf("%s, established", role)
}
