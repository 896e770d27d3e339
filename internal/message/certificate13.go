package message

// Certificate13 is a chain, leaf first, in DTLS 1.3: RFC 8446, Section 4.4.2. It is empty when a client has none to show.
type Certificate13 struct {
	Context []byte   // certificate_request_context, at most 255 bytes: repeats that of the CertificateRequest
	Chain   [][]byte // each one certificate in DER, never empty

	// ExtensionTypes are the types of all extensions that came with the certificates, in their order; we ask for none.
	// Not used for output.
	ExtensionTypes []uint16
}

// Type is TypeCertificate.
func (*Certificate13) Type() Type { return TypeCertificate }

// AppendBody adds the body to dst, without extensions.
func (m *Certificate13) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *Certificate13) parse(r *reader) {
	m.Context = r.vector("certificate_request_context", 0, max8)
	list := r.list("certificate_list", 0, max24)
	for !list.empty() {
		m.Chain = append(m.Chain, list.vector("cert_data", 1, max24))
		types := list.extensions(skipExtension)
		list.inPlace(inCertificate, types)
		m.ExtensionTypes = append(m.ExtensionTypes, types...)
	}
}

func (m *Certificate13) append(w *writer) {
	w.vector("certificate_request_context", 0, max8, m.Context)
	w.list("certificate_list", 0, max24, func(w *writer) {
		for _, der := range m.Chain {
			w.vector("cert_data", 1, max24, der)
			w.extensions(true, noExtensions)
		}
	})
}
