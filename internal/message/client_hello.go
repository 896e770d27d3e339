package message

import (
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// Sizes that both hellos share: RFC 5246, Section 7.4.1.2.
const (
	randomLen       = 32
	maxSessionIDLen = 32
)

// compressionNull is the one CompressionMethod we speak: RFC 5246, Section 7.4.1.2.
const compressionNull = 0

// ClientHello opens a handshake: RFC 6347, Section 4.2.1, which adds the cookie to RFC 5246, Section 7.4.1.2.
type ClientHello struct {
	Version      uint16
	Random       [randomLen]byte
	SessionID    []byte // at most 32 bytes
	Cookie       []byte // at most 255 bytes; empty in the first ClientHello
	CipherSuites []uint16
	Compression  []byte // always contains null, 0

	// Extensions. The zero value of a field stands for an extension that is not there; where being there with nothing
	// in it has a meaning of its own, a Has field tells.
	ExtendedMasterSecret bool     // RFC 7627, Section 5.1
	EncryptThenMAC       bool     // RFC 7366, Section 2
	RenegotiationInfo    []byte   // RFC 5746, Section 3.2: client verify_data of the handshake before
	HasRenegotiationInfo bool     // implied by RenegotiationInfo
	PointFormats         []byte   // RFC 8422, Section 5.1.2: always contains uncompressed, 0
	SupportedVersions    []uint16 // RFC 8446, Section 4.2.1: those we do not know included
	SupportedGroups      []uint16 // RFC 8422, Section 5.1.1
	SignatureSchemes     []uint16 // RFC 5246, Section 7.4.1.4.1
	ALPN                 []string // RFC 7301, Section 3.1: names are never empty
	ServerName           string   // RFC 6066, Section 3: as sent; neither lower-cased nor checked against DNS rules
	SessionTicket        []byte   // RFC 5077, Section 3.2
	HasSessionTicket     bool     // implied by SessionTicket

	// HasExtensions says that the extension block is there, be it empty. Any extension implies it.
	HasExtensions bool
	// ExtensionTypes are the types of all extensions that came, known or not, in their order. Not used for output.
	ExtensionTypes []uint16
}

// Type is TypeClientHello.
func (*ClientHello) Type() Type { return TypeClientHello }

// AppendBody adds the body to dst. Extensions stand in the order of the struct's fields: flags and short ones first, so
// that they tend to share the first fragment with the suites, and the name and the ticket, which may be long, last.
func (m *ClientHello) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *ClientHello) parse(r *reader) {
	m.Version = r.uint16("client_version")
	copy(m.Random[:], r.bytes("random", randomLen))
	m.SessionID = r.vector("session_id", 0, maxSessionIDLen)
	m.Cookie = r.vector("cookie", 0, max8)
	m.CipherSuites = r.list("cipher_suites", 2, max16-1).uint16s()
	m.Compression = r.vector("compression_methods", 1, max8)
	// RFC 5246, Section 7.4.1.2: "This vector MUST contain [...] CompressionMethod.null."
	if !slices.Contains(m.Compression, compressionNull) {
		r.fail(alert.IllegalParameter, "compression_methods without null")
	}
	// RFC 5246, Section 7.4.1.2: "A server MUST accept ClientHello messages both with and without the extensions
	// field", and only "whether there are bytes following the compression_methods" tells them apart.
	if m.HasExtensions = !r.empty(); m.HasExtensions {
		m.ExtensionTypes = r.extensions(m.parseExtension)
	}
}

func (m *ClientHello) append(w *writer) {
	w.uint16(m.Version)
	w.fixed("random", randomLen, m.Random[:])
	w.vector("session_id", 0, maxSessionIDLen, m.SessionID)
	w.vector("cookie", 0, max8, m.Cookie)
	w.list("cipher_suites", 2, max16-1, func(w *writer) { w.uint16s(m.CipherSuites) })
	if !slices.Contains(m.Compression, compressionNull) {
		w.fail("compression_methods without null")
	}
	w.vector("compression_methods", 1, max8, m.Compression)
	w.extensions(m.HasExtensions, m.appendExtensions)
}

// parseExtension reads one extension; false skips it. RFC 5246, Section 7.4.1.4 has a server ignore those it does not
// know.
func (m *ClientHello) parseExtension(t uint16, data *reader) bool {
	switch t {
	case ExtensionExtendedMasterSecret:
		m.ExtendedMasterSecret = true
	case ExtensionEncryptThenMAC:
		m.EncryptThenMAC = true
	case ExtensionRenegotiationInfo:
		m.HasRenegotiationInfo = true
		m.RenegotiationInfo = data.vector("renegotiated_connection", 0, max8)
	case ExtensionECPointFormats:
		m.PointFormats = parsePointFormats(data)
	case ExtensionSupportedVersions:
		m.SupportedVersions = data.list("versions", 2, max8-1).uint16s()
	case ExtensionSupportedGroups:
		m.SupportedGroups = data.list("named_group_list", 2, max16).uint16s()
	case ExtensionSignatureAlgorithms:
		m.SignatureSchemes = data.list("supported_signature_algorithms", 2, max16-1).uint16s()
	case ExtensionALPN:
		m.ALPN = parseALPN(data)
	case ExtensionServerName:
		m.ServerName = parseServerName(data)
	case ExtensionSessionTicket:
		m.HasSessionTicket = true
		m.SessionTicket = data.rest()
	default:
		return false
	}
	return true
}

func (m *ClientHello) appendExtensions(w *writer) {
	if m.ExtendedMasterSecret {
		w.flag(ExtensionExtendedMasterSecret)
	}
	if m.EncryptThenMAC {
		w.flag(ExtensionEncryptThenMAC)
	}
	if m.HasRenegotiationInfo || len(m.RenegotiationInfo) > 0 {
		w.extension(ExtensionRenegotiationInfo, func(w *writer) {
			w.vector("renegotiated_connection", 0, max8, m.RenegotiationInfo)
		})
	}
	if len(m.PointFormats) > 0 {
		w.extension(ExtensionECPointFormats, func(w *writer) { appendPointFormats(w, m.PointFormats) })
	}
	if len(m.SupportedVersions) > 0 {
		w.extension(ExtensionSupportedVersions, func(w *writer) {
			w.list("versions", 2, max8-1, func(w *writer) { w.uint16s(m.SupportedVersions) })
		})
	}
	if len(m.SupportedGroups) > 0 {
		w.extension(ExtensionSupportedGroups, func(w *writer) {
			w.list("named_group_list", 2, max16, func(w *writer) { w.uint16s(m.SupportedGroups) })
		})
	}
	if len(m.SignatureSchemes) > 0 {
		w.extension(ExtensionSignatureAlgorithms, func(w *writer) {
			w.list("supported_signature_algorithms", 2, max16-1, func(w *writer) { w.uint16s(m.SignatureSchemes) })
		})
	}
	if len(m.ALPN) > 0 {
		w.extension(ExtensionALPN, func(w *writer) { appendALPN(w, m.ALPN...) })
	}
	if m.ServerName != "" {
		w.extension(ExtensionServerName, func(w *writer) { appendServerName(w, m.ServerName) })
	}
	if m.HasSessionTicket || len(m.SessionTicket) > 0 {
		w.extension(ExtensionSessionTicket, func(w *writer) { w.fixed("ticket", len(m.SessionTicket), m.SessionTicket) })
	}
}
