package keys

import "fmt"

// LabelClientRandom marks a TLS 1.2 master secret in a key log.
const LabelClientRandom = "CLIENT_RANDOM"

// KeyLogLine returns one line of a key log in the NSS format, with its newline,
// so that one Write keeps the lines of several connections apart:
//
//	CLIENT_RANDOM <client random, hex> <master secret, hex>
//
// RFC 9850 describes the format. The line is a secret, and Go cannot wipe a
// string: it is made only when the user asked for a key log.
func KeyLogLine(label string, clientRandom [32]byte, secret []byte) string {
	return fmt.Sprintf("%s %x %x\n", label, clientRandom, secret)
}
