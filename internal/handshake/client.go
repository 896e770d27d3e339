package handshake

import (
	"bytes"
	"crypto/tls"
	"net/netip"
	"slices"
	"strings"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// The client until the version is agreed on: one hello offers all of them, and
// the answer decides whether client12.go or client13.go goes on.

// StartClient sends the first hello.
func StartClient(hs *Handshake) error {
	psks, old, err := hs.offeredPSKs()
	if err != nil {
		return err
	}
	if p := hs.Config; len(psks) == 0 && !p.UsesCertificates() && p.Offers(message.Version13) && p.Offers(message.Version12) {
		// The keys are for DTLS 1.2 alone: a server that chose DTLS 1.3 could not go on.
		older := *p
		older.MaxVersion = message.Version12
		hs.adopt(&older)
	}
	return hs.sendFirstHello(psks, old)
}

func (hs *Handshake) sendFirstHello(psks []offeredPSK, old *Session) error {
	p := hs.Config
	s := awaitServerHello{psks: psks, firstPSKs: psks, session: old}
	h := newHello(p)
	if old != nil {
		if err := old.offer(p, h); err != nil {
			return err
		}
	}
	hs.agree(0)
	// RFC 5246, Section 7.4.1.2: all 32 bytes are random here; the time
	// is not sent.
	if err := p.random(h.Random[:]); err != nil {
		return err
	}
	if p.Offers(message.Version13) {
		var err error
		if s.shares, err = addShares(h, p); err != nil {
			return err
		}
	}
	if err := hs.addHello(h, psks); err != nil {
		return err
	}
	s.hello, s.first, s.firstShares = h, h, s.shares
	s.firstRaw = bytes.Clone(hs.transcript.Bytes())
	hs.enter(s)
	hs.link.SendFlight(false)
	return nil
}

// OffersTicket reports whether a client's hello that awaits an answer has a ticket.
func (hs *Handshake) OffersTicket() bool {
	s, ok := hs.step.(awaitServerHello)
	return ok && (s.session != nil || len(s.firstPSKs) > 0 && s.firstPSKs[0].session != nil)
}

// DropTicket begins a client's handshake anew with a hello that has no ticket: a server
// may have room for no hello that is as long as its own tickets make it.
func (hs *Handshake) DropTicket() error {
	before := hs.step.(awaitServerHello)
	before.transcript = bytes.Clone(hs.transcript.Bytes())
	hs.link.SetMessageSeq(0)
	hs.transcript.Reset()
	psks := before.firstPSKs
	if before.session == nil {
		psks = psks[1:]
	}
	if err := hs.sendFirstHello(psks, nil); err != nil {
		return err
	}
	s := hs.step.(awaitServerHello)
	s.before = &before
	hs.enter(s)
	return nil
}

// late returns the state that a ServerHello is for which answers the hello with a ticket
// after all, nil if it may answer the present one.
func (s awaitServerHello) late(m *message.ServerHello, in Received) *awaitServerHello {
	if s.before != nil && (s.retry == nil && in.seq > 0 || m.HasSelectedPSK && int(m.SelectedPSK) >= len(s.psks)) {
		return s.before
	}
	return nil
}

// newHello is what every hello of these params has.
func newHello(p *Config) *message.ClientHello {
	h := &message.ClientHello{
		Version:              message.Version12, // RFC 9147, Section 5.3, whatever is offered
		Compression:          []byte{0},
		ExtendedMasterSecret: p.EMS != EMSDisabled && p.Offers(message.Version12),
		HasRenegotiationInfo: p.Offers(message.Version12), // RFC 5746, Section 3.4
		HasSessionTicket:     p.Offers(message.Version12) && p.AsksTicket,
		ALPN:                 p.ALPN,
		ServerName:           hostName(p.ServerName),
		RecordSizeLimit:      uint16(p.RecordSizeLimit),
	}
	ecdhe12 := false
	if p.Offers(message.Version13) {
		h.SupportedVersions = append(h.SupportedVersions, message.Version13)
		h.CipherSuites = append(h.CipherSuites, idsOf(p.Suites13)...)
	}
	if p.Offers(message.Version12) {
		if h.SupportedVersions != nil {
			h.SupportedVersions = append(h.SupportedVersions, message.Version12)
		}
		h.CipherSuites = append(h.CipherSuites, idsOf(p.Suites)...)
		for _, s := range p.Suites {
			ecdhe12 = ecdhe12 || s.UsesECDHE()
		}
	}
	if p.Offers(message.Version13) {
		h.SupportedGroups = numbersOf(p.Groups13)
	} else if ecdhe12 {
		h.SupportedGroups = numbersOf(p.Groups)
	}
	if ecdhe12 {
		h.PointFormats = []byte{0} // RFC 8422, Section 5.1.2: uncompressed
	}
	if p.UsesCertificates() {
		h.SignatureSchemes = numbersOf(p.Schemes)
	}
	return h
}

// hostName is what server_name carries: names only, without a trailing dot
// (RFC 6066, Section 3).
func hostName(name string) string {
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return ""
	}
	return strings.TrimRight(name, ".")
}

// addShares makes the key shares of a first hello: of the preferred group if the
// hello may be large, and of one that fits a datagram (Config.Hello).
func addShares(h *message.ClientHello, p *Config) ([]*kex.Key, error) {
	h.HasKeyShares = true
	var shares []*kex.Key
	hybrid, classic := false, false
	for _, g := range p.Groups13 {
		if kex.IsHybrid(g) && (hybrid || p.SmallHello) || !kex.IsHybrid(g) && classic {
			continue
		}
		key, err := kex.Generate(g)
		if err != nil {
			return nil, err
		}
		shares = append(shares, key)
		h.KeyShares = append(h.KeyShares, message.KeyShare{Group: uint16(g), Data: key.Public()})
		hybrid, classic = hybrid || kex.IsHybrid(g), classic || !kex.IsHybrid(g)
	}
	return shares, nil
}

// awaitServerHello is the state after each ClientHello, the first and those with a
// cookie.
type awaitServerHello struct {
	hello *message.ClientHello // the present one
	first *message.ClientHello // the first one, which has no cookie
	// RFC 8446, Section 4.1.4: a HelloRetryRequest answers the first hello, also
	// if a forged HelloVerifyRequest came before it.
	firstRaw []byte

	shares, firstShares []*kex.Key // of the present hello, and of the first
	psks, firstPSKs     []offeredPSK
	session             *Session // of DTLS 1.2, whose ticket the hellos have; nil: none

	verifies int    // cookies of HelloVerifyRequests followed
	record   uint64 // number of the first record whose answer can be one to this hello
	doubted  bool   // its cookie was refused once, which a forger could do

	retry    *message.ServerHello // the HelloRetryRequest that was followed, nil: none
	retryKey *kex.Key             // made for the group that one asked for, nil: none did
	followed uint16               // message_seq of the HelloRetryRequest or HelloVerifyRequest that was followed last

	restarted bool // the first hello was sent anew because the second was refused

	before     *awaitServerHello // the state of a hello with a ticket that DropTicket has given up, nil: none
	transcript []byte            // of such a state
}

// maxHelloVerifies is how many cookies are followed: an honest server has one,
// or two if its keys rotate; a forged one may come first.
const maxHelloVerifies = 3

func (awaitServerHello) Expects() message.Set {
	return message.SetOf(message.TypeServerHello, message.TypeHelloVerifyRequest)
}

func (s awaitServerHello) Take(hs *Handshake, in Received) (State, error) {
	switch m := in.Message.(type) {
	case *message.HelloVerifyRequest:
		return s.verify(hs, m, in)
	case *message.ServerHello:
		switch {
		case m.IsRetry():
			return s.retry13(hs, m, in)
		case m.SupportedVersion == message.Version13 && hs.Config.Offers(message.Version13):
			return s.agree13(hs, m, in)
		case m.SupportedVersion != 0 && hs.Config.Offers(message.Version13):
			// RFC 8446, Section 4.2.1: "a version not offered by the client or [...] a
			// version prior to TLS 1.3".
			return nil, alert.Errorf(alert.IllegalParameter, "server selected %s in supported_versions", message.VersionName(m.SupportedVersion))
		}
		return s.agree12(hs, m, in.raw)
	}
	return nil, alert.Errorf(alert.UnexpectedMessage, "%s", in.Type())
}

// verify repeats the hello with the server's cookie (RFC 6347, Section 4.2.1).
//
// The first HelloVerifyRequest is followed whatever its record number is. Each copy
// of the first hello that reaches the server brings another one, with a cookie of
// its own. Following those would change the hello after the server has accepted it,
// which ends the handshake. A server repeats the record number of the hello that it
// answers, so only a HelloVerifyRequest for the present hello means that its cookie
// was refused: the cookie was forged, or the keys of the server have changed. Such a
// HelloVerifyRequest can be forged, too, so it is followed only after a second one,
// which answers a repetition of the present hello.
func (s awaitServerHello) verify(hs *Handshake, m *message.HelloVerifyRequest, in Received) (State, error) {
	switch { // RFC 9147, Section 5: DTLS 1.3 has no such message
	case !hs.Config.Offers(message.Version12):
		return nil, alert.Errorf(alert.ProtocolVersion, "server asks for a cookie as DTLS 1.2 does, which is not offered")
	case s.retry != nil:
		return nil, alert.Errorf(alert.UnexpectedMessage, "hello_verify_request after a hello_retry_request")
	}
	if s.verifies > 0 && (in.record < s.record || bytes.Equal(m.Cookie, s.hello.Cookie)) {
		return s, ErrIgnore
	}
	if s.verifies > 0 && !s.doubted {
		s.doubted, s.record = true, hs.link.NextRecord()
		return s, ErrIgnore
	}
	if s.verifies == maxHelloVerifies {
		return nil, alert.Errorf(alert.HandshakeFailure, "the server asked for %d different cookies", maxHelloVerifies+1)
	}
	hello := *s.hello
	hello.Cookie = bytes.Clone(m.Cookie)
	// RFC 6347, Section 4.2.1: neither the first hello nor the
	// HelloVerifyRequest is part of the handshake's hashes.
	hs.transcript.Reset()
	// Byte for byte the hello before but for the cookie, binders included: the cookie may
	// cover all of it, and who verifies this one chooses DTLS 1.2, which has no binders.
	if err := hs.add(&hello); err != nil {
		return nil, err
	}
	s.hello = &hello
	s.verifies++
	s.followed = in.seq
	s.doubted = false
	hs.link.SendFlight(false)
	s.record = hs.link.NextRecord()
	return s, nil
}

// addHello adds a hello to the flight, with the binders of its pre-shared keys.
func (hs *Handshake) addHello(h *message.ClientHello, psks []offeredPSK) error {
	if err := bindPSKs(h, psks, hs.transcript.Bytes(), hs.now()); err != nil {
		return err
	}
	return hs.add(h)
}

// offersGroup reports whether supported_groups has the group.
func offersGroup(h *message.ClientHello, group uint16) bool {
	return slices.Contains(h.SupportedGroups, group)
}

// chooseClientCertificate answers a server's request, by the rules of the
// version: GetClientCertificate first, then what fits of Certificates, nil if
// nothing fits. certified are the schemes that the server verifies in certificates.
func chooseClientCertificate(
	hs *Handshake, info *tls.CertificateRequestInfo, certified []uint16,
	choose func(cert *tls.Certificate, peer, own []auth.Scheme) (auth.Scheme, error),
) (*tls.Certificate, auth.Scheme, error) {
	p := hs.Config
	if get := p.GetClientCertificate; get != nil {
		cert, err := get(hs.context(), info)
		if err != nil {
			return nil, 0, alert.Hook(alert.InternalError, "GetClientCertificate", err)
		}
		if cert == nil || len(cert.Certificate) == 0 {
			return nil, 0, nil
		}
		scheme, err := choose(cert, info.SignatureSchemes, p.Schemes)
		if err != nil {
			return nil, 0, alert.Errorf(alert.InternalError, "the chain of GetClientCertificate cannot sign: %w", err)
		}
		return cert, scheme, nil
	}
	var best *tls.Certificate
	var with auth.Scheme
	for i := range p.Certificates {
		cert := &p.Certificates[i]
		scheme, err := choose(cert, info.SignatureSchemes, p.Schemes)
		if err != nil || info.SupportsCertificate(cert) != nil {
			continue
		}
		if len(p.Certificates) == 1 || auth.ChainSuits(cert, schemesOf(certified)) {
			return cert, scheme, nil
		}
		if best == nil {
			best, with = cert, scheme
		}
	}
	return best, with, nil
}
