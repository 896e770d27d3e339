package message

import "github.com/flightpath-dtls/flightpath/internal/alert"

// PSKIdentity names one key that a client offers: RFC 8446, Section 4.2.11.
type PSKIdentity struct {
	Identity      []byte // a ticket, or the name of an external key; never empty
	ObfuscatedAge uint32 // obfuscated_ticket_age, in milliseconds; means nothing for an external key
}

// Modes of psk_key_exchange_modes: RFC 8446, Section 4.2.9.
const (
	PSKModeKE    uint8 = 0 // psk_ke: the key alone
	PSKModeDHEKE uint8 = 1 // psk_dhe_ke: with an ephemeral key exchange
)

// Bounds of the two lists in pre_shared_key, in bytes.
const (
	minIdentities = 7 // one identity of one byte
	minBinders    = 1 + minBinder
	minBinder     = 32
)

// parsePSKs reads OfferedPsks.
func parsePSKs(r *reader) (identities []PSKIdentity, binders [][]byte) {
	list := r.list("identities", minIdentities, max16)
	for !list.empty() {
		identities = append(identities, PSKIdentity{
			Identity:      list.vector("identity", 1, max16),
			ObfuscatedAge: list.uint32("obfuscated_ticket_age"),
		})
	}
	list = r.list("binders", minBinders, max16)
	for !list.empty() {
		binders = append(binders, list.vector("binder", minBinder, max8))
	}
	// RFC 8446, Section 4.2.11: binders are "one for each value in the identities list and in the same order".
	if len(identities) != len(binders) {
		r.fail(alert.IllegalParameter, "%d identities with %d binders", len(identities), len(binders))
	}
	return identities, binders
}

func appendPSKs(w *writer, identities []PSKIdentity, binders [][]byte) {
	if len(identities) != len(binders) {
		w.fail("%d identities with %d binders", len(identities), len(binders))
	}
	w.list("identities", minIdentities, max16, func(w *writer) {
		for _, psk := range identities {
			w.vector("identity", 1, max16, psk.Identity)
			w.uint32(psk.ObfuscatedAge)
		}
	})
	w.list("binders", minBinders, max16, func(w *writer) {
		for _, binder := range binders {
			w.vector("binder", minBinder, max8, binder)
		}
	})
}
