package kex

import (
	"crypto/ecdh"
	"crypto/fips140"
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

	// A curve and ML-KEM at once: for DTLS 1.3 only.
	X25519MLKEM768     Group = tls.X25519MLKEM768
	SecP256r1MLKEM768  Group = tls.SecP256r1MLKEM768
	SecP384r1MLKEM1024 Group = tls.SecP384r1MLKEM1024
)

// Default returns the groups used in DTLS 1.2 unless the configuration names
// others, the best first. The slice is the caller's.
func Default() []Group { return For12(Default13()) }

// Default13 returns the groups used in DTLS 1.3 unless the configuration names
// others, the best first. They are all that are usable. The slice is the caller's.
func Default13() []Group { return slices.DeleteFunc(all(), func(g Group) bool { return !Approved(g) }) }

func all() []Group {
	return []Group{X25519MLKEM768, X25519, P256, P384, P521, SecP256r1MLKEM768, SecP384r1MLKEM1024}
}

// Approved reports whether the Go Cryptographic Module may be used for g: in FIPS
// 140-only mode (GODEBUG=fips140=only) X25519 is allowed with ML-KEM alone.
func Approved(g Group) bool { return g != X25519 || !fips140.Enforced() }

// For12 returns those groups that DTLS 1.2 can use, in the same order. A hybrid
// is not among them: its shares do not fit into the 255 bytes that RFC 8422,
// Section 5.4 has for a point.
func For12(groups []Group) []Group {
	return slices.DeleteFunc(slices.Clone(groups), IsHybrid)
}

// Supported reports whether this package can make an exchange in g.
func Supported(g Group) bool { return slices.Contains(all(), g) }

// IsHybrid reports whether g is a curve and a KEM at once.
func IsHybrid(g Group) bool {
	_, ok := hybridOf(g)
	return ok
}

// ShareLen returns the lengths of the initiator's and the responder's share in
// bytes, 0 for a group that is not supported.
func ShareLen(g Group) (initiator, responder int) {
	if hy, ok := hybridOf(g); ok {
		point := pointLen(hy.curve)
		return point + hy.kem.keyLen, point + hy.kem.ciphertextLen
	}
	return pointLen(g), pointLen(g)
}

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

// pointLen returns the length of a curve's share in bytes: RFC 8446, Section
// 4.2.8.2.
func pointLen(g Group) int {
	switch g {
	case X25519:
		return 32
	case P256:
		return 1 + 2*32
	case P384:
		return 1 + 2*48
	case P521:
		return 1 + 2*66
	default:
		return 0
	}
}
