package dtls

import (
	"fmt"

	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// Wire versions of DTLS. They count down: of two, the newer one is the smaller
// number (RFC 6347, Section 4.1).
const (
	VersionDTLS12 uint16 = 0xfefd // RFC 6347
	VersionDTLS13 uint16 = 0xfefc // RFC 9147
)

// versionDTLS10 is what record headers of first flights and HelloVerifyRequest
// carry; the protocol itself is never spoken.
const versionDTLS10 uint16 = 0xfeff

// VersionName returns "DTLS 1.2" for VersionDTLS12 and so on.
func VersionName(version uint16) string {
	switch version {
	case versionDTLS10:
		return "DTLS 1.0"
	case VersionDTLS12:
		return "DTLS 1.2"
	case VersionDTLS13:
		return "DTLS 1.3"
	}
	return fmt.Sprintf("0x%04x", version)
}

// versionAtLeast reports whether v is the version min or a newer one.
func versionAtLeast(v, min uint16) bool { return v <= min }

// CipherSuiteName returns the IANA name of a cipher suite, or its number if it
// is not spoken here.
func CipherSuiteName(id uint16) string { return suite.Name(id) }
