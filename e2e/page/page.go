// Package page writes what a program has measured into a document, so that no
// number is copied by hand.
package page

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Replace puts text between the two marks of that name in a file:
//
//	<!-- name -->
//	text
//	<!-- end of name -->
func Replace(file, name, text string) error {
	file = filepath.Clean(file)
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	page, err := splice(string(old), name, text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(page), 0o644)
}

func splice(page, name, text string) (string, error) {
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
	before, rest, ok := strings.Cut(page, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("no marks %q", name)
	}
	return before + begin + text + end + after, nil
}
