package dtls

import (
	"bytes"
	"crypto/sha256"
	"hash"

	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// retried is what the server knows of its HelloRetryRequest when the second hello
// comes. A server without state reads it from the cookie (RFC 9147, Section 5.1).
type retried struct {
	choice           // group is the one asked for, 0: none was
	fixed     []byte // hash of what the second hello must repeat
	helloHash []byte // of the first hello
	raw       []byte // the HelloRetryRequest as the transcript has it
}

// chosen is what the HelloRetryRequest has chosen, nil if there was none.
func (r *retried) chosen() *choice {
	if r == nil {
		return nil
	}
	return &r.choice
}

// transcript is what stands before the second hello (RFC 8446, Section 4.4.1).
func (r *retried) transcript() []byte {
	if r == nil {
		return nil
	}
	return append(keys.MessageHash13(r.suite.Hash, r.helloHash), r.raw...)
}

// repeats reports whether a hello repeats what it must of the first one. RFC 8446,
// Section 4.1.2 lists what it may change.
func (r *retried) repeats(v *message.HelloScan) bool {
	return bytes.Equal(appendFixed(nil, sha256.New(), v), r.fixed)
}

// fixedLen is the size of the hash of what a second hello must repeat, in bytes.
const fixedLen = 16

// appendFixed appends the hash of what a second hello must repeat. h is SHA-256.
func appendFixed(dst []byte, h hash.Hash, v *message.HelloScan) []byte {
	h.Reset()
	for part := range v.Fixed() {
		h.Write(part)
	}
	return h.Sum(dst)[:len(dst)+fixedLen]
}
