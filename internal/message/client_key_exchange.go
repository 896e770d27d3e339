package message

// ClientKeyExchangeECDHE is the client's ephemeral key: RFC 8422, Section 5.7.
type ClientKeyExchangeECDHE struct {
	Public []byte // never empty, at most 255 bytes
}

// Type is TypeClientKeyExchange.
func (*ClientKeyExchangeECDHE) Type() Type { return TypeClientKeyExchange }

// AppendBody adds the body to dst.
func (m *ClientKeyExchangeECDHE) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *ClientKeyExchangeECDHE) parse(r *reader) {
	m.Public = r.vector("ecdh_Yc", 1, max8)
}

func (m *ClientKeyExchangeECDHE) append(w *writer) {
	w.vector("ecdh_Yc", 1, max8, m.Public)
}

// ClientKeyExchangePSK names the key the client picked: RFC 4279, Section 2.
type ClientKeyExchangePSK struct {
	Identity []byte
}

// Type is TypeClientKeyExchange.
func (*ClientKeyExchangePSK) Type() Type { return TypeClientKeyExchange }

// AppendBody adds the body to dst.
func (m *ClientKeyExchangePSK) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *ClientKeyExchangePSK) parse(r *reader) {
	m.Identity = r.vector("psk_identity", 0, max16)
}

func (m *ClientKeyExchangePSK) append(w *writer) {
	w.vector("psk_identity", 0, max16, m.Identity)
}

// ClientKeyExchangeECDHEPSK is an identity and an ephemeral key: RFC 5489, Section 2.
type ClientKeyExchangeECDHEPSK struct {
	Identity []byte
	Public   []byte // never empty, at most 255 bytes
}

// Type is TypeClientKeyExchange.
func (*ClientKeyExchangeECDHEPSK) Type() Type { return TypeClientKeyExchange }

// AppendBody adds the body to dst.
func (m *ClientKeyExchangeECDHEPSK) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *ClientKeyExchangeECDHEPSK) parse(r *reader) {
	m.Identity = r.vector("psk_identity", 0, max16)
	m.Public = r.vector("ecdh_Yc", 1, max8)
}

func (m *ClientKeyExchangeECDHEPSK) append(w *writer) {
	w.vector("psk_identity", 0, max16, m.Identity)
	w.vector("ecdh_Yc", 1, max8, m.Public)
}

func emptyClientKeyExchange(kx KeyExchange) codec {
	switch kx {
	case ECDHE:
		return &ClientKeyExchangeECDHE{}
	case PSK:
		return &ClientKeyExchangePSK{}
	case ECDHEPSK:
		return &ClientKeyExchangeECDHEPSK{}
	default:
		return nil
	}
}
