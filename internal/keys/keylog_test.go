package keys

import (
	"errors"
	"strings"
	"sync"
	"testing"
)

// lineWriter counts what it gets in one Write.
type lineWriter struct {
	lines []string
	err   error
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.lines = append(w.lines, string(b)) // not safe for concurrent use: Logger is
	return len(b), w.err
}

// TestLogger: each line is one Write, also if many associations log at once; an
// error of the writer ends nothing.
func TestLogger(t *testing.T) {
	random := [32]byte{0xab, 31: 0xcd}
	line := KeyLogLine(LabelClientRandom, random, []byte{1, 2, 0xff})
	if want := "CLIENT_RANDOM ab" + strings.Repeat("00", 30) + "cd 0102ff\n"; line != want {
		t.Errorf("%q, want %q", line, want)
	}
	if Logger(nil) != nil {
		t.Error("lines would be made for no key log")
	}
	w := &lineWriter{err: errors.New("full")}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				Logger(w)(line)
			}
		})
	}
	group.Wait()
	if len(w.lines) != 400 {
		t.Errorf("%d lines of 400", len(w.lines))
	}
	for _, got := range w.lines {
		if got != line {
			t.Fatalf("%q, want %q", got, line)
		}
	}
}

// TestPSKPremasterPanics: a part that its length field cannot hold is never cut.
func TestPSKPremasterPanics(t *testing.T) {
	for _, test := range [][2]int{{65536, 1}, {1, 65536}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a premaster secret of %d and %d bytes", test[0], test[1])
				}
			}()
			PSKPremaster(make([]byte, test[0]), make([]byte, test[1]))
		}()
	}
	if n := len(PSKPremaster(make([]byte, 65535), make([]byte, 65535))); n != 2*(2+65535) {
		t.Errorf("the longest has %d bytes", n)
	}
}
