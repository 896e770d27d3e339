package page

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReplace(t *testing.T) {
	const page = "a\n<!-- lab 1.2 -->\nold\n<!-- end of lab 1.2 -->\nz\n"
	file := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Replace(file, "lab 1.2", "new\n"); err != nil {
		t.Fatal(err)
	}
	if err := Replace(file, "lab 1.3", "other\n"); err == nil {
		t.Error("marks of another name are taken")
	}
	got, err := os.ReadFile(file)
	if want := strings.Replace(page, "old", "new", 1); string(got) != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
