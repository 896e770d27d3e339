package message

// ServerHelloDone ends the server's flight: RFC 5246, Section 7.4.5. It has no fields.
type ServerHelloDone struct{}

// Type is TypeServerHelloDone.
func (*ServerHelloDone) Type() Type { return TypeServerHelloDone }

// AppendBody adds nothing to dst.
func (m *ServerHelloDone) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (*ServerHelloDone) parse(*reader) {}

func (*ServerHelloDone) append(*writer) {}
