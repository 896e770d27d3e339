package handshake

import (
	"crypto/sha256"
	"sync"
	"time"
)

// NewSessionCache returns a cache for at most that many sessions, 64 if it is 0 or
// less; the oldest is evicted first.
func NewSessionCache(capacity int) *SessionCache {
	if capacity <= 0 {
		capacity = 64
	}
	return &SessionCache{capacity: capacity}
}

// SessionCache keeps the sessions of clients in memory. It may be used by many
// goroutines at once.
type SessionCache struct {
	mu       sync.Mutex
	capacity int
	list     []cachedSession // oldest first
}

type cachedSession struct {
	key  string
	blob []byte
}

// Put keeps a session for a key.
func (c *SessionCache) Put(key string, session []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.list) == c.capacity {
		c.list = c.list[1:]
	}
	c.list = append(c.list, cachedSession{key, session})
}

// Take returns the newest session for a key and forgets it, nil if there is none.
func (c *SessionCache) Take(key string) []byte {
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

// Spent are the sessions that clients have offered: a ticket of DTLS 1.3 is offered
// once (RFC 8446, Appendix C.4). Of more than maxSpent the oldest are forgotten. The
// zero value is empty, and may be used by many goroutines at once.
type Spent struct {
	mu     sync.Mutex
	ids    map[spentID]struct{}
	oldest []spentID // a ring, once it is full
	at     int       // the oldest of a full ring
}

type spentID [sha256.Size]byte

const maxSpent = 4096

// spend notes that a session is offered. It reports false if it was before.
func (s *Spent) spend(old *Session) bool {
	id := spentID(sha256.Sum256(old.Ticket))
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, spent := s.ids[id]; spent {
		return false
	}
	if s.ids == nil {
		s.ids = make(map[spentID]struct{})
	}
	s.ids[id] = struct{}{}
	if len(s.oldest) < maxSpent {
		s.oldest = append(s.oldest, id)
		return true
	}
	delete(s.ids, s.oldest[s.at])
	s.oldest[s.at] = id
	s.at = (s.at + 1) % maxSpent
	return true
}

// SessionSource returns a function for TakeSession: stored first, then what take, if
// there is one, returns for the server's name. Sessions that cannot be offered, or
// were, are passed over, at most maxTaken of them.
func (p *Config) SessionSource(stored []byte, take func(key string) []byte, spent *Spent) func(func() []PSK, time.Time) *Session {
	return func(psks func() []PSK, now time.Time) *Session {
		blob := stored
		for range maxTaken {
			if s := p.Offerable(blob, psks, now); s != nil && (!s.suite.Is13() || spent.spend(s)) {
				return s
			}
			if take == nil {
				return nil
			}
			if blob = take(p.ServerName); blob == nil {
				return nil
			}
		}
		return nil
	}
}

// maxTaken bounds the sessions that are taken out of a cache for one handshake.
const maxTaken = 64
