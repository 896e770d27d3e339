package record

import "strconv"

// ContentType says what a record carries: RFC 5246, Section 6.2.1.
type ContentType uint8

// The content types of DTLS.
const (
	TypeChangeCipherSpec ContentType = 20 // RFC 5246, Section 7.1
	TypeAlert            ContentType = 21 // RFC 5246, Section 7.2
	TypeHandshake        ContentType = 22 // RFC 5246, Section 7.4
	TypeApplicationData  ContentType = 23 // RFC 5246, Section 10
	TypeHeartbeat        ContentType = 24 // RFC 6520, Section 3
	TypeTLS12CID         ContentType = 25 // RFC 9146, Section 4
	TypeACK              ContentType = 26 // RFC 9147, Section 7
)

// String returns the name in the RFC's presentation language, or
// "content_type(99)" for a type without one.
func (t ContentType) String() string {
	switch t {
	case TypeChangeCipherSpec:
		return "change_cipher_spec"
	case TypeAlert:
		return "alert"
	case TypeHandshake:
		return "handshake"
	case TypeApplicationData:
		return "application_data"
	case TypeHeartbeat:
		return "heartbeat"
	case TypeTLS12CID:
		return "tls12_cid"
	case TypeACK:
		return "ack"
	default:
		return "content_type(" + strconv.Itoa(int(t)) + ")"
	}
}

// Versions as they stand in a record header: the ones' complement of the TLS
// version's digits, RFC 6347, Section 4.1.
const (
	VersionDTLS10 uint16 = 0xfeff // also on a first ClientHello, whatever it offers
	VersionDTLS12 uint16 = 0xfefd // also on every plaintext record of DTLS 1.3
)
