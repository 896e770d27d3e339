package message

// NewSessionTicket13 hands the client a ticket for a key that both sides derive: RFC 8446, Section 4.6.1.
type NewSessionTicket13 struct {
	Lifetime uint32 // ticket_lifetime, in seconds, as sent: a client keeps no ticket for more than 7 days; 0: not at all
	AgeAdd   uint32 // ticket_age_add, in milliseconds: hides the age of the ticket
	Nonce    []byte // at most 255 bytes; no two tickets of an association have the same
	Ticket   []byte // never empty

	MaxEarlyData uint32 // RFC 8446, Section 4.2.10: max_early_data_size, in bytes
	HasEarlyData bool   // implied by MaxEarlyData
}

// Type is TypeNewSessionTicket.
func (*NewSessionTicket13) Type() Type { return TypeNewSessionTicket }

// AppendBody adds the body to dst.
func (m *NewSessionTicket13) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *NewSessionTicket13) parse(r *reader) {
	m.Lifetime = r.uint32("ticket_lifetime")
	m.AgeAdd = r.uint32("ticket_age_add")
	m.Nonce = r.vector("ticket_nonce", 0, max8)
	m.Ticket = r.vector("ticket", 1, max16)
	// RFC 8446, Section 4.6.1: "Clients MUST ignore unrecognized extensions."
	types := r.extensions(m.parseExtension)
	r.inPlace(inNewSessionTicket, types)
}

func (m *NewSessionTicket13) append(w *writer) {
	w.uint32(m.Lifetime)
	w.uint32(m.AgeAdd)
	w.vector("ticket_nonce", 0, max8, m.Nonce)
	w.vector("ticket", 1, max16, m.Ticket)
	w.extensions(true, m.appendExtensions)
}

// parseExtension reads one extension; false skips it.
func (m *NewSessionTicket13) parseExtension(t uint16, data *reader) bool {
	if t != ExtensionEarlyData {
		return false
	}
	m.HasEarlyData = true
	m.MaxEarlyData = data.uint32("max_early_data_size")
	return true
}

func (m *NewSessionTicket13) appendExtensions(w *writer) {
	if m.HasEarlyData || m.MaxEarlyData != 0 {
		w.extension(ExtensionEarlyData, func(w *writer) { w.uint32(m.MaxEarlyData) })
	}
}
