package message

// EncryptedExtensions are the server's answers that need not be seen by strangers: RFC 8446, Section 4.3.1.
type EncryptedExtensions struct {
	ServerNameAck   bool     // RFC 6066, Section 3: the name decided something
	EarlyData       bool     // RFC 8446, Section 4.2.10: it was accepted
	RecordSizeLimit uint16   // RFC 8449, Section 4: in bytes, at least 64; 0 if absent
	SupportedGroups []uint16 // RFC 8446, Section 4.2.7: a hint for the next handshake
	ALPN            string   // RFC 7301, Section 3.1; never an empty name

	// ExtensionTypes are the types of all extensions that came, known or not, in their order. Not used for output.
	ExtensionTypes []uint16
}

// Type is TypeEncryptedExtensions.
func (*EncryptedExtensions) Type() Type { return TypeEncryptedExtensions }

// AppendBody adds the body to dst. Extensions stand in the order of the struct's fields.
func (m *EncryptedExtensions) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *EncryptedExtensions) parse(r *reader) {
	m.ExtensionTypes = r.extensions(m.parseExtension)
	r.inPlace(inEncryptedExtensions, m.ExtensionTypes)
}

func (m *EncryptedExtensions) append(w *writer) {
	w.extensions(true, m.appendExtensions)
}

// parseExtension reads one extension; false skips it.
func (m *EncryptedExtensions) parseExtension(t uint16, data *reader) bool {
	switch t {
	case ExtensionServerName:
		m.ServerNameAck = true
	case ExtensionEarlyData:
		m.EarlyData = true
	case ExtensionRecordSizeLimit:
		m.RecordSizeLimit = parseRecordSizeLimit(data)
	case ExtensionSupportedGroups:
		m.SupportedGroups = parseGroups(data)
	case ExtensionALPN:
		m.ALPN = parseSelectedALPN(data)
	default:
		return false
	}
	return true
}

func (m *EncryptedExtensions) appendExtensions(w *writer) {
	if m.ServerNameAck {
		w.flag(ExtensionServerName)
	}
	if m.EarlyData {
		w.flag(ExtensionEarlyData)
	}
	if m.RecordSizeLimit != 0 {
		w.extension(ExtensionRecordSizeLimit, func(w *writer) { appendRecordSizeLimit(w, m.RecordSizeLimit) })
	}
	if len(m.SupportedGroups) > 0 {
		w.extension(ExtensionSupportedGroups, func(w *writer) { appendGroups(w, m.SupportedGroups) })
	}
	if m.ALPN != "" {
		w.extension(ExtensionALPN, func(w *writer) { appendALPN(w, m.ALPN) })
	}
}
