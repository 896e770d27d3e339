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
	m.Authorities = parseAuthorities(r, "certificate_authorities", 0)
}

func (m *CertificateRequest) append(w *writer) {
	w.vector("certificate_types", 1, max8, m.CertificateTypes)
	appendSchemes(w, m.SignatureSchemes)
	appendAuthorities(w, "certificate_authorities", 0, m.Authorities)
}

// parseAuthorities reads a list of distinguished names, of at least so many bytes: DTLS 1.2 has a field for it, and the
// list may be empty; DTLS 1.3 has an extension (RFC 8446, Section 4.2.4).
func parseAuthorities(r *reader, field string, least int) (names [][]byte) {
	list := r.list(field, least, max16)
	for !list.empty() {
		names = append(names, list.vector("distinguished_name", 1, max16))
	}
	return names
}

func appendAuthorities(w *writer, field string, least int, names [][]byte) {
	w.list(field, least, max16, func(w *writer) {
		for _, name := range names {
			w.vector("distinguished_name", 1, max16, name)
		}
	})
}
