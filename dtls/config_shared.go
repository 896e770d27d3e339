package dtls

import "github.com/flightpath-dtls/flightpath/internal/handshake"

// shared is what the Config has in common with its clones.
func (c *Config) shared() *handshake.Shared { return handshake.SharedIn(&c.shares) }

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
	c.shared().Tickets.SetKeys(keys)
}

// sessionSink is where the sessions of a client go. With neither callback nor cache
// they stay in the engine.
type sessionSink struct {
	callback func(*Conn, []byte) // Config.OnSession
	cache    ClientSessionCache
	direct   bool // of an Engine without a front, which puts them into the cache itself
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
	return handshake.NewSessionCache(capacity)
}
