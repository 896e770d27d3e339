package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mutant is one fault, and the packages whose tests should find it.
type mutant struct {
	name   string
	file   string // relative to the root of the repository
	old    string // occurs once in the file
	new    string
	tests  []string // packages, as the go command takes them
	reason string   // why it may survive; empty: it must not
}

// parse reads the list: blocks that begin with "== name", then fields, then the
// old text between "<<<" and "---" and the new one up to ">>>".
func parse(text string) ([]mutant, error) {
	var list []mutant
	var m *mutant
	var part *string
	for i, line := range strings.Split(text, "\n") {
		field, value, _ := strings.Cut(line, ": ")
		switch {
		case part != nil && line == "---":
			part = &m.new
		case part != nil && line == ">>>":
			part = nil
		case part != nil:
			*part += line + "\n"
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "== "):
			list = append(list, mutant{name: strings.TrimPrefix(line, "== ")})
			m = &list[len(list)-1]
		case m == nil:
			return nil, fmt.Errorf("line %d: %q before the first mutant", i+1, line)
		case field == "file":
			m.file = value
		case field == "test":
			m.tests = strings.Fields(value)
		case field == "survives":
			m.reason = value
		case line == "<<<":
			part = &m.old
		default:
			return nil, fmt.Errorf("line %d: %q is no field of a mutant", i+1, line)
		}
	}
	if part != nil {
		return nil, fmt.Errorf("mutant %q has no end", m.name)
	}
	return list, nil
}

// mutate returns the contents of the file with the fault in it.
func (m mutant) mutate(root string) (string, error) {
	switch {
	case m.file == "" || len(m.tests) == 0:
		return "", errors.New("no file, or no test")
	case m.old == m.new:
		return "", errors.New("it changes nothing")
	}
	source, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return "", fmt.Errorf("its text occurs %d times in %s, and has to occur once", n, m.file)
	}
	return strings.Replace(string(source), m.old, m.new, 1), nil
}
