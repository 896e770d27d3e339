package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// Session is what both sides of an association need to resume it: a client keeps
// it, a server has the client keep it, sealed in a ticket.
type Session struct {
	suite      *suite.Suite
	Secret     []byte // the pre-shared key
	ageAdd     uint32
	at         time.Time // when it was made
	lifetime   time.Duration
	protocol   string   // ALPN
	serverName string   // in the ClientHello
	Chain      [][]byte // of the peer of whoever keeps it, DER
	Ticket     []byte   // client: what it shows the server
}

// maxTicketLifetime: RFC 8446, Section 4.6.1, seconds.
const MaxTicketLifetime = 7 * 24 * 60 * 60

// maxTicket is the longest ticket that is kept and offered, in bytes. The
// extensions of a hello have 2^16 together (RFC 8446, Section 4.1.2), and a hello
// that does not fit would fail where a handshake without the ticket succeeds.
const MaxTicket = 1 << 15

// sessionFormat is the first byte of a serialized session. It changes with the format.
const sessionFormat = 1

var errBadSession = errors.New("dtls: not a session of this version of the library")

func (s *Session) setChain(certs []*x509.Certificate) {
	for _, c := range certs {
		s.Chain = append(s.Chain, c.Raw)
	}
}

// Marshal writes a session. Times have the resolution of a millisecond, which the
// age of a ticket needs.
func (s *Session) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint8(sessionFormat)
	b.AddUint16(message.Version13)
	b.AddUint16(s.suite.ID)
	b.AddUint32(s.ageAdd)
	b.AddUint64(uint64(s.at.UnixMilli()))
	b.AddUint32(uint32(s.lifetime / time.Second))
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.Secret) })
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(s.protocol)) })
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(s.serverName)) })
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, der := range s.Chain {
			b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(der) })
		}
	})
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.Ticket) })
	return b.Bytes()
}

// ParseSession reads what marshal wrote; everything else is an error.
func ParseSession(blob []byte) (*Session, error) {
	in := cryptobyte.String(blob)
	var (
		format              uint8
		version, id         uint16
		at                  uint64
		lifetime            uint32
		secret, proto, name cryptobyte.String
		chain, ticket       cryptobyte.String
	)
	s := &Session{}
	ok := in.ReadUint8(&format) && format == sessionFormat && in.ReadUint16(&version) && version == message.Version13 &&
		in.ReadUint16(&id) && in.ReadUint32(&s.ageAdd) && in.ReadUint64(&at) && in.ReadUint32(&lifetime) &&
		in.ReadUint8LengthPrefixed(&secret) && in.ReadUint8LengthPrefixed(&proto) && in.ReadUint16LengthPrefixed(&name) &&
		in.ReadUint24LengthPrefixed(&chain) && in.ReadUint16LengthPrefixed(&ticket) && in.Empty()
	if !ok || len(secret) == 0 || lifetime > MaxTicketLifetime || at > 1<<53 {
		return nil, errBadSession
	}
	for !chain.Empty() {
		var der cryptobyte.String
		if !chain.ReadUint24LengthPrefixed(&der) {
			return nil, errBadSession
		}
		s.Chain = append(s.Chain, der)
	}
	if s.suite = suite.Lookup(id); s.suite == nil || !s.suite.Is13() {
		return nil, errBadSession
	}
	s.Secret, s.protocol, s.serverName, s.Ticket = secret, string(proto), string(name), ticket
	s.at, s.lifetime = time.UnixMilli(int64(at)), time.Duration(lifetime)*time.Second
	return s, nil
}

// alive reports whether the session may be used at a point in time.
func (s *Session) alive(now time.Time) bool {
	age := now.Sub(s.at)
	return age >= 0 && age <= s.lifetime
}

// Expires is when the session may be used no more.
func (s *Session) Expires() time.Time { return s.at.Add(s.lifetime) }

// Offerable reads a session that a client may offer at a point in time, nil if blob
// is none.
func (p *Config) Offerable(blob []byte, now time.Time) *Session {
	s, err := ParseSession(blob)
	if err != nil || s.serverName != p.ServerName || !s.alive(now) || !p.usesSuite13(s.suite.ID) || !p.stillTrusts(s.Chain, now) {
		return nil
	}
	if n := len(s.Ticket); n == 0 || n > MaxTicket {
		return nil
	}
	return s
}

// obfuscatedAge: RFC 8446, Section 4.2.11.1.
func (s *Session) obfuscatedAge(now time.Time) uint32 {
	return uint32(now.Sub(s.at).Milliseconds()) + s.ageAdd
}

// certificates are the chain of the peer that was authenticated when the session was
// made.
func (s *Session) certificates() (chain []*x509.Certificate, err error) {
	for _, der := range s.Chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, cert)
	}
	return chain, nil
}

// fits reports whether a server may resume the session with this hello: under the same
// hash and name (RFC 8446, Sections 4.2.11 and 4.6.1), and with a client
// certificate where one is required.
func (s *Session) fits(p *Config, h *message.ClientHello, chosen *suite.Suite) bool {
	if s.suite.Hash != chosen.Hash || s.serverName != h.ServerName {
		return false
	}
	required := p.requiresClientCert()
	return (!required || len(s.Chain) > 0) && (p.ClientAuth != tls.NoClientCert || len(s.Chain) == 0)
}
