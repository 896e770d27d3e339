package handshake

import (
	"crypto/rand"
	"sync"

	"github.com/flightpath-dtls/flightpath/internal/ticket"
)

// Shared is what a Config and its clones have in common: the keys of tickets, and the
// sessions that were offered.
type Shared struct {
	Tickets ticket.Ring
	Spent   Spent // sessions that were offered

	mu      sync.Mutex
	cookies []byte // secret of the cookies for peers that restart, made when needed
}

var sharedMu sync.Mutex // guards the field of all Configs

// SharedIn is what field points to. It is made when it is needed first.
func SharedIn(field **Shared) *Shared {
	sharedMu.Lock()
	defer sharedMu.Unlock()
	if *field == nil {
		*field = &Shared{}
	}
	return *field
}

// RestartKeys is the secret of the cookies of a Server over a net.Conn: the Server
// after it accepts them, when the peer has restarted.
func (s *Shared) RestartKeys() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cookies == nil {
		s.cookies = make([]byte, 32)
		rand.Read(s.cookies) // never fails
	}
	return [][]byte{s.cookies}
}
