package dtls

import (
	"crypto/tls"
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// choice13 is what a DTLS 1.3 server makes of a hello.
type choice13 struct {
	suite    *suite.Suite
	group    kex.Group // 0: psk_ke
	share    []byte    // of the client, nil with a group: it must be asked for
	psk      *offeredPSK
	pskIndex int
	cert     *tls.Certificate // nil: PSK
	scheme   auth.Scheme
	alpn     string
}

// choose13 answers a hello out of params, or with the alert that says why not.
func choose13(hs *handshake, p *params, h *message.ClientHello, body []byte, retry *retried) (choice13, error) {
	var c choice13
	var err error
	if c.alpn, err = chooseALPN(p.alpn, h.ALPN); err != nil {
		return c, err
	}
	if c.suite = chooseSuite13(p.suites13, h.CipherSuites); c.suite == nil || retry != nil && c.suite != retry.suite {
		return c, alert.Errorf(alert.HandshakeFailure, "no cipher suite in common: %s", describeSuites(h.CipherSuites))
	}
	if c.psk, c.pskIndex, err = choosePSK13(hs, p, h, c.suite, retry.transcript(), body); err != nil {
		return c, err
	}
	if c.psk != nil {
		if err := c.psk.checkBinder(h, c.pskIndex, retry.transcript(), body); err != nil {
			return c, err
		}
		if p.pskAlone && slices.Contains(h.PSKModes, message.PSKModeKE) && !p.couldExchange(h) {
			return c, nil
		}
		if !slices.Contains(h.PSKModes, message.PSKModeDHEKE) {
			c.psk = nil // RFC 8446, Section 4.2.9: it may not be used
		}
	}
	if c.psk == nil {
		if err := c.chooseCertificate13(p, h); err != nil {
			return c, err
		}
	}
	return c, c.chooseShare(p, h, retry)
}

// couldExchange reports whether a pre-shared key can go with a key exchange. It
// follows Door.groupToAsk, which lets a hello in if it cannot, but has a key.
func (p *params) couldExchange(h *message.ClientHello) bool {
	return slices.Contains(h.PSKModes, message.PSKModeDHEKE) && len(h.KeyShares) > 0 &&
		slices.ContainsFunc(p.groups13, func(g kex.Group) bool { return offersGroup(h, uint16(g)) })
}

// chooseSuite13 is the first of ours among theirs.
func chooseSuite13(ours []*suite.Suite, theirs []uint16) *suite.Suite {
	for _, s := range ours {
		if slices.Contains(theirs, s.ID) {
			return s
		}
	}
	return nil
}

// chooseCertificate13: RFC 8446, Section 4.4.2.2.
func (c *choice13) chooseCertificate13(p *params, h *message.ClientHello) (err error) {
	if !p.usesCertificates() {
		return alert.Errorf(alert.HandshakeFailure, "client has no pre-shared key for us")
	}
	if len(h.SignatureSchemes) == 0 {
		// RFC 8446, Section 9.2.
		return alert.Errorf(alert.MissingExtension, "client hello without signature_algorithms")
	}
	c.cert, err = certificateFor(p, h, func(p *params, h *message.ClientHello) *tls.Certificate {
		return bestCertificate(p, h, func(cert *tls.Certificate) bool {
			_, err := auth.ChooseScheme13(cert, schemesOf(h.SignatureSchemes), p.schemes)
			return err == nil
		})
	})
	if err != nil {
		return err
	}
	c.scheme, err = auth.ChooseScheme13(c.cert, schemesOf(h.SignatureSchemes), p.schemes)
	return err
}

// chooseShare picks the group. Our order counts more than a round trip where the
// preferred group is a post-quantum one (RFC 8446, Section 4.2.8 lets a server ask
// for it); between the others a share that is there is taken.
func (c *choice13) chooseShare(p *params, h *message.ClientHello, retry *retried) error {
	if h.SupportedGroups == nil || !h.HasKeyShares {
		return alert.Errorf(alert.MissingExtension, "client hello without supported_groups or key_share")
	}
	groups := p.groups13
	if retry != nil && retry.group != 0 {
		groups = []kex.Group{retry.group}
	}
	for _, g := range groups {
		if !offersGroup(h, uint16(g)) {
			continue
		}
		share := shareOf(h, g)
		if c.group == 0 || c.share == nil && share != nil && !kex.IsHybrid(c.group) {
			c.group, c.share = g, share
		}
	}
	switch {
	case c.group == 0:
		return alert.Errorf(alert.HandshakeFailure, "no group in common for the key exchange")
	case c.share == nil && retry != nil:
		if retry.group != 0 {
			return alert.Errorf(alert.IllegalParameter, "no share for group %v, which was asked for", c.group)
		}
		return c.anyShare(groups, h)
	}
	return nil
}

// anyShare is for a hello that may not be asked again: RFC 8446, Section 4.1.4
// allows one HelloRetryRequest.
func (c *choice13) anyShare(groups []kex.Group, h *message.ClientHello) error {
	for _, g := range groups {
		if share := shareOf(h, g); share != nil && offersGroup(h, uint16(g)) {
			c.group, c.share = g, share
			return nil
		}
	}
	return alert.Errorf(alert.HandshakeFailure, "no share for a group in common")
}

// shareOf is the client's share for a group, nil if it has none.
func shareOf(h *message.ClientHello, g kex.Group) []byte {
	for i := range h.KeyShares {
		if h.KeyShares[i].Group == uint16(g) {
			return h.KeyShares[i].Data
		}
	}
	return nil
}
