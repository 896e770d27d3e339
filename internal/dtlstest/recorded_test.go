package dtlstest

import (
	"bytes"
	"testing"
)

func TestReadRecorded(t *testing.T) {
	recorded, err := ReadRecorded([]byte("# a comment\n" +
		"a record\n\t0102\n# and another\n\t03\n" +
		"a secret\n\tff\n" +
		"a record\n\t04\n" +
		"nothing")) // without a newline
	if err != nil {
		t.Fatal(err)
	}
	if r := recorded["a record"]; len(recorded) != 3 || len(r) != 2 || !bytes.Equal(r[0], []byte{1, 2, 3}) || !bytes.Equal(r[1], []byte{4}) {
		t.Errorf("read %x", recorded)
	}
	for name, want := range map[string][]byte{"a secret": {255}, "nothing": {}} {
		if one, err := recorded.One(name); err != nil || !bytes.Equal(one, want) {
			t.Errorf("one of %q: %x (%v)", name, one, err)
		}
	}
	for _, name := range []string{"a record", "another"} {
		if one, err := recorded.One(name); err == nil {
			t.Errorf("one of %q: %x", name, one)
		}
	}
	for what, file := range map[string]string{
		"bytes without a name": "\t01\n",
		"no digits":            "a\n\txy\n",
		"half a byte":          "a\n\t012\n",
	} {
		if recorded, err := ReadRecorded([]byte(file)); err == nil {
			t.Errorf("%s read as %x", what, recorded)
		}
	}
}
