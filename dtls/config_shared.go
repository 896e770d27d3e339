package dtls

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/ticket"
)

// configShares is what a Config and its clones have in common: the keys of
// tickets, and which sessions were offered.
type configShares struct {
	mu      sync.Mutex
	cookies []byte // secret of the cookies for peers that restart, made when needed
	tickets ticket.Ring
	spent   map[[sha256.Size]byte]time.Time // sessions that were offered, and when they end
}

var sharesMu sync.Mutex // guards the field of all Configs

func (c *Config) shared() *configShares {
	sharesMu.Lock()
	defer sharesMu.Unlock()
	if c.shares == nil {
		c.shares = &configShares{}
	}
	return c.shares
}

// restartKeys has the secret that a Server over a net.Conn makes cookies with.
// What it has asked a peer for that has restarted comes back to its successor.
func (s *configShares) restartKeys() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cookies == nil {
		s.cookies = make([]byte, 32)
		rand.Read(s.cookies) // never fails
	}
	return [][]byte{s.cookies}
}

// SetSessionTicketKeys sets the keys that seal and open a server's tickets, for
// servers that take each other's: the first seals, all open. Call it again to
// rotate them, also while the Config is in use; clones made by Clone follow. At
// most 16 keys are used; each must be random and secret, since it opens the
// pre-shared keys in all tickets it sealed. No key at all is a panic, as in
// crypto/tls.
func (c *Config) SetSessionTicketKeys(keys [][32]byte) {
	if len(keys) == 0 {
		panic("dtls: SetSessionTicketKeys without keys")
	}
	c.shared().tickets.SetKeys(keys)
}

// sessionSink is where a front puts the sessions of a client; the engine only
// carries it. With neither callback nor cache, sessions stay in the engine.
type sessionSink struct {
	callback func(*Conn, []byte) // Config.OnSession
	cache    ClientSessionCache
}

// ClientSessionCache keeps the sessions of clients; Take gives each away once
// (RFC 8446, Appendix C.4). A session is a secret. Both may be called by many
// goroutines at once, and must not block.
type ClientSessionCache interface {
	// Put keeps a session for the key, Config.ServerName.
	Put(key string, session []byte)
	// Take returns the newest session for the key and forgets it, nil if there
	// is none.
	Take(key string) []byte
}

// NewClientSessionCache returns a ClientSessionCache in memory for at most that
// many sessions, 64 if it is 0 or less; the oldest goes first.
func NewClientSessionCache(capacity int) ClientSessionCache {
	if capacity <= 0 {
		capacity = 64
	}
	return &sessionCache{capacity: capacity}
}

type sessionCache struct {
	mu       sync.Mutex
	capacity int
	list     []cachedSession // oldest first
}

type cachedSession struct {
	key  string
	blob []byte
}

func (c *sessionCache) Put(key string, session []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.list) == c.capacity {
		c.list = c.list[1:]
	}
	c.list = append(c.list, cachedSession{key, session})
}

func (c *sessionCache) Take(key string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.list) - 1; i >= 0; i-- {
		if c.list[i].key == key {
			blob := c.list[i].blob
			c.list = append(c.list[:i:i], c.list[i+1:]...)
			return blob
		}
	}
	return nil
}

// sessions returns a function that finds a session to resume. Each is given out
// once.
func (c *Config) sessions(p *params) func(now time.Time) *handshake.Session {
	shared := c.shared()
	return func(now time.Time) *handshake.Session {
		now = p.ValidAt(now)
		usable := func(blob []byte) *handshake.Session {
			if blob == nil {
				return nil
			}
			s := p.Offerable(blob, now)
			if s == nil || !shared.spend(s, now) {
				return nil
			}
			return s
		}
		if s := usable(c.Session); s != nil {
			return s
		}
		if c.ClientSessionCache == nil {
			return nil
		}
		for {
			blob := c.ClientSessionCache.Take(p.ServerName)
			if blob == nil {
				return nil
			}
			if s := usable(blob); s != nil {
				return s
			}
		}
	}
}

// spend notes that a session is offered. It reports false if it was before.
func (s *configShares) spend(old *handshake.Session, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, end := range s.spent {
		if now.After(end) {
			delete(s.spent, id)
		}
	}
	id := sha256.Sum256(old.Ticket)
	if _, spent := s.spent[id]; spent {
		return false
	}
	if s.spent == nil {
		s.spent = make(map[[sha256.Size]byte]time.Time)
	}
	s.spent[id] = old.Expires()
	return true
}
