// Package ccm is Counter with CBC-MAC: the authenticated encryption of the
// AES-CCM cipher suites, which Go's standard library does not have.
//
// CCM (RFC 3610, NIST SP 800-38C) runs one block cipher twice over a message:
// once as a CBC-MAC over a header block B_0, the additional data and the
// plaintext, and once in counter mode over the plaintext and the MAC. With
//
//	A_i = [L-1 | nonce | i]                 counter block i
//	B_0 = [flags | nonce | message length]  first block under the MAC
//	L   = 15 - len(nonce)                   bytes of the counter and the length
//	M   = bytes of the tag
//
// the result is
//
//	ciphertext = plaintext XOR (E(A_1) | E(A_2) | ...)
//	tag        = first M bytes of (CBC-MAC XOR E(A_0))
//
// The MAC is a chain in which each block waits for the one before, the
// counter blocks are independent of each other and of the chain. Doing both in
// one pass, block by block, lets the processor overlap them and touches the
// message once.
//
// [New] gives the profile of DTLS (RFC 6655, Section 3; RFC 7251, Section 2;
// RFC 8446, Appendix B.4): a 12-byte nonce, so L = 3, and a tag of 16 or 8 bytes.
package ccm
