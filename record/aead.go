package record

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/flightpath-dtls/flightpath/internal/ccm"
)

// AEAD names how the records of an epoch are protected. The zero value is
// [None], the plaintext of epoch 0.
type AEAD uint8

// The protections this package has. DTLS 1.3 has cipher suites for all but the
// two AES-256-CCM.
const (
	None             AEAD = iota
	AES128GCM             // RFC 5288
	AES256GCM             // RFC 5288
	ChaCha20Poly1305      // RFC 7905
	AES128CCM             // RFC 6655
	AES256CCM             // RFC 6655
	AES128CCM8            // RFC 6655, with a tag of 8 bytes
	AES256CCM8            // RFC 6655, with a tag of 8 bytes
)

// sizes holds the lengths of one AEAD in bytes.
type sizes struct {
	name                        string
	key, fixedIV, explicit, tag uint8
}

// aeads lists names from the IANA registry of AEAD algorithms and lengths.
//
// RFC 5288, Section 3 and RFC 6655, Section 3: the nonce is 4 bytes of salt and
// 8 explicit bytes. RFC 7905, Section 2: all 12 bytes are implicit.
var aeads = [...]sizes{
	None:             {"none", 0, 0, 0, 0},
	AES128GCM:        {"AEAD_AES_128_GCM", 16, 4, 8, 16},
	AES256GCM:        {"AEAD_AES_256_GCM", 32, 4, 8, 16},
	ChaCha20Poly1305: {"AEAD_CHACHA20_POLY1305", 32, 12, 0, 16},
	AES128CCM:        {"AEAD_AES_128_CCM", 16, 4, 8, 16},
	AES256CCM:        {"AEAD_AES_256_CCM", 32, 4, 8, 16},
	AES128CCM8:       {"AEAD_AES_128_CCM_8", 16, 4, 8, 8},
	AES256CCM8:       {"AEAD_AES_256_CCM_8", 32, 4, 8, 8},
}

func (a AEAD) known() bool { return int(a) < len(aeads) }

// sizes is all zeros for an AEAD that is none of the constants.
func (a AEAD) sizes() sizes {
	if !a.known() {
		return sizes{}
	}
	return aeads[a]
}

// KeyLen is the length of the key in bytes.
func (a AEAD) KeyLen() int { return int(a.sizes().key) }

// IVLen is the length in bytes of the part of the nonce that comes from the key
// block in DTLS 1.2: the salt of 4 for GCM and CCM, the whole 12 for
// ChaCha20-Poly1305.
func (a AEAD) IVLen() int { return int(a.sizes().fixedIV) }

// IVLen13 is the length in bytes of the write_iv in DTLS 1.3, which is that of
// the nonce: 12, and 0 where there is no protection.
func (a AEAD) IVLen13() int {
	if a.TagLen() == 0 {
		return 0
	}
	return nonceLen
}

// ExplicitNonceLen is the number of nonce bytes each record of DTLS 1.2 carries:
// 8 or 0.
func (a AEAD) ExplicitNonceLen() int { return int(a.sizes().explicit) }

// TagLen is the length of the authentication tag in bytes.
func (a AEAD) TagLen() int { return int(a.sizes().tag) }

// minBody13 is the length of the shortest encrypted_record of DTLS 1.3: tag and
// content type, and what RFC 9147, Section 4.2.3 asks senders to add to them so
// that there is enough ciphertext to encrypt the number with.
func (a AEAD) minBody13() int { return max(sampleLen, a.TagLen()+1) }

// String returns the name in the IANA registry of AEAD algorithms, "none" for
// [None] and "AEAD(99)" for a number without meaning.
func (a AEAD) String() string {
	if !a.known() {
		return fmt.Sprintf("AEAD(%d)", uint8(a))
	}
	return aeads[a].name
}

// newCipher keys the algorithm. The key's length has been checked.
func (a AEAD) newCipher(key []byte) (cipher.AEAD, error) {
	if a == ChaCha20Poly1305 {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if a != AES128GCM && a != AES256GCM {
		return ccm.New(block, a.TagLen())
	}
	// FIPS 140-only mode has no GCM with nonces of the caller's. Those of records
	// are a counter beside the key's own bytes, and never come twice (RFC 5288,
	// Section 3; RFC 8446, Section 5.3), which is what the mode is to ensure.
	var gcm cipher.AEAD
	fips140.WithoutEnforcement(func() { gcm, err = cipher.NewGCM(block) })
	return gcm, err
}
