package keys

import (
	"crypto"
	"hash"
)

// Transcript is the handshake so far: every handshake message sent or received,
// in the order of its message_seq. The zero value is empty and ready for use.
//
// It keeps the bytes, not a hash state, until [Transcript.Settle]. The hash is
// unknown until ServerHello, and one handshake of DTLS 1.2 may need several: the
// cipher suite's for Finished and the session hash, another for the client's
// CertificateVerify (RFC 5246, Section 7.4.8), and with Ed25519 no hash but the
// bytes themselves (RFC 8422, Section 5.10). A handshake is a few kilobytes and
// hashed three times or so, which is less work than keeping several states in
// step.
type Transcript struct {
	raw   []byte
	state hash.Hash // nil: not settled
}

// Add appends one whole handshake message. raw is its header and its body, and
// is copied.
//
// DTLS 1.3 has the header of TLS here, 4 bytes of type and length: RFC 9147,
// Section 5.5 "requires removing the message_seq, fragment_offset, and
// fragment_length fields". ClientHello and HelloRetryRequest count, see
// [Transcript.Replace].
//
// DTLS 1.2 keeps its own header of 12 bytes. RFC 6347, Section 4.2.6: the header
// counts "as if each handshake message had been sent as a single fragment":
// fragment_offset is 0, fragment_length is length. An initial ClientHello that
// was answered by a HelloVerifyRequest is not part of it, nor is the
// HelloVerifyRequest; HelloRequest never is (RFC 5246, Section 7.4.1.1).
func (t *Transcript) Add(raw []byte) {
	if t.state != nil {
		t.state.Write(raw)
		return
	}
	t.raw = append(t.raw, raw...)
}

// Settle chooses the hash: from here on Sum is asked for no other, nor Bytes and
// Replace for anything, as in DTLS 1.3 once the ServerHello is there. The bytes
// are let go, which is most of the memory of a handshake that waits.
func (t *Transcript) Settle(h crypto.Hash) {
	t.state = h.New()
	t.state.Write(t.raw)
	t.raw = nil
}

// Sum returns the hash of all messages added so far. More may follow.
func (t *Transcript) Sum(h crypto.Hash) []byte {
	if t.state != nil {
		return t.state.Sum(nil)
	}
	state := h.New()
	state.Write(t.raw)
	return state.Sum(nil)
}

// Replace puts a message_hash message in place of all messages added so far, the
// first ClientHello. It is for DTLS 1.3, once the server answers with a
// HelloRetryRequest (RFC 8446, Section 4.4.1).
func (t *Transcript) Replace(h crypto.Hash) {
	t.raw = append(t.raw[:0], MessageHash13(h, t.Sum(h))...)
}

// MessageHash13 returns the message_hash message that stands for the ClientHello
// with that hash, of h: a server without state keeps the hash alone in its
// cookie, and starts its [Transcript] with this.
func MessageHash13(h crypto.Hash, helloHash []byte) []byte {
	const messageHash = 254 // HandshakeType: RFC 8446, Section 4
	return append([]byte{messageHash, 0, 0, byte(h.Size())}, helloHash...)
}

// Bytes returns all messages added so far, for a signature scheme that hashes
// them itself. The slice is valid until the next Add, Reset or Release, and is
// not to be written to.
func (t *Transcript) Bytes() []byte { return t.raw[:len(t.raw):len(t.raw)] }

// Reset empties the transcript and keeps its memory: for the ClientHello that
// follows a HelloVerifyRequest.
func (t *Transcript) Reset() { t.raw, t.state = t.raw[:0], nil }

// Release empties the transcript and frees its memory: for a handshake that is
// over.
func (t *Transcript) Release() { *t = Transcript{} }
