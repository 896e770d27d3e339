package alert

import "strconv"

// Alert is an AlertDescription: RFC 9846, Section 6, with the older codes of RFC 5246, Section 7.2.
type Alert uint8

// The alerts of the IANA registry that a DTLS peer may send. Codes that only retired protocol versions used
// (decryption_failed, no_certificate, export_restriction) are left out: RFC 5246, Section 7.2 says they MUST NOT be
// sent.
const (
	CloseNotify                  Alert = 0
	UnexpectedMessage            Alert = 10
	BadRecordMAC                 Alert = 20
	RecordOverflow               Alert = 22
	DecompressionFailure         Alert = 30 // DTLS 1.2 only
	HandshakeFailure             Alert = 40
	BadCertificate               Alert = 42
	UnsupportedCertificate       Alert = 43
	CertificateRevoked           Alert = 44
	CertificateExpired           Alert = 45
	CertificateUnknown           Alert = 46
	IllegalParameter             Alert = 47
	UnknownCA                    Alert = 48
	AccessDenied                 Alert = 49
	DecodeError                  Alert = 50
	DecryptError                 Alert = 51
	TooManyCIDsRequested         Alert = 52 // RFC 9147, Section 9
	ProtocolVersion              Alert = 70
	InsufficientSecurity         Alert = 71
	InternalError                Alert = 80
	InappropriateFallback        Alert = 86 // RFC 7507, Section 3
	UserCanceled                 Alert = 90
	NoRenegotiation              Alert = 100 // DTLS 1.2 only
	MissingExtension             Alert = 109
	UnsupportedExtension         Alert = 110
	CertificateUnobtainable      Alert = 111 // RFC 6066, Section 5; DTLS 1.2 only
	UnrecognizedName             Alert = 112
	BadCertificateStatusResponse Alert = 113
	BadCertificateHashValue      Alert = 114 // RFC 6066, Section 5; DTLS 1.2 only
	UnknownPSKIdentity           Alert = 115
	CertificateRequired          Alert = 116
	GeneralError                 Alert = 117 // RFC 9846, Section 6.2
	NoApplicationProtocol        Alert = 120 // RFC 7301, Section 3.2
)

var names = map[Alert]string{
	CloseNotify:                  "close_notify",
	UnexpectedMessage:            "unexpected_message",
	BadRecordMAC:                 "bad_record_mac",
	RecordOverflow:               "record_overflow",
	DecompressionFailure:         "decompression_failure",
	HandshakeFailure:             "handshake_failure",
	BadCertificate:               "bad_certificate",
	UnsupportedCertificate:       "unsupported_certificate",
	CertificateRevoked:           "certificate_revoked",
	CertificateExpired:           "certificate_expired",
	CertificateUnknown:           "certificate_unknown",
	IllegalParameter:             "illegal_parameter",
	UnknownCA:                    "unknown_ca",
	AccessDenied:                 "access_denied",
	DecodeError:                  "decode_error",
	DecryptError:                 "decrypt_error",
	TooManyCIDsRequested:         "too_many_cids_requested",
	ProtocolVersion:              "protocol_version",
	InsufficientSecurity:         "insufficient_security",
	InternalError:                "internal_error",
	InappropriateFallback:        "inappropriate_fallback",
	UserCanceled:                 "user_canceled",
	NoRenegotiation:              "no_renegotiation",
	MissingExtension:             "missing_extension",
	UnsupportedExtension:         "unsupported_extension",
	CertificateUnobtainable:      "certificate_unobtainable",
	UnrecognizedName:             "unrecognized_name",
	BadCertificateStatusResponse: "bad_certificate_status_response",
	BadCertificateHashValue:      "bad_certificate_hash_value",
	UnknownPSKIdentity:           "unknown_psk_identity",
	CertificateRequired:          "certificate_required",
	GeneralError:                 "general_error",
	NoApplicationProtocol:        "no_application_protocol",
}

// String is the RFC's name, such as "handshake_failure", or "alert(77)" for a code without one.
func (a Alert) String() string {
	if name, ok := names[a]; ok {
		return name
	}
	return "alert(" + strconv.Itoa(int(a)) + ")"
}

// Level is an AlertLevel: RFC 5246, Section 7.2.
type Level uint8

// In DTLS 1.3 the level carries no meaning (RFC 8446, Section 6); the alert alone decides.
const (
	Warning Level = 1
	Fatal   Level = 2
)

// String is "warning", "fatal", or "level(n)" for a value that [Parse] refuses.
func (l Level) String() string {
	switch l {
	case Warning:
		return "warning"
	case Fatal:
		return "fatal"
	default:
		return "level(" + strconv.Itoa(int(l)) + ")"
	}
}

// wireLen is the size of an alert in bytes: a level and a description.
const wireLen = 2

// Parse reads the payload of an alert record. An alert without a name here is legal and returned as it came: its
// level says what it means, and in DTLS 1.3 an unknown alert is an error alert.
func Parse(b []byte) (Level, Alert, error) {
	// RFC 8446, Section 5.1: alerts are never fragmented, and a record carries exactly one. RFC 5246 would allow
	// several in one record; we hold both versions to the stricter rule, since an alert of consequence ends the
	// association and nothing may follow it.
	if len(b) != wireLen {
		return 0, 0, Errorf(DecodeError, "alert record of %d bytes, want %d", len(b), wireLen)
	}
	level, a := Level(b[0]), Alert(b[1])
	if level != Warning && level != Fatal {
		return 0, 0, Errorf(IllegalParameter, "alert %v with undefined level %d", a, level)
	}
	return level, a, nil
}

// Append adds the payload of an alert record to dst.
func Append(dst []byte, l Level, a Alert) []byte {
	return append(dst, byte(l), byte(a))
}
