package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// RFC 9147, Section 4: the first byte of a protected record is 001CSLEE, with a
// connection ID, a record number of 16 bits, a length, and two bits of the epoch.
// Nobody here uses connection IDs.
const (
	unifiedMask  = 0xe0
	unifiedBits  = 0x20
	longNumber   = 0x08
	hasLength    = 0x04
	unifiedEpoch = 0x03
)

func unified(first byte) bool { return first&unifiedMask == unifiedBits }

// describe13 names the protected record that p begins with, and returns what
// follows it. The number of the record is encrypted like its content.
func describe13(p []byte) (text string, rest []byte) {
	header := 2
	if p[0]&longNumber != 0 {
		header++
	}
	length := len(p) - header
	if p[0]&hasLength != 0 {
		header += 2
		if len(p) < header {
			return fmt.Sprintf("%d stray bytes", len(p)), nil
		}
		length = int(binary.BigEndian.Uint16(p[header-2:]))
	}
	text = fmt.Sprintf("epoch …%02b, %d bytes", p[0]&unifiedEpoch, length)
	return text, p[min(len(p), header+max(length, 0)):]
}

// retryRandom marks a ServerHello as a HelloRetryRequest (RFC 8446, Section
// 4.1.3).
var retryRandom = sha256.Sum256([]byte("HelloRetryRequest"))

// isRetryRequest looks at the body of a ServerHello, or at its first fragment.
func isRetryRequest(body []byte) bool {
	const version = 2 // bytes before the random
	return len(body) >= version+len(retryRandom) && bytes.Equal(body[version:version+len(retryRandom)], retryRandom[:])
}
