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

// KeyExchange is what decides the shape of ServerKeyExchange and ClientKeyExchange. The zero value stands for "not
// agreed yet", when neither message can be read.
type KeyExchange uint8

// The key exchanges of the cipher suites we implement.
const (
	ECDHE    KeyExchange = 1 + iota // signed ephemeral key: RFC 8422, Section 2
	PSK                             // pre-shared key alone: RFC 4279, Section 2
	ECDHEPSK                        // pre-shared key with an ephemeral one: RFC 5489, Section 2
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
	r := newReader(t.String(), body)
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

// appendBody is AppendBody for every message.
func appendBody(dst []byte, m codec) ([]byte, error) {
	w := newWriter(m.Type().String(), dst)
	m.append(w)
	return w.bytes()
}
