package dtls

import (
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/record"
)

// epochs are the keys of both directions. DTLS 1.2 has two: 0 without
// protection, 1 after the change_cipher_spec (RFC 6347, Section 4.1). Flights
// remember the epoch of each message, so sealers stay until their last flight
// is forgotten.
type epochs struct {
	seal  [2]*record.Sealer12 // by epoch
	read  [2]*record.Opener12
	write uint16 // epoch of what is sent now
}

// open installs keys of epoch n for both directions. Reading begins at once:
// the record says which epoch it belongs to, so nothing is gained by waiting
// for a change_cipher_spec that anybody could forge. Writing begins with
// startWriting.
func (k *epochs) open(aead record.AEAD, writeKey, writeIV, readKey, readIV []byte, window int) error {
	n := uint16(0)
	if aead != record.None {
		n = 1
	}
	seal, err := record.NewSealer12(aead, writeKey, writeIV, n)
	if err != nil {
		return err
	}
	read, err := record.NewOpener12(aead, readKey, readIV, n, window)
	if err != nil {
		return err
	}
	k.seal[n], k.read[n] = seal, read
	return nil
}

// install derives epoch 1 from the key block.
func (k *epochs) install(n *negotiated12, master []byte, isClient bool, window int) error {
	block := keys.KeyBlock12(n.suite.Hash, master, n.clientRandom, n.serverRandom, n.suite.AEAD.KeyLen(), n.suite.AEAD.IVLen())
	defer block.Wipe()
	if isClient {
		return k.open(n.suite.AEAD, block.ClientKey, block.ClientIV, block.ServerKey, block.ServerIV, window)
	}
	return k.open(n.suite.AEAD, block.ServerKey, block.ServerIV, block.ClientKey, block.ClientIV, window)
}

func (k *epochs) writeEpoch() uint16 { return k.write }
func (k *epochs) startWriting()      { k.write = 1 }

// sealer returns the sealer of what is sent now.
func (k *epochs) sealer() *record.Sealer12 { return k.seal[k.write] }

// opener returns the keys for a received epoch, nil if there are none.
func (k *epochs) opener(epoch uint64) *record.Opener12 {
	if epoch >= uint64(len(k.read)) {
		return nil
	}
	return k.read[epoch]
}

func (k *epochs) skipTo(seq uint64) {
	// Only numbers of epoch 0 that a datagram can carry come here, so going
	// forward cannot fail.
	_ = k.seal[0].SkipTo(seq)
}

// nextPlaintext is the number of the next record without protection.
func (k *epochs) nextPlaintext() uint64 { return k.seal[0].Next() }

// closePlaintext ends reception without protection.
func (k *epochs) closePlaintext() { k.read[0] = nil }

// forgetPlaintext ends transmission without protection: no flight needs it.
func (k *epochs) forgetPlaintext() { k.seal[0] = nil }

// wipe zeroes what Go allows and drops the rest.
func (k *epochs) wipe() {
	for _, s := range k.seal {
		if s != nil {
			s.Wipe()
		}
	}
	for _, o := range k.read {
		if o != nil {
			o.Wipe()
		}
	}
	*k = epochs{}
}
