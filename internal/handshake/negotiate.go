package handshake

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// Pure choices: what both sides can do, in the server's order of preference.

// Signals among the cipher suites: RFC 5746, Section 3.3; RFC 7507, Section 2.
const (
	scsvRenegotiation uint16 = 0x00ff
	scsvFallback      uint16 = 0x5600
)

// choice12 is what a DTLS 1.2 server makes of a hello.
type choice12 struct {
	suite  *suite.Suite
	group  kex.Group        // 0: no ECDHE
	cert   *tls.Certificate // nil: PSK
	scheme auth.Scheme
	alpn   string
}

// choose12 answers a hello out of params, or with the alert of its refusal. Suites that
// cannot be served are passed over: RFC 5246, Section 7.4.1.3 has the server select one of
// the list, and a certificate may fit none where a pre-shared key does.
func choose12(p *Config, h *message.ClientHello, certFor func() (*tls.Certificate, error)) (choice12, error) {
	var c choice12
	var err error
	if c.alpn, err = chooseALPN(p.ALPN, h.ALPN); err != nil {
		return c, err
	}
	c.group = chooseGroup(p.Groups, h)
	var why []string
	var uncertified error // why there is no certificate
	for _, s := range p.Suites {
		if !slices.Contains(h.CipherSuites, s.ID) {
			continue
		}
		if s.UsesECDHE() && c.group == 0 {
			why = append(why, "no shared group for "+s.Name+" (CurvePreferences)")
			continue
		}
		c.suite = s
		if s.UsesPSK() {
			if !s.UsesECDHE() {
				c.group = 0
			}
			c.cert, c.scheme = nil, 0
			return c, nil
		}
		if c.cert == nil && uncertified == nil {
			c.cert, uncertified = certFor()
			if uncertified != nil && alert.Of(uncertified) == alert.InternalError {
				return c, uncertified
			}
		}
		if uncertified != nil {
			continue
		}
		if c.scheme, err = schemeFor(c.cert, s, p, h); err == nil {
			return c, nil
		}
		why = append(why, s.Name+": "+err.Error())
	}
	switch {
	case uncertified != nil:
		return c, uncertified
	case len(why) == 0:
		return c, alert.Errorf(alert.HandshakeFailure, "no cipher suite in common: %s", describeSuites(h.CipherSuites))
	}
	return c, alert.Errorf(alert.HandshakeFailure, "no usable cipher suite in common: %s", strings.Join(why, "; "))
}

// describeSuites lists a peer's offer, with a hint where only suites with tags of 8
// bytes would have matched.
func describeSuites(ids []uint16) string {
	var names []string
	onRequest := ""
	for _, id := range ids {
		if s := suite.Lookup(id); s != nil {
			names = append(names, s.Name)
			if s.OnRequest {
				onRequest = "; suites with 8-byte tags must be named in CipherSuites"
			}
		}
	}
	if len(names) == 0 {
		return "the peer offers none that is spoken here"
	}
	return "the peer offers " + strings.Join(names, ", ") + onRequest
}

func chooseALPN(ours, theirs []string) (string, error) {
	if len(ours) == 0 || len(theirs) == 0 {
		return "", nil
	}
	for _, name := range ours {
		if slices.Contains(theirs, name) {
			return name, nil
		}
	}
	// RFC 7301, Section 3.2.
	return "", alert.Errorf(alert.NoApplicationProtocol, "no application protocol in common: the peer offers %q", theirs)
}

// chooseGroup: RFC 8422, Section 4 lets a client that names no groups have any;
// P-256 is the one every such client knows.
func chooseGroup(ours []kex.Group, h *message.ClientHello) kex.Group {
	theirs := h.SupportedGroups
	if theirs == nil {
		theirs = []uint16{uint16(kex.P256)}
	}
	for _, g := range ours {
		if slices.Contains(theirs, uint16(g)) {
			return g
		}
	}
	return 0
}

// schemeFor: the key must be of the suite's kind, its curve known to the peer
// (RFC 8422, Section 5.1), and one scheme shared. A hello without
// signature_algorithms asks for SHA-1 (RFC 5246, Section 7.4.1.4.1), which is
// refused.
func schemeFor(cert *tls.Certificate, s *suite.Suite, p *Config, h *message.ClientHello) (auth.Scheme, error) {
	pub := PublicKey(cert)
	if keyKind(pub) != s.Auth {
		return 0, alert.Errorf(alert.HandshakeFailure, "the certificate's key is of another kind")
	}
	if k, ok := pub.(*ecdsa.PublicKey); ok && h.SupportedGroups != nil && !slices.Contains(h.SupportedGroups, uint16(curveID(k))) {
		return 0, alert.Errorf(alert.HandshakeFailure, "the peer's groups are without the curve of the certificate, which RFC 8422, Section 5.1.1 asks for; its CurvePreferences must name %v", curveID(k))
	}
	return auth.ChooseScheme(cert, schemesOf(h.SignatureSchemes), p.Schemes)
}

func schemesOf(ids []uint16) []auth.Scheme {
	out := make([]auth.Scheme, len(ids))
	for i, id := range ids {
		out[i] = auth.Scheme(id)
	}
	return out
}

func idsOf(list []*suite.Suite) []uint16 {
	out := make([]uint16, len(list))
	for i, s := range list {
		out[i] = s.ID
	}
	return out
}

func numbersOf[T ~uint16](list []T) []uint16 {
	out := make([]uint16, len(list))
	for i, v := range list {
		out[i] = uint16(v)
	}
	return out
}

// PublicKey is that of the private key, which is what will sign.
func PublicKey(cert *tls.Certificate) crypto.PublicKey {
	if signer, ok := cert.PrivateKey.(crypto.Signer); ok {
		return signer.Public()
	}
	return nil
}

// keyKind is the kind of suite a key can sign for, 0 for none.
func keyKind(pub crypto.PublicKey) suite.Auth {
	switch pub.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return suite.ECDSA
	case *rsa.PublicKey, *auth.PSSPublicKey:
		return suite.RSA
	}
	return 0
}

func curveID(k *ecdsa.PublicKey) tls.CurveID {
	switch k.Curve {
	case elliptic.P256():
		return tls.CurveP256
	case elliptic.P384():
		return tls.CurveP384
	case elliptic.P521():
		return tls.CurveP521
	}
	return 0
}

// CertificateFits reports whether a chain could ever serve that suite.
func CertificateFits(cert *tls.Certificate, s *suite.Suite, schemes []auth.Scheme) bool {
	if keyKind(PublicKey(cert)) != s.Auth {
		return false
	}
	_, err := auth.ChooseScheme(cert, schemes, schemes)
	return err == nil
}

// chooseCertificate is the default of GetCertificate in DTLS 1.2: a chain that
// some shared suite can use.
func chooseCertificate(p *Config, h *message.ClientHello) *tls.Certificate {
	return bestCertificate(p, h, func(cert *tls.Certificate) bool {
		return slices.ContainsFunc(p.Suites, func(s *suite.Suite) bool {
			if s.UsesPSK() || !slices.Contains(h.CipherSuites, s.ID) {
				return false
			}
			_, err := schemeFor(cert, s, p, h)
			return err == nil
		})
	})
}

// bestCertificate is the first usable chain: one that names the host before others, then
// one whose signatures the peer can verify (RFC 8446, Section 4.4.2.2).
func bestCertificate(p *Config, h *message.ClientHello, usable func(*tls.Certificate) bool) (best *tls.Certificate) {
	verifies := h.SignatureSchemesCert
	if verifies == nil {
		verifies = h.SignatureSchemes // RFC 8446, Section 4.2.3
	}
	most := -1
	for i := range p.Certificates {
		cert := &p.Certificates[i]
		if !usable(cert) {
			continue
		}
		if len(p.Certificates) == 1 {
			return cert
		}
		rank := 0
		if leaf := leafOf(cert); h.ServerName == "" || leaf != nil && leaf.VerifyHostname(h.ServerName) == nil {
			rank = 2
		}
		if auth.ChainSuits(cert, schemesOf(verifies)) {
			rank++
		}
		if rank > most {
			best, most = cert, rank
		}
	}
	return best
}

// choosesByName reports whether server_name can have had a part in what a server chose.
// RFC 6066, Section 3: it then "SHALL include an extension of type "server_name" in the
// (extended) server hello".
func (p *Config) choosesByName() bool {
	return len(p.Certificates) > 1 || p.GetCertificate != nil || p.ServerPSK != nil || p.ForClient != nil || p.OfClient
}

func leafOf(cert *tls.Certificate) *x509.Certificate {
	if cert.Leaf != nil {
		return cert.Leaf
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil
	}
	return leaf
}

// HelloInfo is what callbacks of crypto/tls see of a hello. Versions are those
// of TLS, so that the info's own methods work.
func HelloInfo(h *message.ClientHello) *tls.ClientHelloInfo {
	info := &tls.ClientHelloInfo{
		CipherSuites:     h.CipherSuites,
		ServerName:       h.ServerName,
		SupportedPoints:  h.PointFormats,
		SignatureSchemes: schemesOf(h.SignatureSchemes),
		SupportedProtos:  h.ALPN,
		Extensions:       h.ExtensionTypes,
	}
	for _, g := range h.SupportedGroups {
		info.SupportedCurves = append(info.SupportedCurves, tls.CurveID(g))
	}
	if slices.Contains(h.SupportedVersions, message.Version13) {
		info.SupportedVersions = append(info.SupportedVersions, tls.VersionTLS13)
	}
	if slices.Contains(h.SupportedVersions, message.Version12) || len(h.SupportedVersions) == 0 && isLegacy12(h.Version) {
		info.SupportedVersions = append(info.SupportedVersions, tls.VersionTLS12)
	}
	return info
}
