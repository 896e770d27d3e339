package dtlstest

import (
	"bytes"
	"strings"
	"testing"
)

func TestReadKeyLog(t *testing.T) {
	r1, r2 := strings.Repeat("0a", 32), strings.Repeat("ff", 32)
	log, err := ReadKeyLog([]byte("# a comment\n\n" +
		"CLIENT_RANDOM " + r1 + " 0102\r\n" +
		"EXPORTER_SECRET " + r1 + " 03\n" +
		"CLIENT_RANDOM " + r2 + " 04\n" +
		"CLIENT_RANDOM " + r1 + " 0102")) // once more, by the other end
	if err != nil {
		t.Fatal(err)
	}
	first := [32]byte(bytes.Repeat([]byte{10}, 32))
	second := [32]byte(bytes.Repeat([]byte{255}, 32))
	if len(log) != 2 || len(log[first]) != 2 || len(log[second]) != 1 ||
		!bytes.Equal(log[first]["CLIENT_RANDOM"], []byte{1, 2}) ||
		!bytes.Equal(log[first]["EXPORTER_SECRET"], []byte{3}) ||
		!bytes.Equal(log[second]["CLIENT_RANDOM"], []byte{4}) {
		t.Errorf("read %x", log)
	}
	for what, line := range map[string]string{
		"a random too short":     "CLIENT_RANDOM 0102 03",
		"a random of no digits":  "CLIENT_RANDOM " + strings.Repeat("xy", 32) + " 03",
		"a secret of no digits":  "CLIENT_RANDOM " + r1 + " xy",
		"a secret of half bytes": "CLIENT_RANDOM " + r1 + " 123",
		"no secret":              "CLIENT_RANDOM " + r1,
		"a fourth field":         "CLIENT_RANDOM " + r1 + " 01 02",
		"a contradiction":        "CLIENT_RANDOM " + r1 + " 01\nCLIENT_RANDOM " + r1 + " 02",
	} {
		if log, err := ReadKeyLog([]byte(line)); err == nil {
			t.Errorf("%s was read as %x", what, log)
		}
	}
}
