package handshake

import (
	"bytes"
	"crypto/sha256"
	"hash"

	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// Retry is what the server knows of its HelloRetryRequest when the second hello
// comes. A server without state reads it from the cookie (RFC 9147, Section 5.1).
type Retry struct {
	Choice           // group is the one asked for, 0: none was
	Fixed     []byte // hash of what the second hello must repeat
	HelloHash []byte // of the first hello
	Raw       []byte // the HelloRetryRequest as the transcript has it
}

// chosen is what the HelloRetryRequest has chosen, nil if there was none.
func (r *Retry) chosen() *Choice {
	if r == nil {
		return nil
	}
	return &r.Choice
}

// transcript is what stands before the second hello (RFC 8446, Section 4.4.1).
func (r *Retry) transcript() []byte {
	if r == nil {
		return nil
	}
	return append(keys.MessageHash13(r.Suite.Hash, r.HelloHash), r.Raw...)
}

// repeats reports whether a hello repeats what it must of the first one. RFC 8446,
// Section 4.1.2 lists what it may change.
func (r *Retry) repeats(v *message.HelloScan) bool {
	return bytes.Equal(AppendFixed(nil, sha256.New(), v), r.Fixed)
}

// fixedLen is the size of the hash of what a second hello must repeat, in bytes.
const FixedLen = 16

// AppendFixed appends the hash of what a second hello must repeat. h is SHA-256.
func AppendFixed(dst []byte, h hash.Hash, v *message.HelloScan) []byte {
	h.Reset()
	for part := range v.Fixed() {
		h.Write(part)
	}
	return h.Sum(dst)[:len(dst)+FixedLen]
}
