package keys

import (
	"crypto"
	"crypto/hmac"
	_ "crypto/sha256" // SHA-256, the PRF hash of most cipher suites
	_ "crypto/sha512" // SHA-384, the PRF hash of the suites named after it
)

// PRF12 returns n bytes of the TLS 1.2 pseudorandom function.
//
// RFC 5246, Section 5:
//
//	PRF(secret, label, seed) = P_<hash>(secret, label + seed)
//
//	P_hash(secret, seed) = HMAC_hash(secret, A(1) + seed) +
//	                       HMAC_hash(secret, A(2) + seed) + ...
//	A(0) = seed
//	A(i) = HMAC_hash(secret, A(i-1))
func PRF12(h crypto.Hash, secret []byte, label string, seed []byte, n int) []byte {
	mac := hmac.New(h.New, secret)
	size := mac.Size()

	labelAndSeed := make([]byte, 0, len(label)+len(seed))
	labelAndSeed = append(labelAndSeed, label...)
	labelAndSeed = append(labelAndSeed, seed...)

	// Room for whole blocks, so that no secret is left behind by growth.
	out := make([]byte, 0, (n+size-1)/size*size)
	a := make([]byte, 0, size)
	mac.Write(labelAndSeed)
	a = mac.Sum(a) // A(1)
	for len(out) < n {
		mac.Reset()
		mac.Write(a)
		mac.Write(labelAndSeed)
		out = mac.Sum(out)

		mac.Reset()
		mac.Write(a)
		a = mac.Sum(a[:0]) // A(i+1)
	}
	Wipe(a, out[n:])
	return out[:n:n]
}
