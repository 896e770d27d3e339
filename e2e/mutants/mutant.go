package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mutant is one fault, and the tests that should find it.
type mutant struct {
	name   string
	edits  []edit   // a fault that both sides would share may need several
	tests  []string // arguments of go test: a package, and -run with a pattern or nothing
	reason string   // why it may survive; empty: it must not
}

// edit is a change of one place.
type edit struct {
	file string // relative to the root of the repository
	old  string // occurs once in the file
	new  string
}

// parse reads the list: blocks that begin with "== name", then fields, then the
// old text between "<<<" and "---" and the new one up to ">>>", both in the file
// that was named last. Another file, or another pair of texts, may follow.
func parse(text string) ([]mutant, error) {
	var list []mutant
	var m *mutant
	var part *string
	var file string
	for i, line := range strings.Split(text, "\n") {
		field, value, _ := strings.Cut(line, ": ")
		switch {
		case part != nil && line == "---":
			part = &m.edits[len(m.edits)-1].new
		case part != nil && line == ">>>":
			part = nil
		case part != nil:
			*part += line + "\n"
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "== "):
			list = append(list, mutant{name: strings.TrimPrefix(line, "== ")})
			m, file = &list[len(list)-1], ""
		case m == nil:
			return nil, fmt.Errorf("line %d: %q before the first mutant", i+1, line)
		case field == "file":
			file = value
		case field == "test":
			m.tests = strings.Fields(value)
		case field == "survives":
			m.reason = value
		case line == "<<<":
			m.edits = append(m.edits, edit{file: file})
			part = &m.edits[len(m.edits)-1].old
		default:
			return nil, fmt.Errorf("line %d: %q is no field of a mutant", i+1, line)
		}
	}
	if part != nil {
		return nil, fmt.Errorf("mutant %q has no end", m.name)
	}
	return list, nil
}

// mutate returns the contents of the files with the fault in them.
func (m mutant) mutate(root string) (map[string]string, error) {
	if len(m.edits) == 0 {
		return nil, errors.New("no change")
	}
	if n := len(m.tests); n != 1 && (n != 3 || m.tests[1] != "-run") {
		return nil, errors.New("its tests are neither a package nor a package, -run and a pattern")
	}
	files := map[string]string{}
	for _, e := range m.edits {
		if e.file == "" || e.old == e.new {
			return nil, errors.New("no file, or it changes nothing")
		}
		text, changed := files[e.file]
		if !changed {
			source, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return nil, err
			}
			text = string(source)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("its text occurs %d times in %s, and has to occur once", n, e.file)
		}
		files[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	return files, nil
}
