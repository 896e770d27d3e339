package message

// Certificate is a chain, leaf first, or nothing when a client has none to show: RFC 5246, Sections 7.4.2 and 7.4.6.
type Certificate struct {
	Chain [][]byte // each one certificate in DER, never empty
}

// Type is TypeCertificate.
func (*Certificate) Type() Type { return TypeCertificate }

// AppendBody adds the body to dst.
func (m *Certificate) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *Certificate) parse(r *reader) {
	list := r.list("certificate_list", 0, max24)
	for !list.empty() {
		m.Chain = append(m.Chain, list.vector("certificate", 1, max24))
	}
}

func (m *Certificate) append(w *writer) {
	w.list("certificate_list", 0, max24, func(w *writer) {
		for _, der := range m.Chain {
			w.vector("certificate", 1, max24, der)
		}
	})
}
