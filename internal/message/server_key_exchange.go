package message

// ServerKeyExchangeECDHE is the server's signed ephemeral key: RFC 8422, Section 5.4.
type ServerKeyExchangeECDHE struct {
	Group     uint16
	Public    []byte // never empty, at most 255 bytes
	Scheme    uint16 // SignatureAndHashAlgorithm: RFC 5246, Section 4.7
	Signature []byte // over client random, server random and Params
}

// Type is TypeServerKeyExchange.
func (*ServerKeyExchangeECDHE) Type() Type { return TypeServerKeyExchange }

// AppendBody adds the body to dst.
func (m *ServerKeyExchangeECDHE) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

// Params is the part of the message that the signature covers: curve type, group and public key. There is only one way to
// write them, so these are also the very bytes that a peer sent.
func (m *ServerKeyExchangeECDHE) Params() []byte { return rawECParams(m.Group, m.Public) }

func (m *ServerKeyExchangeECDHE) parse(r *reader) {
	m.Group, m.Public = parseECParams(r)
	m.Scheme = r.uint16("algorithm")
	m.Signature = r.vector("signature", 0, max16)
}

func (m *ServerKeyExchangeECDHE) append(w *writer) {
	appendECParams(w, m.Group, m.Public)
	w.uint16(m.Scheme)
	w.vector("signature", 0, max16, m.Signature)
}

// ServerKeyExchangePSK is a hint at which key the client should pick: RFC 4279, Section 2.
type ServerKeyExchangePSK struct {
	Hint []byte
}

// Type is TypeServerKeyExchange.
func (*ServerKeyExchangePSK) Type() Type { return TypeServerKeyExchange }

// AppendBody adds the body to dst.
func (m *ServerKeyExchangePSK) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *ServerKeyExchangePSK) parse(r *reader) {
	m.Hint = r.vector("psk_identity_hint", 0, max16)
}

func (m *ServerKeyExchangePSK) append(w *writer) {
	w.vector("psk_identity_hint", 0, max16, m.Hint)
}

// ServerKeyExchangeECDHEPSK is a hint and an ephemeral key: RFC 5489, Section 2. It carries no signature; the pre-shared
// key authenticates both.
type ServerKeyExchangeECDHEPSK struct {
	Hint   []byte
	Group  uint16
	Public []byte // never empty, at most 255 bytes
}

// Type is TypeServerKeyExchange.
func (*ServerKeyExchangeECDHEPSK) Type() Type { return TypeServerKeyExchange }

// AppendBody adds the body to dst.
func (m *ServerKeyExchangeECDHEPSK) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *ServerKeyExchangeECDHEPSK) parse(r *reader) {
	m.Hint = r.vector("psk_identity_hint", 0, max16)
	m.Group, m.Public = parseECParams(r)
}

func (m *ServerKeyExchangeECDHEPSK) append(w *writer) {
	w.vector("psk_identity_hint", 0, max16, m.Hint)
	appendECParams(w, m.Group, m.Public)
}

func emptyServerKeyExchange(kx KeyExchange) codec {
	switch kx {
	case ECDHE:
		return &ServerKeyExchangeECDHE{}
	case PSK:
		return &ServerKeyExchangePSK{}
	case ECDHEPSK:
		return &ServerKeyExchangeECDHEPSK{}
	default:
		return nil
	}
}
