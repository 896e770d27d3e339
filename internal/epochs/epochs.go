package epochs

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/record"
)

// Epochs are the keys of one association, in both directions. The zero value has
// none. A message of a flight is retransmitted under the keys of its epoch, so the
// write keys of an epoch stay until ForgetSealBefore.
//
// It is not safe for concurrent use.
type Epochs struct {
	write  uint16 // epoch of the records that are sealed now
	seal   [Max]sealEpoch
	read   [Max]readEpoch
	retire time.Time // when read keys of earlier epochs end, zero: not by themselves
}

// Max is how many epochs of a direction have keys at the same time: three of a
// handshake of DTLS 1.3, and after it the present one with its neighbours. Early
// data (epoch 1 of DTLS 1.3) would need a fourth.
const Max = 3

// sealEpoch is the write half of an epoch; readEpoch the other, in one of the
// two forms. A slot without keys is empty.
type sealEpoch struct {
	epoch uint16
	keys  Sealer
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

// Sealer protects the records of one epoch, of either version.
type Sealer interface {
	Seal(dst []byte, typ record.ContentType, version uint16, payload []byte) (out []byte, n record.Number, err error)
	Overhead() int
	Next() uint64      // number of the next record
	Remaining() uint64 // records before the limit of the keys
	Wipe()
}

// OpenPlaintext installs epoch 0, which protects nothing.
func (k *Epochs) OpenPlaintext() error {
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

// InstallRead12 installs the read keys of an epoch of DTLS 1.2; window is the size of
// its replay window in records. Both slices may be zeroed afterwards.
func (k *Epochs) InstallRead12(a record.AEAD, epoch uint16, key, iv []byte, window int) error {
	read, err := record.NewOpener12(a, key, iv, epoch, window)
	if err == nil {
		k.setRead(readEpoch{epoch: epoch, v12: read})
	}
	return err
}

// InstallWrite12 installs the write keys of an epoch of DTLS 1.2.
func (k *Epochs) InstallWrite12(a record.AEAD, epoch uint16, key, iv []byte) error {
	seal, err := record.NewSealer12(a, key, iv, epoch)
	if err == nil {
		k.setSeal(epoch, seal)
	}
	return err
}

// setSeal and setRead put keys into a slot: an empty one, or else that of the
// oldest epoch, whose keys end.
func (k *Epochs) setSeal(epoch uint16, s Sealer) {
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

func (k *Epochs) setRead(r readEpoch) {
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

// Write is the epoch of records that are sealed now.
func (k *Epochs) Write() uint16 { return k.write }

// StartWriting goes on to an epoch whose keys are installed.
func (k *Epochs) StartWriting(epoch uint16) { k.write = epoch }

// RetireAt sets when old read keys end; the zero time: not by themselves.
func (k *Epochs) RetireAt(at time.Time) { k.retire = at }

// Retirement is when they end.
func (k *Epochs) Retirement() time.Time { return k.retire }

// Readable lists the epochs that are read.
func (k *Epochs) Readable() (list []uint16) {
	for i := range k.read {
		if r := &k.read[i]; !r.empty() {
			list = append(list, r.epoch)
		}
	}
	return list
}

// Sealer returns the keys of the records that are sealed now.
func (k *Epochs) Sealer() Sealer { return k.SealerOf(k.write) }

// SealerOf returns the write keys of an epoch, nil if it has none.
func (k *Epochs) SealerOf(epoch uint16) Sealer {
	for i := range k.seal {
		if k.seal[i].epoch == epoch && k.seal[i].keys != nil {
			return k.seal[i].keys
		}
	}
	return nil
}

// Opener returns the read keys for an epoch that a record header states in full, nil
// if there are none.
func (k *Epochs) Opener(epoch uint64) *record.Opener12 {
	for i := range k.read {
		if r := &k.read[i]; uint64(r.epoch) == epoch && r.v12 != nil {
			return r.v12
		}
	}
	return nil
}

// OpenerByBits returns the read keys for the two bits of an epoch in a unified
// header. RFC 9147, Section 4.2.2: the current epoch if they match, else
// "the most recent past epoch which has matching bits".
func (k *Epochs) OpenerByBits(bits uint8) *record.Opener13 {
	var best *record.Opener13
	newest := uint16(0)
	for i := range k.read {
		if r := &k.read[i]; r.v13 != nil && uint8(r.epoch&3) == bits && r.epoch >= newest {
			best, newest = r.v13, r.epoch
		}
	}
	return best
}

// SkipTo makes seq the number of the next record of epoch 0.
func (k *Epochs) SkipTo(seq uint64) {
	// Going forward among the numbers that a record can have cannot fail.
	if s, ok := k.SealerOf(0).(*record.Sealer12); ok {
		_ = s.SkipTo(seq)
	}
}

// NextPlaintext is the number of the next record without protection.
func (k *Epochs) NextPlaintext() uint64 {
	if s := k.SealerOf(0); s != nil {
		return s.Next()
	}
	return 0
}

// CloseReadBefore ends reception in all Epochs older than the given one.
func (k *Epochs) CloseReadBefore(epoch uint16) {
	for i := range k.read {
		if r := &k.read[i]; !r.empty() && r.epoch < epoch {
			r.wipe()
		}
	}
}

// ForgetSealBefore ends transmission in all Epochs older than the given one: no
// flight needs them.
func (k *Epochs) ForgetSealBefore(epoch uint16) {
	for i := range k.seal {
		if s := &k.seal[i]; s.keys != nil && s.epoch < epoch {
			s.keys.Wipe()
			*s = sealEpoch{}
		}
	}
}

// Wipe wipes all keys, as far as Go allows.
func (k *Epochs) Wipe() {
	for i := range k.seal {
		if k.seal[i].keys != nil {
			k.seal[i].keys.Wipe()
		}
	}
	for i := range k.read {
		k.read[i].wipe()
	}
	*k = Epochs{}
}

// InstallWrite13 installs the write keys of an epoch of DTLS 1.3, derived from its
// traffic secret (RFC 8446, Section 7.3), which may be zeroed afterwards.
func (k *Epochs) InstallWrite13(s *suite.Suite, epoch uint16, secret []byte) {
	k.setSeal(epoch, newSealer13(s, epoch, secret))
}

// InstallRead13 installs the read keys of an epoch, likewise.
func (k *Epochs) InstallRead13(s *suite.Suite, epoch uint16, secret []byte, window int) error {
	t := keys.TrafficKeys13(s.Hash, secret, s.AEAD.KeyLen())
	defer t.Wipe()
	open, err := record.NewOpener13(s.AEAD, t.Key, t.IV, t.SN, uint64(epoch), window)
	if err == nil {
		k.setRead(readEpoch{epoch: epoch, v13: open})
	}
	return err
}
