package message

import "github.com/flightpath-dtls/flightpath/internal/alert"

// Values of a server's random that say something. They are not for changing.
var (
	// RetryRandom makes a ServerHello a HelloRetryRequest. RFC 8446, Section 4.1.3: the SHA-256 of "HelloRetryRequest".
	RetryRandom = [randomLen]byte{
		0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
		0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
	}
	// DowngradeTLS12 and DowngradeTLS11 are the last bytes of the random of a server that speaks DTLS 1.3 and was made
	// to agree on DTLS 1.2, or 1.0: RFC 8446, Section 4.1.3 and RFC 9147, Section 5.3.
	DowngradeTLS12 = [8]byte{'D', 'O', 'W', 'N', 'G', 'R', 'D', 1}
	DowngradeTLS11 = [8]byte{'D', 'O', 'W', 'N', 'G', 'R', 'D', 0}
)

// ServerHello is the server's choice: RFC 5246, Section 7.4.1.3, and RFC 8446, Section 4.1.3. With a random of its own it
// is a HelloRetryRequest instead: RFC 8446, Section 4.1.4. Whether it chose from what was offered is for the handshake to
// check, against ExtensionTypes among others.
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
	RecordSizeLimit      uint16 // RFC 8449, Section 4: in bytes, at least 64; 0 if absent; not in DTLS 1.3
	SupportedVersion     uint16 // RFC 8446, Section 4.2.1; 0 if absent
	ALPN                 string // RFC 7301, Section 3.1; never an empty name

	// Extensions of DTLS 1.3: RFC 8446, Sections 4.2.8, 4.2.11 and 4.2.2.
	KeyShare       KeyShare // not in a HelloRetryRequest
	HasKeyShare    bool     // implied by KeyShare.Data
	SelectedPSK    uint16   // an index into the client's PSKs; not in a HelloRetryRequest
	HasSelectedPSK bool     // implied by SelectedPSK other than 0
	SelectedGroup  uint16   // only in a HelloRetryRequest: the group it wants a key share for; 0 if absent
	RetryCookie    []byte   // only in a HelloRetryRequest: what the client is to repeat; never empty

	// ExtensionTypes are the types of all extensions that came, known or not, in their order. Not used for output.
	ExtensionTypes []uint16
}

// Type is TypeServerHello.
func (*ServerHello) Type() Type { return TypeServerHello }

// IsRetry reports whether this is a HelloRetryRequest.
func (m *ServerHello) IsRetry() bool { return m.Random == RetryRandom }

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
	switch {
	case m.IsRetry():
		// RFC 8446, Section 4.1.4: "The server's extensions MUST contain "supported_versions"."
		if m.SupportedVersion == 0 {
			r.fail(alert.MissingExtension, "a HelloRetryRequest without supported_versions")
		}
		r.inPlace(inHelloRetryRequest, m.ExtensionTypes)
	case m.SupportedVersion == Version13:
		r.inPlace(inServerHello, m.ExtensionTypes)
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
	ofHello := m.HasKeyShare || len(m.KeyShare.Data) > 0 || m.HasSelectedPSK || m.SelectedPSK != 0
	ofRetry := m.SelectedGroup != 0 || len(m.RetryCookie) > 0
	if m.IsRetry() && ofHello || !m.IsRetry() && ofRetry {
		w.fail("is it a HelloRetryRequest or not?")
	}
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
	case ExtensionRecordSizeLimit:
		m.RecordSizeLimit = parseRecordSizeLimit(data)
	case ExtensionSupportedVersions:
		m.SupportedVersion = data.uint16("selected_version")
		if m.SupportedVersion == 0 {
			data.fail(alert.IllegalParameter, "selected_version 0 is no version")
		}
	case ExtensionALPN:
		m.ALPN = parseSelectedALPN(data)
	case ExtensionKeyShare, ExtensionPreSharedKey, ExtensionCookie:
		if m.IsRetry() {
			return m.parseRetryExtension(t, data)
		}
		return m.parseExtension13(t, data)
	default:
		return false
	}
	return true
}

// parseExtension13 reads one that only a ServerHello of DTLS 1.3 has in this shape; false skips it.
func (m *ServerHello) parseExtension13(t uint16, data *reader) bool {
	switch t {
	case ExtensionKeyShare:
		m.HasKeyShare = true
		m.KeyShare = parseKeyShare(data)
	case ExtensionPreSharedKey:
		m.HasSelectedPSK = true
		m.SelectedPSK = data.uint16("selected_identity")
	default:
		return false
	}
	return true
}

// parseRetryExtension reads one that only a HelloRetryRequest has in this shape; false skips it.
func (m *ServerHello) parseRetryExtension(t uint16, data *reader) bool {
	switch t {
	case ExtensionKeyShare:
		m.SelectedGroup = data.uint16("selected_group")
		if m.SelectedGroup == 0 {
			data.fail(alert.IllegalParameter, "selected_group 0 is no group")
		}
	case ExtensionCookie:
		m.RetryCookie = data.vector("cookie", 1, max16)
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
	if m.RecordSizeLimit != 0 {
		w.extension(ExtensionRecordSizeLimit, func(w *writer) { appendRecordSizeLimit(w, m.RecordSizeLimit) })
	}
	if m.SupportedVersion != 0 {
		w.extension(ExtensionSupportedVersions, func(w *writer) { w.uint16(m.SupportedVersion) })
	}
	if m.ALPN != "" {
		w.extension(ExtensionALPN, func(w *writer) { appendALPN(w, m.ALPN) })
	}
	if m.HasKeyShare || len(m.KeyShare.Data) > 0 {
		w.extension(ExtensionKeyShare, func(w *writer) { appendKeyShare(w, m.KeyShare) })
	}
	if m.HasSelectedPSK || m.SelectedPSK != 0 {
		w.extension(ExtensionPreSharedKey, func(w *writer) { w.uint16(m.SelectedPSK) })
	}
	if m.SelectedGroup != 0 {
		w.extension(ExtensionKeyShare, func(w *writer) { w.uint16(m.SelectedGroup) })
	}
	if len(m.RetryCookie) > 0 {
		w.extension(ExtensionCookie, func(w *writer) { w.vector("cookie", 1, max16, m.RetryCookie) })
	}
}
