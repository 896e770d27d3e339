package message

// NewSessionTicket hands the client the server's session state, sealed: RFC 5077, Section 3.3.
type NewSessionTicket struct {
	Lifetime uint32 // ticket_lifetime_hint, in seconds; 0: not specified
	Ticket   []byte // empty if the server has changed its mind
}

// Type is TypeNewSessionTicket.
func (*NewSessionTicket) Type() Type { return TypeNewSessionTicket }

// AppendBody adds the body to dst.
func (m *NewSessionTicket) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *NewSessionTicket) parse(r *reader) {
	m.Lifetime = r.uint32("ticket_lifetime_hint")
	m.Ticket = r.vector("ticket", 0, max16)
}

func (m *NewSessionTicket) append(w *writer) {
	w.uint32(m.Lifetime)
	w.vector("ticket", 0, max16, m.Ticket)
}
