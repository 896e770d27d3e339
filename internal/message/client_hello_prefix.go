package message

import (
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// HelloPrefix is what stands before the extensions of a ClientHello: all that a server without state needs to see before
// it answers a stranger. The slices alias the body.
type HelloPrefix struct {
	Version      uint16
	Random       []byte // 32 bytes
	SessionID    []byte // at most 32 bytes
	Cookie       []byte // at most 255 bytes
	CipherSuites []byte // two bytes each
	Compression  []byte // always contains null, 0

	// Covered is what a cookie must bind: RFC 6347, Section 4.2.1 has the client repeat "the same parameter values
	// (version, random, session_id, cipher_suites, compression_method)", and the server check them. The two pieces are
	// what stands before the cookie field and what stands after it up to the extensions, lengths included, so that no
	// two different hellos have the same bytes here.
	Covered [2][]byte
}

// Covered12 is what the cookie of a HelloVerifyRequest binds: Covered without the session ID. A client that offers a
// ticket makes a session ID up (RFC 5077, Section 3.4), and Mbed TLS 2.28 makes up another one for the hello with the
// cookie. Bound to the first, no cookie would ever let such a client in. RFC 6347, Section 4.2.1 has the server check it
// as a SHOULD; random, suites and compression tie the cookie to one hello of one client all the same.
func (p *HelloPrefix) Covered12() [2][]byte {
	return [2][]byte{p.Covered[0][:2+randomLen], p.Covered[1]}
}

// PeekClientHello reads the start of a ClientHello body that may be incomplete, as in a first fragment. Without ok, the
// compression methods have not all arrived, or the body starts no legal ClientHello; either way there is nothing to
// answer. It never allocates. Whatever it accepts, [Parse] reads the same way once the rest is there.
func PeekClientHello(body []byte) (p HelloPrefix, ok bool) {
	s := cryptobyte.String(body)
	ok = s.ReadUint16(&p.Version) &&
		s.ReadBytes(&p.Random, randomLen) &&
		s.ReadUint8LengthPrefixed((*cryptobyte.String)(&p.SessionID)) &&
		len(p.SessionID) <= maxSessionIDLen
	if !ok {
		return HelloPrefix{}, false
	}
	p.Covered[0] = body[:len(body)-len(s)]
	if !s.ReadUint8LengthPrefixed((*cryptobyte.String)(&p.Cookie)) {
		return HelloPrefix{}, false
	}
	afterCookie := len(body) - len(s)
	ok = s.ReadUint16LengthPrefixed((*cryptobyte.String)(&p.CipherSuites)) &&
		len(p.CipherSuites) >= 2 && len(p.CipherSuites)%2 == 0 &&
		s.ReadUint8LengthPrefixed((*cryptobyte.String)(&p.Compression)) &&
		slices.Contains(p.Compression, compressionNull)
	if !ok {
		return HelloPrefix{}, false
	}
	p.Covered[1] = body[afterCookie : len(body)-len(s)]
	return p, true
}

// size is how many bytes of the body the prefix takes.
func (p *HelloPrefix) size() int {
	return len(p.Covered[0]) + prefixLen(max8) + len(p.Cookie) + len(p.Covered[1])
}
