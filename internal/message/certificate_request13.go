package message

import "github.com/flightpath-dtls/flightpath/internal/alert"

// CertificateRequest13 asks the client to authenticate in DTLS 1.3: RFC 8446, Section 4.3.2.
type CertificateRequest13 struct {
	Context              []byte   // certificate_request_context, at most 255 bytes: empty in a handshake
	SignatureSchemes     []uint16 // RFC 8446, Section 4.2.3; at least one
	SignatureSchemesCert []uint16 // RFC 8446, Section 4.2.3; none: SignatureSchemes holds for certificates, too
	Authorities          [][]byte // RFC 8446, Section 4.2.4: names in DER, each never empty; none: any authority will do

	// ExtensionTypes are the types of all extensions that came, known or not, in their order. Not used for output.
	ExtensionTypes []uint16
}

// Type is TypeCertificateRequest.
func (*CertificateRequest13) Type() Type { return TypeCertificateRequest }

// AppendBody adds the body to dst. Extensions stand in the order of the struct's fields.
func (m *CertificateRequest13) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *CertificateRequest13) parse(r *reader) {
	m.Context = r.vector("certificate_request_context", 0, max8)
	m.ExtensionTypes = r.extensions(m.parseExtension)
	r.inPlace(inCertificateRequest, m.ExtensionTypes)
	// RFC 8446, Section 4.3.2: "The "signature_algorithms" extension MUST be specified".
	if len(m.SignatureSchemes) == 0 {
		r.fail(alert.MissingExtension, "no signature_algorithms")
	}
}

func (m *CertificateRequest13) append(w *writer) {
	w.vector("certificate_request_context", 0, max8, m.Context)
	if len(m.SignatureSchemes) == 0 {
		w.fail("no signature_algorithms")
	}
	w.extensions(true, m.appendExtensions)
}

// parseExtension reads one extension; false skips it. RFC 8446, Section 4.3.2: "Clients MUST ignore unrecognized
// extensions."
func (m *CertificateRequest13) parseExtension(t uint16, data *reader) bool {
	switch t {
	case ExtensionSignatureAlgorithms:
		m.SignatureSchemes = parseSchemes(data)
	case ExtensionSignatureAlgorithmsCert:
		m.SignatureSchemesCert = parseSchemes(data)
	case ExtensionCertificateAuthorities:
		m.Authorities = parseAuthorities(data, "authorities", minAuthorities)
	default:
		return false
	}
	return true
}

func (m *CertificateRequest13) appendExtensions(w *writer) {
	if len(m.SignatureSchemes) > 0 {
		w.extension(ExtensionSignatureAlgorithms, func(w *writer) { appendSchemes(w, m.SignatureSchemes) })
	}
	if len(m.SignatureSchemesCert) > 0 {
		w.extension(ExtensionSignatureAlgorithmsCert, func(w *writer) { appendSchemes(w, m.SignatureSchemesCert) })
	}
	if len(m.Authorities) > 0 {
		w.extension(ExtensionCertificateAuthorities, func(w *writer) {
			appendAuthorities(w, "authorities", minAuthorities, m.Authorities)
		})
	}
}

// minAuthorities is the size of the shortest list of certificate_authorities, in bytes: one name of one byte.
const minAuthorities = 3
