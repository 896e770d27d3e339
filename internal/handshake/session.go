package handshake

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// Session is what both sides of an association need to resume it: a client keeps
// it, a server has the client keep it, sealed in a ticket. What it claims is checked
// anew when it is used: session_check.go.
type Session struct {
	suite      *suite.Suite
	Secret     []byte // the pre-shared key; in DTLS 1.2 the master secret
	ageAdd     uint32
	at         time.Time // when it was made
	lifetime   time.Duration
	protocol   string // ALPN
	serverName string // in the ClientHello
	origin
	identity []byte   // byPSK: of the external key
	Chain    [][]byte // else: of the peer of whoever keeps it, DER; none: a client without a certificate
	Ticket   []byte   // client: what it shows the server
	ems      bool     // DTLS 1.2: the master secret is an extended one (RFC 7627)

	peer *auth.Chain // of Chain, once trusts has found it good; nil: there is none
}

// origin is the full handshake that a session goes back to, over any number of
// resumptions.
type origin struct {
	authenticated time.Time // when it was
	byPSK         bool      // an external pre-shared key authenticated both sides; else a certificate the server
	mark          pskMark   // byPSK: of the key
}

// pskMark tells whether a pre-shared key is still the same. It gives away no more of
// the key than a binder in the clear does.
type pskMark [16]byte

func markOf(key []byte) pskMark {
	sum := sha256.Sum256(append([]byte("flightpath pre-shared key "), key...))
	return pskMark(sum[:])
}

// MaxTicketLifetime: RFC 8446, Section 4.6.1, seconds.
const MaxTicketLifetime = 7 * 24 * 60 * 60

// maxAge is how long the authentication of a full handshake is good for, however many
// tickets come after it. RFC 8446, Section 4.6.1: "It is RECOMMENDED that
// implementations place limits on the total lifetime of such keying material". A
// server has a shorter one, ticket.Lifetime.
const maxAge = MaxTicketLifetime * time.Second

// MaxTicket is the longest ticket that is kept and offered, in bytes. The
// extensions of a hello have 2^16 together (RFC 8446, Section 4.1.2), and a hello
// that does not fit would fail where a handshake without the ticket succeeds.
const MaxTicket = 1 << 15

// sessionFormat is the first byte of a serialized session. It changes with the format.
const sessionFormat = 2

// Flags of a serialized session. A session with others is of a later version.
const (
	sessionByPSK = 1 << iota
	sessionEMS
)

var errBadSession = errors.New("dtls: not a session of this version of the library")

// session fills in what all sessions of an association have in common but for the
// nonce.
func (r *Resumption) session(nonce []byte, of *Info, s Session) *Session {
	s.suite, s.Secret, s.origin = r.suite, keys.TicketPSK13(r.suite.Hash, r.secret, nonce), r.origin
	s.describe(of)
	return &s
}

// session12 is what both sides keep of an association of DTLS 1.2: for a ticket, or out
// of one.
func (hs *Handshake) session12(n *negotiated12, master []byte, at time.Time, lifetime time.Duration, serverName string, ticket []byte) *Session {
	s := &Session{
		suite: n.suite, Secret: bytes.Clone(master), ems: n.ems, origin: *n.origin,
		at: at, lifetime: lifetime, serverName: serverName, Ticket: ticket,
	}
	info := hs.Info
	s.describe(&info)
	return s
}

// again is a copy that owns its secret.
func (s *Session) again() *Session {
	c := *s
	c.Secret = bytes.Clone(s.Secret)
	return &c
}

// from is a copy of the origin.
func (s *Session) from() *origin {
	o := s.origin
	return &o
}

// describe fills in what an association has found out about the peer.
func (s *Session) describe(of *Info) {
	s.protocol, s.identity = of.NegotiatedProtocol, of.PSKIdentity
	for _, c := range of.PeerCertificates {
		s.Chain = append(s.Chain, c.Raw)
	}
}

// version is that of the suite: no suite has two.
func (s *Session) version() uint16 {
	if s.suite.Is13() {
		return message.Version13
	}
	return message.Version12
}

// setPeer notes the chain that trusts has verified.
func (s *Session) setPeer(c *auth.Chain) { s.peer = c }

// Marshal writes a session. Times have the resolution of a millisecond, which the
// age of a ticket needs.
func (s *Session) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint8(sessionFormat)
	b.AddUint16(s.version())
	flags := uint8(0)
	if s.byPSK {
		flags |= sessionByPSK
	}
	if s.ems {
		flags |= sessionEMS
	}
	b.AddUint8(flags)
	b.AddUint16(s.suite.ID)
	b.AddUint32(s.ageAdd)
	b.AddUint64(uint64(s.at.UnixMilli()))
	b.AddUint64(uint64(s.authenticated.UnixMilli()))
	b.AddUint32(uint32(s.lifetime / time.Second))
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.Secret) })
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(s.protocol)) })
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(s.serverName)) })
	if s.byPSK {
		b.AddBytes(s.mark[:])
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.identity) })
	} else {
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, der := range s.Chain {
				b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(der) })
			}
		})
	}
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.Ticket) })
	return b.Bytes()
}

// ParseSession reads what Marshal wrote; everything else is an error.
func ParseSession(blob []byte) (*Session, error) {
	in := cryptobyte.String(blob)
	var (
		format, flags       uint8
		version, id         uint16
		at, authenticated   uint64
		lifetime            uint32
		secret, proto, name cryptobyte.String
		identity, ticket    cryptobyte.String
	)
	s := &Session{}
	ok := in.ReadUint8(&format) && format == sessionFormat && in.ReadUint16(&version) &&
		in.ReadUint8(&flags) && flags&^(sessionByPSK|sessionEMS) == 0 &&
		in.ReadUint16(&id) && in.ReadUint32(&s.ageAdd) && in.ReadUint64(&at) && in.ReadUint64(&authenticated) && in.ReadUint32(&lifetime) &&
		in.ReadUint8LengthPrefixed(&secret) && in.ReadUint8LengthPrefixed(&proto) && in.ReadUint16LengthPrefixed(&name)
	if s.byPSK = flags&sessionByPSK != 0; s.byPSK {
		ok = ok && in.CopyBytes(s.mark[:]) && in.ReadUint16LengthPrefixed(&identity) && len(identity) > 0
	} else {
		ok = ok && s.readChain(&in)
	}
	ok = ok && in.ReadUint16LengthPrefixed(&ticket) && in.Empty()
	if !ok || len(secret) == 0 || lifetime > MaxTicketLifetime || at > 1<<53 || authenticated > at {
		return nil, errBadSession
	}
	if s.suite = suite.Lookup(id); s.suite == nil || s.version() != version || s.suite.Is13() && flags&sessionEMS != 0 {
		return nil, errBadSession
	}
	s.ems = flags&sessionEMS != 0
	s.Secret, s.protocol, s.serverName, s.identity, s.Ticket = secret, string(proto), string(name), identity, ticket
	s.at, s.authenticated, s.lifetime = time.UnixMilli(int64(at)), time.UnixMilli(int64(authenticated)), time.Duration(lifetime)*time.Second
	return s, nil
}

func (s *Session) readChain(in *cryptobyte.String) bool {
	var chain, der cryptobyte.String
	if !in.ReadUint24LengthPrefixed(&chain) {
		return false
	}
	for !chain.Empty() {
		if !chain.ReadUint24LengthPrefixed(&der) {
			return false
		}
		s.Chain = append(s.Chain, der)
	}
	return true
}

// alive reports whether the session may be used at a point in time: neither itself nor
// the full handshake is too old.
func (s *Session) alive(now time.Time) bool {
	age := now.Sub(s.at)
	return age >= 0 && age <= s.lifetime && now.Sub(s.authenticated) <= maxAge
}

// obfuscatedAge: RFC 8446, Section 4.2.11.1.
func (s *Session) obfuscatedAge(now time.Time) uint32 {
	return uint32(now.Sub(s.at).Milliseconds()) + s.ageAdd
}
