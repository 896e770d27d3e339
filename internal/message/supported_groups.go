package message

// parseGroups reads supported_groups, which has one shape in all messages: RFC 8446, Section 4.2.7.
func parseGroups(r *reader) []uint16 {
	return r.list("named_group_list", 2, max16).uint16s()
}

func appendGroups(w *writer, groups []uint16) {
	w.list("named_group_list", 2, max16, func(w *writer) { w.uint16s(groups) })
}
