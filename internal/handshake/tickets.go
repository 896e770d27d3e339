package handshake

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/internal/ticket"
)

// IssueTicket makes a ticket of an association with that suite, resumption secret
// and peer (RFC 8446, Section 4.6.1). The nonce is another one for each.
func (p *Config) IssueTicket(nonce byte, at time.Time, chosen *suite.Suite, resumption []byte, of *Info) (*message.NewSessionTicket13, error) {
	now := p.ValidAt(at)
	var age [4]byte
	if err := p.random(age[:]); err != nil {
		return nil, err
	}
	s := &Session{
		suite: chosen, Secret: keys.TicketPSK13(chosen.Hash, resumption, []byte{nonce}), ageAdd: binary.BigEndian.Uint32(age[:]), at: now, lifetime: ticket.Lifetime,
		protocol: of.NegotiatedProtocol, serverName: of.ServerName,
	}
	s.setChain(of.PeerCertificates)
	plain, err := s.Marshal()
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return &message.NewSessionTicket13{
		Lifetime: uint32(ticket.Lifetime / time.Second), AgeAdd: s.ageAdd, Nonce: []byte{nonce}, Ticket: p.Tickets.Seal(plain, now),
	}, nil
}

// SessionOf makes a session of a ticket that came on an association with that suite,
// resumption secret and peer, nil if the ticket is too long to be offered.
func (p *Config) SessionOf(m *message.NewSessionTicket13, at time.Time, chosen *suite.Suite, resumption []byte, of *Info) ([]byte, error) {
	if m.Lifetime > MaxTicketLifetime {
		// RFC 8446, Section 4.6.1: "Servers MUST NOT use any value greater than
		// 604800 seconds (7 days)."
		return nil, alert.Errorf(alert.IllegalParameter, "ticket for %d seconds", m.Lifetime)
	}
	if len(m.Ticket) > MaxTicket {
		return nil, nil
	}
	s := &Session{
		suite: chosen, Secret: keys.TicketPSK13(chosen.Hash, resumption, m.Nonce), Ticket: bytes.Clone(m.Ticket),
		ageAdd: m.AgeAdd, at: p.ValidAt(at), lifetime: time.Duration(m.Lifetime) * time.Second,
		protocol: of.NegotiatedProtocol, serverName: p.ServerName,
	}
	s.setChain(of.PeerCertificates)
	return s.Marshal()
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
