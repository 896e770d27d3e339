package keys

import (
	"crypto"
	"crypto/hkdf"
	"crypto/hmac"
	"encoding/binary"
	"fmt"
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

// expandLabel13 is HKDF-Expand-Label of RFC 8446, Section 7.1:
//
//	struct {
//	    uint16 length = Length;
//	    opaque label<7..255> = "dtls13" + Label;
//	    opaque context<0..255> = Context;
//	} HkdfLabel;
//
// A secret that is not as long as the hash, a wiped one for instance, would
// make keys that anybody can compute. It panics, like sizes that do not fit:
// they are mistakes of this library, not of a peer.
func expandLabel13(h crypto.Hash, secret []byte, label string, context []byte, n int) []byte {
	if len(secret) != h.Size() {
		panic(fmt.Sprintf("keys: secret of %d bytes for %q, %v has %d", len(secret), label, h, h.Size()))
	}
	if len(label) > maxLabel13 || len(context) > math.MaxUint8 {
		panic(fmt.Sprintf("keys: label of %d and context of %d bytes", len(label), len(context)))
	}
	info := make([]byte, 0, 2+1+len(labelPrefix13)+len(label)+1+len(context))
	info = binary.BigEndian.AppendUint16(info, uint16(n))
	info = append(info, byte(len(labelPrefix13)+len(label)))
	info = append(info, labelPrefix13...)
	info = append(info, label...)
	info = append(info, byte(len(context)))
	info = append(info, context...)
	out, err := hkdf.Expand(h.New, secret, string(info), n)
	if err != nil {
		panic(fmt.Sprintf("keys: %d bytes for %q: %v", n, label, err))
	}
	return out
}

// maxLabel13 is the length of the longest label in bytes.
const maxLabel13 = math.MaxUint8 - len(labelPrefix13)

// deriveSecret13 is Derive-Secret of RFC 8446, Section 7.1. It takes the hash of
// the messages in place of the messages.
func deriveSecret13(h crypto.Hash, secret []byte, label string, transcriptHash []byte) []byte {
	return expandLabel13(h, secret, label, transcriptHash, h.Size())
}

// emptyHash is the Transcript-Hash of no message at all.
func emptyHash(h crypto.Hash) []byte { return h.New().Sum(nil) }
