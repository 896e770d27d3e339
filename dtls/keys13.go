package dtls

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
	"github.com/flightpath-dtls/flightpath/record"
)

// Epochs of DTLS 1.3 (RFC 9147, Section 6.1).
const (
	epochHandshake = 2
	epochData      = 3 // the first of those for data
)

// negotiated13 is what the two hellos of DTLS 1.3 agree on, and what follows
// from it.
type negotiated13 struct {
	suite        *suite.Suite
	clientRandom [32]byte
	psk          *offeredPSK // nil: a certificate authenticates
	schedule     *keys.Schedule13

	clientSecret, serverSecret []byte // handshake traffic secrets
}

// speaks13 reports whether DTLS 1.3 is agreed on, or asked for by the server.
func (e *Engine) speaks13() bool { return e.state.Version == VersionDTLS13 }

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
func (hs *handshake) enterHandshake13(n *negotiated13) error {
	e := hs.e
	hs.transcript.Settle(n.suite.Hash)
	hs.p.keyLog(keys.KeyLogLine(keys.LabelClientHandshake, n.clientRandom, n.clientSecret))
	hs.p.keyLog(keys.KeyLogLine(keys.LabelServerHandshake, n.clientRandom, n.serverSecret))
	write, read := n.serverSecret, n.clientSecret
	if hs.p.isClient {
		write, read = read, write
	}
	if err := e.keys.installWrite13(n.suite, epochHandshake, write); err != nil {
		return err
	}
	if err := e.keys.installRead13(n.suite, epochHandshake, read, e.p.replayWindow); err != nil {
		return err
	}
	e.keys.startWriting(epochHandshake)
	// RFC 9147, Section 6.1: no message of the peer is in the clear from here on.
	hs.in.closeBefore(epochHandshake)
	e.trace.keys(epochHandshake, n.suite.ID)
	hs.retryHeld = true
	return nil
}

// applicationSecrets are what the association lives on (RFC 8446, Section 7.1).
type applicationSecrets struct{ client, server, exporter []byte }

// applicationSecrets derives them, when the transcript ends with the server's
// Finished.
func (n *negotiated13) applicationSecrets(hs *handshake) applicationSecrets {
	n.schedule.EnterMaster()
	sum := hs.transcript.Sum(n.suite.Hash)
	s := applicationSecrets{
		n.schedule.ClientApplicationTraffic(sum), n.schedule.ServerApplicationTraffic(sum), n.schedule.ExporterMaster(sum),
	}
	hs.p.keyLog(keys.KeyLogLine(keys.LabelClientTraffic0, n.clientRandom, s.client))
	hs.p.keyLog(keys.KeyLogLine(keys.LabelServerTraffic0, n.clientRandom, s.server))
	hs.p.keyLog(keys.KeyLogLine(keys.LabelExporter, n.clientRandom, s.exporter))
	return s
}

// enterApplication13 makes what goes on after the handshake, when the transcript
// ends with the client's Finished.
func (hs *handshake) enterApplication13(n *negotiated13, app applicationSecrets) *post13 {
	post := &post13{
		suite: n.suite, clientRandom: n.clientRandom, exporter: app.exporter, keyLog: hs.p.keyLog,
		write: app.server, read: app.client, peerEpoch: epochData,
	}
	if hs.p.isClient {
		post.write, post.read = post.read, post.write
	}
	post.resumption = n.schedule.ResumptionMaster(hs.transcript.Sum(n.suite.Hash))
	n.schedule.Wipe()
	keys.Wipe(n.clientSecret, n.serverSecret)
	return post
}

// installWrite13 and installRead13 derive the keys of an epoch from its traffic
// secret (RFC 8446, Section 7.3).
func (k *epochs) installWrite13(s *suite.Suite, epoch uint16, secret []byte) error {
	t := keys.TrafficKeys13(s.Hash, secret, s.AEAD.KeyLen())
	defer t.Wipe()
	seal, err := record.NewSealer13(s.AEAD, t.Key, t.IV, t.SN, uint64(epoch))
	if err == nil {
		k.setSeal(epoch, sealer13{seal})
	}
	return err
}

func (k *epochs) installRead13(s *suite.Suite, epoch uint16, secret []byte, window int) error {
	open, err := newOpener13(s, epoch, secret, window)
	if err == nil {
		k.setRead(readEpoch{epoch: epoch, v13: open})
	}
	return err
}

func newOpener13(s *suite.Suite, epoch uint16, secret []byte, window int) (*record.Opener13, error) {
	t := keys.TrafficKeys13(s.Hash, secret, s.AEAD.KeyLen())
	defer t.Wipe()
	return record.NewOpener13(s.AEAD, t.Key, t.IV, t.SN, uint64(epoch), window)
}

// addFinished13 proves what we have seen (RFC 8446, Section 4.4.4).
func (hs *handshake) addFinished13(n *negotiated13, secret []byte) error {
	return hs.add(&message.Finished{VerifyData: keys.VerifyData13(n.suite.Hash, secret, hs.transcript.Sum(n.suite.Hash))})
}

// checkFinished13 compares the peer's Finished with what it must be, in constant
// time, and adds it to the transcript.
func (hs *handshake) checkFinished13(n *negotiated13, secret []byte, in received) error {
	want := keys.VerifyData13(n.suite.Hash, secret, hs.transcript.Sum(n.suite.Hash))
	if !hmac.Equal(in.Message.(*message.Finished).VerifyData, want) {
		return alert.Errorf(alert.DecryptError, "finished does not match the handshake")
	}
	hs.transcribe(in.raw)
	return nil
}

// addCertificateVerify13 signs everything so far (RFC 8446, Section 4.4.3).
func (hs *handshake) addCertificateVerify13(n *negotiated13, cert *tls.Certificate, scheme auth.Scheme) error {
	content := auth.Signed13(!hs.p.isClient, hs.transcript.Sum(n.suite.Hash))
	signature, err := auth.Sign(hs.p.rand, signerOf(cert), scheme, content)
	if err != nil {
		return err
	}
	return hs.add(&message.CertificateVerify{Scheme: uint16(scheme), Signature: signature})
}

// verifySignature13 checks the peer's signature over everything before it.
func (hs *handshake) verifySignature13(n *negotiated13, chain *auth.Chain, m *message.CertificateVerify) (auth.Scheme, error) {
	scheme := auth.Scheme(m.Scheme)
	if !slices.Contains(auth.Schemes13(hs.p.schemes), scheme) {
		return 0, alert.Errorf(alert.IllegalParameter, "peer signed with %v, which was not offered for DTLS 1.3", scheme)
	}
	return scheme, auth.Verify13(chain.PublicKey(), scheme, auth.Signed13(hs.p.isClient, hs.transcript.Sum(n.suite.Hash)), m.Signature)
}

// limitRecords13: both sides have sent record_size_limit, the peer with that
// value; 0: it has not. RFC 8449, Section 4: in DTLS 1.3 the limit counts the
// content type, which stands in each record.
func (e *Engine) limitRecords13(limit uint16) {
	if limit == 0 {
		return
	}
	e.peerLimit = min(int(limit)-1, record.MaxPlaintext)
	if e.p.recordSizeLimit > 0 {
		e.ownLimit = e.p.recordSizeLimit - 1
	}
}

// peerOverLimit reports whether a record has more content than we take.
func (e *Engine) peerOverLimit(n int) bool { return e.ownLimit > 0 && n > e.ownLimit }

// keepOld is how long keys stay for records that were overtaken by those of the
// next epoch; keepHandshake, how long a server keeps those of the handshake to
// acknowledge the client's last flight again: RFC 9147, Section 5.8.1 has "at
// least twice the default MSL", which is two minutes (RFC 9293, Section 3.4.1).
const (
	keepOld       = 10 * time.Second
	keepHandshake = 4 * time.Minute
)

// opened13 notes that a record opened. RFC 9147, Section 8: "receivers MUST
// retain the pre-update keying material until receipt and successful decryption
// of a message using the new keys"; a while longer for those that were overtaken.
// Those of the handshake have a time of their own: that data comes, after a
// Finished that was repeated, does not say that the ACK of it has arrived.
func (e *Engine) opened13(n recordNumber) {
	if e.post == nil || uint16(n.Epoch) <= e.post.seenEpoch {
		return
	}
	updated := e.post.seenEpoch >= epochData
	e.post.seenEpoch = uint16(n.Epoch)
	if updated {
		e.keys.retire = e.now.Add(keepOld)
	}
}

// retireKeys ends the keys whose time has come.
func (e *Engine) retireKeys(now time.Time) {
	if e.keys.retire.IsZero() || now.Before(e.keys.retire) || e.post == nil {
		return
	}
	e.keys.retire = time.Time{}
	e.keys.closeReadBefore(max(e.post.seenEpoch, epochData))
}
