package handshake

import (
	"bytes"
	"crypto/tls"
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// The client of a full DTLS 1.2 handshake (RFC 6347, Section 4.2; RFC 5246,
// Section 7.3), one type for each state. What comes before the version is agreed
// on is in client.go.
//
//	ClientHello               -->
//	                          <--  HelloVerifyRequest        awaitServerHello
//	ClientHello with cookie   -->
//	                          <--  ServerHello               awaitServerHello
//	                               Certificate*              awaitServerCertificate12
//	                               ServerKeyExchange*        awaitServerKeyExchange12
//	                               CertificateRequest*       awaitServerHelloDone12
//	                               ServerHelloDone           awaitServerHelloDone12
//	Certificate*              -->
//	ClientKeyExchange
//	CertificateVerify*
//	[ChangeCipherSpec]
//	Finished
//	                          <--  [ChangeCipherSpec]
//	                               Finished                  awaitServerFinished12

// agree12 checks that the server chose from what was offered (RFC 5246, Section
// 7.4.1.3).
func (s awaitServerHello) agree12(hs *Handshake, m *message.ServerHello, raw []byte) (State, error) {
	p := hs.Config
	if b := s.before; b != nil && b.resumes12(m) {
		// It answers the hello with a ticket after all.
		hs.transcript.Reset()
		hs.transcript.Add(b.transcript)
		return b.agree12(hs, m, raw)
	}
	if err := s.checkVersion12(p, m); err != nil {
		return nil, err
	}
	chosen := suite.Lookup(m.CipherSuite)
	if chosen == nil || chosen.Is13() || !slices.Contains(s.hello.CipherSuites, m.CipherSuite) {
		return nil, alert.Errorf(alert.IllegalParameter, "server chose cipher suite %s, which was not offered", suite.Name(m.CipherSuite))
	}
	if err := s.checkExtensions12(m); err != nil {
		return nil, err
	}
	// RFC 7627, Section 5.2.
	if p.EMS == EMSRequired && !m.ExtendedMasterSecret {
		return nil, alert.Errorf(alert.HandshakeFailure, "server has no extended master secret (RequireExtendedMasterSecret)")
	}
	// RFC 5746, Section 3.4: empty in a first handshake.
	if len(m.RenegotiationInfo) > 0 {
		return nil, alert.Errorf(alert.HandshakeFailure, "renegotiation_info in a first handshake")
	}
	hs.transcript.Add(raw)
	hs.agreeOn(chosen)
	hs.Info.NegotiatedProtocol, hs.Info.ServerName = m.ALPN, p.ServerName
	hs.Info.ExtendedMasterSecret = m.ExtendedMasterSecret
	hs.link.LimitRecords(m.RecordSizeLimit)
	n := &negotiated12{suite: chosen, clientRandom: s.hello.Random, serverRandom: m.Random, ems: m.ExtendedMasterSecret}
	if s.resumes12(m) {
		return hs.resume12(s.session, m, n)
	}
	n.announce(m.SessionTicketAck)
	if chosen.UsesPSK() {
		return awaitServerKeyExchange12{n: n}, nil
	}
	return awaitServerCertificate12{n}, nil
}

// checkVersion12 is for a server that does not choose DTLS 1.3.
func (s awaitServerHello) checkVersion12(p *Config, m *message.ServerHello) error {
	if m.Version != message.Version12 || m.SupportedVersion != 0 && m.SupportedVersion != message.Version12 || !p.Offers(message.Version12) {
		return alert.Errorf(alert.ProtocolVersion, "server chose %s", message.VersionName(m.Version))
	}
	if !p.Offers(message.Version13) {
		return nil
	}
	// RFC 8446, Section 4.1.3: the random of a server of both versions that
	// chooses the older one ends in a fixed value; RFC 9147, Section 5.3: in DTLS, too.
	if last := [8]byte(m.Random[24:]); last == message.DowngradeTLS12 || last == message.DowngradeTLS11 {
		return alert.Errorf(alert.IllegalParameter, "the offer of DTLS 1.3 did not reach the server: its random shows a downgrade")
	}
	if s.retry != nil {
		return alert.Errorf(alert.IllegalParameter, "server asked for another hello in DTLS 1.3 and went on in %s", message.VersionName(m.Version))
	}
	return nil
}

// checkExtensions12: RFC 5246, Section 7.4.1.4: no extension that was not offered.
func (s awaitServerHello) checkExtensions12(m *message.ServerHello) error {
	for _, t := range m.ExtensionTypes {
		var offered bool
		switch t {
		case message.ExtensionServerName:
			offered = s.hello.ServerName != ""
		case message.ExtensionECPointFormats:
			offered = len(s.hello.PointFormats) > 0
		case message.ExtensionALPN:
			offered = len(s.hello.ALPN) > 0
		case message.ExtensionExtendedMasterSecret:
			offered = s.hello.ExtendedMasterSecret
		case message.ExtensionRenegotiationInfo:
			offered = true
		case message.ExtensionSessionTicket:
			offered = s.hello.HasSessionTicket || len(s.hello.SessionTicket) > 0
		case message.ExtensionRecordSizeLimit:
			offered = s.hello.RecordSizeLimit > 0
		}
		if !offered {
			return alert.Errorf(alert.UnsupportedExtension, "server sent %s, which was not offered", message.ExtensionName(t))
		}
	}
	if m.ALPN != "" && !slices.Contains(s.hello.ALPN, m.ALPN) {
		return alert.Errorf(alert.IllegalParameter, "server chose protocol %q, which was not offered", m.ALPN)
	}
	return nil
}

// awaitServerCertificate12: RFC 5246, Section 7.4.2.
type awaitServerCertificate12 struct{ n *negotiated12 }

func (awaitServerCertificate12) Expects() message.Set {
	return message.SetOf(message.TypeCertificate)
}

func (s awaitServerCertificate12) Take(hs *Handshake, in Received) (State, error) {
	chain, err := auth.ParseChain(in.Message.(*message.Certificate).Chain)
	if err != nil {
		return nil, err
	}
	if keyKind(chain.PublicKey()) != s.n.suite.Auth {
		return nil, alert.Errorf(alert.UnsupportedCertificate, "the server's key does not fit %s", s.n.suite.Name)
	}
	if err := hs.verifyPeer(chain); err != nil {
		return nil, err
	}
	hs.transcript.Add(in.raw)
	return awaitServerKeyExchange12{n: s.n, chain: chain}, nil
}

// awaitServerKeyExchange12: RFC 8422, Section 5.4; RFC 5489, Section 2; for PSK
// alone the message is optional (RFC 4279, Section 2).
type awaitServerKeyExchange12 struct {
	n     *negotiated12
	chain *auth.Chain // nil with PSK
}

func (s awaitServerKeyExchange12) Expects() message.Set {
	if s.n.suite.KeyExchange == message.PSK {
		return message.SetOf(message.TypeServerKeyExchange, message.TypeServerHelloDone)
	}
	return message.SetOf(message.TypeServerKeyExchange)
}

func (s awaitServerKeyExchange12) Take(hs *Handshake, in Received) (State, error) {
	next := awaitServerHelloDone12{n: s.n, certified: s.chain != nil}
	var group uint16
	var public []byte
	switch m := in.Message.(type) {
	case *message.ServerHelloDone:
		return next.Take(hs, in)
	case *message.ServerKeyExchangePSK:
		next.hint = hintOf(m.Hint)
	case *message.ServerKeyExchangeECDHEPSK:
		next.hint, group, public = hintOf(m.Hint), m.Group, m.Public
	case *message.ServerKeyExchangeECDHE:
		group, public = m.Group, m.Public
		scheme := auth.Scheme(m.Scheme)
		if !slices.Contains(hs.Config.Schemes, scheme) {
			return nil, alert.Errorf(alert.IllegalParameter, "server signed with %v, which was not offered", scheme)
		}
		if err := auth.Verify(s.chain.PublicKey(), scheme, signedParams(s.n, m.Params()), m.Signature); err != nil {
			return nil, err
		}
		hs.Info.SignatureScheme = scheme
	}
	if s.n.suite.UsesECDHE() {
		if !slices.Contains(hs.Config.Groups, kex.Group(group)) {
			return nil, alert.Errorf(alert.IllegalParameter, "server chose group %v, which was not offered", kex.Group(group))
		}
		var err error
		if next.share, next.secret, err = kex.Respond(kex.Group(group), public); err != nil {
			return nil, err
		}
		hs.Info.CurveID = kex.Group(group)
	}
	hs.transcript.Add(in.raw)
	return next, nil
}

// hintOf copies a hint. RFC 5489, Section 2: a server without one sends an
// empty one, since its message has more in it.
func hintOf(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return bytes.Clone(b)
}

// awaitServerHelloDone12 is the state before ServerHelloDone and the optional
// CertificateRequest (RFC 5246, Section 7.4.4).
type awaitServerHelloDone12 struct {
	n             *negotiated12
	certified     bool   // the server has a certificate, so it may ask for one
	hint          []byte // of a PSK
	share, secret []byte // of ECDHE
	request       *message.CertificateRequest
}

func (s awaitServerHelloDone12) Expects() message.Set {
	if s.certified && s.request == nil {
		return message.SetOf(message.TypeCertificateRequest, message.TypeServerHelloDone)
	}
	return message.SetOf(message.TypeServerHelloDone)
}

func (s awaitServerHelloDone12) Take(hs *Handshake, in Received) (State, error) {
	if m, ok := in.Message.(*message.CertificateRequest); ok {
		hs.transcript.Add(in.raw)
		s.request = m
		return s, nil
	}
	if err := hs.checkConnection(); err != nil {
		return nil, err
	}
	exchange, premaster, err := s.keyExchange(hs)
	if err != nil {
		return nil, err
	}
	hs.transcript.Add(in.raw)
	cert, scheme, err := s.certificate(hs)
	if err != nil {
		return nil, err
	}
	if s.request != nil {
		var chain [][]byte
		if cert != nil {
			chain = cert.Certificate
		}
		if err := hs.add(&message.Certificate{Chain: chain}); err != nil {
			return nil, err
		}
	}
	if err := hs.add(exchange); err != nil {
		return nil, err
	}
	master, err := hs.deriveKeys(s.n, premaster)
	if err != nil {
		return nil, err
	}
	if cert != nil {
		if err := hs.addCertificateVerify(cert, scheme); err != nil {
			return nil, err
		}
	}
	if err := hs.addFinished(s.n, master); err != nil {
		return nil, err
	}
	hs.link.SendFlight(false)
	return awaitServerFinished12{n: s.n, master: master, ticket: s.n.announced}, nil
}

// keyExchange returns the ClientKeyExchange and the premaster secret.
func (s awaitServerHelloDone12) keyExchange(hs *Handshake) (message.Message, []byte, error) {
	if !s.n.suite.UsesPSK() {
		s.n.comesFrom(hs.originOf(nil))
		return &message.ClientKeyExchangeECDHE{Public: s.share}, s.secret, nil
	}
	list, err := hs.Config.ClientPSKs(hs.context(), hs.Config.ServerName, s.hint)
	if err != nil {
		return nil, nil, alert.Hook(alert.InternalError, "ClientPSK", err)
	}
	if len(list) == 0 || len(list[0].Key) == 0 || len(list[0].Key) > maxPSK || len(list[0].Identity) > 65535 {
		return nil, nil, alert.Errorf(alert.InternalError, "ClientPSK has no usable key: identities have at most 65535 bytes, keys 1 to 65535")
	}
	psk := list[0]
	hs.Info.PSKIdentity = bytes.Clone(psk.Identity)
	s.n.comesFrom(hs.originOf(psk.Key))
	defer keys.Wipe(s.secret)
	if s.n.suite.UsesECDHE() {
		return &message.ClientKeyExchangeECDHEPSK{Identity: psk.Identity, Public: s.share}, keys.PSKPremaster(s.secret, psk.Key), nil
	}
	return &message.ClientKeyExchangePSK{Identity: psk.Identity}, keys.PSKPremaster(nil, psk.Key), nil
}

// certificate chooses what answers the server's request; nil: nothing fits, and the
// Certificate is empty.
func (s awaitServerHelloDone12) certificate(hs *Handshake) (*tls.Certificate, auth.Scheme, error) {
	if s.request == nil {
		return nil, 0, nil
	}
	return chooseClientCertificate(hs, &tls.CertificateRequestInfo{
		AcceptableCAs: s.request.Authorities, SignatureSchemes: schemesOfTypes(s.request), Version: tls.VersionTLS12,
	}, s.request.SignatureSchemes, auth.ChooseScheme)
}

// schemesOfTypes are the schemes of a CertificateRequest for keys of its
// certificate_types. RFC 5246, Section 7.4.6: "The end-entity certificate's public key [...]
// MUST be compatible with the certificate types listed in CertificateRequest"; RFC 8422,
// Section 5.5 has ecdsa_sign for Ed25519, too.
func schemesOfTypes(m *message.CertificateRequest) []auth.Scheme {
	return slices.DeleteFunc(schemesOf(m.SignatureSchemes), func(s auth.Scheme) bool {
		if auth.IsRSA(s) {
			return !slices.Contains(m.CertificateTypes, rsaSign)
		}
		return !slices.Contains(m.CertificateTypes, ecdsaSign)
	})
}

// addCertificateVerify signs everything so far (RFC 5246, Section 7.4.8).
func (hs *Handshake) addCertificateVerify(cert *tls.Certificate, scheme auth.Scheme) error {
	signature, err := auth.Sign(hs.Config.Rand, signerOf(cert), scheme, hs.transcript.Bytes())
	if err != nil {
		return err
	}
	return hs.add(&message.CertificateVerify{Scheme: uint16(scheme), Signature: signature})
}

// awaitServerFinished12: RFC 5246, Section 7.4.9; NewSessionTicket before it: RFC 5077,
// Section 3.3.
type awaitServerFinished12 struct {
	n       *negotiated12
	master  []byte
	ticket  bool // a NewSessionTicket comes first
	got     *message.NewSessionTicket
	resumed *Session // nil: the handshake is a full one
}

func (s awaitServerFinished12) Expects() message.Set {
	if s.ticket {
		return message.SetOf(message.TypeNewSessionTicket)
	}
	return message.SetOf(message.TypeFinished)
}

func (s awaitServerFinished12) Take(hs *Handshake, in Received) (State, error) {
	if m, ok := in.Message.(*message.NewSessionTicket); ok {
		hs.transcript.Add(in.raw)
		s.ticket, s.got = false, m
		return s, nil
	}
	if err := hs.checkFinished(s.n, s.master, in); err != nil {
		return nil, err
	}
	if s.resumed != nil {
		if err := hs.checkConnection(); err != nil {
			return nil, err
		}
		if err := hs.addFinished(s.n, s.master); err != nil {
			return nil, err
		}
		hs.link.SendFlight(true)
	}
	hs.keepTicket12(s.n, s.master, s.got, s.resumed)
	return complete{}, nil
}
