package dtls

import (
	"crypto/hmac"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// negotiated12 is what the two hellos of DTLS 1.2 agree on.
type negotiated12 struct {
	suite                      *suite.Suite
	clientRandom, serverRandom [32]byte
	ems                        bool
}

// deriveKeys turns the premaster secret into the master secret and the keys of
// epoch 1. The transcript must end with the ClientKeyExchange (RFC 7627,
// Section 4). premaster is zeroed.
func (hs *handshake) deriveKeys(n *negotiated12, premaster []byte) (master []byte, err error) {
	defer keys.Wipe(premaster)
	e, h := hs.e, n.suite.Hash
	if n.ems {
		master = keys.ExtendedMasterSecret12(h, premaster, hs.transcript.Sum(h))
	} else {
		master = keys.MasterSecret12(h, premaster, n.clientRandom, n.serverRandom)
	}
	if err := e.keys.install12(n, master, hs.p.isClient, e.p.replayWindow); err != nil {
		return nil, err
	}
	e.trace.keys(1, n.suite.ID)
	hs.retryHeld = true
	hs.p.keyLog(keys.KeyLogLine(keys.LabelClientRandom, n.clientRandom, master))
	e.secrets = secrets12{h, master, n.clientRandom, n.serverRandom}
	return master, nil
}

// addFinished appends our change_cipher_spec and Finished, and begins to send
// under the new keys.
func (hs *handshake) addFinished(n *negotiated12, master []byte) error {
	hs.addCCS()
	hs.e.keys.startWriting(1)
	data := keys.VerifyData12(n.suite.Hash, master, hs.p.isClient, hs.transcript.Sum(n.suite.Hash))
	return hs.add(&message.Finished{VerifyData: data})
}

// checkFinished compares the peer's Finished with what it must be (RFC 5246,
// Section 7.4.9), in constant time, and adds it to the transcript.
func (hs *handshake) checkFinished(n *negotiated12, master []byte, in received) error {
	want := keys.VerifyData12(n.suite.Hash, master, !hs.p.isClient, hs.transcript.Sum(n.suite.Hash))
	if !hmac.Equal(in.Message.(*message.Finished).VerifyData, want) {
		return alert.Errorf(alert.DecryptError, "finished does not match the handshake")
	}
	hs.transcript.Add(in.raw)
	return nil
}

// checkConnection asks the caller's last word.
func (hs *handshake) checkConnection() error {
	if hs.p.verifyConnection == nil {
		return nil
	}
	if err := hs.p.verifyConnection(hs.e.ConnectionState()); err != nil {
		return alert.Errorf(alert.BadCertificate, "VerifyConnection: %w", err)
	}
	return nil
}

// signedParams is what the signature of a ServerKeyExchange covers (RFC 5246,
// Section 7.4.3).
func signedParams(n *negotiated12, params []byte) []byte {
	b := make([]byte, 0, len(n.clientRandom)+len(n.serverRandom)+len(params))
	b = append(b, n.clientRandom[:]...)
	b = append(b, n.serverRandom[:]...)
	return append(b, params...)
}
