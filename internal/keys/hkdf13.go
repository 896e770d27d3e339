package keys

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
)

// labelPrefix13 stands before every label: RFC 9147, Section 5.9. TLS 1.3 has
// "tls13 " there, so that no key of one protocol is ever a key of the other.
const labelPrefix13 = "dtls13"

// extract13 is HKDF-Extract of RFC 5869, Section 2.2, which is one HMAC. The
// function of crypto/hkdf refuses a PSK under 112 bits in FIPS 140-only mode;
// here, in the middle of a handshake, it is too late for that. Section 2.2: a salt
// that is not provided "is set to a string of HashLen zeros", which that mode
// takes as a key where it refuses an empty one.
func extract13(h crypto.Hash, salt, secret []byte) []byte {
	if len(salt) == 0 {
		salt = make([]byte, h.Size())
	}
	mac := hmac.New(h.New, salt)
	mac.Write(secret)
	return mac.Sum(nil)
}

// expander13 makes values out of one secret by HKDF-Expand-Label. The HMAC is keyed
// once for all of them.
type expander13 struct {
	hash crypto.Hash
	mac  hash.Hash
	used bool
	room [96]byte // for HkdfLabel; that of an exporter may need more
}

// newExpander13 panics if the secret is not as long as the hash. A wiped one for
// instance would make keys that anybody can compute: a mistake of this library, not
// of a peer.
func newExpander13(h crypto.Hash, secret []byte) *expander13 {
	if len(secret) != h.Size() {
		panic(fmt.Sprintf("keys: secret of %d bytes, %v has %d", len(secret), h, h.Size()))
	}
	return &expander13{hash: h, mac: hmac.New(h.New, secret)}
}

// expand is HKDF-Expand-Label of RFC 8446, Section 7.1:
//
//	struct {
//	    uint16 length = Length;
//	    opaque label<7..255> = "dtls13" + Label;
//	    opaque context<0..255> = Context;
//	} HkdfLabel;
//
// Sizes that do not fit panic, as mistakes of this library.
func (e *expander13) expand(label string, context []byte, n int) []byte {
	if len(label) > maxLabel13 || len(context) > math.MaxUint8 || n > math.MaxUint8*e.hash.Size() {
		panic(fmt.Sprintf("keys: %d bytes for a label of %d and a context of %d", n, len(label), len(context)))
	}
	info := binary.BigEndian.AppendUint16(e.room[:0], uint16(n))
	info = append(info, byte(len(labelPrefix13)+len(label)))
	info = append(info, labelPrefix13...)
	info = append(info, label...)
	info = append(info, byte(len(context)))
	info = append(info, context...)
	info = append(info, 0)
	// RFC 5869, Section 2.3: T(i) = HMAC(PRK, T(i-1) | info | i). Room for whole blocks,
	// so that no secret is left behind by growth.
	size := e.hash.Size()
	out := make([]byte, 0, (n+size-1)/size*size)
	for i := byte(1); len(out) < n; i++ {
		if e.used {
			e.mac.Reset()
		}
		e.used = true
		if i > 1 {
			e.mac.Write(out[len(out)-size:])
		}
		info[len(info)-1] = i
		e.mac.Write(info)
		out = e.mac.Sum(out)
	}
	Wipe(out[n:])
	return out[:n:n]
}

// expandLabel13 is HKDF-Expand-Label for one value.
func expandLabel13(h crypto.Hash, secret []byte, label string, context []byte, n int) []byte {
	return newExpander13(h, secret).expand(label, context, n)
}

// maxLabel13 is the length of the longest label in bytes.
const maxLabel13 = math.MaxUint8 - len(labelPrefix13)

// deriveSecret13 is Derive-Secret of RFC 8446, Section 7.1. It takes the hash of
// the messages in place of the messages.
func deriveSecret13(h crypto.Hash, secret []byte, label string, transcriptHash []byte) []byte {
	return expandLabel13(h, secret, label, transcriptHash, h.Size())
}

// emptyHash is the Transcript-Hash of no message at all. It is not to be changed.
func emptyHash(h crypto.Hash) []byte {
	if h == crypto.SHA256 {
		return emptySHA256[:]
	}
	return h.New().Sum(nil)
}

var emptySHA256 = sha256.Sum256(nil)
