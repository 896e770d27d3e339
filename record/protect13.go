package record

import "errors"

// context13 is what stands beside the protection in both halves of an epoch of
// DTLS 1.3.
type context13 struct {
	number numberMask
	epoch  uint64
}

// newProtection13 makes the keyed parts of either half.
func newProtection13(a AEAD, key, iv, sn []byte, epoch uint64) (protection, context13, error) {
	c := context13{epoch: epoch}
	if a == None || epoch == 0 {
		// RFC 9147, Section 6.1: epoch 0 is plaintext and nothing else is. Its
		// records are those of DTLS 1.2.
		return protection{}, c, errors.New("dtls: unified headers are of protected epochs only")
	}
	p, err := newProtection(a, key, iv, a.IVLen13())
	if err != nil {
		return p, c, err
	}
	c.number, err = newNumberMask(a, sn)
	return p, c, err
}

// protected reports whether records of this type have a place in a protected
// epoch: the "Decrypted Content Type" of RFC 9147, Section 4.1.
func (t ContentType) protected() bool {
	switch t {
	case TypeAlert, TypeHandshake, TypeApplicationData, TypeHeartbeat, TypeACK:
		return true
	default:
		return false
	}
}
