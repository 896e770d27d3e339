package keys

import (
	"crypto"
	"crypto/hmac"
)

// VerifyData13 computes the body of a Finished message, as long as the hash.
//
// RFC 8446, Section 4.4.4. The base secret is the sender's handshake traffic
// secret, and the transcript goes up to, not including, this Finished message. A
// PSK's binder is computed alike (RFC 8446, Section 4.2.11.2): from the
// [Schedule13.BinderKey], and with a transcript that ends where the ClientHello's
// list of binders begins.
//
// A received one is compared in constant time, with hmac.Equal.
func VerifyData13(h crypto.Hash, baseSecret, transcriptHash []byte) []byte {
	finishedKey := expandLabel13(h, baseSecret, "finished", nil, h.Size())
	defer Wipe(finishedKey)
	mac := hmac.New(h.New, finishedKey)
	mac.Write(transcriptHash)
	return mac.Sum(nil)
}
