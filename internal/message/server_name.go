package message

import "github.com/flightpath-dtls/flightpath/internal/alert"

// nameTypeHost is the one NameType that was ever defined: RFC 6066, Section 3.
const nameTypeHost = 0

// parseServerName reads the server_name extension of a ClientHello: RFC 6066, Section 3. The name is returned as it was
// sent, upper case and all; "" if the list held only names of types we do not know.
func parseServerName(r *reader) (host string) {
	names := r.list("server_name_list", 1, max16)
	for !names.empty() {
		nameType := names.uint8("name_type")
		// RFC 6066, Section 3: names of every type to come MUST begin with a 16-bit length, so unknown ones can be
		// skipped.
		name := names.vector("host_name", 1, max16)
		if nameType != nameTypeHost {
			continue
		}
		// RFC 6066, Section 3: "The ServerNameList MUST NOT contain more than one name of the same name_type."
		if host != "" {
			names.fail(alert.IllegalParameter, "more than one host_name")
		}
		if why := hostNameFault(name); why != "" {
			names.fail(alert.IllegalParameter, "host_name %s", why)
		}
		host = string(name)
	}
	return host
}

func appendServerName(w *writer, host string) {
	if why := hostNameFault([]byte(host)); why != "" {
		w.fail("host_name %s", why)
	}
	w.list("server_name_list", 1, max16, func(w *writer) {
		w.uint8(nameTypeHost)
		w.vector("host_name", 1, max16, []byte(host))
	})
}

// HostNameFault says what keeps a name from being sent in server_name, or "".
func HostNameFault(host string) string { return hostNameFault([]byte(host)) }

// hostNameFault says what is wrong with a host name, or "". RFC 6066, Section 3: a HostName is "represented as a byte
// string using ASCII encoding without a trailing dot". Control characters, NUL among them, name no host and would
// travel on into logs and look-ups, so they end here. Whether the name is an IP address, which the RFC does not allow
// either, is left to the server that would have to serve it: many clients send one.
func hostNameFault(host []byte) string {
	for _, c := range host {
		if c <= ' ' || c > '~' {
			return "with a byte that is not printable ASCII"
		}
	}
	if len(host) > 0 && host[len(host)-1] == '.' {
		return "with a trailing dot"
	}
	return ""
}
