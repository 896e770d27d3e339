package message

import (
	"strconv"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// Message is one handshake message.
type Message interface {
	// Type is what the header says the message is.
	Type() Type
	// AppendBody adds the body, without the 12-byte header, to dst. It fails if the message is not legal.
	AppendBody(dst []byte) ([]byte, error)
}

// KeyExchange is what decides the shape of messages: of ServerKeyExchange and ClientKeyExchange in DTLS 1.2, and of all
// that follow a ServerHello in DTLS 1.3. The zero value stands for "not agreed yet", when none of these can be read.
type KeyExchange uint8

// The key exchanges of the cipher suites we implement, and DTLS 1.3, whose suites name none.
const (
	ECDHE    KeyExchange = 1 + iota // signed ephemeral key: RFC 8422, Section 2
	PSK                             // pre-shared key alone: RFC 4279, Section 2
	ECDHEPSK                        // pre-shared key with an ephemeral one: RFC 5489, Section 2
	TLS13                           // any of DTLS 1.3: RFC 8446, Section 4
)

// String is the key exchange as cipher suite names spell it.
func (kx KeyExchange) String() string {
	switch kx {
	case ECDHE:
		return "ECDHE"
	case PSK:
		return "PSK"
	case ECDHEPSK:
		return "ECDHE_PSK"
	case TLS13:
		return "TLS13"
	default:
		return "key_exchange(" + strconv.Itoa(int(kx)) + ")"
	}
}

// Parse turns a whole body into a legal message, of the pointer type that carries its name. The message may alias body.
func Parse(t Type, kx KeyExchange, body []byte) (Message, error) {
	m := empty(t, kx)
	if m == nil {
		return nil, alert.Errorf(alert.UnexpectedMessage, "%v: no such message in this handshake", t)
	}
	r := newReader(t.String(), kx, body)
	m.parse(r)
	r.end()
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}

// codec is what every message of this package does below its exported face.
type codec interface {
	Message
	parse(*reader)
	append(*writer)
}

// empty is the message that a body of type t fills in, or nil if there is none.
func empty(t Type, kx KeyExchange) codec {
	if kx == TLS13 {
		return empty13(t)
	}
	switch t {
	case TypeHelloRequest:
		return &HelloRequest{}
	case TypeClientHello:
		return &ClientHello{}
	case TypeServerHello:
		return &ServerHello{}
	case TypeHelloVerifyRequest:
		return &HelloVerifyRequest{}
	case TypeNewSessionTicket:
		return &NewSessionTicket{}
	case TypeCertificate:
		return &Certificate{}
	case TypeServerKeyExchange:
		return emptyServerKeyExchange(kx)
	case TypeCertificateRequest:
		return &CertificateRequest{}
	case TypeServerHelloDone:
		return &ServerHelloDone{}
	case TypeCertificateVerify:
		return &CertificateVerify{}
	case TypeClientKeyExchange:
		return emptyClientKeyExchange(kx)
	case TypeFinished:
		return &Finished{}
	default:
		return nil
	}
}

// empty13 is the message that a body of type t fills in once DTLS 1.3 is agreed, or nil if there is none.
func empty13(t Type) codec {
	switch t {
	case TypeClientHello:
		return &ClientHello{}
	case TypeServerHello:
		return &ServerHello{}
	case TypeNewSessionTicket:
		return &NewSessionTicket13{}
	case TypeEncryptedExtensions:
		return &EncryptedExtensions{}
	case TypeCertificate:
		return &Certificate13{}
	case TypeCertificateRequest:
		return &CertificateRequest13{}
	case TypeCertificateVerify:
		return &CertificateVerify{}
	case TypeFinished:
		return &Finished{}
	case TypeKeyUpdate:
		return &KeyUpdate{}
	default:
		return nil
	}
}

// appendBody is AppendBody for every message.
func appendBody(dst []byte, m codec) ([]byte, error) {
	w := newWriter(m.Type().String(), dst)
	m.append(w)
	return w.bytes()
}
