package kex

import (
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// Key is the initiator's half of one exchange. It is made for one handshake
// and yields one secret: reused shares are what makes attacks on a long-lived
// key worth while, and they take forward secrecy with them (RFC 9325, Section
// 7.4). RFC 9846, Section 4.3.8: "Clients and Servers MUST NOT reuse a key share
// for multiple connections."
type Key struct {
	group        Group
	private      *ecdh.PrivateKey    // nil once used
	decapsulator crypto.Decapsulator // of a hybrid group; nil once used
	share        []byte
}

// Generate makes a fresh key in g. It fails only for a group that is not
// [Supported], and in FIPS 140-only mode for X25519 without ML-KEM.
func Generate(g Group) (*Key, error) {
	k := &Key{group: g}
	var err error
	if hy, ok := hybridOf(g); ok {
		k.private, k.decapsulator, k.share, err = hy.generate()
	} else if c := curve(g); c == nil {
		return nil, fmt.Errorf("no key exchange for group %v", g)
	} else if k.private, err = c.GenerateKey(rand.Reader); err == nil {
		k.share = k.private.PublicKey().Bytes()
	}
	if err != nil {
		return nil, fmt.Errorf("key for group %v: %w", g, err)
	}
	return k, nil
}

// Group returns the group the key was made in.
func (k *Key) Group() Group { return k.group }

// Public returns the share to send: 32 bytes for X25519 (RFC 7748, Section 5),
// an uncompressed point for the NIST curves (RFC 8422, Section 5.4.1), and one of
// these with an encapsulation key for a hybrid group. It stays the same after
// [Key.Shared], so that a retransmission can carry it. The slice is not to be
// written to.
func (k *Key) Public() []byte { return k.share }

// Shared finishes the exchange with the responder's share and returns the
// secret. It yields one secret and then forgets the private key; Go offers no
// way to overwrite that. A share that is refused does not count: in a datagram
// handshake anybody can forge one, the honest share follows, and the refusal,
// which goes by the share alone, tells nothing of the key.
//
// For a NIST curve the secret is the x-coordinate with its leading zeros (RFC
// 8422, Section 5.10; RFC 8446, Section 7.4.2). All of it, the curves and ML-KEM,
// takes the same time for every private key.
func (k *Key) Shared(peer []byte) (secret []byte, err error) {
	if k.private == nil {
		return nil, errors.New("key exchange was finished before")
	}
	if hy, ok := hybridOf(k.group); ok {
		secret, err = hy.finish(k.private, k.decapsulator, peer)
	} else {
		secret, err = agree(k.group, k.private, peer)
	}
	if err != nil {
		return nil, err
	}
	k.private, k.decapsulator = nil, nil
	return secret, nil
}

// Respond takes the initiator's share and returns the one to send back, with
// the secret.
func Respond(g Group, peer []byte) (share, secret []byte, err error) {
	if hy, ok := hybridOf(g); ok {
		return hy.respond(peer)
	}
	key, err := Generate(g)
	if err != nil {
		return nil, nil, err
	}
	secret, err = key.Shared(peer)
	if err != nil {
		return nil, nil, err
	}
	return key.Public(), secret, nil
}

// agree makes the secret of a curve with the peer's point. The group is the one
// to name in an error.
func agree(g Group, private *ecdh.PrivateKey, point []byte) ([]byte, error) {
	// RFC 8446, Section 4.2.8.2: "Peers MUST validate each other's public value
	// Q by ensuring that the point is a valid point on the elliptic curve."
	// NewPublicKey does, and takes neither the point at infinity nor a
	// compressed one: RFC 8422, Section 5.1.2 leaves only "uncompressed".
	public, err := private.Curve().NewPublicKey(point)
	if err != nil {
		return nil, badShare(g, err)
	}
	// RFC 8446, Section 7.4.2, for X25519: "implementations MUST check whether
	// the computed Diffie-Hellman shared secret is the all-zero value and abort
	// if so"; RFC 8422, Section 5.11 says the same. ECDH checks.
	secret, err := private.ECDH(public)
	if err != nil {
		return nil, badShare(g, err)
	}
	return secret, nil
}

func badShare(g Group, cause error) error {
	return alert.Errorf(alert.IllegalParameter, "key share for group %v: %w", g, cause)
}
