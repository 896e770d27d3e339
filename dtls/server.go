package dtls

import (
	"bytes"
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// The server until the version is agreed on. The cookie exchange of strangers is
// the door's, see accept.go.

// awaitClientHello: nothing is known yet.
type awaitClientHello struct{}

func (awaitClientHello) expects() message.Set {
	return message.SetOf(message.TypeClientHello)
}

func (s awaitClientHello) take(hs *handshake, in received) (step, error) {
	h := in.Message.(*message.ClientHello)
	if !hs.isProven(h) {
		return s, errIgnore // not the one that the door let in
	}
	p, err := hs.configFor(h)
	if err != nil {
		return nil, err
	}
	switch version := p.chooseVersion(h); {
	case version == VersionDTLS13:
		return s.take13(hs, p, h, in)
	case version == VersionDTLS12 && hs.retry == nil:
		return s.take12(hs, p, h, in)
	}
	return nil, alert.Errorf(alert.ProtocolVersion, "client offers %s, %s is spoken here", describeVersions(h), p.versions())
}

// isProven reports whether a hello has the cookie that the door has seen.
func (hs *handshake) isProven(h *message.ClientHello) bool {
	switch {
	case hs.cookie == nil:
		return true
	case hs.retry != nil:
		return bytes.Equal(h.RetryCookie, hs.cookie)
	}
	return bytes.Equal(h.Cookie, hs.cookie)
}

// configFor asks GetConfigForClient.
func (hs *handshake) configFor(h *message.ClientHello) (*params, error) {
	p := hs.p
	if p.forClient == nil {
		return p, nil
	}
	other, err := p.forClient(helloInfo(h))
	if err != nil {
		return nil, alert.Errorf(alert.InternalError, "GetConfigForClient: %w", err)
	}
	if other != nil {
		p = other
	}
	return p, nil
}

// chooseVersion is the newest one that both sides speak, 0 if there is none.
func (p *params) chooseVersion(h *message.ClientHello) uint16 {
	switch {
	case p.offers(VersionDTLS13) && slices.Contains(h.SupportedVersions, VersionDTLS13):
		return VersionDTLS13
	case p.offers(VersionDTLS12) && speaks12(h):
		return VersionDTLS12
	}
	return 0
}

// describeVersions names what a hello offers.
func describeVersions(h *message.ClientHello) string {
	if len(h.SupportedVersions) == 0 {
		return VersionName(h.Version)
	}
	text := ""
	for i, v := range h.SupportedVersions {
		if i > 0 {
			text += ", "
		}
		text += VersionName(v)
	}
	return text
}
