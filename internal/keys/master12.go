package keys

import (
	"crypto"
	"encoding/binary"
	"fmt"
	"math"
)

// MasterSecretLen is the length of a master secret in bytes.
// RFC 5246, Section 8.1: "The master secret is always exactly 48 bytes".
const MasterSecretLen = 48

// PSKPremaster returns the premaster secret of a PSK key exchange.
//
// other is the result of the (EC)DH exchange that runs beside the PSK (RFC
// 5489, Section 2). It is nil for plain PSK: then as many zero bytes as the PSK
// is long take its place (RFC 4279, Section 2).
//
//	struct {
//	    opaque other_secret<0..2^16-1>;
//	    opaque psk<0..2^16-1>;
//	};
//
// A part of more than 65535 bytes is a mistake of this library, not of a peer,
// and panics.
func PSKPremaster(other, psk []byte) []byte {
	if other == nil {
		other = make([]byte, len(psk))
	}
	premaster := make([]byte, 0, 2+len(other)+2+len(psk))
	for _, part := range [][]byte{other, psk} {
		if len(part) > math.MaxUint16 {
			panic(fmt.Sprintf("keys: premaster part of %d bytes", len(part)))
		}
		premaster = binary.BigEndian.AppendUint16(premaster, uint16(len(part)))
		premaster = append(premaster, part...)
	}
	return premaster
}

// MasterSecret12 computes the master secret from the two randoms.
//
// RFC 5246, Section 8.1. It does not bind the secret to the handshake; that is
// the flaw RFC 7627 mends. Only a peer that cannot do better, and whom the
// configuration allows, gets this one.
func MasterSecret12(h crypto.Hash, premaster []byte, clientRandom, serverRandom [32]byte) []byte {
	return PRF12(h, premaster, "master secret", join(clientRandom, serverRandom), MasterSecretLen)
}

// ExtendedMasterSecret12 computes the master secret from the session hash.
//
// RFC 7627, Section 4. The session hash is the [Transcript] up to and including
// the ClientKeyExchange, under the PRF's hash (RFC 7627, Section 3).
func ExtendedMasterSecret12(h crypto.Hash, premaster, sessionHash []byte) []byte {
	return PRF12(h, premaster, "extended master secret", sessionHash, MasterSecretLen)
}

// join returns the seed made of two randoms. Their order is not the same
// everywhere, see [KeyBlock12].
func join(first, second [32]byte) []byte {
	return append(first[:], second[:]...)
}
