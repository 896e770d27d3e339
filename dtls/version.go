package dtls

import (
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// Wire versions of DTLS. They count down: of two, the newer one is the smaller
// number (RFC 6347, Section 4.1).
const (
	VersionDTLS12 uint16 = message.Version12 // RFC 6347
	VersionDTLS13 uint16 = message.Version13 // RFC 9147
)

// VersionName returns "DTLS 1.2" for VersionDTLS12 and so on.
func VersionName(version uint16) string { return message.VersionName(version) }

// CipherSuiteName returns the IANA name of a cipher suite, or its number if it
// is not spoken here.
func CipherSuiteName(id uint16) string { return suite.Name(id) }
