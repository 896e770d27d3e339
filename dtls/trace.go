package dtls

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
)

// Trace has hooks that are called as an association goes through its life, in
// the manner of net/http/httptrace. Any may be nil. They run on the goroutine
// that drives the association, with its locks held: they must be quick, and
// must not call its methods. No hook sees a secret. Sizes are bytes of UDP
// payload.
//
// A Config's Trace hears of all its associations. Peer tells them apart.
type Trace struct {
	// Peer: an association begins. The hooks that it returns, if any, are called
	// for this association only, after those of the Trace itself; they know whom
	// they speak of. It is called once, before any other hook; the Peer of what
	// it returns is not called.
	Peer func(PeerInfo) *Trace
	// Flight: a flight, or its repetition, was handed to the transport.
	Flight func(FlightInfo)
	// Message: a message of the peer was complete and in order. err is nil if
	// it was right.
	Message func(m MessageInfo, err error)
	// Retransmission: the flight goes out again.
	Retransmission func(RetransmissionInfo)
	// Dropped: records of a datagram were not wanted; d has the new drops by
	// reason, size is that of the datagram.
	Dropped func(d Drops, size int)
	// Refused: the transport did not take a datagram of size bytes.
	Refused func(size, hint int)
	// MTU: what is known of the path changed.
	MTU func(PathInfo)
	// Alert: one was sent, or received (Remote).
	Alert func(AlertError)
	// Keys: records of this epoch can be protected from here on.
	Keys func(epoch uint16, cipherSuite uint16)
	// Established: the handshake is complete.
	Established func(ConnectionState)
	// Ended: the association is over.
	Ended func(error)
}

// PeerInfo says who is at the ends of an association.
type PeerInfo struct {
	Client bool           // we are the client
	Addr   netip.AddrPort // of the peer; invalid if it is not UDP's, or not known to an Engine yet
	Name   string         // of the peer, its address as text; "" likewise
}

// FlightInfo describes one transmission of a flight.
type FlightInfo struct {
	Messages     string // names, comma separated
	Datagrams    int
	Bytes        int
	Largest      int           // datagram
	MTU          int           // limit in force
	Transmission int           // 1: the first
	Timeout      time.Duration // until it is repeated; 0: never by itself
}

// MessageInfo describes a handshake message.
type MessageInfo struct {
	Name    string // as in the RFC, such as "server_hello"
	Seq     uint16 // message_seq
	Epoch   uint16
	Size    int    // bytes of the body
	Awaited string // what the state expected
}

// RetransmissionInfo says why a flight goes out again.
type RetransmissionInfo struct {
	Messages string
	Cause    RetransmissionCause
	Tries    int           // timer expiries without a sign of life
	Timeout  time.Duration // of the next timer
	MTU      int
}

// RetransmissionCause is why a flight is repeated.
type RetransmissionCause uint8

const (
	// TimerExpired: nothing answered it in time.
	TimerExpired RetransmissionCause = iota
	// PeerRepeated: the peer repeated the flight before, so it misses this one, or
	// it acknowledged only a part.
	PeerRepeated
)

func (c RetransmissionCause) String() string {
	if c == PeerRepeated {
		return "peer repeated"
	}
	return "timer expired"
}

// NewLogTrace returns a Trace that writes to a logger: failures at level Warn,
// the rest at level Debug. Every line has attrs, our role and the peer's address,
// as "remote".
func NewLogTrace(logger *slog.Logger, attrs ...any) *Trace {
	l := logger.With(attrs...)
	return &Trace{Peer: func(peer PeerInfo) *Trace {
		role := "server"
		if peer.Client {
			role = "client"
		}
		return logTrace(l.With("role", role, "remote", peer.Name))
	}}
}

// logTrace is NewLogTrace's for one association.
func logTrace(l *slog.Logger) *Trace {
	return &Trace{
		Flight: func(f FlightInfo) {
			l.Debug("flight sent", "messages", f.Messages, "datagrams", f.Datagrams, "bytes", f.Bytes,
				"largest", f.Largest, "mtu", f.MTU, "transmission", f.Transmission, "timeout", f.Timeout)
		},
		Message: func(m MessageInfo, err error) {
			if err != nil {
				l.Debug("message refused", "name", m.Name, "seq", m.Seq, "size", m.Size, "awaited", m.Awaited, "err", err)
				return
			}
			l.Debug("message received", "name", m.Name, "seq", m.Seq, "size", m.Size)
		},
		Retransmission: func(r RetransmissionInfo) {
			l.Debug("flight repeated", "cause", r.Cause.String(), "messages", r.Messages, "tries", r.Tries, "timeout", r.Timeout, "mtu", r.MTU)
		},
		Dropped: func(d Drops, size int) { l.Debug("datagram dropped", "size", size, "reason", d.String()) },
		Refused: func(size, hint int) { l.Debug("datagram refused by the transport", "size", size, "hint", hint) },
		MTU: func(p PathInfo) {
			l.Debug("path changed", "mtu", p.MTU, "source", p.Source.String())
		},
		Alert: func(a AlertError) {
			l.Debug("alert", "alert", a.Alert.String(), "remote", a.Remote, "warning", a.Warning)
		},
		Keys: func(epoch, id uint16) { l.Debug("keys installed", "epoch", epoch) },
		Established: func(s ConnectionState) {
			l.Debug("established", "version", VersionName(s.Version), "suite", CipherSuiteName(s.CipherSuite),
				"group", s.CurveID.String(), "alpn", s.NegotiatedProtocol, "server_name", s.ServerName)
		},
		Ended: func(err error) {
			if errors.Is(err, errEngineClosed) {
				l.Debug("closed")
				return
			}
			l.Warn("association ended", "err", err)
		},
	}
}

// tracer calls hooks, if there are any; its zero value does nothing.
type tracer struct{ t *Trace }

func (tr tracer) flight(o *outbox, limit int) {
	if tr.t == nil || tr.t.Flight == nil {
		return
	}
	info := FlightInfo{Messages: o.names(), Datagrams: len(o.log), Largest: o.biggest, MTU: limit, Transmission: o.total}
	for _, d := range o.log {
		info.Bytes += d.size
	}
	if !o.deadline.IsZero() {
		info.Timeout = o.timeout
	}
	tr.t.Flight(info)
}

func (tr tracer) message(m *inMessage, awaited message.Set, err error) {
	if tr.t != nil && tr.t.Message != nil {
		tr.t.Message(MessageInfo{m.typ.String(), m.seq, m.epoch, len(m.body()), awaited.String()}, err)
	}
}

func (tr tracer) retransmission(o *outbox, cause RetransmissionCause, limit int) {
	if tr.t != nil && tr.t.Retransmission != nil {
		tr.t.Retransmission(RetransmissionInfo{o.names(), cause, o.tries, o.timeout, limit})
	}
}

func (tr tracer) dropped(before, after Drops, size int) {
	if tr.t != nil && tr.t.Dropped != nil && before != after {
		tr.t.Dropped(after.minus(before), size)
	}
}

func (tr tracer) refused(size, hint int) {
	if tr.t != nil && tr.t.Refused != nil {
		tr.t.Refused(size, hint)
	}
}

func (tr tracer) mtu(p PathInfo) {
	if tr.t != nil && tr.t.MTU != nil {
		tr.t.MTU(p)
	}
}

func (tr tracer) alert(a AlertError) {
	if tr.t != nil && tr.t.Alert != nil {
		tr.t.Alert(a)
	}
}

func (tr tracer) keys(epoch, id uint16) {
	if tr.t != nil && tr.t.Keys != nil {
		tr.t.Keys(epoch, id)
	}
}

func (tr tracer) established(s ConnectionState) {
	if tr.t != nil && tr.t.Established != nil {
		tr.t.Established(s)
	}
}

func (tr tracer) ended(err error) {
	if tr.t != nil && tr.t.Ended != nil {
		tr.t.Ended(err)
	}
}

// follow asks for the hooks of one association.
func (tr *tracer) follow(peer PeerInfo) {
	if tr.asks() {
		tr.t = tr.t.and(tr.t.Peer(peer))
	}
}

// asks reports whether somebody wants to know whose life it is.
func (tr *tracer) asks() bool { return tr.t != nil && tr.t.Peer != nil }

// traceOf joins a config's Trace and Logger.
func traceOf(c *Config) *Trace {
	if c.Logger == nil {
		return c.Trace
	}
	return c.Trace.and(NewLogTrace(c.Logger))
}

// and calls the hooks of both; either may be nil.
func (t *Trace) and(u *Trace) *Trace {
	switch {
	case t == nil:
		return u
	case u == nil:
		return t
	}
	return &Trace{
		Peer:           bothPeers(t.Peer, u.Peer),
		Flight:         both(t.Flight, u.Flight),
		Message:        both2(t.Message, u.Message),
		Retransmission: both(t.Retransmission, u.Retransmission),
		Dropped:        both2(t.Dropped, u.Dropped),
		Refused:        both2(t.Refused, u.Refused),
		MTU:            both(t.MTU, u.MTU),
		Alert:          both(t.Alert, u.Alert),
		Keys:           both2(t.Keys, u.Keys),
		Established:    both(t.Established, u.Established),
		Ended:          both(t.Ended, u.Ended),
	}
}

func bothPeers(f, g func(PeerInfo) *Trace) func(PeerInfo) *Trace {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(peer PeerInfo) *Trace { return f(peer).and(g(peer)) }
}

func both[A any](f, g func(A)) func(A) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A) { f(a); g(a) }
}

func both2[A, B any](f, g func(A, B)) func(A, B) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A, b B) { f(a, b); g(a, b) }
}
