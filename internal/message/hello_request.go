package message

// HelloRequest asks the client to start a new handshake: RFC 5246, Section 7.4.1.1. It has no fields.
type HelloRequest struct{}

// Type is TypeHelloRequest.
func (*HelloRequest) Type() Type { return TypeHelloRequest }

// AppendBody adds nothing to dst.
func (m *HelloRequest) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (*HelloRequest) parse(*reader) {}

func (*HelloRequest) append(*writer) {}
