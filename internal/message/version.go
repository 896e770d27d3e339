package message

import "fmt"

// Wire versions of DTLS. They count down: of two, the newer one is the smaller
// number (RFC 6347, Section 4.1).
const (
	Version10 uint16 = 0xfeff // in record headers of first flights and in HelloVerifyRequest; the protocol itself is never spoken
	Version12 uint16 = 0xfefd // RFC 6347
	Version13 uint16 = 0xfefc // RFC 9147
)

// VersionName returns "DTLS 1.2" for [Version12] and so on.
func VersionName(version uint16) string {
	switch version {
	case Version10:
		return "DTLS 1.0"
	case Version12:
		return "DTLS 1.2"
	case Version13:
		return "DTLS 1.3"
	}
	return fmt.Sprintf("0x%04x", version)
}

// VersionAtLeast reports whether v is the version min or a newer one.
func VersionAtLeast(v, min uint16) bool { return v <= min }
