package handshake

import (
	"crypto/hmac"
	"crypto/tls"
	"slices"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// A session may come from a time, or a Config, with other roots, keys and policies.
// Whatever it claims is checked under the Config in force before it is resumed. A claim
// that does not hold costs a full handshake, never the association.

// Offerable reads a session that a client may offer at a point in time, nil if blob
// is none. psks returns the external keys that the client has.
func (p *Config) Offerable(blob []byte, psks func() []PSK, now time.Time) *Session {
	s, err := ParseSession(blob)
	if err != nil || s.serverName != p.ServerName || !s.alive(now) || !p.usesSuite(s.suite) {
		return nil
	}
	if n := len(s.Ticket); n == 0 || n > MaxTicket {
		return nil
	}
	// RFC 7627, Section 5.3: such a session is not resumed, or not with the extension.
	if !s.suite.Is13() && s.ems != (p.EMS != EMSDisabled) {
		return nil
	}
	if s.protocol != "" && !slices.Contains(p.ALPN, s.protocol) {
		return nil
	}
	if s.byPSK {
		same := func(k PSK) bool { return slices.Equal(k.Identity, s.identity) && s.hasKey(k.Key) }
		if !slices.ContainsFunc(psks(), same) {
			return nil
		}
		return s
	}
	if len(s.Chain) == 0 || !p.UsesCertificates() || !s.trusts(p, now) {
		return nil
	}
	return s
}

// fits reports whether a server may resume the session with this hello, as far as the
// two tell: with the same name and protocol (RFC 8446, Sections 4.2.11 and
// 4.6.1), and with a client that authenticated as the Config has clients do it.
func (s *Session) fits(p *Config, h *message.ClientHello, alpn string) bool {
	if s.serverName != h.ServerName || s.protocol != alpn {
		return false
	}
	if s.byPSK {
		return p.ServerPSK != nil
	}
	if len(p.Certificates) == 0 && p.GetCertificate == nil {
		return false
	}
	if len(s.Chain) == 0 {
		return !p.requiresClientCert()
	}
	return p.ClientAuth != tls.NoClientCert
}

// holds reports whether what authenticated the client would do so now. A pre-shared
// key is looked up with look and compared.
func (s *Session) holds(p *Config, look func(identity []byte) ([]byte, error), now time.Time) bool {
	if !s.byPSK {
		return s.trusts(p, now)
	}
	key, err := look(s.identity)
	return err == nil && key != nil && s.hasKey(key)
}

// trusts reports whether the peer's chain would be accepted now. Each resumption gives
// another session, so that its own lifetime bounds nothing (RFC 8446, Section 4.6.1:
// "limits should take into account the lifetime of the peer's certificate").
// VerifyPeerCertificate is called as in a full handshake, other than in crypto/tls.
func (s *Session) trusts(p *Config, now time.Time) bool {
	if len(s.Chain) == 0 {
		return p.ClientAuth == tls.NoClientCert || p.verifyAbsent(alert.CertificateRequired) == nil
	}
	chain, err := auth.ParseChain(s.Chain)
	if err != nil {
		return false
	}
	s.setPeer(chain)
	return chain.Verify(p.peerPolicy(now)) == nil
}

// hasKey reports whether a pre-shared key is the one that authenticated.
func (s *Session) hasKey(key []byte) bool {
	mark := markOf(key)
	return hmac.Equal(mark[:], s.mark[:])
}
