package message

import "github.com/flightpath-dtls/flightpath/internal/alert"

// parseALPN reads the protocol names of a ClientHello: RFC 7301, Section 3.1.
func parseALPN(r *reader) (protocols []string) {
	names := r.list("protocol_name_list", 2, max16)
	for !names.empty() {
		// RFC 7301, Section 3.1: "Empty strings MUST NOT be included".
		protocols = append(protocols, string(names.vector("protocol_name", 1, max8)))
	}
	return protocols
}

// parseSelectedALPN reads the answer in a ServerHello.
func parseSelectedALPN(r *reader) string {
	protocols := parseALPN(r)
	// RFC 7301, Section 3.1: the server's list "MUST contain exactly one" name.
	if len(protocols) != 1 {
		r.fail(alert.IllegalParameter, "%d protocols selected, want one", len(protocols))
		return ""
	}
	return protocols[0]
}

func appendALPN(w *writer, protocols ...string) {
	w.list("protocol_name_list", 2, max16, func(w *writer) {
		for _, p := range protocols {
			w.vector("protocol_name", 1, max8, []byte(p))
		}
	})
}
