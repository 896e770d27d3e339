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

// The client of DTLS 1.3 (RFC 9147, Section 5.7; RFC 8446, Section 2), one type
// for each state:
//
//	ClientHello               -->
//	                          <--  HelloRetryRequest*        awaitServerHello
//	ClientHello*              -->
//	                          <--  ServerHello               awaitServerHello
//	                               EncryptedExtensions       awaitEncryptedExtensions13
//	                               CertificateRequest*       awaitServerCertificate13
//	                               Certificate*              awaitServerCertificate13
//	                               CertificateVerify*        awaitServerCertificateVerify13
//	                               Finished                  awaitServerFinished13
//	Certificate*              -->
//	CertificateVerify*
//	Finished
//	                          <--  ACK

// retry13 takes a HelloRetryRequest (RFC 8446, Section 4.1.4) and sends the second
// hello. No key authenticates a HelloRetryRequest, and each copy of the first hello
// may bring one with a cookie of its own: the first is followed, others are put
// aside. Two are the fault of which the RFC says: "If a client receives a second
// HelloRetryRequest in the same connection [...] it MUST abort the handshake with an
// "unexpected_message" alert." One answers the second hello, as its message_seq says.
// The other has no cookie, so its server has kept state and asks for one thing only.
func (s awaitServerHello) retry13(hs *Handshake, m *message.ServerHello, in Received) (State, error) {
	switch {
	case s.retry != nil && (in.seq > 0 || len(m.RetryCookie) == 0 && m.SelectedGroup != s.retry.SelectedGroup):
		return nil, alert.Errorf(alert.UnexpectedMessage, "a second hello_retry_request")
	case s.retry != nil:
		return s, ErrIgnore
	}
	chosen, err := s.checkRetry(hs.Config, m)
	if err != nil {
		return nil, err
	}
	h := *s.first
	h.RetryCookie = bytes.Clone(m.RetryCookie)
	s.shares = s.firstShares
	if g := kex.Group(m.SelectedGroup); g != 0 {
		// After a restart the share stays the same. A server joins the datagrams of a
		// second hello by its message_seq, and the two must not differ under one cookie.
		if s.retryKey == nil || s.retryKey.Group() != g {
			if s.retryKey, err = kex.Generate(g); err != nil {
				return nil, err
			}
		}
		s.shares = []*kex.Key{s.retryKey}
		h.KeyShares = []message.KeyShare{{Group: m.SelectedGroup, Data: s.retryKey.Public()}}
	}
	s.psks = slices.DeleteFunc(slices.Clone(s.firstPSKs), func(k offeredPSK) bool { return k.hash != chosen.Hash })

	hs.agree(message.Version13)
	hs.transcript.Reset()
	hs.transcribe(s.firstRaw)
	hs.transcript.Replace(chosen.Hash)
	hs.transcribe(in.raw)
	hs.link.SetMessageSeq(1) // RFC 9147, Section 5.2: the second message of the client, whichever answer it is to
	if err := hs.addHello(&h, s.psks); err != nil {
		return nil, err
	}
	s.hello, s.retry, s.followed = &h, m, in.seq
	// Karn's algorithm: after a restart the HelloRetryRequest may answer a copy of the
	// first hello from before it.
	hs.link.FlightAnswered(!s.restarted)
	hs.link.SendFlight(false)
	return s, nil
}

// restart sends the first hello again, byte for byte, after an alert that the second
// hello was refused with. RFC 9147, Section 5.1: the illegal_parameter alert "allows the
// client to restart the connection from scratch without a cookie". The cookie may have
// become too old, or the HelloRetryRequest was forged. One restart is made; ok is false
// if the alert ends the handshake.
func (s awaitServerHello) restart(hs *Handshake) (next State, ok bool) {
	switch {
	case s.restarted && s.retry == nil:
		return s, true // the alert answers the second hello from before the restart
	case s.restarted || s.retry == nil:
		return s, false
	}
	s.hello, s.shares, s.psks = s.first, s.firstShares, s.firstPSKs
	s.retry, s.verifies, s.restarted = nil, 0, true
	hs.agree(0)
	hs.link.SetMessageSeq(0)
	hs.transcript.Reset()
	hs.addBody(message.TypeClientHello, s.firstRaw[message.HeaderLen:])
	hs.link.SendFlight(false)
	return s, true
}

// firstAnswered: no server uses a message_seq twice, or a smaller one later (RFC
// 9147, Section 5.2). A ServerHello of DTLS 1.3 with a message_seq that is not above
// that of the HelloRetryRequest or HelloVerifyRequest which was followed answers the
// first hello: that request was not the server's.
func (s awaitServerHello) firstAnswered(in Received) awaitServerHello {
	if s.retry == nil && s.verifies == 0 || in.seq > s.followed {
		return s
	}
	s.hello, s.shares, s.psks = s.first, s.firstShares, s.firstPSKs
	s.retry, s.verifies = nil, 0
	return s
}

// checkRetry: RFC 8446, Section 4.1.4.
func (s awaitServerHello) checkRetry(p *Config, m *message.ServerHello) (*suite.Suite, error) {
	if m.SupportedVersion != message.Version13 || !p.Offers(message.Version13) {
		return nil, alert.Errorf(alert.IllegalParameter, "hello_retry_request for %s", message.VersionName(m.SupportedVersion))
	}
	chosen, err := s.checkHello13(m)
	if err != nil {
		return nil, err
	}
	for _, t := range m.ExtensionTypes {
		switch t {
		case message.ExtensionSupportedVersions, message.ExtensionCookie, message.ExtensionKeyShare:
		default:
			return nil, alert.Errorf(alert.UnsupportedExtension, "hello_retry_request with %s", message.ExtensionName(t))
		}
	}
	if g := m.SelectedGroup; g != 0 {
		// RFC 8446, Section 4.2.8: a group that was offered, and without a share.
		shared := slices.ContainsFunc(s.first.KeyShares, func(k message.KeyShare) bool { return k.Group == g })
		if !offersGroup(s.first, g) || shared {
			return nil, alert.Errorf(alert.IllegalParameter, "hello_retry_request for group %v, which was not offered or has a share", kex.Group(g))
		}
	} else if len(m.RetryCookie) == 0 {
		// RFC 8446, Section 4.1.4: "Clients MUST abort the handshake with an
		// "illegal_parameter" alert if the HelloRetryRequest would not result in
		// any change in the ClientHello."
		return nil, alert.Errorf(alert.IllegalParameter, "hello_retry_request that asks for nothing")
	}
	repeated := *s.first
	repeated.RetryCookie = m.RetryCookie
	if _, err := repeated.AppendBody(nil); err != nil {
		return nil, alert.Errorf(alert.IllegalParameter, "hello_retry_request with a cookie of %d bytes: %w", len(m.RetryCookie), err)
	}
	return chosen, nil
}

// checkHello13 is what ServerHello and HelloRetryRequest have in common.
func (s awaitServerHello) checkHello13(m *message.ServerHello) (*suite.Suite, error) {
	// RFC 9147, Section 5: "DTLS 1.3 clients MUST abort the handshake with an
	// "illegal_parameter" alert if the field is not empty."
	if m.Version != message.Version12 || len(m.SessionID) > 0 {
		return nil, alert.Errorf(alert.IllegalParameter, "server_hello of DTLS 1.3 with version %s and a session id of %d bytes", message.VersionName(m.Version), len(m.SessionID))
	}
	chosen := suite.Lookup(m.CipherSuite)
	if chosen == nil || !chosen.Is13() || !slices.Contains(s.first.CipherSuites, m.CipherSuite) {
		return nil, alert.Errorf(alert.IllegalParameter, "server chose cipher suite %s, which was not offered for DTLS 1.3", suite.Name(m.CipherSuite))
	}
	if s.retry != nil && s.retry.CipherSuite != m.CipherSuite && !m.IsRetry() {
		// RFC 8446, Section 4.1.4.
		return nil, alert.Errorf(alert.IllegalParameter, "server chose %s after it had asked for a hello for %s", chosen.Name, suite.Name(s.retry.CipherSuite))
	}
	return chosen, nil
}

// agree13 takes the ServerHello of a server that chose DTLS 1.3 (RFC 8446,
// Section 4.1.3).
func (s awaitServerHello) agree13(hs *Handshake, m *message.ServerHello, in Received) (State, error) {
	if before := s.late(m, in); before != nil {
		return before.agree13(hs, m, in)
	}
	if s.retry == nil && s.verifies == 0 && in.seq > 0 {
		// The second message of a server answers no first hello: this one is for an
		// association that had the same port before.
		return s, ErrIgnore
	}
	s = s.firstAnswered(in)
	n, key, err := s.negotiate13(hs.Config, m)
	if err != nil {
		return nil, err
	}
	var secret []byte
	if key != nil {
		if secret, err = key.Shared(m.KeyShare.Data); err != nil {
			return nil, err
		}
		defer keys.Wipe(secret)
	}
	hs.agreeOn(n.suite)
	hs.Info.CurveID, hs.Info.ServerName = kex.Group(m.KeyShare.Group), hs.Config.ServerName
	hs.link.SetMessageSeq(2)
	if s.retry == nil {
		hs.link.SetMessageSeq(1) // a second hello is not part of the handshake
		hs.transcript.Reset()
		hs.transcribe(s.firstRaw)
	} else if s.transcript != nil {
		hs.transcript.Reset()
		hs.transcript.Add(s.transcript)
	}
	hs.transcribe(in.raw)
	n.deriveHandshake13(hs.transcript.Sum(n.suite.Hash), secret)
	if err := hs.enterHandshake13(n); err != nil {
		return nil, err
	}
	// RFC 9147, Section 5.8.1: the hello is acknowledged by what answers it.
	hs.link.FlightAnswered(true)
	return awaitEncryptedExtensions13{n, s.hello}, nil
}

// negotiate13 is what a ServerHello agrees to, as the answer to the present hello. The key is the
// one to finish the exchange with, nil if there is none.
func (s awaitServerHello) negotiate13(p *Config, m *message.ServerHello) (n *negotiated13, key *kex.Key, err error) {
	chosen, err := s.checkHello13(m)
	if err != nil {
		return nil, nil, err
	}
	if s.verifies > 0 && s.retry == nil {
		// It answers a hello with a legacy_cookie, which a server of DTLS 1.3
		// must refuse (RFC 9147, Section 5.3).
		return nil, nil, alert.Errorf(alert.IllegalParameter, "server chose DTLS 1.3 after a hello_verify_request")
	}
	n = &negotiated13{suite: chosen, clientRandom: s.first.Random}
	if err := s.choosePSK13(n, m); err != nil {
		return nil, nil, err
	}
	if n.psk == nil && !p.UsesCertificates() {
		return nil, nil, alert.Errorf(alert.HandshakeFailure, "server chose none of our pre-shared keys")
	}
	key, err = s.shared13(n, m)
	return n, key, err
}

// choosePSK13: RFC 8446, Section 4.2.11: one of those that were offered, with
// the suite's hash.
func (s awaitServerHello) choosePSK13(n *negotiated13, m *message.ServerHello) error {
	if !m.HasSelectedPSK {
		return nil
	}
	if len(s.psks) == 0 {
		return alert.Errorf(alert.UnsupportedExtension, "server chose a pre-shared key, none was offered")
	}
	if int(m.SelectedPSK) >= len(s.psks) || s.psks[m.SelectedPSK].hash != n.suite.Hash {
		return alert.Errorf(alert.IllegalParameter, "server chose pre-shared key %d, which was not offered for %s", m.SelectedPSK, n.suite.Name)
	}
	n.psk = &s.psks[m.SelectedPSK]
	return nil
}

// shared13 is the client's key of the group that the server chose, nil if there is no
// key exchange.
func (s awaitServerHello) shared13(n *negotiated13, m *message.ServerHello) (*kex.Key, error) {
	for _, t := range m.ExtensionTypes {
		switch {
		case t == message.ExtensionSupportedVersions, t == message.ExtensionKeyShare:
		case t == message.ExtensionPreSharedKey && len(s.psks) > 0:
		default:
			return nil, alert.Errorf(alert.UnsupportedExtension, "server_hello with %s", message.ExtensionName(t))
		}
	}
	if !m.HasKeyShare {
		if n.psk == nil {
			return nil, alert.Errorf(alert.MissingExtension, "server_hello without key_share")
		}
		if !slices.Contains(s.hello.PSKModes, message.PSKModeKE) {
			return nil, alert.Errorf(alert.IllegalParameter, "server_hello without key_share, psk_ke was not offered")
		}
		return nil, nil
	}
	for _, key := range s.shares {
		if uint16(key.Group()) == m.KeyShare.Group {
			return key, nil
		}
	}
	return nil, alert.Errorf(alert.IllegalParameter, "server has a share for group %v, which had none of ours", kex.Group(m.KeyShare.Group))
}

// awaitEncryptedExtensions13: RFC 8446, Section 4.3.1.
type awaitEncryptedExtensions13 struct {
	n     *negotiated13
	hello *message.ClientHello
}

func (awaitEncryptedExtensions13) Expects() message.Set {
	return message.SetOf(message.TypeEncryptedExtensions)
}

func (s awaitEncryptedExtensions13) Take(hs *Handshake, in Received) (State, error) {
	m := in.Message.(*message.EncryptedExtensions)
	for _, t := range m.ExtensionTypes {
		var offered bool
		switch t {
		case message.ExtensionServerName:
			offered = s.hello.ServerName != ""
		case message.ExtensionALPN:
			offered = len(s.hello.ALPN) > 0
		case message.ExtensionSupportedGroups:
			offered = true
		case message.ExtensionRecordSizeLimit:
			offered = s.hello.RecordSizeLimit > 0
		case message.ExtensionKeyShare, message.ExtensionPreSharedKey, message.ExtensionSupportedVersions, message.ExtensionCookie,
			message.ExtensionSignatureAlgorithms, message.ExtensionPSKKeyExchangeModes:
			// RFC 8446, Section 4.2: an extension of another message.
			return nil, alert.Errorf(alert.IllegalParameter, "encrypted_extensions with %s", message.ExtensionName(t))
		}
		if !offered {
			return nil, alert.Errorf(alert.UnsupportedExtension, "server sent %s, which was not offered", message.ExtensionName(t))
		}
	}
	if m.ALPN != "" && !slices.Contains(s.hello.ALPN, m.ALPN) {
		return nil, alert.Errorf(alert.IllegalParameter, "server chose protocol %q, which was not offered", m.ALPN)
	}
	hs.transcribe(in.raw)
	hs.Info.NegotiatedProtocol = m.ALPN
	hs.link.LimitRecords(m.RecordSizeLimit)
	if s.n.psk != nil {
		hs.usePSK(s.n.psk)
		return awaitServerFinished13{n: s.n}, nil
	}
	return awaitServerCertificate13{n: s.n}, nil
}

// awaitServerCertificate13: RFC 8446, Sections 4.3.2 and 4.4.2.
type awaitServerCertificate13 struct {
	n       *negotiated13
	request *message.CertificateRequest13 // nil: none came
}

func (s awaitServerCertificate13) Expects() message.Set {
	if s.request == nil {
		return message.SetOf(message.TypeCertificateRequest, message.TypeCertificate)
	}
	return message.SetOf(message.TypeCertificate)
}

func (s awaitServerCertificate13) Take(hs *Handshake, in Received) (State, error) {
	m, ok := in.Message.(*message.Certificate13)
	if !ok {
		request := in.Message.(*message.CertificateRequest13)
		// RFC 8446, Section 4.3.2: zero length "unless used for the
		// post-handshake authentication exchanges".
		if len(request.Context) > 0 {
			return nil, alert.Errorf(alert.IllegalParameter, "certificate_request with a context in the handshake")
		}
		hs.transcribe(in.raw)
		s.request = request
		return s, nil
	}
	if len(m.Context) > 0 {
		return nil, alert.Errorf(alert.IllegalParameter, "server's certificate with a context")
	}
	if len(m.ExtensionTypes) > 0 {
		return nil, alert.Errorf(alert.UnsupportedExtension, "certificate with %s, which was not offered", message.ExtensionName(m.ExtensionTypes[0]))
	}
	if len(m.Chain) == 0 {
		// RFC 8446, Section 4.4.2.4.
		return nil, alert.Errorf(alert.DecodeError, "server's certificate list is empty")
	}
	chain, err := auth.ParseChain(m.Chain)
	if err != nil {
		return nil, err
	}
	if err := hs.verifyPeer(chain); err != nil {
		return nil, err
	}
	hs.transcribe(in.raw)
	return awaitServerCertificateVerify13{s.n, s.request, chain}, nil
}

// awaitServerCertificateVerify13: RFC 8446, Section 4.4.3.
type awaitServerCertificateVerify13 struct {
	n       *negotiated13
	request *message.CertificateRequest13
	chain   *auth.Chain
}

func (awaitServerCertificateVerify13) Expects() message.Set {
	return message.SetOf(message.TypeCertificateVerify)
}

func (s awaitServerCertificateVerify13) Take(hs *Handshake, in Received) (State, error) {
	scheme, err := hs.verifySignature13(s.n, s.chain, in.Message.(*message.CertificateVerify))
	if err != nil {
		return nil, err
	}
	hs.transcribe(in.raw)
	hs.Info.SignatureScheme = scheme
	return awaitServerFinished13{s.n, s.request}, nil
}

// awaitServerFinished13: RFC 8446, Section 4.4.4.
type awaitServerFinished13 struct {
	n       *negotiated13
	request *message.CertificateRequest13
}

func (awaitServerFinished13) Expects() message.Set {
	return message.SetOf(message.TypeFinished)
}

func (s awaitServerFinished13) Take(hs *Handshake, in Received) (State, error) {
	if err := hs.checkFinished13(s.n, s.n.serverSecret, in); err != nil {
		return nil, err
	}
	if err := hs.checkConnection(); err != nil {
		return nil, err
	}
	hs.deriveApplication13(s.n)
	if s.request != nil {
		if err := s.addCertificate(hs); err != nil {
			return nil, err
		}
	}
	if err := hs.addFinished13(s.n, s.n.clientSecret); err != nil {
		return nil, err
	}
	hs.enterApplication13(s.n)
	if err := hs.link.InstallWrite(Keys{Epoch: EpochData, Suite: s.n.suite, Secret: s.n.app.client}); err != nil {
		return nil, err
	}
	if err := hs.link.InstallRead(Keys{Epoch: EpochData, Suite: s.n.suite, Secret: s.n.app.server}); err != nil {
		return nil, err
	}
	hs.link.SendFlight(false)
	return complete{}, nil
}

// addCertificate answers the server's request, perhaps with an empty chain
// (RFC 8446, Section 4.4.2).
func (s awaitServerFinished13) addCertificate(hs *Handshake) error {
	certified := s.request.SignatureSchemesCert
	if certified == nil {
		certified = s.request.SignatureSchemes // RFC 8446, Section 4.2.3
	}
	cert, scheme, err := chooseClientCertificate(hs, &tls.CertificateRequestInfo{
		AcceptableCAs: s.request.Authorities, SignatureSchemes: schemesOf(s.request.SignatureSchemes), Version: tls.VersionTLS13,
	}, certified, auth.ChooseScheme13)
	if err != nil {
		return err
	}
	m := &message.Certificate13{Context: s.request.Context}
	if cert != nil {
		m.Chain = cert.Certificate
	}
	if err := hs.add(m); err != nil || cert == nil {
		return err
	}
	return hs.addCertificateVerify13(s.n, cert, scheme)
}
