package dtls

import (
	"bytes"
	"crypto/tls"
	"slices"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/kex"
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

// again13 takes a HelloRetryRequest (RFC 8446, Section 4.1.4).
//
// Nobody vouches for one, and copies of the first hello may each bring one with
// a cookie of its own. RFC 8446 ends the handshake at the second; here one that
// answers the first hello once more, as its message_seq says, is kept, and
// followed in place of the other if there are signs that the other was forged: a
// server with state sends it again when its timer fires, or one without refuses
// our second hello with an alert. Only one that answers the second hello is the
// fault the RFC means.
func (s awaitServerHello) again13(hs *handshake, m *message.ServerHello, in received) (step, error) {
	switch {
	case s.retry != nil && in.seq > 0 && s.other.Message != nil:
		return s.reconsider13(hs)
	case s.retry != nil && in.seq > 0:
		return nil, alert.Errorf(alert.UnexpectedMessage, "a second hello_retry_request")
	case s.retry != nil && sameRetry(s.retry, m):
		return s, errIgnore
	case s.retry != nil && s.retries >= maxHelloVerifies:
		return s, errIgnore
	case s.other.Message != nil && hs.e.now.Sub(s.askedAt) < hastyRetry:
		return s, errIgnore
	case s.retry != nil && !s.cameAgain(m, in):
		if _, err := s.checkRetry(hs.p, m); err == nil {
			s.other = in
		}
		return s, errIgnore
	}
	return s.follow13(hs, m, in)
}

// cameAgain reports whether the server itself, and not the path, repeats what we
// did not follow.
func (s awaitServerHello) cameAgain(m *message.ServerHello, in received) bool {
	other, ok := s.other.Message.(*message.ServerHello)
	return ok && in.record != s.other.record && sameRetry(other, m)
}

// reconsider13: the second hello is refused, perhaps because the
// HelloRetryRequest before it was forged; if there was another, that is followed.
func (s awaitServerHello) reconsider13(hs *handshake) (step, error) {
	return s.follow13(hs, s.other.Message.(*message.ServerHello), s.other)
}

// fallback is what a state would rather do than believe that the server has
// ended the handshake: begin anew, since the cookie may have become too old. RFC
// 9147, Section 5.1: the alert "allows the client to restart the connection from
// scratch without a cookie".
func (s awaitServerHello) fallback(hs *handshake) (next step, ok bool) {
	age := hs.e.now.Sub(s.askedAt)
	switch {
	case s.retry == nil && !s.anew:
		return s, false
	case (s.anew || s.retries > 1) && age < 2*hs.p.retransmit.Initial:
		return s, true // the alert may be about the hello before this one
	case s.anew && (s.retry == nil || age < freshCookie):
		return s, false // it is about something else
	}
	again := *s.origin
	again.retries, again.anew, again.askedAt, again.sent = s.retries, true, hs.e.now, s.allSent()
	hs.e.state.Version = 0
	hs.e.out.nextSeq = 1
	hs.transcript.Reset()
	hs.transcribe(s.firstRaw)
	hs.flight = s.firstFlight
	hs.sendFlight(false)
	return again, true
}

// hastyRetry is how soon a repeated HelloRetryRequest is one of several that
// copies of the first hello brought, and no timer of the server's: the second
// hello is on its way to whoever sent the first of them.
const hastyRetry = 100 * time.Millisecond

// freshCookie is how long a cookie is not too old for any server.
const freshCookie = 15 * time.Second

// follow13 sends the second hello.
func (s awaitServerHello) follow13(hs *handshake, m *message.ServerHello, in received) (step, error) {
	chosen, err := s.checkRetry(hs.p, m)
	if err != nil {
		return nil, err
	}
	h := *s.first
	h.RetryCookie = bytes.Clone(m.RetryCookie)
	shares := s.firstShares
	if m.SelectedGroup != 0 {
		key, err := s.shareFor(m.SelectedGroup)
		if err != nil {
			return nil, err
		}
		shares = []*kex.Key{key}
		h.KeyShares = []message.KeyShare{{Group: m.SelectedGroup, Data: key.Public()}}
	}
	psks := slices.DeleteFunc(slices.Clone(s.firstPSKs), func(k offeredPSK) bool { return k.hash != chosen.Hash })

	hs.e.state.Version = VersionDTLS13
	hs.transcript.Reset()
	hs.transcribe(s.firstRaw)
	hs.transcript.Replace(chosen.Hash)
	hs.transcribe(in.raw)
	hs.e.out.nextSeq = 1 // RFC 9147, Section 5.2: the second message of this side, whichever answer it is to
	if err := hs.addHello(&h, psks); err != nil {
		return nil, err
	}
	if s.origin == nil {
		origin := s
		s.origin, s.firstFlight = &origin, hs.e.out.msgs
	}
	s.sent = s.allSent()
	s.hello, s.transcript = &h, bytes.Clone(hs.transcript.Bytes())
	s.shares, s.psks = shares, psks
	s.retry, s.retries, s.asked, s.other = m, s.retries+1, in.seq, received{}
	s.askedAt = hs.e.now
	hs.sendFlight(false)
	return s, nil
}

// firstAnswered: no server uses a message_seq twice, or a smaller one later (RFC
// 9147, Section 5.2). A ServerHello of DTLS 1.3 that does not come after what we
// followed answers the first hello: the other one was not the server's.
func (s awaitServerHello) firstAnswered(in received) awaitServerHello {
	if s.retry == nil && s.verifies == 0 || in.seq > s.asked {
		return s
	}
	s.hello, s.shares, s.psks = s.first, s.firstShares, s.firstPSKs
	s.retry, s.verifies, s.sent = nil, 0, nil
	return s
}

// sameRetry reports whether two HelloRetryRequests ask for the same.
func sameRetry(a, b *message.ServerHello) bool {
	return a.CipherSuite == b.CipherSuite && a.SelectedGroup == b.SelectedGroup && bytes.Equal(a.RetryCookie, b.RetryCookie)
}

// checkRetry: RFC 8446, Section 4.1.4.
func (s awaitServerHello) checkRetry(p *params, m *message.ServerHello) (*suite.Suite, error) {
	if m.SupportedVersion != VersionDTLS13 || !p.offers(VersionDTLS13) {
		return nil, alert.Errorf(alert.IllegalParameter, "hello_retry_request for %s", VersionName(m.SupportedVersion))
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
	return chosen, nil
}

// checkHello13 is what ServerHello and HelloRetryRequest have in common.
func (s awaitServerHello) checkHello13(m *message.ServerHello) (*suite.Suite, error) {
	// RFC 9147, Section 5: "DTLS 1.3 clients MUST abort the handshake with an
	// "illegal_parameter" alert if the field is not empty."
	if m.Version != VersionDTLS12 || len(m.SessionID) > 0 {
		return nil, alert.Errorf(alert.IllegalParameter, "server_hello of DTLS 1.3 with version %s and a session id of %d bytes", VersionName(m.Version), len(m.SessionID))
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
func (s awaitServerHello) agree13(hs *handshake, m *message.ServerHello, in received) (step, error) {
	unasked := s.retry == nil && s.verifies == 0 && in.seq > 0
	if unasked && len(s.sent) == 0 {
		// A server's second message answers no first hello: this one is for a
		// client that had our port before.
		return s, errIgnore
	}
	s = s.firstAnswered(in)
	hellos := s.sent
	if !unasked {
		hellos = append([]awaitServerHello{s}, hellos...)
	}
	list, err := agreements13(hs, hellos, m, in)
	if err != nil {
		return nil, err
	}
	next, err := list[0].enter(hs, list[1:])
	if err != nil {
		return nil, err
	}
	if len(list) > 1 {
		hs.e.out.total++ // Karn: it may answer a hello before this one, so it measures nothing
	}
	// RFC 9147, Section 5.8.1: the hello is acknowledged by what answers it.
	hs.e.flightPassed()
	return next, nil
}

// negotiate13 is what a ServerHello says if it answers this hello. The key is the
// one to finish the exchange with, nil if there is none.
func (s awaitServerHello) negotiate13(p *params, m *message.ServerHello) (n *negotiated13, key *kex.Key, err error) {
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
	if n.psk == nil && !p.usesCertificates() {
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

// shared13 is our part of the key exchange, nil if there is none.
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
	// others are readings of the ServerHello that may prove right until a record
	// has opened, see answered13.go.
	others []agreement13
}

func (awaitEncryptedExtensions13) expects() message.Set {
	return message.SetOf(message.TypeEncryptedExtensions)
}

func (s awaitEncryptedExtensions13) take(hs *handshake, in received) (step, error) {
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
			// RFC 8446, Section 4.2: known, and not for this message.
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
	hs.e.state.NegotiatedProtocol = m.ALPN
	hs.e.limitRecords13(m.RecordSizeLimit)
	if s.n.psk != nil {
		if old := s.n.psk.session; old != nil {
			if err := old.restore(&hs.e.state); err != nil {
				return nil, alert.Errorf(alert.InternalError, "session: %w", err)
			}
		}
		return awaitServerFinished13{n: s.n}, nil
	}
	return awaitServerCertificate13{n: s.n}, nil
}

// awaitServerCertificate13: RFC 8446, Sections 4.3.2 and 4.4.2.
type awaitServerCertificate13 struct {
	n       *negotiated13
	request *message.CertificateRequest13 // nil: none came
}

func (s awaitServerCertificate13) expects() message.Set {
	if s.request == nil {
		return message.SetOf(message.TypeCertificateRequest, message.TypeCertificate)
	}
	return message.SetOf(message.TypeCertificate)
}

func (s awaitServerCertificate13) take(hs *handshake, in received) (step, error) {
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

func (awaitServerCertificateVerify13) expects() message.Set {
	return message.SetOf(message.TypeCertificateVerify)
}

func (s awaitServerCertificateVerify13) take(hs *handshake, in received) (step, error) {
	scheme, err := hs.verifySignature13(s.n, s.chain, in.Message.(*message.CertificateVerify))
	if err != nil {
		return nil, err
	}
	hs.transcribe(in.raw)
	hs.e.state.SignatureScheme = scheme
	return awaitServerFinished13{s.n, s.request}, nil
}

// awaitServerFinished13: RFC 8446, Section 4.4.4.
type awaitServerFinished13 struct {
	n       *negotiated13
	request *message.CertificateRequest13
}

func (awaitServerFinished13) expects() message.Set {
	return message.SetOf(message.TypeFinished)
}

func (s awaitServerFinished13) take(hs *handshake, in received) (step, error) {
	if err := hs.checkFinished13(s.n, s.n.serverSecret, in); err != nil {
		return nil, err
	}
	if err := hs.checkConnection(); err != nil {
		return nil, err
	}
	app := s.n.applicationSecrets(hs)
	if s.request != nil {
		if err := s.addCertificate(hs); err != nil {
			return nil, err
		}
	}
	if err := hs.addFinished13(s.n, s.n.clientSecret); err != nil {
		return nil, err
	}
	post := hs.enterApplication13(s.n, app)
	if err := hs.e.keys.installWrite13(s.n.suite, epochData, app.client); err != nil {
		return nil, err
	}
	if err := hs.e.keys.installRead13(s.n.suite, epochData, app.server, hs.e.p.replayWindow); err != nil {
		return nil, err
	}
	hs.e.keys.startWriting(epochData)
	hs.sendFlight(false)
	return complete{post}, nil
}

// addCertificate answers the server's request, perhaps with an empty chain
// (RFC 8446, Section 4.4.2).
func (s awaitServerFinished13) addCertificate(hs *handshake) error {
	cert, scheme, err := chooseClientCertificate(hs.p, &tls.CertificateRequestInfo{
		AcceptableCAs: s.request.Authorities, SignatureSchemes: schemesOf(s.request.SignatureSchemes), Version: tls.VersionTLS13,
	}, auth.ChooseScheme13)
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
