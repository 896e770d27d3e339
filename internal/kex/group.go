package kex

import (
	"crypto/ecdh"
	"crypto/tls"
	"slices"
)

// Group is a NamedGroup of RFC 8446, Section 4.2.7. DTLS 1.2 uses the same
// numbers (RFC 8422, Section 5.1.1).
type Group = tls.CurveID

// The groups of this package.
const (
	X25519 Group = tls.X25519
	P256   Group = tls.CurveP256
	P384   Group = tls.CurveP384
	P521   Group = tls.CurveP521
)

// Default returns the groups used unless the configuration names others, the
// best first. The slice is the caller's.
func Default() []Group { return []Group{X25519, P256, P384, P521} }

// Supported reports whether this package can make an exchange in g.
func Supported(g Group) bool { return slices.Contains(Default(), g) }

// curve returns the curve of g, nil if there is none.
func curve(g Group) ecdh.Curve {
	switch g {
	case X25519:
		return ecdh.X25519()
	case P256:
		return ecdh.P256()
	case P384:
		return ecdh.P384()
	case P521:
		return ecdh.P521()
	default:
		return nil
	}
}
