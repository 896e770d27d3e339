package message

// verifyDataLen is the size of verify_data in bytes. RFC 5246, Section 7.4.9: "Any cipher suite which does not explicitly
// specify verify_data_length has a verify_data_length equal to 12", and none does.
const verifyDataLen = 12

// Finished proves that both sides saw the same handshake: RFC 5246, Section 7.4.9.
type Finished struct {
	VerifyData []byte // 12 bytes
}

// Type is TypeFinished.
func (*Finished) Type() Type { return TypeFinished }

// AppendBody adds the body to dst.
func (m *Finished) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *Finished) parse(r *reader) {
	m.VerifyData = r.bytes("verify_data", verifyDataLen)
}

func (m *Finished) append(w *writer) {
	w.fixed("verify_data", verifyDataLen, m.VerifyData)
}
