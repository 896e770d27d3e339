package message

// CertificateRequest asks the client to authenticate: RFC 5246, Section 7.4.4.
type CertificateRequest struct {
	CertificateTypes []byte   // ClientCertificateType; at least one
	SignatureSchemes []uint16 // at least one
	Authorities      [][]byte // distinguished names in DER, each never empty; none: any authority will do
}

// Type is TypeCertificateRequest.
func (*CertificateRequest) Type() Type { return TypeCertificateRequest }

// AppendBody adds the body to dst.
func (m *CertificateRequest) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *CertificateRequest) parse(r *reader) {
	m.CertificateTypes = r.vector("certificate_types", 1, max8)
	m.SignatureSchemes = parseSchemes(r)
	authorities := r.list("certificate_authorities", 0, max16)
	for !authorities.empty() {
		m.Authorities = append(m.Authorities, authorities.vector("distinguished_name", 1, max16))
	}
}

func (m *CertificateRequest) append(w *writer) {
	w.vector("certificate_types", 1, max8, m.CertificateTypes)
	appendSchemes(w, m.SignatureSchemes)
	w.list("certificate_authorities", 0, max16, func(w *writer) {
		for _, name := range m.Authorities {
			w.vector("distinguished_name", 1, max16, name)
		}
	})
}
