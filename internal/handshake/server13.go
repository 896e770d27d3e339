package handshake

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// The server of DTLS 1.3; client13.go has the picture.

// errUnknownCookie: RFC 9147, Section 5.1.
var errUnknownCookie = alert.Errorf(alert.IllegalParameter, "a cookie that was not asked for")

// awaitSecondHello13: the first hello had no share for the group that was chosen.
type awaitSecondHello13 struct {
	p     *Config
	retry *Retry
}

func (awaitSecondHello13) Expects() message.Set {
	return message.SetOf(message.TypeClientHello)
}

func (s awaitSecondHello13) Take(hs *Handshake, in Received) (State, error) {
	h := in.Message.(*message.ClientHello)
	if len(h.RetryCookie) > 0 { // the HelloRetryRequest had none
		return nil, errUnknownCookie
	}
	v, _ := message.ScanClientHello(in.raw[message.HeaderLen:]) // what Parse accepts, it accepts
	c, why := s.p.Choose(&v, s.retry.chosen())
	if why != Accepted {
		return nil, why.explain(s.p, &v, s.retry.chosen())
	}
	return answerHello13(hs, s.p, h, &v, in, c, s.retry)
}

// answerHello13 sends the server's flight, or a HelloRetryRequest. v is h once
// more, base what was chosen for it, retry the HelloRetryRequest before it.
func answerHello13(
	hs *Handshake, p *Config, h *message.ClientHello, v *message.HelloScan, in Received, base Choice, retry *Retry,
) (State, error) {
	// RFC 9147, Section 5.3.
	if len(h.Cookie) > 0 {
		return nil, alert.Errorf(alert.IllegalParameter, "a hello of DTLS 1.3 with a legacy_cookie")
	}
	if retry != nil && !retry.repeats(v) {
		return nil, alert.Errorf(alert.IllegalParameter, "the second hello differs from the first in more than was asked for")
	}
	c, err := choose13(hs, p, h, in.raw[message.HeaderLen:], base, retry)
	if err != nil {
		return nil, err
	}
	if c.NeedsRetry() {
		return askAgain13(hs, p, v, c.Choice, in)
	}
	n := &negotiated13{suite: c.Suite, clientRandom: h.Random, psk: c.psk}
	n.room = p.roomForTicket(h, len(in.raw)-message.HeaderLen, c.psk)
	sh := &message.ServerHello{
		Version: message.Version12, SupportedVersion: message.Version13, CipherSuite: c.Suite.ID,
		HasSelectedPSK: c.psk != nil, SelectedPSK: uint16(c.pskIndex),
	}
	if err := p.random(sh.Random[:]); err != nil {
		return nil, err
	}
	var secret []byte
	if c.Group != 0 {
		var share []byte
		if share, secret, err = kex.Respond(c.Group, c.share); err != nil {
			return nil, err
		}
		sh.HasKeyShare, sh.KeyShare = true, message.KeyShare{Group: uint16(c.Group), Data: share}
	}

	hs.adopt(p) // not before: a hello that is refused may have been forged
	hs.agreeOn(c.Suite)
	hs.Info.CurveID, hs.Info.NegotiatedProtocol, hs.Info.ServerName = c.Group, c.alpn, h.ServerName
	hs.transcript.Reset()
	hs.transcript.Add(retry.transcript())
	hs.transcribe(in.raw)
	// RFC 9147, Section 5.2: the HelloRetryRequest that went before, if any, used
	// up the numbers below this one.
	hs.link.SetMessageSeq(in.seq)
	if err := hs.add(sh); err != nil {
		return nil, err
	}
	n.deriveHandshake13(hs.transcript.Sum(n.suite.Hash), secret)
	keys.Wipe(secret)
	if err := hs.enterHandshake13(n); err != nil {
		return nil, err
	}
	return hs.sendServerFlight13(n, h, c)
}

// sendServerFlight13 adds what is encrypted (RFC 8446, Sections 4.3 and 4.4).
func (hs *Handshake) sendServerFlight13(n *negotiated13, h *message.ClientHello, c choice13) (State, error) {
	p := hs.Config
	ee := &message.EncryptedExtensions{ALPN: c.alpn, ServerNameAck: h.ServerName != "" && p.choosesByName()}
	if h.RecordSizeLimit > 0 {
		ee.RecordSizeLimit = hs.recordSizeLimit(record.MaxPlaintext + 1)
		hs.link.LimitRecords(h.RecordSizeLimit)
	}
	if err := hs.add(ee); err != nil {
		return nil, err
	}
	ask := false
	if c.psk == nil {
		// RFC 8446, Section 4.3.2: "Servers which are authenticating with a PSK
		// MUST NOT send the CertificateRequest message in the main handshake".
		if ask = p.ClientAuth >= tls.RequestClientCert; ask {
			if err := hs.add(certificateRequest13(p)); err != nil {
				return nil, err
			}
		}
		if err := hs.add(&message.Certificate13{Chain: c.cert.Certificate}); err != nil {
			return nil, err
		}
		if err := hs.addCertificateVerify13(n, c.cert, c.scheme); err != nil {
			return nil, err
		}
		hs.Info.SignatureScheme = c.scheme
	} else {
		hs.usePSK(c.psk)
	}
	if err := hs.addFinished13(n, n.serverSecret); err != nil {
		return nil, err
	}
	hs.deriveApplication13(n)
	if err := hs.link.InstallWrite(Keys{Epoch: EpochData, Suite: n.suite, Secret: n.app.server}); err != nil {
		return nil, err
	}
	hs.link.SendFlight(false)
	if ask {
		return awaitClientCertificate13{n}, nil
	}
	return awaitClientFinished13{n}, nil
}

// recordSizeLimit is the answer to record_size_limit (RFC 8449, Section 4): as large as
// records get in the version, unless the Config limits it.
func (hs *Handshake) recordSizeLimit(largest uint16) uint16 {
	if hs.recordSize == 0 {
		return largest
	}
	return min(hs.recordSize, largest)
}

func certificateRequest13(p *Config) *message.CertificateRequest13 {
	return &message.CertificateRequest13{SignatureSchemes: numbersOf(p.Schemes), Authorities: p.authorities()}
}

// askAgain13 sends a HelloRetryRequest for a share of the group (RFC 8446, Section
// 4.1.4), without a cookie: the address is proven, or the Config does not require it.
func askAgain13(hs *Handshake, p *Config, v *message.HelloScan, c Choice, in Received) (State, error) {
	hrr := &message.HelloRetryRequest{CipherSuite: c.Suite.ID, SelectedGroup: uint16(c.Group)}
	hs.agree(message.Version13)
	hs.transcript.Reset()
	hs.transcribe(in.raw)
	retry := &Retry{Choice: c, HelloHash: hs.transcript.Sum(c.Suite.Hash), Fixed: AppendFixed(nil, sha256.New(), v)}
	hs.transcript.Reset()
	hs.link.SetMessageSeq(in.seq)
	if err := hs.add(hrr); err != nil {
		return nil, err
	}
	retry.Raw = bytes.Clone(hs.transcript.Bytes())
	hs.link.SendFlight(false)
	return awaitSecondHello13{p, retry}, nil
}

// awaitClientCertificate13: RFC 8446, Section 4.4.2.
type awaitClientCertificate13 struct {
	n *negotiated13
}

func (awaitClientCertificate13) Expects() message.Set {
	return message.SetOf(message.TypeCertificate)
}

func (s awaitClientCertificate13) Take(hs *Handshake, in Received) (State, error) {
	m := in.Message.(*message.Certificate13)
	if len(m.Context) > 0 {
		// RFC 8446, Section 4.4.2: the request's, which was empty.
		return nil, alert.Errorf(alert.IllegalParameter, "client's certificate with a context")
	}
	if len(m.ExtensionTypes) > 0 {
		return nil, alert.Errorf(alert.UnsupportedExtension, "certificate with %s, which was not asked for", message.ExtensionName(m.ExtensionTypes[0]))
	}
	if len(m.Chain) == 0 {
		// RFC 8446, Section 4.4.2.4.
		if err := hs.Config.verifyAbsent(alert.CertificateRequired); err != nil {
			return nil, err
		}
		hs.transcribe(in.raw)
		return awaitClientFinished13(s), nil
	}
	chain, err := auth.ParseChain(m.Chain)
	if err != nil {
		return nil, err
	}
	if err := hs.verifyPeer(chain); err != nil {
		return nil, err
	}
	hs.transcribe(in.raw)
	return awaitClientCertificateVerify13{s.n, chain}, nil
}

// awaitClientCertificateVerify13: RFC 8446, Section 4.4.3.
type awaitClientCertificateVerify13 struct {
	n     *negotiated13
	chain *auth.Chain
}

func (awaitClientCertificateVerify13) Expects() message.Set {
	return message.SetOf(message.TypeCertificateVerify)
}

func (s awaitClientCertificateVerify13) Take(hs *Handshake, in Received) (State, error) {
	if _, err := hs.verifySignature13(s.n, s.chain, in.Message.(*message.CertificateVerify)); err != nil {
		return nil, err
	}
	hs.transcribe(in.raw)
	return awaitClientFinished13{s.n}, nil
}

// awaitClientFinished13: RFC 8446, Section 4.4.4.
type awaitClientFinished13 struct {
	n *negotiated13
}

func (awaitClientFinished13) Expects() message.Set {
	return message.SetOf(message.TypeFinished)
}

func (s awaitClientFinished13) Take(hs *Handshake, in Received) (State, error) {
	if err := hs.checkFinished13(s.n, s.n.clientSecret, in); err != nil {
		return nil, err
	}
	if err := hs.checkConnection(); err != nil {
		return nil, err
	}
	hs.enterApplication13(s.n)
	if err := hs.link.InstallRead(Keys{Epoch: EpochData, Suite: s.n.suite, Secret: s.n.app.client}); err != nil {
		return nil, err
	}
	return complete{}, nil
}
