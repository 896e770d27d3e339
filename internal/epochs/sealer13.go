package epochs

import (
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/record"
)

// Sealer13 is a record.Sealer13 as a Sealer: its header has no version. It is made for
// the first record. A server has the secret of epoch 3 with its first flight, and
// expanded keys take 1.3 KiB for each client that never answers.
type Sealer13 struct {
	suite  *suite.Suite
	epoch  uint16
	ended  bool     // the secret is wiped
	secret [48]byte // the first bytes, as many as the hash has, until the keys are made
	made   *record.Sealer13
}

func newSealer13(s *suite.Suite, epoch uint16, secret []byte) *Sealer13 {
	k := &Sealer13{suite: s, epoch: epoch}
	copy(k.secret[:], secret)
	return k
}

// Keys makes the keys, if they are not made.
func (s *Sealer13) Keys() (*record.Sealer13, error) {
	switch {
	case s.made != nil:
		return s.made, nil
	case s.ended:
		return nil, record.ErrWiped
	}
	t := keys.TrafficKeys13(s.suite.Hash, s.secret[:s.suite.Hash.Size()], s.suite.AEAD.KeyLen())
	defer t.Wipe()
	made, err := record.NewSealer13(s.suite.AEAD, t.Key, t.IV, t.SN, uint64(s.epoch))
	if err != nil {
		return nil, err
	}
	s.made = made
	s.forget()
	return made, nil
}

func (s *Sealer13) forget() {
	keys.Wipe(s.secret[:])
	s.ended = true
}

// Seal implements Sealer.
func (s *Sealer13) Seal(dst []byte, typ record.ContentType, _ uint16, payload []byte) ([]byte, record.Number, error) {
	made, err := s.Keys()
	if err != nil {
		return dst, record.Number{}, err
	}
	return made.Seal(dst, typ, payload, 0)
}

// Overhead implements Sealer.
func (s *Sealer13) Overhead() int { return s.suite.AEAD.Overhead13() }

// Next implements Sealer.
func (s *Sealer13) Next() uint64 {
	if s.made == nil {
		return 0
	}
	return s.made.Next()
}

// Remaining implements Sealer.
func (s *Sealer13) Remaining() uint64 {
	made, err := s.Keys()
	if err != nil {
		return 0
	}
	return made.Remaining()
}

// Wipe implements Sealer.
func (s *Sealer13) Wipe() {
	s.forget()
	if s.made != nil {
		s.made.Wipe()
	}
}
