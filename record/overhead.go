package record

// Overhead12 is the number of bytes a DTLS 1.2 record adds to its plaintext:
// header, explicit nonce and tag. It does not depend on the plaintext.
//
//	                       header + nonce + tag
//	none                     13                   = 13
//	AES-GCM, AES-CCM         13   +   8   +  16   = 37
//	AES-CCM_8                13   +   8   +   8   = 29
//	ChaCha20-Poly1305        13           +  16   = 29
func (a AEAD) Overhead12() int {
	return HeaderLen + a.ExplicitNonceLen() + a.TagLen()
}

// MaxData12 is the longest plaintext in bytes whose record fits a datagram of
// the given size: one byte more does not fit, or exceeds [MaxPlaintext]. It is
// zero when nothing fits, including the empty record: a caller with datagrams
// that small compares them with [AEAD.Overhead12].
//
// A plaintext handshake record spends another 12 bytes of its data on each
// fragment's own header; they are not subtracted here.
func (a AEAD) MaxData12(datagram int) int {
	return min(max(datagram-a.Overhead12(), 0), MaxPlaintext)
}
