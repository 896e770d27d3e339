package dtls

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/reassembly"
)

// Trace has hooks that are called at the events of an association, in the manner
// of net/http/httptrace. Any may be nil. They run on the goroutine
// that drives the association, with its locks held: they must be quick, and
// must not call its methods. No hook sees a secret. Sizes are bytes of UDP
// payload.
//
// The hooks of a Config's Trace are called for all associations of the Config.
// Peer tells these apart.
type Trace struct {
	// Peer: an association begins. The hooks that it returns, if any, are called
	// for this association only, after those of the Trace itself. It is called
	// once, before any other hook; the Peer of what it returns is not called.
	Peer func(PeerInfo) *Trace
	// Flight: a flight, or its repetition, was handed to the transport.
	Flight func(FlightInfo)
	// Message: a message of the peer was complete and in order. err is nil if
	// it was right.
	Message func(m MessageInfo, err error)
	// Retransmission: the flight goes out again.
	Retransmission func(RetransmissionInfo)
	// Suspended: messages of DTLS 1.3 after the handshake, such as tickets, were not
	// acknowledged in Retransmit.MaxTries tries, and are not repeated by themselves.
	Suspended func(messages string)
	// Dropped: records of a datagram were discarded; d counts them by reason,
	// size is that of the datagram.
	Dropped func(d Drops, size int)
	// Refused: the transport refused a datagram of size bytes.
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

// PeerInfo describes the two ends of an association.
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

// RetransmissionInfo describes the repetition of a flight.
type RetransmissionInfo struct {
	Messages string
	Cause    RetransmissionCause
	Tries    int           // timer expiries since a record of the peer was last accepted
	Timeout  time.Duration // of the next timer
	MTU      int
}

// RetransmissionCause is why a flight is repeated.
type RetransmissionCause uint8

const (
	// TimerExpired: the retransmission timer expired.
	TimerExpired RetransmissionCause = iota
	// PeerRepeated: the peer repeated its previous flight, so it has not received
	// this one, or it acknowledged only a part.
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
		Suspended: func(messages string) { l.Debug("not acknowledged", "messages", messages) },
		Dropped:   func(d Drops, size int) { l.Debug("datagram dropped", "size", size, "reason", d.String()) },
		Refused:   func(size, hint int) { l.Debug("datagram refused by the transport", "size", size, "hint", hint) },
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

// tracer is a list of Traces; each event calls the hook of every one of them that
// has it, in that order. nil is the empty list.
type tracer struct {
	e     *Engine // whose association it is; the first entry of its list has it, and no trace
	trace *Trace
	next  *tracer
}

// newTracer lists the Trace and the Logger of a config.
func newTracer(c *Config) *tracer {
	var list *tracer
	if c.Logger != nil {
		list = &tracer{nil, NewLogTrace(c.Logger), nil}
	}
	if c.Trace != nil {
		list = &tracer{nil, c.Trace, list}
	}
	return list
}

// forPeer calls the Peer hooks, and returns the list of an engine: this one, which
// other associations have too, with what they returned behind it.
func (tr *tracer) forPeer(e *Engine, peer PeerInfo) *tracer {
	if tr == nil {
		return nil
	}
	peer.Client = e.p.IsClient
	own := &tracer{e, nil, nil}
	end := &own.next
	add := func(t *Trace) { *end = &tracer{nil, t, nil}; end = &(*end).next }
	for t := tr; t != nil; t = t.next {
		add(t.trace)
	}
	for t := tr; t != nil; t = t.next {
		if t.trace.Peer == nil {
			continue
		}
		if more := t.trace.Peer(peer); more != nil {
			add(more)
		}
	}
	return own
}

func (tr *tracer) flight(o *outbox, limit int) {
	tr.each(func(t *Trace) {
		if t.Flight == nil {
			return
		}
		info := FlightInfo{Messages: o.flight.names(), Datagrams: len(o.sent.log), Largest: o.sent.biggest, MTU: limit, Transmission: o.sent.number}
		for _, d := range o.sent.log {
			info.Bytes += d.size
		}
		if o.timer.Running() {
			info.Timeout = o.timer.Timeout
		}
		t.Flight(info)
	})
}

func (tr *tracer) message(m *reassembly.Message, awaited message.Set, err error) {
	tr.each(func(t *Trace) {
		if t.Message != nil {
			name := m.Type.String()
			if m.Type == message.TypeServerHello && m.AsksRetry() {
				name = "hello_retry_request" // RFC 9846, Section 4.1.4: its own name for the same type
			}
			t.Message(MessageInfo{name, m.Seq, m.Epoch, len(m.Body()), awaited.String()}, err)
		}
	})
}

func (tr *tracer) retransmission(o *outbox, cause RetransmissionCause, limit int) {
	tr.each(func(t *Trace) {
		if t.Retransmission != nil {
			t.Retransmission(RetransmissionInfo{o.flight.names(), cause, o.timer.Tries, o.timer.Timeout, limit})
		}
	})
}

func (tr *tracer) dropped(before, after Drops, size int) {
	if tr != nil && before != after {
		tr.each(func(t *Trace) { call2(t.Dropped, after.minus(before), size) })
	}
}

func (tr *tracer) refused(size, hint int) { tr.each(func(t *Trace) { call2(t.Refused, size, hint) }) }
func (tr *tracer) suspended(msgs string)  { tr.each(func(t *Trace) { call(t.Suspended, msgs) }) }
func (tr *tracer) mtu(p PathInfo)         { tr.each(func(t *Trace) { call(t.MTU, p) }) }
func (tr *tracer) alert(a AlertError)     { tr.each(func(t *Trace) { call(t.Alert, a) }) }
func (tr *tracer) keys(epoch, id uint16)  { tr.each(func(t *Trace) { call2(t.Keys, epoch, id) }) }

func (tr *tracer) established(s ConnectionState) { tr.each(func(t *Trace) { call(t.Established, s) }) }
func (tr *tracer) ended(err error)               { tr.each(func(t *Trace) { call(t.Ended, err) }) }

// each calls f for every Trace. A hook that panics is not called again.
func (tr *tracer) each(f func(*Trace)) {
	if tr == nil {
		return
	}
	e := tr.e
	e.trace = nil
	e.user(func() {
		for t := tr.next; t != nil; t = t.next {
			f(t.trace)
		}
	})
	e.trace = tr
}

func call[A any](hook func(A), a A) {
	if hook != nil {
		hook(a)
	}
}

func call2[A, B any](hook func(A, B), a A, b B) {
	if hook != nil {
		hook(a, b)
	}
}
