package interop

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	pion "github.com/pion/dtls/v4"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// TestPion13Resumptions has an association and then another one that resumes it,
// by a ticket of pion where we dial and by one of ours where we serve. The second
// has a relay, a socket and a configuration of its own.
func TestPion13Resumptions(t *testing.T) {
	t.Parallel()
	same := func(*Case13) {}
	for _, c := range []struct {
		name   string
		first  func(*Case13)
		second func(*Case13) // what is different in the association that resumes
	}{
		{"AES-128-GCM", same, same},
		{"AES-256-GCM", func(c *Case13) { c.Suite = 0x1302 }, same},
		{"ChaCha20-Poly1305", func(c *Case13) { c.Suite = 0x1303 }, same},
		{"an application protocol", func(c *Case13) { c.ALPN = true }, same},
		{"certificates of 6 KB", func(c *Case13) { c.LongChain = true }, same},
		{"DTLS 1.3 alone", func(c *Case13) { c.Only13 = true }, same},
		{"no cookie", func(c *Case13) { c.Proven = true }, same},
		{"a share is asked for", same, func(c *Case13) { c.Groups = groups13[4] }},
		{"a share is asked for without a cookie", func(c *Case13) { c.Proven = true }, func(c *Case13) { c.Groups = groups13[4] }},
		{"X25519MLKEM768", func(c *Case13) { c.Groups = groups13[3] }, same},
		{"an MTU of 548", func(c *Case13) { c.MTU = 548 }, func(c *Case13) { c.Groups = groups13[3] }},
		{"20 % loss", same, func(c *Case13) { c.Loss = true }},
	} {
		eachRole(t, c.name, func(t *testing.T, r role) {
			first := plain13(r)
			c.first(&first)
			second := first
			c.second(&second)
			v := newVisits(t, r)
			v.meet(first, false)
			v.meet(second, true)
		})
	}
	eachRole(t, "twice, with new keys before and after", func(t *testing.T, r role) {
		v := newVisits(t, r)
		v.then = func(s *pionScene) {
			s.update(true)
			s.updateTheirs(true)
			s.epochs(5, 5)
		}
		v.meet(plain13(r), false)
		v.meet(plain13(r), true)
		v.meet(plain13(r), true)
	})
}

// TestPion13OtherSuite: RFC 8446, Section 4.2.11 asks for the hash of the session,
// not for its suite. Our server resumes; our client offers no session of a suite
// that it is not to use.
func TestPion13OtherSuite(t *testing.T) {
	t.Parallel()
	eachRole(t, "with SHA-256", func(t *testing.T, r role) {
		v := newVisits(t, r)
		v.meet(plain13(r), false)
		other := plain13(r)
		other.Suite = 0x1303
		v.meet(other, r == weServe)
	})
}

// TestPion13FullAgain: a handshake that cannot be resumed is a full one.
func TestPion13FullAgain(t *testing.T) {
	t.Parallel()
	eachRole(t, "the server has lost its keys", func(t *testing.T, r role) {
		v := newVisits(t, r)
		v.meet(plain13(r), false)
		v.forget()
		v.meet(plain13(r), false)
	})
	eachRole(t, "a suite with another hash", func(t *testing.T, r role) {
		v := newVisits(t, r)
		v.meet(plain13(r), false)
		other := plain13(r)
		other.Suite = 0x1302
		v.meet(other, false)
	})
	// See Pion13: it has no tickets where clients have certificates.
	eachRole(t, "certificates on both sides", func(t *testing.T, r role) {
		c := plain13(r)
		c.ClientCert = true
		v := newVisits(t, r)
		v.noTicket = true
		v.meet(c, false)
		v.meet(c, false)
	})
}

// visits are associations one after the other of which each resumes the one
// before, if it can.
type visits struct {
	*testing.T
	role     role
	ticket   [32]byte     // the key of our server's tickets
	sessions *pionTickets // of pion
	session  []byte       // of our client
	then     func(*pionScene)
	noTicket bool // the server gives none, or the client keeps none
}

func newVisits(t *testing.T, r role) *visits {
	return &visits{T: t, role: r, ticket: [32]byte{1}, sessions: &pionTickets{}, then: func(*pionScene) {}}
}

// forget has the server open no ticket that it gave.
func (v *visits) forget() {
	v.ticket[0]++
	if v.role == weDial {
		v.sessions = &pionTickets{}
	}
}

func (v *visits) meet(c Case13, resumed bool) {
	v.Helper()
	before := v.sessions.newest()
	s := meet(v.T, c, Pion13{Sessions: v.sessions}, func(cfg *dtls.Config) {
		cfg.SetSessionTicketKeys([][32]byte{v.ticket})
		cfg.Session = v.session
	})
	s.talk("first words")
	s.check(resumed)
	v.then(s)
	s.talk("last words")
	switch {
	case v.noTicket:
		s.calm(200 * time.Millisecond)
		if _, err := s.ours.connection().Session(); !errors.Is(err, dtls.ErrNoSession) {
			s.Errorf("our client has a session of pion: %v", err)
		}
		if len(v.sessions.newest()) > 0 {
			s.Error("pion has a ticket")
		}
	case v.role == weDial:
		s.await("session", func() bool {
			var err error
			v.session, err = s.ours.connection().Session()
			return err == nil
		})
	default:
		s.await("ticket of ours at pion", func() bool { return !bytes.Equal(v.sessions.newest(), before) })
	}
	if resumed {
		s.c.LongChain = false // it did not cross again
	}
	s.checkPath()
}

// pionTickets are what a server of pion has given, or a client of it has got. A
// client looks for the newest, with whatever address its server has now.
type pionTickets struct {
	mu    sync.Mutex
	given map[string]pion.Session // by ticket
	last  pion.Session
}

func (p *pionTickets) Set(_ []byte, s pion.Session) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.given == nil {
		p.given = make(map[string]pion.Session)
	}
	p.given[string(s.ID)] = s
	p.last = s
	return nil
}

func (p *pionTickets) Get(key []byte) (pion.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.IsClient {
		return p.last, nil
	}
	return p.given[string(key)], nil
}

func (p *pionTickets) Del(key []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.given, string(key))
	return nil
}

// newest is the ticket that was given last.
func (p *pionTickets) newest() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.ID
}
