package handshake

import (
	"crypto/tls"
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// choice13 is what a DTLS 1.3 server makes of a hello.
type choice13 struct {
	Choice
	psk      *offeredPSK
	pskIndex int
	cert     *tls.Certificate // nil: PSK
	scheme   auth.Scheme
	alpn     string
}

// choose13 goes on from what choose has found: with the application protocol, the
// pre-shared key or the certificate.
func choose13(hs *Handshake, p *Config, h *message.ClientHello, body []byte, base Choice, retry *Retry) (choice13, error) {
	c := choice13{Choice: base}
	var err error
	if c.alpn, err = chooseALPN(p.ALPN, h.ALPN); err != nil {
		return c, err
	}
	if c.psk, c.pskIndex, err = c.choosePSK(hs, p, h, retry.transcript(), body); err != nil {
		return c, err
	}
	if c.psk != nil {
		// RFC 8446, Section 4.2.9: only in a mode that the client offers.
		exchange := slices.Contains(h.PSKModes, message.PSKModeDHEKE)
		withShare := exchange && c.Group != 0 && len(h.KeyShares) > 0
		if p.PSKAlone && slices.Contains(h.PSKModes, message.PSKModeKE) && !withShare {
			c.Group, c.share = 0, nil
			return c, nil
		}
		if !exchange {
			c.psk = nil
		}
	}
	if c.psk == nil {
		if err := c.chooseCertificate13(hs, p, h); err != nil {
			return c, err
		}
	}
	if c.Group == 0 {
		return c, alert.Errorf(alert.HandshakeFailure, "no group in common, and no pre-shared key that does without")
	}
	return c, nil
}

// chooseCertificate13: RFC 8446, Section 4.4.2.2.
func (c *choice13) chooseCertificate13(hs *Handshake, p *Config, h *message.ClientHello) (err error) {
	if !p.UsesCertificates() {
		return alert.Errorf(alert.HandshakeFailure, "client has no pre-shared key for us")
	}
	if len(h.SignatureSchemes) == 0 {
		// RFC 8446, Section 9.2.
		return alert.Errorf(alert.MissingExtension, "client hello without signature_algorithms")
	}
	c.cert, err = hs.certificateFor(p, h, func(p *Config, h *message.ClientHello) *tls.Certificate {
		return bestCertificate(p, h, func(cert *tls.Certificate) bool {
			_, err := auth.ChooseScheme13(cert, schemesOf(h.SignatureSchemes), p.Schemes)
			return err == nil
		})
	})
	if err != nil {
		return err
	}
	c.scheme, err = auth.ChooseScheme13(c.cert, schemesOf(h.SignatureSchemes), p.Schemes)
	return err
}
