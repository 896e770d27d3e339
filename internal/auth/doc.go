// Package auth proves who the peer is, and who we are: signatures over the
// handshake, and the certificates that say whose key made them.
//
//	the peer's Certificate --> ParseChain --> Chain --> Verify(Policy): trusted?
//	                                            |
//	its CertificateVerify or                PublicKey
//	signed key exchange ------------------------+--> Verify: made by that key?
//
//	our certificate + what the peer accepts --> ChooseScheme --> Sign
//
// DTLS 1.3 signs with fewer schemes, and in another frame: ChooseScheme13,
// Signed13 and Verify13 stand beside these.
//
// A fault in what the peer sent is an *alert.Error with the alert the RFCs name.
// Any other error is ours: a key that does not fit, a policy that makes no sense.
//
// There is no SHA-1 and no MD5 here, nor any way to configure them (RFC 9155).
package auth
