package dtlstest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
)

// Recorded is what a file of recorded messages and values holds: by name, one or
// several of them in their order.
type Recorded map[string][][]byte

// One returns the only one of that name.
func (r Recorded) One(name string) ([]byte, error) {
	if n := len(r[name]); n != 1 {
		return nil, fmt.Errorf("dtlstest: %d of %q were recorded, want 1", n, name)
	}
	return r[name][0], nil
}

// ReadRecorded reads names in lines of their own, and after each its bytes in
// lines of hex that a tab indents. Lines that begin with # are comments.
func ReadRecorded(file []byte) (Recorded, error) {
	recorded := Recorded{}
	var last *[]byte
	for line := range bytes.Lines(file) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		digits, indented := bytes.CutPrefix(line, []byte("\t"))
		switch {
		case bytes.HasPrefix(line, []byte("#")):
		case !indented:
			name := string(line)
			recorded[name] = append(recorded[name], nil)
			last = &recorded[name][len(recorded[name])-1]
		case last == nil:
			return nil, errors.New("dtlstest: recorded bytes without a name")
		default:
			var err error
			if *last, err = hex.AppendDecode(*last, digits); err != nil {
				return nil, fmt.Errorf("dtlstest: recorded bytes: %w", err)
			}
		}
	}
	return recorded, nil
}
