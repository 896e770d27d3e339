package dtls

// phase is the part of its life that an association is in.
//
//	              Finished                  ClientHello (RFC 5246, Section 7.4.1.1)
//	handshaking ───────────▶ established ◀──────────────────────▶ rehandshaking
//	     │                        │          Finished                   │
//	     └────────────────────────┴─────────────────────────────────────┴──▶ over
//
// While rehandshaking, application data goes on under the keys of the handshake
// before. No handshake is made a second time yet: renegotiation is refused. But
// every question below has its answer for that phase.
type phase struct {
	at  phaseName
	hs  *driver // in handshaking and rehandshaking, else nil: its memory goes with it
	err error   // in over: why
}

type phaseName uint8

const (
	phaseHandshaking phaseName = iota
	phaseEstablished
	phaseRehandshaking
	phaseOver
)

// begin enters a handshake.
func (p *phase) begin(hs *driver) {
	p.hs = hs
	if p.at == phaseEstablished {
		p.at = phaseRehandshaking
	}
}

// complete leaves the handshake: its keys are in force.
func (p *phase) complete() { p.at, p.hs = phaseEstablished, nil }

// end ends the association. It reports whether it was not over before: the first
// error stays.
func (p *phase) end(err error) bool {
	p.hs = nil
	if p.at == phaseOver {
		return false
	}
	p.at, p.err = phaseOver, err
	return true
}

// over reports whether the association has ended; err is the reason.
func (p *phase) over() bool { return p.at == phaseOver }

// handshaking reports whether a handshake is under way, the first or a later one.
func (p *phase) handshaking() bool { return p.hs != nil }

// runs reports whether hs is the handshake under way.
func (p *phase) runs(hs *driver) bool { return p.hs == hs }

// established reports whether a handshake has been completed, and the association
// is not over: application data is protected with the keys of that handshake, also
// while a later one is under way.
func (p *phase) established() bool { return p.at == phaseEstablished || p.at == phaseRehandshaking }

// maySendData reports whether application data can be protected. RFC 8446, Section
// 2.3 would allow a client early data before; it is not implemented.
func (p *phase) maySendData() bool { return p.established() }

// speaks13 reports whether DTLS 1.3 is agreed on, or asked for by a
// HelloRetryRequest. No other place tells the versions apart.
func (e *Engine) speaks13() bool { return e.state.Version == VersionDTLS13 }

// established13 reports whether post is there: the handshake of DTLS 1.3 is complete.
func (e *Engine) established13() bool { return e.established() && e.speaks13() }
