package handshake

import (
	"bytes"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// The server until the version is agreed on. The cookie exchange of strangers is
// the door's, see accept.go.

// awaitClientHello is the first state of a server.
type awaitClientHello struct {
	cookie []byte  // of the hello that the door accepted, nil if it asked for none
	retry  *Retry  // the HelloRetryRequest that the door sent before it, nil: none
	chosen *Choice // what GetConfigForClient chose before a HelloVerifyRequest, nil: it was not called
}

func (awaitClientHello) Expects() message.Set {
	return message.SetOf(message.TypeClientHello)
}

func (s awaitClientHello) Take(hs *Handshake, in Received) (State, error) {
	h := in.Message.(*message.ClientHello)
	if !s.isProven(h) {
		return s, ErrIgnore // its cookie is not the one that the door has checked
	}
	p, err := hs.configFor(h)
	if err != nil {
		return nil, err
	}
	body := in.raw[message.HeaderLen:]
	v, _ := message.ScanClientHello(body) // what Parse accepts, it accepts
	retry, before := s.retry, s.chosen
	if retry != nil {
		before = retry.chosen()
	}
	c, why := p.Choose(&v, before)
	if why == Accepted && c.Version == message.Version13 && len(h.RetryCookie) > 0 && s.cookie == nil {
		if retry = hs.link.RecallRetry(body); retry == nil {
			return nil, errUnknownCookie
		}
		before = retry.chosen()
		c, why = p.Choose(&v, before)
	}
	switch {
	case why != Accepted:
		return nil, why.explain(p, &v, before)
	case c.Version == message.Version12:
		return s.take12(hs, p, h, in)
	}
	next, err := answerHello13(hs, p, h, &v, in, c, retry)
	if err == nil && retry != s.retry {
		hs.link.AddressProven()
	}
	return next, err
}

// isProven reports whether a hello has the cookie that the door has seen.
func (s awaitClientHello) isProven(h *message.ClientHello) bool {
	switch {
	case s.cookie == nil:
		return true
	case s.retry != nil:
		return bytes.Equal(h.RetryCookie, s.cookie)
	}
	return bytes.Equal(h.Cookie, s.cookie)
}

// configFor calls GetConfigForClient.
func (hs *Handshake) configFor(h *message.ClientHello) (*Config, error) {
	p := hs.Config
	if p.ForClient == nil {
		return p, nil
	}
	from := hs.link.HelloSource()
	from.Context = hs.context()
	other, err := p.ForClient(HelloInfo(h), from)
	if err != nil {
		return nil, alert.Hook(alert.InternalError, "GetConfigForClient", err)
	}
	if other != nil {
		p = other
	}
	return p, nil
}
