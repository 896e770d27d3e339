package message

import "github.com/flightpath-dtls/flightpath/internal/alert"

// Values of KeyUpdateRequest: RFC 8446, Section 4.6.3.
const (
	updateNotRequested = 0
	updateRequested    = 1
)

// KeyUpdate says that its sender moves on to new keys: RFC 8446, Section 4.6.3 and RFC 9147, Section 8.
type KeyUpdate struct {
	RequestUpdate bool // and the receiver is to do the same
}

// Type is TypeKeyUpdate.
func (*KeyUpdate) Type() Type { return TypeKeyUpdate }

// AppendBody adds the body to dst.
func (m *KeyUpdate) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *KeyUpdate) parse(r *reader) {
	switch v := r.uint8("request_update"); v {
	case updateNotRequested:
	case updateRequested:
		m.RequestUpdate = true
	default:
		// RFC 8446, Section 4.6.3: "If an implementation receives any other value, it MUST terminate the connection
		// with an "illegal_parameter" alert."
		r.fail(alert.IllegalParameter, "request_update %d", v)
	}
}

func (m *KeyUpdate) append(w *writer) {
	if m.RequestUpdate {
		w.uint8(updateRequested)
	} else {
		w.uint8(updateNotRequested)
	}
}
