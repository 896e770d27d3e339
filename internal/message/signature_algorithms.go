package message

// parseSchemes reads signature_algorithms and signature_algorithms_cert, which have one shape in all messages: RFC 5246,
// Section 7.4.1.4.1 and RFC 8446, Section 4.2.3.
func parseSchemes(r *reader) []uint16 {
	return r.list("supported_signature_algorithms", 2, max16-1).uint16s()
}

func appendSchemes(w *writer, schemes []uint16) {
	w.list("supported_signature_algorithms", 2, max16-1, func(w *writer) { w.uint16s(schemes) })
}
