package handshake

import (
	"bytes"
	"slices"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/antechamber"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/internal/ticket"
)

// Abbreviated handshakes of DTLS 1.2 by tickets (RFC 5077, Section 3.1; RFC 5246,
// Section 7.3). The ticket of a full handshake comes in the same place, behind the
// flight of client12.go.
//
//	ClientHello (ticket)  -->
//	                      <--  ServerHello         awaitServerHello
//	                           NewSessionTicket*   awaitServerFinished12
//	                           [ChangeCipherSpec]
//	                           Finished            awaitServerFinished12
//	[ChangeCipherSpec]
//	Finished              -->                      awaitClientFinished12

// offer puts a session into a first hello. RFC 5077, Section 3.4: the client "MAY
// generate and include a Session ID", by which it sees whether the server resumes.
func (old *Session) offer(p *Config, h *message.ClientHello) error {
	h.SessionTicket, h.SessionID = old.Ticket, make([]byte, 32)
	return p.random(h.SessionID)
}

// resumes12 reports whether a ServerHello resumes the session that was offered.
func (s awaitServerHello) resumes12(m *message.ServerHello) bool {
	return s.session != nil && len(m.SessionID) > 0 && bytes.Equal(m.SessionID, s.hello.SessionID)
}

// resume12 is agree12 for a session.
func (hs *Handshake) resume12(old *Session, m *message.ServerHello, n *negotiated12) (State, error) {
	// RFC 5246, Section 7.4.1.3: "this field is the value from the state of the
	// session being resumed".
	if m.CipherSuite != old.suite.ID {
		return nil, alert.Errorf(alert.IllegalParameter, "server resumes a session of %s with %s", old.suite.Name, n.suite.Name)
	}
	// RFC 7627, Section 5.3: either way "the client MUST abort the handshake".
	if m.ExtendedMasterSecret != old.ems {
		return nil, alert.Errorf(alert.HandshakeFailure, "server resumes a session with another use of the extended master secret")
	}
	hs.usePSK(&offeredPSK{session: old})
	n.comesFrom(old.from())
	master := bytes.Clone(old.Secret)
	if err := hs.useMaster(n, master); err != nil {
		return nil, err
	}
	return awaitServerFinished12{n: n, master: master, ticket: m.SessionTicketAck, resumed: old}, nil
}

// recall12 returns the session in the ticket of a hello; nil: a full handshake is made.
func (hs *Handshake) recall12(p *Config, h *message.ClientHello) (*Session, error) {
	now := p.ValidAt(hs.link.Now())
	s := p.openTicket(h.SessionTicket, now)
	if s == nil || s.suite.Is13() || !p.usesSuite(s.suite) || !slices.Contains(h.CipherSuites, s.suite.ID) {
		return nil, nil
	}
	switch { // RFC 7627, Section 5.3
	case s.ems && !h.ExtendedMasterSecret:
		return nil, alert.Errorf(alert.HandshakeFailure, "client resumes a session without its extended master secret")
	case !s.ems && h.ExtendedMasterSecret:
		return nil, nil
	}
	alpn, err := chooseALPN(p.ALPN, h.ALPN)
	if err != nil || !s.fits(p, h, alpn) {
		return nil, nil //nolint:nilerr // the full handshake says so
	}
	var find func(PSKQuery) (*PSK, error)
	if p.ServerPSK != nil {
		begun, done := p.ServerPSK(hs.context())
		defer done()
		find = begun
	}
	look := func(identity []byte) ([]byte, error) {
		return findPSK(find, PSKQuery{bytes.Clone(identity), h.ServerName, hs.link.Peer()})
	}
	if !s.holds(p, look, now) {
		return nil, nil
	}
	return s, nil
}

// answerTicket12 sends the server's flight for a session.
func answerTicket12(hs *Handshake, h *message.ClientHello, old *Session, length int) (State, error) {
	c := choice12{suite: old.suite, alpn: old.protocol}
	sh, n, err := hs.serverHello12(h, c, length)
	if err != nil {
		return nil, err
	}
	// RFC 5077, Section 3.4: the server "MUST respond with the same Session ID present
	// in the ClientHello".
	sh.SessionID = h.SessionID
	hs.usePSK(&offeredPSK{session: old})
	n.comesFrom(old.from())
	if err := hs.add(sh); err != nil {
		return nil, err
	}
	master := bytes.Clone(old.Secret)
	if err := hs.useMaster(n, master); err != nil {
		return nil, err
	}
	if err := hs.checkConnection(); err != nil {
		return nil, err
	}
	if err := hs.addTicket12(n, master); err != nil {
		return nil, err
	}
	if err := hs.addFinished(n, master); err != nil {
		return nil, err
	}
	hs.link.SendFlight(false)
	return awaitClientFinished12{n: n, master: master, resumed: true}, nil
}

// roomForTicket12 is how long a ticket may be for a client that has sent this hello, 0
// if it wants none: its next hello has to fit the door.
func (p *Config) roomForTicket12(h *message.ClientHello, length int) uint16 {
	if p.Tickets == nil || !h.HasSessionTicket && len(h.SessionTicket) == 0 {
		return 0
	}
	const sessionID = 32 // of offer
	return uint16(max(0, antechamber.MaxHello-length+len(h.SessionTicket)-sessionID))
}

// addTicket12 adds the NewSessionTicket that the ServerHello has announced. RFC 5077,
// Section 3.3: one that cannot be made after that has no bytes.
func (hs *Handshake) addTicket12(n *negotiated12, master []byte) error {
	if n.room == 0 {
		return nil
	}
	p, now := hs.Config, hs.now()
	m := &message.NewSessionTicket{}
	if lifetime := n.origin.left(ticket.Lifetime, now); lifetime > 0 {
		s := hs.session12(n, master, now, lifetime, hs.Info.ServerName, nil)
		plain, err := s.Marshal()
		if err != nil {
			return err
		}
		defer clear(plain)
		if sealed := p.Tickets.Seal(plain, now); len(sealed) <= int(n.room) {
			m.Lifetime, m.Ticket = uint32(lifetime/time.Second), sealed
		}
	}
	return hs.add(m)
}

// keepTicket12 makes a session of the ticket of a server, or keeps the one that was
// resumed: a ticket of DTLS 1.2 is good for more than one association.
func (hs *Handshake) keepTicket12(n *negotiated12, master []byte, m *message.NewSessionTicket, resumed *Session) {
	if m == nil || len(m.Ticket) == 0 {
		if resumed != nil {
			hs.keep(resumed.again())
		}
		return
	}
	// RFC 5077, Section 3.3: 0 is "a value of zero is reserved to indicate that the
	// lifetime of the ticket is unspecified".
	lifetime := ticket.Lifetime
	if m.Lifetime > 0 {
		lifetime = time.Duration(m.Lifetime) * time.Second
	}
	now := hs.now()
	if lifetime = min(lifetime, n.origin.left(maxAge, now)); len(m.Ticket) > MaxTicket || lifetime <= 0 {
		return
	}
	hs.keep(hs.session12(n, master, now, lifetime, hs.Config.ServerName, bytes.Clone(m.Ticket)))
}

// usesSuite reports whether a suite is offered, with a version that is.
func (p *Config) usesSuite(s *suite.Suite) bool {
	if s.Is13() {
		return p.usesSuite13(s.ID)
	}
	return p.Offers(message.Version12) && slices.Contains(p.Suites, s)
}
