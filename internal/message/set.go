package message

import "strings"

// Set is a set of message types, such as those that may come next. The zero value is empty; sets compare with ==.
type Set [256 / 64]uint64

// SetOf is the set of the given types.
func SetOf(types ...Type) Set {
	var s Set
	for _, t := range types {
		s[t/64] |= 1 << (t % 64)
	}
	return s
}

// Has reports whether t is in the set.
func (s Set) Has(t Type) bool { return s[t/64]&(1<<(t%64)) != 0 }

// String lists the types by number, in words for an error text: "server_hello or hello_verify_request".
func (s Set) String() string {
	var names []string
	for t := range 256 {
		if s.Has(Type(t)) {
			names = append(names, Type(t).String())
		}
	}
	switch last := len(names) - 1; last {
	case -1:
		return "no message"
	case 0:
		return names[0]
	default:
		return strings.Join(names[:last], ", ") + " or " + names[last]
	}
}
