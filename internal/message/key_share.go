package message

import "github.com/flightpath-dtls/flightpath/internal/alert"

// KeyShare is a KeyShareEntry, one public key: RFC 8446, Section 4.2.8. Whether the key fits the group is for the key
// exchange to judge.
type KeyShare struct {
	Group uint16
	Data  []byte // key_exchange; never empty
}

func parseKeyShare(r *reader) KeyShare {
	return KeyShare{Group: r.uint16("group"), Data: r.vector("key_exchange", 1, max16)}
}

func appendKeyShare(w *writer, s KeyShare) {
	w.uint16(s.Group)
	w.vector("key_exchange", 1, max16, s.Data)
}

// parseKeyShares reads the list of a ClientHello, which may be empty.
func parseKeyShares(r *reader) (shares []KeyShare) {
	var seen codePoints
	list := r.list("client_shares", 0, max16)
	for !list.empty() {
		share := parseKeyShare(list)
		// RFC 8446, Section 4.2.8: "Clients MUST NOT offer multiple KeyShareEntry values for the same group."
		if !seen.add(share.Group) {
			list.fail(alert.IllegalParameter, "two for group %#04x", share.Group)
		}
		shares = append(shares, share)
	}
	return shares
}

func appendKeyShares(w *writer, shares []KeyShare) {
	var seen codePoints
	w.list("client_shares", 0, max16, func(w *writer) {
		for _, share := range shares {
			if !seen.add(share.Group) {
				w.fail("two for group %#04x", share.Group)
			}
			appendKeyShare(w, share)
		}
	})
}
