package keys

import (
	"crypto"
	"encoding/binary"
	"fmt"
	"math"
)

// Exporter12 derives n bytes of keying material for a protocol above or beside
// DTLS, such as SRTP.
//
// RFC 5705, Section 4. A nil context is absent, which differs from one that is
// empty but there. The error is the caller's: a label that the handshake itself
// uses, a context over 65535 bytes or a negative n.
//
// Only a finished handshake with the extended master secret has a secret to
// export from: RFC 7627, Section 5.4 explains what goes wrong without it. That
// rule is kept where the handshake's state is known.
func Exporter12(h crypto.Hash, master []byte, clientRandom, serverRandom [32]byte, label string, context []byte, n int) ([]byte, error) {
	if reservedLabels[label] {
		return nil, badInput("exporter label %q is reserved", label)
	}
	if len(context) > math.MaxUint16 {
		return nil, badInput("exporter context of %d bytes, at most %d are possible", len(context), math.MaxUint16)
	}
	if n < 0 {
		return nil, badInput("exporter asked for %d bytes", n)
	}
	seed := join(clientRandom, serverRandom)
	if context != nil {
		seed = binary.BigEndian.AppendUint16(seed, uint16(len(context)))
		seed = append(seed, context...)
	}
	return PRF12(h, master, label, seed, n), nil
}

// reservedLabels are those the key schedule uses. An exporter with one of them
// would hand out the connection's own keys: RFC 5705, Section 4 forbids the
// first four, and the fifth does the work of "master secret" since RFC 7627.
var reservedLabels = map[string]bool{
	"client finished":        true,
	"server finished":        true,
	"master secret":          true,
	"key expansion":          true,
	"extended master secret": true,
}

// InputError is for what a caller asks of an exporter and cannot have.
type InputError string

func (e InputError) Error() string { return string(e) }

func badInput(format string, args ...any) error { return InputError(fmt.Sprintf(format, args...)) }
