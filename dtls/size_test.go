package dtls

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dtlsLines and packageLines are how many lines the files of a package may have
// together, without tests: package dtls, and any other.
const (
	dtlsLines    = 10000
	packageLines = 6000
)

// TestSizes: a package that grows past what a reader can hold is to be divided.
func TestSizes(t *testing.T) {
	lines := map[string]int{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || path != ".." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		lines[filepath.ToSlash(filepath.Dir(path))] += bytes.Count(text, []byte("\n"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, n := range lines {
		limit := packageLines
		if dir == "../dtls" {
			limit = dtlsLines
		}
		if n > limit {
			t.Errorf("%s has %d lines without tests, %d are the limit: divide it", dir, n, limit)
		}
	}
	if lines["../dtls"] == 0 || lines["../record"] == 0 {
		t.Fatalf("not all packages were found: %v", lines)
	}
}
