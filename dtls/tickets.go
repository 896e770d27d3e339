package dtls

import (
	"encoding/binary"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/internal/ticket"
)

// issueTicket makes a ticket for a pre-shared key (RFC 8446, Section 4.6.1), of an
// association with that suite and peer. Its nonce is the caller's.
func (p *config) issueTicket(at time.Time, chosen *suite.Suite, secret []byte, of *info) (*message.NewSessionTicket13, error) {
	now := p.validAt(at)
	var age [4]byte
	if err := p.random(age[:]); err != nil {
		return nil, err
	}
	s := &session{
		suite: chosen, secret: secret, ageAdd: binary.BigEndian.Uint32(age[:]), at: now, lifetime: ticket.Lifetime,
		protocol: of.NegotiatedProtocol, serverName: of.ServerName,
	}
	s.setChain(of.PeerCertificates)
	plain, err := s.marshal()
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return &message.NewSessionTicket13{
		Lifetime: uint32(ticket.Lifetime / time.Second), AgeAdd: s.ageAdd, Ticket: p.tickets.Seal(plain, now),
	}, nil
}

// openTicket returns the session in a ticket, nil if there is none of ours or it
// is too old.
func (p *config) openTicket(t []byte, now time.Time) *session {
	plain := p.tickets.Open(t)
	if plain == nil {
		return nil
	}
	s, err := parseSession(plain)
	if err != nil || !s.alive(now) {
		return nil
	}
	return s
}
