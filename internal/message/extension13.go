package message

import "github.com/flightpath-dtls/flightpath/internal/alert"

// place is a set of messages of DTLS 1.3 in which an extension may stand: the columns of the table in RFC 8446,
// Section 4.2. A ClientHello has no column, since it speaks to servers of all versions.
type place uint8

const (
	inServerHello place = 1 << iota
	inHelloRetryRequest
	inEncryptedExtensions
	inCertificate
	inCertificateRequest
	inNewSessionTicket
)

// places has a row for each extension with a name here. An empty row is an extension that DTLS 1.3 has no use for.
var places = map[uint16]place{
	ExtensionServerName:              inEncryptedExtensions | inCertificateRequest,
	ExtensionMaxFragmentLength:       inEncryptedExtensions,
	ExtensionStatusRequest:           inCertificateRequest | inCertificate,
	ExtensionSupportedGroups:         inEncryptedExtensions,
	ExtensionECPointFormats:          0,
	ExtensionSignatureAlgorithms:     inCertificateRequest,
	ExtensionUseSRTP:                 inEncryptedExtensions,
	ExtensionHeartbeat:               inEncryptedExtensions,
	ExtensionALPN:                    inEncryptedExtensions,
	ExtensionSignedCertTimestamp:     inCertificateRequest | inCertificate,
	ExtensionClientCertificateType:   inEncryptedExtensions,
	ExtensionServerCertificateType:   inEncryptedExtensions,
	ExtensionPadding:                 0,
	ExtensionEncryptThenMAC:          0,
	ExtensionExtendedMasterSecret:    0,
	ExtensionCompressCertificate:     inCertificateRequest,
	ExtensionRecordSizeLimit:         inEncryptedExtensions,
	ExtensionSessionTicket:           0,
	ExtensionPreSharedKey:            inServerHello,
	ExtensionEarlyData:               inEncryptedExtensions | inNewSessionTicket,
	ExtensionSupportedVersions:       inServerHello | inHelloRetryRequest,
	ExtensionCookie:                  inHelloRetryRequest,
	ExtensionPSKKeyExchangeModes:     0,
	ExtensionCertificateAuthorities:  inCertificateRequest,
	ExtensionOIDFilters:              inCertificateRequest,
	ExtensionPostHandshakeAuth:       0,
	ExtensionSignatureAlgorithmsCert: inCertificateRequest,
	ExtensionKeyShare:                inServerHello | inHelloRetryRequest,
	ExtensionConnectionID:            inServerHello, // RFC 9146, Section 10.2
	ExtensionReturnRoutabilityCheck:  inServerHello, // RFC 9853, Section 10
	ExtensionRenegotiationInfo:       0,
}

// inPlace checks that all extensions of a message that we have a name for may stand in it. RFC 8446, Section 4.2: "If an
// implementation receives an extension which it recognizes and which is not specified for the message in which it
// appears, it MUST abort the handshake with an "illegal_parameter" alert." The others are for the handshake to judge,
// which knows what was asked for.
func (r *reader) inPlace(where place, types []uint16) {
	for _, t := range types {
		if allowed, known := places[t]; known && allowed&where == 0 {
			r.fail(alert.IllegalParameter, "%s does not belong here", ExtensionName(t))
			return
		}
	}
}
