package message

import "github.com/flightpath-dtls/flightpath/internal/alert"

// ServerHello is the server's choice: RFC 5246, Section 7.4.1.3. Whether it chose from what was offered is for the
// handshake to check, against ExtensionTypes among others.
type ServerHello struct {
	Version     uint16
	Random      [randomLen]byte
	SessionID   []byte // at most 32 bytes
	CipherSuite uint16
	Compression uint8 // always null, 0

	// Extensions. The zero value of a field stands for an extension that is not there.
	ExtendedMasterSecret bool   // RFC 7627, Section 5.1
	EncryptThenMAC       bool   // RFC 7366, Section 2
	ServerNameAck        bool   // RFC 6066, Section 3: the name decided something
	SessionTicketAck     bool   // RFC 5077, Section 3.2: a NewSessionTicket follows
	RenegotiationInfo    []byte // RFC 5746, Section 3.2: verify_data of both sides in the handshake before
	HasRenegotiationInfo bool   // implied by RenegotiationInfo
	PointFormats         []byte // RFC 8422, Section 5.2: always contains uncompressed, 0
	SupportedVersion     uint16 // RFC 8446, Section 4.2.1; 0 if absent
	ALPN                 string // RFC 7301, Section 3.1; never an empty name

	// ExtensionTypes are the types of all extensions that came, known or not, in their order. Not used for output.
	ExtensionTypes []uint16
}

// Type is TypeServerHello.
func (*ServerHello) Type() Type { return TypeServerHello }

// AppendBody adds the body to dst. Extensions stand in the order of the struct's fields; without any, the block is left
// out, as clients that predate extensions want it.
func (m *ServerHello) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *ServerHello) parse(r *reader) {
	m.Version = r.uint16("server_version")
	copy(m.Random[:], r.bytes("random", randomLen))
	m.SessionID = r.vector("session_id", 0, maxSessionIDLen)
	m.CipherSuite = r.uint16("cipher_suite")
	m.Compression = r.uint8("compression_method")
	// RFC 5246, Section 7.4.1.3: the method must be one of the client's, and null is all we ever offer. RFC 8446,
	// Section 4.1.3: "legacy_compression_method: A single byte which MUST have the value 0."
	if m.Compression != compressionNull {
		r.fail(alert.IllegalParameter, "compression_method %d, want null", m.Compression)
	}
	if !r.empty() {
		m.ExtensionTypes = r.extensions(m.parseExtension)
	}
}

func (m *ServerHello) append(w *writer) {
	w.uint16(m.Version)
	w.fixed("random", randomLen, m.Random[:])
	w.vector("session_id", 0, maxSessionIDLen, m.SessionID)
	w.uint16(m.CipherSuite)
	if m.Compression != compressionNull {
		w.fail("compression_method %d, want null", m.Compression)
	}
	w.uint8(m.Compression)
	w.extensions(false, m.appendExtensions)
}

// parseExtension reads one extension; false skips it.
func (m *ServerHello) parseExtension(t uint16, data *reader) bool {
	switch t {
	case ExtensionExtendedMasterSecret:
		m.ExtendedMasterSecret = true
	case ExtensionEncryptThenMAC:
		m.EncryptThenMAC = true
	case ExtensionServerName:
		m.ServerNameAck = true // RFC 6066, Section 3: the answer's extension_data "SHALL be empty"
	case ExtensionSessionTicket:
		m.SessionTicketAck = true // RFC 5077, Section 3.2: the answer is empty
	case ExtensionRenegotiationInfo:
		m.HasRenegotiationInfo = true
		m.RenegotiationInfo = data.vector("renegotiated_connection", 0, max8)
	case ExtensionECPointFormats:
		m.PointFormats = parsePointFormats(data)
	case ExtensionSupportedVersions:
		m.SupportedVersion = data.uint16("selected_version")
		if m.SupportedVersion == 0 {
			data.fail(alert.IllegalParameter, "selected_version 0 is no version")
		}
	case ExtensionALPN:
		m.ALPN = parseSelectedALPN(data)
	default:
		return false
	}
	return true
}

func (m *ServerHello) appendExtensions(w *writer) {
	if m.ExtendedMasterSecret {
		w.flag(ExtensionExtendedMasterSecret)
	}
	if m.EncryptThenMAC {
		w.flag(ExtensionEncryptThenMAC)
	}
	if m.ServerNameAck {
		w.flag(ExtensionServerName)
	}
	if m.SessionTicketAck {
		w.flag(ExtensionSessionTicket)
	}
	if m.HasRenegotiationInfo || len(m.RenegotiationInfo) > 0 {
		w.extension(ExtensionRenegotiationInfo, func(w *writer) {
			w.vector("renegotiated_connection", 0, max8, m.RenegotiationInfo)
		})
	}
	if len(m.PointFormats) > 0 {
		w.extension(ExtensionECPointFormats, func(w *writer) { appendPointFormats(w, m.PointFormats) })
	}
	if m.SupportedVersion != 0 {
		w.extension(ExtensionSupportedVersions, func(w *writer) { w.uint16(m.SupportedVersion) })
	}
	if m.ALPN != "" {
		w.extension(ExtensionALPN, func(w *writer) { appendALPN(w, m.ALPN) })
	}
}
