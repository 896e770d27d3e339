package message

// CertificateVerify proves that its sender holds the private key of its certificate: RFC 5246, Section 7.4.8.
type CertificateVerify struct {
	Scheme    uint16 // SignatureAndHashAlgorithm: RFC 5246, Section 4.7
	Signature []byte
}

// Type is TypeCertificateVerify.
func (*CertificateVerify) Type() Type { return TypeCertificateVerify }

// AppendBody adds the body to dst.
func (m *CertificateVerify) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *CertificateVerify) parse(r *reader) {
	m.Scheme = r.uint16("algorithm")
	m.Signature = r.vector("signature", 0, max16)
}

func (m *CertificateVerify) append(w *writer) {
	w.uint16(m.Scheme)
	w.vector("signature", 0, max16, m.Signature)
}
