package keys

import (
	"fmt"
	"io"
	"sync"
)

// LabelClientRandom marks a TLS 1.2 master secret in a key log.
const LabelClientRandom = "CLIENT_RANDOM"

// The labels of a [Schedule13]'s secrets in a key log (RFC 9850, Section 2.1).
const (
	LabelClientHandshake = "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
	LabelServerHandshake = "SERVER_HANDSHAKE_TRAFFIC_SECRET"
	LabelClientTraffic0  = "CLIENT_TRAFFIC_SECRET_0"
	LabelServerTraffic0  = "SERVER_TRAFFIC_SECRET_0"
	LabelExporter        = "EXPORTER_SECRET"
)

// LabelTraffic is the label of a side's application traffic secret after n
// KeyUpdates.
func LabelTraffic(client bool, n int) string {
	if client {
		return fmt.Sprintf("CLIENT_TRAFFIC_SECRET_%d", n)
	}
	return fmt.Sprintf("SERVER_TRAFFIC_SECRET_%d", n)
}

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

var logMu sync.Mutex

// Logger returns a function that writes lines of a key log to w, whole ones only; nil
// if w is. An error of w is ignored: it must not end associations.
func Logger(w io.Writer) func(line string) {
	if w == nil {
		return nil
	}
	return func(line string) {
		logMu.Lock()
		defer logMu.Unlock()
		_, _ = io.WriteString(w, line)
	}
}
