package handshake

import (
	"crypto/hmac"
	"crypto/tls"
	"slices"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// negotiated13 is what the two hellos of DTLS 1.3 agree on, and what follows
// from it.
type negotiated13 struct {
	suite        *suite.Suite
	clientRandom [32]byte
	psk          *offeredPSK // nil: a certificate authenticates
	room         int         // server: for a ticket in the client's next hello
	schedule     *keys.Schedule13

	clientSecret, serverSecret []byte // handshake traffic secrets

	app applicationSecrets // once derived
}

func (n *negotiated13) wipe() {
	n.schedule.Wipe()
	keys.Wipe(n.clientSecret, n.serverSecret, n.app.client, n.app.server, n.app.exporter)
}

// deriveHandshake13 makes the secrets of epoch 2, out of the hash of the transcript
// up to the ServerHello.
func (n *negotiated13) deriveHandshake13(sum, shared []byte) {
	var psk []byte
	if n.psk != nil {
		psk = n.psk.key
	}
	n.schedule = keys.NewSchedule13(n.suite.Hash, psk)
	n.schedule.EnterHandshake(shared)
	n.clientSecret, n.serverSecret = n.schedule.ClientHandshakeTraffic(sum), n.schedule.ServerHandshakeTraffic(sum)
}

// enterHandshake13 begins to use the keys of epoch 2 in both directions.
func (hs *Handshake) enterHandshake13(n *negotiated13) error {
	hs.guard(n)
	hs.transcript.Settle(n.suite.Hash)
	hs.logSecret(keys.LabelClientHandshake, n.clientRandom, n.clientSecret)
	hs.logSecret(keys.LabelServerHandshake, n.clientRandom, n.serverSecret)
	write, read := n.serverSecret, n.clientSecret
	if hs.Config.IsClient {
		write, read = read, write
	}
	if err := hs.link.InstallWrite(Keys{Epoch: EpochHandshake, Suite: n.suite, Secret: write}); err != nil {
		return err
	}
	if err := hs.link.InstallRead(Keys{Epoch: EpochHandshake, Suite: n.suite, Secret: read}); err != nil {
		return err
	}
	// RFC 9147, Section 6.1: no message of the peer is in the clear from here on.
	hs.link.CloseMessagesBefore(EpochHandshake)
	return nil
}

// applicationSecrets are the secrets that outlive the handshake (RFC 8446, Section 7.1).
type applicationSecrets struct{ client, server, exporter []byte }

// deriveApplication13 makes them, when the transcript ends with the server's
// Finished.
func (hs *Handshake) deriveApplication13(n *negotiated13) {
	n.schedule.EnterMaster()
	sum := hs.transcript.Sum(n.suite.Hash)
	n.app = applicationSecrets{
		n.schedule.ClientApplicationTraffic(sum), n.schedule.ServerApplicationTraffic(sum), n.schedule.ExporterMaster(sum),
	}
	hs.logSecret(keys.LabelClientTraffic0, n.clientRandom, n.app.client)
	hs.logSecret(keys.LabelServerTraffic0, n.clientRandom, n.app.server)
	hs.logSecret(keys.LabelExporter, n.clientRandom, n.app.exporter)
}

// enterApplication13 notes what outlives the handshake, when the transcript ends
// with the client's Finished.
func (hs *Handshake) enterApplication13(n *negotiated13) {
	write, read := n.app.server, n.app.client
	if hs.Config.IsClient {
		write, read = read, write
	}
	hs.yield(&Result{
		Suite: n.suite, ClientRandom: n.clientRandom,
		Secrets13: &Secrets13{
			Exporter: n.app.exporter, Write: write, Read: read,
			Resumption: &Resumption{n.suite, n.schedule.ResumptionMaster(hs.transcript.Sum(n.suite.Hash)), n.origin(hs.now()), n.room},
		},
	})
	n.schedule.Wipe()
	keys.Wipe(n.clientSecret, n.serverSecret)
}

// origin is the full handshake: this one, or that of the session.
func (n *negotiated13) origin(now time.Time) origin {
	switch {
	case n.psk == nil:
		return origin{authenticated: now}
	case n.psk.session != nil:
		return n.psk.session.origin
	}
	return origin{authenticated: now, byPSK: true, mark: markOf(n.psk.key)}
}

// addFinished13 appends the Finished, over the transcript so far (RFC 8446, Section 4.4.4).
func (hs *Handshake) addFinished13(n *negotiated13, secret []byte) error {
	return hs.add(&message.Finished{VerifyData: keys.VerifyData13(n.suite.Hash, secret, hs.transcript.Sum(n.suite.Hash))})
}

// checkFinished13 compares the peer's Finished with what it must be, in constant
// time, and adds it to the transcript.
func (hs *Handshake) checkFinished13(n *negotiated13, secret []byte, in Received) error {
	want := keys.VerifyData13(n.suite.Hash, secret, hs.transcript.Sum(n.suite.Hash))
	if !hmac.Equal(in.Message.(*message.Finished).VerifyData, want) {
		return alert.Errorf(alert.DecryptError, "finished does not match the handshake")
	}
	hs.transcribe(in.raw)
	return nil
}

// addCertificateVerify13 signs everything so far (RFC 8446, Section 4.4.3).
func (hs *Handshake) addCertificateVerify13(n *negotiated13, cert *tls.Certificate, scheme auth.Scheme) error {
	content := auth.Signed13(!hs.Config.IsClient, hs.transcript.Sum(n.suite.Hash))
	signature, err := auth.Sign(hs.Config.Rand, signerOf(cert), scheme, content)
	if err != nil {
		return err
	}
	return hs.add(&message.CertificateVerify{Scheme: uint16(scheme), Signature: signature})
}

// verifySignature13 checks the peer's signature over everything before it.
func (hs *Handshake) verifySignature13(n *negotiated13, chain *auth.Chain, m *message.CertificateVerify) (auth.Scheme, error) {
	scheme := auth.Scheme(m.Scheme)
	if !slices.Contains(auth.Schemes13(hs.Config.Schemes), scheme) {
		return 0, alert.Errorf(alert.IllegalParameter, "peer signed with %v, which was not offered for DTLS 1.3", scheme)
	}
	return scheme, auth.Verify13(chain.PublicKey(), scheme, auth.Signed13(hs.Config.IsClient, hs.transcript.Sum(n.suite.Hash)), m.Signature)
}
