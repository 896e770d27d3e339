// Package ticket seals what a server has its clients keep: the session tickets of
// RFC 8446, Section 4.6.1, with keys that only servers have. What is inside is
// the caller's.
//
//	| key name, 8 bytes | nonce, 12 bytes | AES-256-GCM, tag of 16 bytes |
package ticket

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

const (
	nameLen = 8

	// Lifetime is how long a ticket is good for: at most seven days (RFC 8446,
	// Section 4.6.1).
	Lifetime = 24 * time.Hour

	// rotation is how long a key of our own making seals new tickets. It opens
	// old ones until they end.
	rotation = 12 * time.Hour

	// MaxKeys is how many keys a Ring has at most.
	MaxKeys = 16
)

// Ring has the keys of tickets: the first one seals, all open. The zero value
// makes its own and rotates them. It may be used by many goroutines at once.
type Ring struct {
	mu   sync.RWMutex
	set  bool // the keys are the caller's, and do not rotate by themselves
	keys []key
}

type key struct {
	name [nameLen]byte
	aead cipher.AEAD
	made time.Time
}

func newKey(secret [32]byte, made time.Time) key {
	k := key{made: made}
	out, err := hkdf.Key(sha256.New, secret[:], nil, "flightpath ticket", nameLen+32)
	if err != nil {
		panic("dtls: ticket key: " + err.Error()) // only for more than 255 blocks
	}
	defer clear(out)
	copy(k.name[:], out)
	block, err := aes.NewCipher(out[nameLen:])
	if err == nil {
		k.aead, err = cipher.NewGCMWithRandomNonce(block)
	}
	if err != nil {
		panic("dtls: ticket key: " + err.Error()) // only for keys of another length
	}
	return k
}

// SetKeys replaces the keys with those of the caller, at most MaxKeys of them.
func (r *Ring) SetKeys(secrets [][32]byte) {
	secrets = secrets[:min(len(secrets), MaxKeys)]
	list := make([]key, 0, len(secrets))
	for _, s := range secrets {
		list = append(list, newKey(s, time.Time{}))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set, r.keys = true, list
}

// IsSet reports whether the keys are the caller's.
func (r *Ring) IsSet() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.set
}

// sealing returns the key for new tickets, a fresh one if it is time.
func (r *Ring) sealing(now time.Time) key {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set {
		return r.keys[0]
	}
	if len(r.keys) == 0 || now.Sub(r.keys[0].made) >= rotation {
		var secret [32]byte
		rand.Read(secret[:]) // never fails
		// A rotation lies between any two: this leaves Lifetime/rotation of them.
		r.keys = slices.DeleteFunc(r.keys, func(k key) bool { return now.Sub(k.made) >= rotation+Lifetime })
		r.keys = slices.Insert(r.keys, 0, newKey(secret, now))
	}
	return r.keys[0]
}

// Seal makes a ticket of plain. The AEAD makes a random nonce: one must not come
// twice under keys that outlive every association.
func (r *Ring) Seal(plain []byte, now time.Time) []byte {
	k := r.sealing(now)
	ticket := make([]byte, nameLen, nameLen+len(plain)+k.aead.Overhead())
	copy(ticket, k.name[:])
	return k.aead.Seal(ticket, nil, plain, k.name[:])
}

// Open returns what was sealed in a ticket, nil if it is none of ours or was
// changed. How old it is, is for the caller to see. Open may be called for nil.
func (r *Ring) Open(ticket []byte) []byte {
	if r == nil || len(ticket) < nameLen {
		return nil
	}
	name := [nameLen]byte(ticket)
	aead := r.opening(name)
	if aead == nil {
		return nil
	}
	plain, err := aead.Open(nil, nil, ticket[nameLen:], name[:])
	if err != nil {
		return nil
	}
	return plain
}

func (r *Ring) opening(name [nameLen]byte) cipher.AEAD {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for i := range r.keys {
		if r.keys[i].name == name {
			return r.keys[i].aead
		}
	}
	return nil
}
