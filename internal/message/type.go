package message

import "strconv"

// Type is a HandshakeType: RFC 5246, Section 7.4 and RFC 9147, Section 5.2.
type Type uint8

// The handshake messages of DTLS 1.2 and 1.3.
const (
	TypeHelloRequest        Type = 0
	TypeClientHello         Type = 1
	TypeServerHello         Type = 2
	TypeHelloVerifyRequest  Type = 3
	TypeNewSessionTicket    Type = 4
	TypeEndOfEarlyData      Type = 5
	TypeEncryptedExtensions Type = 8
	TypeRequestConnectionID Type = 9
	TypeNewConnectionID     Type = 10
	TypeCertificate         Type = 11
	TypeServerKeyExchange   Type = 12
	TypeCertificateRequest  Type = 13
	TypeServerHelloDone     Type = 14
	TypeCertificateVerify   Type = 15
	TypeClientKeyExchange   Type = 16
	TypeFinished            Type = 20
	TypeCertificateStatus   Type = 22
	TypeKeyUpdate           Type = 24
	TypeMessageHash         Type = 254 // RFC 8446, Section 4.4.1: lives in transcripts, never on the wire
)

var typeNames = map[Type]string{
	TypeHelloRequest:        "hello_request",
	TypeClientHello:         "client_hello",
	TypeServerHello:         "server_hello",
	TypeHelloVerifyRequest:  "hello_verify_request",
	TypeNewSessionTicket:    "new_session_ticket",
	TypeEndOfEarlyData:      "end_of_early_data",
	TypeEncryptedExtensions: "encrypted_extensions",
	TypeRequestConnectionID: "request_connection_id",
	TypeNewConnectionID:     "new_connection_id",
	TypeCertificate:         "certificate",
	TypeServerKeyExchange:   "server_key_exchange",
	TypeCertificateRequest:  "certificate_request",
	TypeServerHelloDone:     "server_hello_done",
	TypeCertificateVerify:   "certificate_verify",
	TypeClientKeyExchange:   "client_key_exchange",
	TypeFinished:            "finished",
	TypeCertificateStatus:   "certificate_status",
	TypeKeyUpdate:           "key_update",
	TypeMessageHash:         "message_hash",
}

// String is the RFC's name, such as "client_hello", or "handshake_type(77)" for a type without one.
func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return "handshake_type(" + strconv.Itoa(int(t)) + ")"
}
