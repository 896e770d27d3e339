package keys

import "crypto"

// Block12 holds the write keys of both sides: a client seals with ClientKey
// and opens with ServerKey. An IV is the part of the nonce that is never sent.
// It has as many bytes as the cipher suite's fixed_iv_length: 4 for GCM and CCM
// (RFC 5288, Section 3; RFC 6655, Section 3), 12 for ChaCha20-Poly1305 (RFC
// 7905, Section 2).
type Block12 struct {
	ClientKey, ServerKey []byte
	ClientIV, ServerIV   []byte
}

// KeyBlock12 expands the master secret into write keys of keyLen and IVs of
// ivLen bytes, for suites with an AEAD cipher.
//
// RFC 5246, Section 6.3 cuts the key block in this order: MAC keys, write keys,
// IVs, the client's before the server's. AEAD ciphers have no MAC keys. The
// seed starts with the server's random, the reverse of the master secret's.
func KeyBlock12(h crypto.Hash, master []byte, clientRandom, serverRandom [32]byte, keyLen, ivLen int) Block12 {
	block := PRF12(h, master, "key expansion", join(serverRandom, clientRandom), 2*keyLen+2*ivLen)
	cut := func(n int) []byte {
		part := block[:n:n]
		block = block[n:]
		return part
	}
	// Go evaluates the calls in the order they are written.
	return Block12{
		ClientKey: cut(keyLen),
		ServerKey: cut(keyLen),
		ClientIV:  cut(ivLen),
		ServerIV:  cut(ivLen),
	}
}

// Wipe overwrites the keys. They must have been handed to a cipher before, and
// that cipher must not hold on to the slices.
func (b *Block12) Wipe() {
	Wipe(b.ClientKey, b.ServerKey, b.ClientIV, b.ServerIV)
	*b = Block12{}
}
