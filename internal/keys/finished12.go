package keys

import "crypto"

// VerifyDataLen is the length of a Finished message's verify_data in bytes.
// RFC 5246, Section 7.4.9 lets a cipher suite ask for more; none does.
const VerifyDataLen = 12

// VerifyData12 computes the body of the client's or the server's Finished
// message. The transcript hash is the [Transcript] up to, not including, this
// Finished message, under the PRF's hash (RFC 5246, Section 7.4.9).
//
// A received Finished is compared in constant time, with hmac.Equal.
func VerifyData12(h crypto.Hash, master []byte, client bool, transcriptHash []byte) []byte {
	label := "server finished"
	if client {
		label = "client finished"
	}
	return PRF12(h, master, label, transcriptHash, VerifyDataLen)
}
