package keys

import (
	"crypto"
)

// Exporter13 derives n bytes of keying material for a protocol above or beside
// DTLS, such as SRTP.
//
// RFC 8446, Section 7.5. A nil context is the same as an empty one, which it is
// not with [Exporter12]. The error is the caller's: a label that is empty, over
// 249 bytes, or reserved by RFC 5705, Section 4, which still rules the format;
// or n negative or over 255 times the hash's length.
func Exporter13(h crypto.Hash, exporterMaster []byte, label string, context []byte, n int) ([]byte, error) {
	if reservedLabels[label] {
		return nil, badInput("exporter label %q is reserved", label)
	}
	if len(label) == 0 || len(label) > maxLabel13 {
		return nil, badInput("exporter label of %d bytes, 1 to %d are possible", len(label), maxLabel13)
	}
	if limit := 255 * h.Size(); n < 0 || n > limit {
		return nil, badInput("exporter asked for %d bytes, at most %d are possible", n, limit)
	}
	secret := deriveSecret13(h, exporterMaster, label, emptyHash(h))
	defer Wipe(secret)
	state := h.New()
	state.Write(context)
	return expandLabel13(h, secret, "exporter", state.Sum(nil), n), nil
}
