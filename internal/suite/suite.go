// Package suite lists the cipher suites of DTLS 1.2 and 1.3 that Flightpath
// speaks. A suite of DTLS 1.2 says which key exchange it prescribes, what signs
// it, and which AEAD and hash protect what follows. One of DTLS 1.3 says the
// last two alone; extensions negotiate the rest (RFC 8446, Section 4.1.1).
// No suite is good for both versions, see [Suite.Is13].
//
// All have an AEAD (RFC 9325, Section 4.2): the suites of RFC 9150, which protect
// integrity only, are not here. Suites without forward secrecy exist only for
// pre-shared keys.
package suite

import (
	"crypto"
	"crypto/fips140"
	"fmt"
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Auth is the kind of credential a suite authenticates the server with.
type Auth uint8

const (
	// ECDSA also stands for Ed25519 keys (RFC 8422, Section 5.1.1).
	ECDSA Auth = iota + 1
	RSA
	PSK
)

// Suite is one cipher suite.
type Suite struct {
	ID          uint16
	Name        string
	KeyExchange message.KeyExchange // 0 in DTLS 1.3
	Auth        Auth                // 0 in DTLS 1.3
	AEAD        record.AEAD
	Hash        crypto.Hash // of the PRF or HKDF, and of Finished
	OnRequest   bool        // never offered unless the config names it
}

// all is in the order of preference: forward secrecy first, certificates
// before pre-shared keys (an association has one or the other), GCM with
// hardware in mind, short tags last.
var all = []*Suite{
	// RFC 5289
	{0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", message.ECDHE, ECDSA, record.AES128GCM, crypto.SHA256, false},
	{0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", message.ECDHE, RSA, record.AES128GCM, crypto.SHA256, false},
	{0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", message.ECDHE, ECDSA, record.AES256GCM, crypto.SHA384, false},
	{0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", message.ECDHE, RSA, record.AES256GCM, crypto.SHA384, false},
	// RFC 7905
	{0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", message.ECDHE, ECDSA, record.ChaCha20Poly1305, crypto.SHA256, false},
	{0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", message.ECDHE, RSA, record.ChaCha20Poly1305, crypto.SHA256, false},
	// RFC 7251
	{0xc0ac, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", message.ECDHE, ECDSA, record.AES128CCM, crypto.SHA256, false},
	{0xc0ad, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM", message.ECDHE, ECDSA, record.AES256CCM, crypto.SHA256, false},
	// RFC 8442
	{0xd001, "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256", message.ECDHEPSK, PSK, record.AES128GCM, crypto.SHA256, false},
	{0xd002, "TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384", message.ECDHEPSK, PSK, record.AES256GCM, crypto.SHA384, false},
	{0xccac, "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256", message.ECDHEPSK, PSK, record.ChaCha20Poly1305, crypto.SHA256, false},
	{0xd005, "TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256", message.ECDHEPSK, PSK, record.AES128CCM, crypto.SHA256, false},
	// RFC 5487, RFC 7905, RFC 6655
	{0x00a8, "TLS_PSK_WITH_AES_128_GCM_SHA256", message.PSK, PSK, record.AES128GCM, crypto.SHA256, false},
	{0x00a9, "TLS_PSK_WITH_AES_256_GCM_SHA384", message.PSK, PSK, record.AES256GCM, crypto.SHA384, false},
	{0xccab, "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256", message.PSK, PSK, record.ChaCha20Poly1305, crypto.SHA256, false},
	{0xc0a4, "TLS_PSK_WITH_AES_128_CCM", message.PSK, PSK, record.AES128CCM, crypto.SHA256, false},
	{0xc0a5, "TLS_PSK_WITH_AES_256_CCM", message.PSK, PSK, record.AES256CCM, crypto.SHA256, false},
	// Tags of 8 bytes: RFC 7251, RFC 8442, RFC 6655.
	{0xc0ae, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", message.ECDHE, ECDSA, record.AES128CCM8, crypto.SHA256, true},
	{0xc0af, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8", message.ECDHE, ECDSA, record.AES256CCM8, crypto.SHA256, true},
	{0xd003, "TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256", message.ECDHEPSK, PSK, record.AES128CCM8, crypto.SHA256, true},
	{0xc0a8, "TLS_PSK_WITH_AES_128_CCM_8", message.PSK, PSK, record.AES128CCM8, crypto.SHA256, true},
	{0xc0a9, "TLS_PSK_WITH_AES_256_CCM_8", message.PSK, PSK, record.AES256CCM8, crypto.SHA256, true},
}

// all13 is in the order of preference, as all is: RFC 8446, Appendix B.4.
var all13 = []*Suite{
	{0x1301, "TLS_AES_128_GCM_SHA256", 0, 0, record.AES128GCM, crypto.SHA256, false},
	{0x1302, "TLS_AES_256_GCM_SHA384", 0, 0, record.AES256GCM, crypto.SHA384, false},
	{0x1303, "TLS_CHACHA20_POLY1305_SHA256", 0, 0, record.ChaCha20Poly1305, crypto.SHA256, false},
	{0x1304, "TLS_AES_128_CCM_SHA256", 0, 0, record.AES128CCM, crypto.SHA256, false},
	// Tags of 8 bytes.
	{0x1305, "TLS_AES_128_CCM_8_SHA256", 0, 0, record.AES128CCM8, crypto.SHA256, true},
}

// All returns every suite of DTLS 1.2, preferred ones first.
func All() []*Suite { return slices.Clone(all) }

// All13 returns every suite of DTLS 1.3, preferred ones first.
func All13() []*Suite { return slices.Clone(all13) }

// Lookup returns the suite with that number, nil if it is not spoken here. It
// knows those of both versions: [Suite.Is13] tells which.
func Lookup(id uint16) *Suite {
	for _, list := range [...][]*Suite{all, all13} {
		for _, s := range list {
			if s.ID == id {
				return s
			}
		}
	}
	return nil
}

// Name returns the IANA name, or the number of a suite that is not spoken.
func Name(id uint16) string {
	if s := Lookup(id); s != nil {
		return s.Name
	}
	return fmt.Sprintf("0x%04x", id)
}

// Is13 reports whether the suite is one of DTLS 1.3. RFC 8446, Appendix B.4: such
// a suite "cannot be used for TLS 1.2", and the others not for TLS 1.3.
func (s *Suite) Is13() bool { return s.KeyExchange == 0 }

// Approved reports whether the suite may be used: in FIPS 140-only mode
// (GODEBUG=fips140=only) those with AES-GCM, which the Go Cryptographic Module
// has; elsewhere all.
func (s *Suite) Approved() bool {
	return !fips140.Enforced() || s.AEAD == record.AES128GCM || s.AEAD == record.AES256GCM
}

// UsesPSK reports whether a pre-shared key is part of the premaster secret. A
// suite of DTLS 1.3 does not tell.
func (s *Suite) UsesPSK() bool { return s.Auth == PSK }

// UsesECDHE reports whether an ephemeral group is negotiated. A suite of DTLS 1.3
// does not tell.
func (s *Suite) UsesECDHE() bool { return !s.Is13() && s.KeyExchange != message.PSK }
