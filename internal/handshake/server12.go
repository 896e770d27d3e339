package handshake

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"errors"
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// The server of a full DTLS 1.2 handshake; client12.go has the picture, server.go
// what comes before the version is agreed on.

// take12 answers a hello in DTLS 1.2.
func (awaitClientHello) take12(hs *Handshake, p *Config, h *message.ClientHello, in Received) (State, error) {
	// RFC 7627, Section 5.3.
	if p.EMS == EMSRequired && !h.ExtendedMasterSecret {
		return nil, alert.Errorf(alert.HandshakeFailure, "client has no extended master secret (RequireExtendedMasterSecret)")
	}
	// RFC 5746, Section 3.6: empty in a first handshake.
	if len(h.RenegotiationInfo) > 0 {
		return nil, alert.Errorf(alert.HandshakeFailure, "renegotiation_info in a first handshake")
	}
	old, err := hs.recall12(p, h)
	if err != nil {
		return nil, err
	}
	if old != nil {
		hs.adopt(p)
		hs.transcript.Add(in.raw)
		hs.link.SetMessageSeq(in.seq)
		return answerTicket12(hs, h, old, len(in.raw)-message.HeaderLen)
	}
	choice, err := choose12(p, h, func() (*tls.Certificate, error) { return hs.certificateFor(p, h, chooseCertificate) })
	if err != nil {
		return nil, err
	}
	hs.adopt(p) // not before: a hello that is refused may have been forged
	hs.transcript.Add(in.raw)
	// RFC 6347, Section 4.2.2: the HelloVerifyRequest that went before, if any,
	// used up the numbers below this one.
	hs.link.SetMessageSeq(in.seq)
	return answerHello12(hs, h, choice, len(in.raw)-message.HeaderLen)
}

// certificateFor calls GetCertificate, then chooses from Certificates.
func (hs *Handshake) certificateFor(p *Config, h *message.ClientHello, choose func(*Config, *message.ClientHello) *tls.Certificate) (*tls.Certificate, error) {
	// As in crypto/tls: without server_name Certificates come first.
	if p.GetCertificate != nil && (len(p.Certificates) == 0 || h.ServerName != "") {
		cert, err := p.GetCertificate(hs.context(), HelloInfo(h))
		if err != nil {
			return nil, alert.Hook(alert.InternalError, "GetCertificate", err)
		}
		if cert != nil {
			if len(cert.Certificate) == 0 || signerOf(cert) == nil {
				return nil, alert.Errorf(alert.InternalError, "GetCertificate returned a chain that is empty or cannot sign")
			}
			return cert, nil
		}
	}
	if cert := choose(p, h); cert != nil {
		return cert, nil
	}
	if h.ServerName != "" && len(p.Certificates) == 0 {
		return nil, alert.Errorf(alert.UnrecognizedName, "no certificate for %q", h.ServerName)
	}
	return nil, alert.Errorf(alert.HandshakeFailure, "no certificate that the client's suites, groups and signature schemes can use")
}

func signerOf(cert *tls.Certificate) crypto.Signer {
	signer, _ := cert.PrivateKey.(crypto.Signer)
	return signer
}

// serverHello12 makes the ServerHello for a choice. length is that of the hello's body.
func (hs *Handshake) serverHello12(h *message.ClientHello, c choice12, length int) (*message.ServerHello, *negotiated12, error) {
	p, room := hs.Config, hs.Config.roomForTicket12(h, length)
	sh := &message.ServerHello{
		Version:              message.Version12,
		CipherSuite:          c.suite.ID,
		ExtendedMasterSecret: h.ExtendedMasterSecret && p.EMS != EMSDisabled,
		// RFC 5746, Section 3.6: in answer to the extension and to the SCSV.
		HasRenegotiationInfo: h.HasRenegotiationInfo || slices.Contains(h.CipherSuites, scsvRenegotiation),
		ServerNameAck:        h.ServerName != "" && p.choosesByName(),
		ALPN:                 c.alpn,
		SessionTicketAck:     room > 0,
	}
	if err := p.random(sh.Random[:]); err != nil {
		return nil, nil, err
	}
	if p.Offers(message.Version13) {
		// RFC 8446, Section 4.1.3; RFC 9147, Section 5.3: a client that
		// offered DTLS 1.3 detects that the offer was removed on the way.
		copy(sh.Random[len(sh.Random)-len(message.DowngradeTLS12):], message.DowngradeTLS12[:])
	}
	if h.RecordSizeLimit > 0 {
		sh.RecordSizeLimit = hs.recordSizeLimit(record.MaxPlaintext)
		hs.link.LimitRecords(h.RecordSizeLimit)
	}
	if c.group != 0 && len(h.PointFormats) > 0 {
		sh.PointFormats = []byte{0} // RFC 8422, Section 5.2
	}
	hs.agreeOn(c.suite)
	hs.Info.CurveID, hs.Info.NegotiatedProtocol, hs.Info.ServerName = c.group, c.alpn, h.ServerName
	hs.Info.ExtendedMasterSecret = sh.ExtendedMasterSecret
	n := &negotiated12{suite: c.suite, clientRandom: h.Random, serverRandom: sh.Random, ems: sh.ExtendedMasterSecret, room: room}
	return sh, n, nil
}

// answerHello12 sends the server's first flight.
func answerHello12(hs *Handshake, h *message.ClientHello, c choice12, length int) (State, error) {
	p := hs.Config
	sh, n, err := hs.serverHello12(h, c, length)
	if err != nil {
		return nil, err
	}
	if err := hs.add(sh); err != nil {
		return nil, err
	}
	if c.cert != nil {
		if err := hs.add(&message.Certificate{Chain: c.cert.Certificate}); err != nil {
			return nil, err
		}
	}
	key, err := addServerKeyExchange(hs, n, c)
	if err != nil {
		return nil, err
	}
	// RFC 5246, Section 7.4.4: only a server with a certificate may ask.
	ask := c.cert != nil && p.ClientAuth >= tls.RequestClientCert
	if ask {
		if err := hs.add(certificateRequest(p)); err != nil {
			return nil, err
		}
	}
	if err := hs.add(&message.ServerHelloDone{}); err != nil {
		return nil, err
	}
	hs.link.SendFlight(false)
	if ask {
		return awaitClientCertificate12{n, key}, nil
	}
	return awaitClientKeyExchange12{n: n, key: key}, nil
}

// addServerKeyExchange makes and signs the server's share, where the suite has one.
func addServerKeyExchange(hs *Handshake, n *negotiated12, c choice12) (*kex.Key, error) {
	if !c.suite.UsesECDHE() {
		// RFC 4279, Section 2: "If no hint is provided, the ServerKeyExchange
		// message is omitted."
		if len(hs.Config.PSKHint) == 0 {
			return nil, nil
		}
		return nil, hs.add(&message.ServerKeyExchangePSK{Hint: hs.Config.PSKHint})
	}
	key, err := kex.Generate(c.group)
	if err != nil {
		return nil, err
	}
	if c.suite.UsesPSK() {
		return key, hs.add(&message.ServerKeyExchangeECDHEPSK{Hint: hs.Config.PSKHint, Group: uint16(c.group), Public: key.Public()})
	}
	m := &message.ServerKeyExchangeECDHE{Group: uint16(c.group), Public: key.Public(), Scheme: uint16(c.scheme)}
	m.Signature, err = auth.Sign(hs.Config.Rand, signerOf(c.cert), c.scheme, signedParams(n, m.Params()))
	if err != nil {
		return nil, err
	}
	hs.Info.SignatureScheme = c.scheme
	return key, hs.add(m)
}

// Certificate types of RFC 5246, Section 7.4.4 and RFC 8422, Section 5.5.
const (
	rsaSign   = 1
	ecdsaSign = 64
)

func certificateRequest(p *Config) *message.CertificateRequest {
	return &message.CertificateRequest{
		CertificateTypes: []byte{ecdsaSign, rsaSign}, SignatureSchemes: numbersOf(p.Schemes), Authorities: p.authorities(),
	}
}

// awaitClientCertificate12: RFC 5246, Section 7.4.6.
type awaitClientCertificate12 struct {
	n   *negotiated12
	key *kex.Key
}

func (awaitClientCertificate12) Expects() message.Set {
	return message.SetOf(message.TypeCertificate)
}

func (s awaitClientCertificate12) Take(hs *Handshake, in Received) (State, error) {
	raw := in.Message.(*message.Certificate).Chain
	next := awaitClientKeyExchange12{n: s.n, key: s.key}
	if len(raw) == 0 {
		if err := hs.Config.verifyAbsent(alert.HandshakeFailure); err != nil {
			return nil, err
		}
		hs.transcript.Add(in.raw)
		return next, nil
	}
	chain, err := auth.ParseChain(raw)
	if err != nil {
		return nil, err
	}
	if err := hs.verifyPeer(chain); err != nil {
		return nil, err
	}
	hs.transcript.Add(in.raw)
	next.chain = chain
	return next, nil
}

// awaitClientKeyExchange12: RFC 8422, Section 5.7; RFC 4279, Section 2.
type awaitClientKeyExchange12 struct {
	n     *negotiated12
	key   *kex.Key
	chain *auth.Chain // of the client, nil if it has none
}

func (awaitClientKeyExchange12) Expects() message.Set {
	return message.SetOf(message.TypeClientKeyExchange)
}

func (s awaitClientKeyExchange12) Take(hs *Handshake, in Received) (State, error) {
	premaster, err := s.premaster(hs, in.Message)
	if err != nil {
		return nil, err
	}
	hs.transcript.Add(in.raw)
	master, err := hs.deriveKeys(s.n, premaster)
	if err != nil {
		return nil, err
	}
	if s.chain != nil {
		return awaitCertificateVerify12{s.n, master, s.chain}, nil
	}
	return awaitClientFinished12{n: s.n, master: master}, nil
}

func (s awaitClientKeyExchange12) premaster(hs *Handshake, m message.Message) ([]byte, error) {
	switch m := m.(type) {
	case *message.ClientKeyExchangeECDHE:
		s.n.comesFrom(hs.originOf(nil))
		return s.key.Shared(m.Public)
	case *message.ClientKeyExchangePSK:
		psk, err := lookUpPSK(hs, m.Identity)
		if err != nil {
			return nil, err
		}
		defer keys.Wipe(psk)
		s.n.comesFrom(hs.originOf(psk))
		return keys.PSKPremaster(nil, psk), nil
	case *message.ClientKeyExchangeECDHEPSK:
		secret, err := s.key.Shared(m.Public)
		if err != nil {
			return nil, err
		}
		defer keys.Wipe(secret)
		psk, err := lookUpPSK(hs, m.Identity)
		if err != nil {
			return nil, err
		}
		defer keys.Wipe(psk)
		s.n.comesFrom(hs.originOf(psk))
		return keys.PSKPremaster(secret, psk), nil
	}
	return nil, errors.New("client key exchange of another suite")
}

// lookUpPSK returns a copy of the key. An unknown identity gets a random one:
// the handshake then ends exactly as with a wrong key (RFC 4279, Section 2).
func lookUpPSK(hs *Handshake, identity []byte) ([]byte, error) {
	identity = bytes.Clone(identity)
	find, done := hs.Config.ServerPSK(hs.context())
	defer done()
	key, err := findPSK(find, PSKQuery{identity, hs.Info.ServerName, hs.link.Peer()})
	if err != nil {
		return nil, err
	}
	hs.Info.PSKIdentity = identity
	if key == nil {
		return hs.Config.decoyPSK()
	}
	return key, nil
}

// maxPSK is the length of the longest key, in bytes (RFC 4279, Section 2).
const maxPSK = 1<<16 - 1

// findPSK looks for a key, and returns a copy; nil: the identity is unknown.
func findPSK(find func(PSKQuery) (*PSK, error), q PSKQuery) ([]byte, error) {
	found, err := find(q)
	switch {
	case err != nil:
		return nil, alert.Hook(alert.InternalError, "ServerPSK", err)
	case found == nil:
		return nil, nil
	case len(found.Key) == 0 || len(found.Key) > maxPSK:
		return nil, alert.Errorf(alert.InternalError, "ServerPSK returned a key of %d bytes: 1 to %d are allowed", len(found.Key), maxPSK)
	}
	return bytes.Clone(found.Key), nil
}

// decoyPSK is a random key for an unknown identity.
func (p *Config) decoyPSK() ([]byte, error) {
	decoy := make([]byte, 32)
	return decoy, p.random(decoy)
}

// awaitCertificateVerify12: RFC 5246, Section 7.4.8.
type awaitCertificateVerify12 struct {
	n      *negotiated12
	master []byte
	chain  *auth.Chain
}

func (awaitCertificateVerify12) Expects() message.Set {
	return message.SetOf(message.TypeCertificateVerify)
}

func (s awaitCertificateVerify12) Take(hs *Handshake, in Received) (State, error) {
	m := in.Message.(*message.CertificateVerify)
	scheme := auth.Scheme(m.Scheme)
	if !slices.Contains(hs.Config.Schemes, scheme) {
		return nil, alert.Errorf(alert.IllegalParameter, "client signed with %v, which was not offered", scheme)
	}
	// The signature covers everything before this message.
	if err := auth.Verify(s.chain.PublicKey(), scheme, hs.transcript.Bytes(), m.Signature); err != nil {
		return nil, err
	}
	hs.transcript.Add(in.raw)
	return awaitClientFinished12{n: s.n, master: s.master}, nil
}

// awaitClientFinished12: RFC 5246, Section 7.4.9.
type awaitClientFinished12 struct {
	n       *negotiated12
	master  []byte
	resumed bool // the server has sent its Finished
}

func (awaitClientFinished12) Expects() message.Set {
	return message.SetOf(message.TypeFinished)
}

func (s awaitClientFinished12) Take(hs *Handshake, in Received) (State, error) {
	if err := hs.checkFinished(s.n, s.master, in); err != nil {
		return nil, err
	}
	if s.resumed {
		return complete{}, nil
	}
	if err := hs.checkConnection(); err != nil {
		return nil, err
	}
	if err := hs.addTicket12(s.n, s.master); err != nil {
		return nil, err
	}
	if err := hs.addFinished(s.n, s.master); err != nil {
		return nil, err
	}
	hs.link.SendFlight(true)
	return complete{}, nil
}
