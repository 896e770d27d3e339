package message

import (
	"strconv"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// Extension code points, from the IANA registry of TLS ExtensionType values.
const (
	ExtensionServerName              uint16 = 0      // RFC 6066, Section 3
	ExtensionMaxFragmentLength       uint16 = 1      // RFC 6066, Section 4
	ExtensionStatusRequest           uint16 = 5      // RFC 6066, Section 8
	ExtensionSupportedGroups         uint16 = 10     // RFC 8422, Section 5.1.1
	ExtensionECPointFormats          uint16 = 11     // RFC 8422, Section 5.1.2
	ExtensionSignatureAlgorithms     uint16 = 13     // RFC 5246, Section 7.4.1.4.1
	ExtensionUseSRTP                 uint16 = 14     // RFC 5764, Section 4.1.1
	ExtensionHeartbeat               uint16 = 15     // RFC 6520, Section 2
	ExtensionALPN                    uint16 = 16     // RFC 7301, Section 3.1
	ExtensionSignedCertTimestamp     uint16 = 18     // RFC 6962, Section 3.3.1
	ExtensionClientCertificateType   uint16 = 19     // RFC 7250, Section 3
	ExtensionServerCertificateType   uint16 = 20     // RFC 7250, Section 3
	ExtensionPadding                 uint16 = 21     // RFC 7685, Section 3
	ExtensionEncryptThenMAC          uint16 = 22     // RFC 7366, Section 2
	ExtensionExtendedMasterSecret    uint16 = 23     // RFC 7627, Section 5.1
	ExtensionCompressCertificate     uint16 = 27     // RFC 8879, Section 3
	ExtensionRecordSizeLimit         uint16 = 28     // RFC 8449, Section 4
	ExtensionSessionTicket           uint16 = 35     // RFC 5077, Section 3.2
	ExtensionPreSharedKey            uint16 = 41     // RFC 8446, Section 4.2.11
	ExtensionEarlyData               uint16 = 42     // RFC 8446, Section 4.2.10
	ExtensionSupportedVersions       uint16 = 43     // RFC 8446, Section 4.2.1
	ExtensionCookie                  uint16 = 44     // RFC 8446, Section 4.2.2
	ExtensionPSKKeyExchangeModes     uint16 = 45     // RFC 8446, Section 4.2.9
	ExtensionCertificateAuthorities  uint16 = 47     // RFC 8446, Section 4.2.4
	ExtensionOIDFilters              uint16 = 48     // RFC 8446, Section 4.2.5
	ExtensionPostHandshakeAuth       uint16 = 49     // RFC 8446, Section 4.2.6
	ExtensionSignatureAlgorithmsCert uint16 = 50     // RFC 8446, Section 4.2.3
	ExtensionKeyShare                uint16 = 51     // RFC 8446, Section 4.2.8
	ExtensionConnectionID            uint16 = 54     // RFC 9146, Section 3
	ExtensionReturnRoutabilityCheck  uint16 = 61     // RFC 9853, Section 3
	ExtensionRenegotiationInfo       uint16 = 0xff01 // RFC 5746, Section 3.2
)

var extensionNames = map[uint16]string{
	ExtensionServerName:              "server_name",
	ExtensionMaxFragmentLength:       "max_fragment_length",
	ExtensionStatusRequest:           "status_request",
	ExtensionSupportedGroups:         "supported_groups",
	ExtensionECPointFormats:          "ec_point_formats",
	ExtensionSignatureAlgorithms:     "signature_algorithms",
	ExtensionUseSRTP:                 "use_srtp",
	ExtensionHeartbeat:               "heartbeat",
	ExtensionALPN:                    "application_layer_protocol_negotiation",
	ExtensionSignedCertTimestamp:     "signed_certificate_timestamp",
	ExtensionClientCertificateType:   "client_certificate_type",
	ExtensionServerCertificateType:   "server_certificate_type",
	ExtensionPadding:                 "padding",
	ExtensionEncryptThenMAC:          "encrypt_then_mac",
	ExtensionExtendedMasterSecret:    "extended_master_secret",
	ExtensionCompressCertificate:     "compress_certificate",
	ExtensionRecordSizeLimit:         "record_size_limit",
	ExtensionSessionTicket:           "session_ticket",
	ExtensionPreSharedKey:            "pre_shared_key",
	ExtensionEarlyData:               "early_data",
	ExtensionSupportedVersions:       "supported_versions",
	ExtensionCookie:                  "cookie",
	ExtensionPSKKeyExchangeModes:     "psk_key_exchange_modes",
	ExtensionCertificateAuthorities:  "certificate_authorities",
	ExtensionOIDFilters:              "oid_filters",
	ExtensionPostHandshakeAuth:       "post_handshake_auth",
	ExtensionSignatureAlgorithmsCert: "signature_algorithms_cert",
	ExtensionKeyShare:                "key_share",
	ExtensionConnectionID:            "connection_id",
	ExtensionReturnRoutabilityCheck:  "rrc",
	ExtensionRenegotiationInfo:       "renegotiation_info",
}

// ExtensionName is the registry's name, such as "server_name", or "extension(77)" for a code point without one.
func ExtensionName(t uint16) string {
	if name, ok := extensionNames[t]; ok {
		return name
	}
	return "extension(" + strconv.Itoa(int(t)) + ")"
}

// extensions reads Extension extensions<0..2^16-1>, the struct of RFC 5246, Section 7.4.1.4, and returns the types in the
// order they came. Each is handed to known, which reads it whole or returns false to have it skipped.
func (r *reader) extensions(known func(t uint16, data *reader) bool) (types []uint16) {
	var seen codePoints
	list := r.list("extensions", 0, max16)
	for !list.empty() {
		t := list.uint16("extension_type")
		data := list.list(ExtensionName(t), 0, max16)
		// RFC 5246, Section 7.4.1.4: "There MUST NOT be more than one extension of the same type."
		if !seen.add(t) {
			data.fail(alert.IllegalParameter, "appears twice")
		}
		types = append(types, t)
		if known(t, data) {
			data.end()
		}
	}
	return types
}

// extensions writes the block that write fills; an empty one only if it is wanted.
func (w *writer) extensions(wantEmpty bool, write func(*writer)) {
	start := w.begin("extensions", max16)
	write(w)
	w.end("extensions", 0, max16, start)
	if len(w.b) == start && !wantEmpty {
		w.b = w.b[:start-prefixLen(max16)]
	}
}

// extension writes one extension, with the data that write adds.
func (w *writer) extension(t uint16, write func(*writer)) {
	w.uint16(t)
	w.list(ExtensionName(t), 0, max16, write)
}

// flag writes an extension that says all it has to say by being there.
func (w *writer) flag(t uint16) {
	w.extension(t, func(*writer) {})
}

// skipExtension and noExtensions are for blocks that we read for their structure alone, and write empty.
func skipExtension(uint16, *reader) bool { return false }
func noExtensions(*writer)               {}
