package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/record"
)

// epochs are the keys of both directions.
//
//	DTLS 1.2  0 without protection, 1 after the change_cipher_spec (RFC 6347, Section 4.1)
//	DTLS 1.3  0 without protection, 2 for the handshake, 3 and up for data: one more
//	          with each KeyUpdate (RFC 9147, Section 6.1); 1 is that of early data
//
// Flights remember the epoch of each message, so sealers stay until their last
// flight is forgotten.
type epochs struct {
	write  uint16 // epoch of what is sent now
	seal   [maxEpochs]sealEpoch
	read   [maxEpochs]readEpoch
	retire time.Time // when keys that are kept for stragglers go, zero: none are
}

// maxEpochs is how many are live at once in a direction: three of a handshake
// of DTLS 1.3, and after it the present one with its neighbours.
const maxEpochs = 3

// sealEpoch is the write half of an epoch; readEpoch the other, in one of the
// two forms. A slot without keys is empty.
type sealEpoch struct {
	epoch uint16
	keys  sealer
}

type readEpoch struct {
	epoch uint16
	v12   *record.Opener12
	v13   *record.Opener13
}

func (r *readEpoch) empty() bool { return r.v12 == nil && r.v13 == nil }

func (r *readEpoch) wipe() {
	if r.v12 != nil {
		r.v12.Wipe()
	}
	if r.v13 != nil {
		r.v13.Wipe()
	}
	*r = readEpoch{}
}

// sealer protects the records of one epoch, of either version.
type sealer interface {
	Seal(dst []byte, typ record.ContentType, version uint16, payload []byte) (out []byte, n record.Number, err error)
	Overhead() int
	AEAD() record.AEAD
	Next() uint64      // number of the next record
	Remaining() uint64 // records before the limit of the keys
	Wipe()
}

// sealer13 is a Sealer13 as a sealer: its records carry no version.
type sealer13 struct{ *record.Sealer13 }

func (s sealer13) Seal(dst []byte, typ record.ContentType, _ uint16, payload []byte) ([]byte, record.Number, error) {
	return s.Sealer13.Seal(dst, typ, payload, 0)
}

// maxPayload is the longest payload whose record fits a datagram.
func maxPayload(s sealer, datagram int) int {
	return min(max(datagram-s.Overhead(), 0), record.MaxPlaintext)
}

// openPlaintext begins with epoch 0.
func (k *epochs) openPlaintext() error {
	seal, err := record.NewSealer12(record.None, nil, nil, 0)
	if err != nil {
		return err
	}
	read, err := record.NewOpener12(record.None, nil, nil, 0, 0)
	if err != nil {
		return err
	}
	k.setSeal(0, seal)
	k.setRead(readEpoch{v12: read})
	return nil
}

// installRead12 and installWrite12 put the keys of an epoch of DTLS 1.2 in force.
func (k *epochs) installRead12(a record.AEAD, epoch uint16, key, iv []byte, window int) error {
	read, err := record.NewOpener12(a, key, iv, epoch, window)
	if err == nil {
		k.setRead(readEpoch{epoch: epoch, v12: read})
	}
	return err
}

func (k *epochs) installWrite12(a record.AEAD, epoch uint16, key, iv []byte) error {
	seal, err := record.NewSealer12(a, key, iv, epoch)
	if err == nil {
		k.setSeal(epoch, seal)
	}
	return err
}

// setSeal and setRead put keys into a slot: an empty one, or else that of the
// oldest epoch, whose keys end.
func (k *epochs) setSeal(epoch uint16, s sealer) {
	slot := &k.seal[0]
	for i := range k.seal {
		c := &k.seal[i]
		if c.keys == nil {
			slot = c
			break
		}
		if c.epoch < slot.epoch {
			slot = c
		}
	}
	if slot.keys != nil {
		slot.keys.Wipe()
	}
	*slot = sealEpoch{epoch, s}
}

func (k *epochs) setRead(r readEpoch) {
	slot := &k.read[0]
	for i := range k.read {
		c := &k.read[i]
		if c.empty() {
			slot = c
			break
		}
		if c.epoch < slot.epoch {
			slot = c
		}
	}
	slot.wipe()
	*slot = r
}

func (k *epochs) writeEpoch() uint16        { return k.write }
func (k *epochs) startWriting(epoch uint16) { k.write = epoch }

// sealer returns the sealer of what is sent now.
func (k *epochs) sealer() sealer { return k.sealerOf(k.write) }

// sealerOf returns the sealer of an epoch, nil if there is none.
func (k *epochs) sealerOf(epoch uint16) sealer {
	for i := range k.seal {
		if k.seal[i].epoch == epoch && k.seal[i].keys != nil {
			return k.seal[i].keys
		}
	}
	return nil
}

// opener returns the keys for an epoch that a record names in full, nil if
// there are none in that form.
func (k *epochs) opener(epoch uint64) *record.Opener12 {
	for i := range k.read {
		if r := &k.read[i]; uint64(r.epoch) == epoch && r.v12 != nil {
			return r.v12
		}
	}
	return nil
}

// openerByBits returns the keys for the two bits of an epoch that a unified
// header has. RFC 9147, Section 4.2.2: the current epoch if they match, else
// "the most recent past epoch which has matching bits".
func (k *epochs) openerByBits(bits uint8) *record.Opener13 {
	var best *record.Opener13
	newest := uint16(0)
	for i := range k.read {
		if r := &k.read[i]; r.v13 != nil && uint8(r.epoch&3) == bits && r.epoch >= newest {
			best, newest = r.v13, r.epoch
		}
	}
	return best
}

func (k *epochs) skipTo(seq uint64) {
	// Only numbers of epoch 0 that a datagram can carry come here, so going
	// forward cannot fail.
	if s, ok := k.sealerOf(0).(*record.Sealer12); ok {
		_ = s.SkipTo(seq)
	}
}

// nextPlaintext is the number of the next record without protection.
func (k *epochs) nextPlaintext() uint64 {
	if s := k.sealerOf(0); s != nil {
		return s.Next()
	}
	return 0
}

// closeReadBefore ends reception in all epochs older than the given one.
func (k *epochs) closeReadBefore(epoch uint16) {
	for i := range k.read {
		if r := &k.read[i]; !r.empty() && r.epoch < epoch {
			r.wipe()
		}
	}
}

// forgetSealBefore ends transmission in all epochs older than the given one: no
// flight needs them.
func (k *epochs) forgetSealBefore(epoch uint16) {
	for i := range k.seal {
		if s := &k.seal[i]; s.keys != nil && s.epoch < epoch {
			s.keys.Wipe()
			*s = sealEpoch{}
		}
	}
}

// wipe zeroes what Go allows and drops the rest.
func (k *epochs) wipe() {
	for i := range k.seal {
		if k.seal[i].keys != nil {
			k.seal[i].keys.Wipe()
		}
	}
	for i := range k.read {
		k.read[i].wipe()
	}
	*k = epochs{}
}
