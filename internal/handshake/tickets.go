package handshake

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/antechamber"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/internal/ticket"
)

// Resumption is what tickets of an association are made of, beside its Info (RFC 8446,
// Section 4.6.1).
type Resumption struct {
	suite  *suite.Suite
	secret []byte // resumption_master_secret
	origin
	room int // server: the longest ticket that the client can use, in bytes; 0: none
}

// Wipe zeroes the secret. It may be called for nil.
func (r *Resumption) Wipe() {
	if r != nil {
		keys.Wipe(r.secret)
	}
}

// left is what is left of a time that begins with the full handshake, in whole seconds.
func (o *origin) left(of time.Duration, now time.Time) time.Duration {
	return (of - now.Sub(o.authenticated)).Truncate(time.Second)
}

// ticketsPerHandshake: RFC 8446, Appendix C.4: a client that opens two
// associations at once should not have to use a ticket twice.
const ticketsPerHandshake = 2

// IssueTickets returns the bodies of NewSessionTicket messages. A failure to make one
// costs the client a full handshake some day, nothing else.
func (p *Config) IssueTickets(at time.Time, r *Resumption, of *Info) (bodies [][]byte) {
	for i := range ticketsPerHandshake {
		m, err := p.IssueTicket(byte(i), at, r, of)
		if m == nil || err != nil {
			return bodies
		}
		body, err := m.AppendBody(nil)
		if err != nil {
			return bodies
		}
		bodies = append(bodies, body)
	}
	return bodies
}

// IssueTicket makes a ticket, nil if the client has no use for one. The nonce is
// another one for each. RFC 8446, Section 4.6.1 recommends "limits on the total
// lifetime" of the keys of a full handshake: that of the tickets of one is
// ticket.Lifetime, however many there are in a row.
func (p *Config) IssueTicket(nonce byte, at time.Time, r *Resumption, of *Info) (*message.NewSessionTicket13, error) {
	now := p.ValidAt(at)
	lifetime := r.left(ticket.Lifetime, now)
	if p.Tickets == nil || r.room == 0 || lifetime <= 0 {
		return nil, nil
	}
	var age [4]byte
	if err := p.random(age[:]); err != nil {
		return nil, err
	}
	s := r.session([]byte{nonce}, of, Session{at: now, lifetime: lifetime, ageAdd: binary.BigEndian.Uint32(age[:]), serverName: of.ServerName})
	plain, err := s.Marshal()
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	sealed := p.Tickets.Seal(plain, now)
	if len(sealed) > r.room {
		return nil, nil
	}
	return &message.NewSessionTicket13{Lifetime: uint32(lifetime / time.Second), AgeAdd: s.ageAdd, Nonce: []byte{nonce}, Ticket: sealed}, nil
}

// roomForTicket is how long a ticket may be for a client that has sent this hello, 0
// if it can use none. RFC 8446, Section 4.2.9: "Servers SHOULD NOT send
// NewSessionTicket with tickets that are not compatible with the advertised modes".
// The next hello is as long as this one but for the ticket, and the door has to take
// it.
func (p *Config) roomForTicket(h *message.ClientHello, length int, used *offeredPSK) int {
	if usable := slices.Contains(h.PSKModes, message.PSKModeDHEKE) || p.PSKAlone && slices.Contains(h.PSKModes, message.PSKModeKE); !usable {
		return 0
	}
	room := antechamber.MaxHello - length - pskOverhead
	if used != nil && used.session != nil {
		room += len(used.identity) + pskOverhead
	}
	return max(room, 0)
}

// pskOverhead is how many bytes a ticket adds to a hello beside itself: the header of
// the extension and of its lists, age and binder.
const pskOverhead = 4 + 2 + 2 + 4 + 2 + 1 + 48

// SessionOf makes a session of a ticket, nil if it cannot be used.
func (p *Config) SessionOf(m *message.NewSessionTicket13, at time.Time, r *Resumption, of *Info) ([]byte, error) {
	if m.Lifetime > MaxTicketLifetime {
		// RFC 8446, Section 4.6.1: "Servers MUST NOT use any value greater than
		// 604800 seconds (7 days)."
		return nil, alert.Errorf(alert.IllegalParameter, "ticket for %d seconds", m.Lifetime)
	}
	now := p.ValidAt(at)
	// RFC 8446, Section 4.6.1: a lifetime of 0 says that "the ticket should be
	// discarded immediately".
	lifetime := min(time.Duration(m.Lifetime)*time.Second, r.left(maxAge, now))
	if len(m.Ticket) > MaxTicket || lifetime <= 0 {
		return nil, nil
	}
	return r.session(m.Nonce, of, Session{
		at: now, lifetime: lifetime, ageAdd: m.AgeAdd, Ticket: bytes.Clone(m.Ticket), serverName: p.ServerName,
	}).Marshal()
}

// openTicket returns the session in a ticket, nil if the ticket was not sealed
// by this server or is too old.
func (p *Config) openTicket(t []byte, now time.Time) *Session {
	plain := p.Tickets.Open(t)
	if plain == nil {
		return nil
	}
	s, err := ParseSession(plain)
	if err != nil || !s.alive(now) {
		return nil
	}
	return s
}
