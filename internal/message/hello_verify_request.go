package message

// HelloVerifyRequest asks a client to prove its address by repeating its ClientHello with a cookie: RFC 6347,
// Section 4.2.1.
type HelloVerifyRequest struct {
	// Version is 0xfeff in what we send. RFC 6347, Section 4.2.1: a server SHOULD write DTLS 1.0 here whatever it is
	// going to choose, and a client MUST NOT read a choice into it.
	Version uint16
	Cookie  []byte // at most 255 bytes
}

// Type is TypeHelloVerifyRequest.
func (*HelloVerifyRequest) Type() Type { return TypeHelloVerifyRequest }

// AppendBody adds the body to dst.
func (m *HelloVerifyRequest) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *HelloVerifyRequest) parse(r *reader) {
	m.Version = r.uint16("server_version")
	m.Cookie = r.vector("cookie", 0, max8)
}

func (m *HelloVerifyRequest) append(w *writer) {
	w.uint16(m.Version)
	w.vector("cookie", 0, max8, m.Cookie)
}
