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

// Overhead13 is the number of bytes a DTLS 1.3 record of a [Sealer13] adds to its
// plaintext: header, content type and tag. Padding comes on top, and records of
// AES-CCM_8 with less than 7 bytes are padded to that. Plaintext records look as
// in DTLS 1.2.
//
//	                             header + type + tag
//	none                           13                = 13
//	AES-GCM, AES-CCM, ChaCha20      5   +   1  +  16 = 22
//	AES-CCM_8                       5   +   1  +   8 = 14
func (a AEAD) Overhead13() int {
	if a == None {
		return HeaderLen
	}
	return HeaderLen13 + 1 + a.TagLen()
}

// MaxData13 is the longest plaintext in bytes whose record fits a datagram of
// the given size: one byte more does not fit, or exceeds [MaxPlaintext]. It is
// zero when nothing fits, including the empty record, which has 22 bytes, or 21
// with AES-CCM_8.
func (a AEAD) MaxData13(datagram int) int {
	if a != None && datagram < HeaderLen13+a.minBody13() {
		return 0
	}
	return min(max(datagram-a.Overhead13(), 0), MaxPlaintext)
}
