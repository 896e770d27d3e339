package message

// Sizes of verify_data in bytes. RFC 5246, Section 7.4.9: "Any cipher suite which does not explicitly specify
// verify_data_length has a verify_data_length equal to 12", and none does. RFC 8446, Section 4.4.4: it is as long as the
// hash, which is SHA-256 or SHA-384.
const (
	verifyDataLen       = 12
	verifyDataLenSHA256 = 32
	verifyDataLenSHA384 = 48
)

// Finished proves that both sides saw the same handshake: RFC 5246, Section 7.4.9, and RFC 8446, Section 4.4.4.
type Finished struct {
	VerifyData []byte // 12 bytes in DTLS 1.2; 32 or 48 bytes, as the suite has it, in DTLS 1.3
}

// Type is TypeFinished.
func (*Finished) Type() Type { return TypeFinished }

// AppendBody adds the body to dst.
func (m *Finished) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *Finished) parse(r *reader) {
	n := verifyDataLen
	switch {
	case r.kx == TLS13 && len(r.left) > verifyDataLenSHA256:
		n = verifyDataLenSHA384
	case r.kx == TLS13:
		n = verifyDataLenSHA256
	}
	m.VerifyData = r.bytes("verify_data", n)
}

func (m *Finished) append(w *writer) {
	switch n := len(m.VerifyData); n {
	case verifyDataLenSHA256, verifyDataLenSHA384:
		w.fixed("verify_data", n, m.VerifyData)
	default:
		w.fixed("verify_data", verifyDataLen, m.VerifyData)
	}
}
