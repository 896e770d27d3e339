package main

import (
	"slices"
	"strings"
	"testing"
)

// TestEachMutantApplies: the text of each mutant is in its file, once. It fails
// when the code has moved on and the list has not.
func TestEachMutantApplies(t *testing.T) {
	list, err := parse(listed)
	if err != nil {
		t.Fatal(err)
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range list {
		if names[m.name] {
			t.Errorf("%s is there twice", m.name)
		}
		names[m.name] = true
		if _, err := m.mutate(root); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

func TestParse(t *testing.T) {
	const text = "# comment\n\n== a name\nfile: x/y.go\ntest: ./x -run TestZ\n<<<\n\told: 1\n---\n\tnew\n>>>\n<<<\n1\n---\n2\n>>>\nfile: z.go\n<<<\n3\n---\n4\n>>>\n\n== another\nfile: b.go\ntest: ./b\nsurvives: equal to the original\n<<<\na\n---\n>>>\n"
	list, err := parse(text)
	if err != nil || len(list) != 2 {
		t.Fatalf("%d mutants, %v", len(list), err)
	}
	edits := []edit{{"x/y.go", "\told: 1\n", "\tnew\n"}, {"x/y.go", "1\n", "2\n"}, {"z.go", "3\n", "4\n"}}
	if m := list[0]; m.name != "a name" || !slices.Equal(m.edits, edits) || len(m.tests) != 3 || m.reason != "" {
		t.Errorf("the first is %+v", m)
	}
	if m := list[1]; !slices.Equal(m.edits, []edit{{"b.go", "a\n", ""}}) || m.reason != "equal to the original" {
		t.Errorf("the second is %+v", m)
	}
	for _, bad := range []string{"file: x\n", "== a\nfiel: x\n", "== a\n<<<\nx\n"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q was taken", strings.ReplaceAll(bad, "\n", "|"))
		}
	}
}

// TestKiller: what counts as a kill, and what does not.
func TestKiller(t *testing.T) {
	for output, want := range map[string]string{
		"--- FAIL: TestA (0.01s)\n    a_test.go:7: wrong\nFAIL\nFAIL\t./dtls\t0.1s\n":      "TestA",
		"--- FAIL: TestA (0.01s)\npanic: index out of range\n":                             "TestA",
		"panic: nil map\n\ngoroutine 7 [running]:\n":                                       "a panic",
		"fatal error: stack overflow\n":                                                    "a panic",
		"panic: test timed out after 5m0s\n\trunning tests:\n\t\tTestA (5m0s)\n":           "",
		"# ./dtls\ndtls/a.go:7:2: declared and not used: x\nFAIL\t./dtls [build failed]\n": "",
		"go: could not create module cache: no space left on device\n":                     "",
	} {
		if got := killer(output); got != want {
			t.Errorf("killer(%q) = %q, want %q", output, got, want)
		}
	}
}
