package dtlstest

import (
	"bytes"
	"encoding/hex"
	"fmt"
)

// KeyLog is what an NSS key log file knows: by the random of a ClientHello and by
// label, the secrets of the connection.
type KeyLog map[[32]byte]map[string][]byte

// ReadKeyLog reads a key log file. Lines may repeat, as two ends of a connection
// often write into one file, but must not contradict each other.
func ReadKeyLog(file []byte) (KeyLog, error) {
	log := KeyLog{}
	for line := range bytes.Lines(file) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		fields := bytes.Fields(line)
		if len(fields) != 3 || len(fields[1]) != hex.EncodedLen(32) {
			return nil, fmt.Errorf("dtlstest: no line of a key log: %q", line)
		}
		var random [32]byte
		_, err := hex.Decode(random[:], fields[1])
		if err != nil {
			return nil, fmt.Errorf("dtlstest: random in key log: %w", err)
		}
		secret := make([]byte, hex.DecodedLen(len(fields[2])))
		if _, err := hex.Decode(secret, fields[2]); err != nil {
			return nil, fmt.Errorf("dtlstest: secret in key log: %w", err)
		}
		label := string(fields[0])
		if old, ok := log[random][label]; ok && !bytes.Equal(old, secret) {
			return nil, fmt.Errorf("dtlstest: two secrets in the key log: %q", line)
		}
		if log[random] == nil {
			log[random] = map[string][]byte{}
		}
		log[random][label] = secret
	}
	return log, nil
}
