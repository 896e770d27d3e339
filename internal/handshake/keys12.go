package handshake

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
	announced                  bool    // client: a NewSessionTicket follows
	room                       uint16  // server: for the ticket of a NewSessionTicket, 0: it sends none
	origin                     *origin // once the key exchange is there
	write                      *Keys   // of this side, from the ClientKeyExchange to its Finished
}

// deriveKeys turns the premaster secret into the master secret and the keys of the
// next epoch. The transcript must end with the ClientKeyExchange (RFC 7627, Section
// 4). premaster is zeroed. Reading begins at once: a record carries its epoch, so nothing is gained
// by waiting for a change_cipher_spec, which is not authenticated.
func (hs *Handshake) deriveKeys(n *negotiated12, premaster []byte) (master []byte, err error) {
	defer keys.Wipe(premaster)
	h := n.suite.Hash
	if n.ems {
		master = keys.ExtendedMasterSecret12(h, premaster, hs.transcript.Sum(h))
	} else {
		master = keys.MasterSecret12(h, premaster, n.clientRandom, n.serverRandom)
	}
	return master, hs.useMaster(n, master)
}

func (n *negotiated12) wipe() { keys.Wipe(n.write.Key, n.write.IV) }

// keyBlock is the key block of a master secret (RFC 5246, Section 6.3).
func (n *negotiated12) keyBlock(master []byte, isClient bool) (read, write Keys) {
	a := n.suite.AEAD
	block := keys.KeyBlock12(n.suite.Hash, master, n.clientRandom, n.serverRandom, a.KeyLen(), a.IVLen())
	read = Keys{Suite: n.suite, Key: block.ClientKey, IV: block.ClientIV}
	write = Keys{Suite: n.suite, Key: block.ServerKey, IV: block.ServerIV}
	if isClient {
		read, write = write, read
	}
	return read, write
}

// addFinished appends change_cipher_spec and Finished, the latter under the new keys.
func (hs *Handshake) addFinished(n *negotiated12, master []byte) error {
	hs.link.AddCCS()
	if err := hs.link.InstallWrite(*n.write); err != nil {
		return err
	}
	data := keys.VerifyData12(n.suite.Hash, master, hs.Config.IsClient, hs.transcript.Sum(n.suite.Hash))
	return hs.add(&message.Finished{VerifyData: data})
}

// checkFinished compares the peer's Finished with what it must be (RFC 5246,
// Section 7.4.9), in constant time, and adds it to the transcript.
func (hs *Handshake) checkFinished(n *negotiated12, master []byte, in Received) error {
	want := keys.VerifyData12(n.suite.Hash, master, !hs.Config.IsClient, hs.transcript.Sum(n.suite.Hash))
	if !hmac.Equal(in.Message.(*message.Finished).VerifyData, want) {
		return alert.Errorf(alert.DecryptError, "finished does not match the handshake")
	}
	hs.transcript.Add(in.raw)
	return nil
}

// checkConnection calls VerifyConnection.
func (hs *Handshake) checkConnection() error {
	if hs.Config.VerifyConnection == nil {
		return nil
	}
	info := hs.Info
	if err := hs.Config.VerifyConnection(&info); err != nil {
		return alert.Hook(alert.BadCertificate, "VerifyConnection", err)
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

// comesFrom notes the full handshake that the association goes back to.
func (n *negotiated12) comesFrom(o *origin) { n.origin = o }

// announce notes that the server has announced a NewSessionTicket.
func (n *negotiated12) announce(ticket bool) { n.announced = ticket }

// originOf is the full handshake at hand. psk is nil where certificates authenticate.
func (hs *Handshake) originOf(psk []byte) *origin {
	if psk == nil {
		return &origin{authenticated: hs.now()}
	}
	return &origin{authenticated: hs.now(), byPSK: true, mark: markOf(psk)}
}

// useMaster puts the keys of a master secret in force, as far as deriveKeys says.
func (hs *Handshake) useMaster(n *negotiated12, master []byte) error {
	hs.logSecret(keys.LabelClientRandom, n.clientRandom, master)
	hs.yield(&Result{Suite: n.suite, ClientRandom: n.clientRandom, ServerRandom: n.serverRandom, Master: master})
	read, write := n.keyBlock(master, hs.Config.IsClient)
	n.write = &write
	hs.guard(n)
	return hs.link.InstallRead(read)
}
