package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed mutants.txt
var listed string

func main() {
	pattern := flag.String("run", "", "only mutants whose name matches this regular expression")
	timeout := flag.Duration("timeout", 5*time.Minute, "limit for the tests of one mutant; to exceed it is no kill")
	jobs := flag.Int("jobs", 2, "mutants tested at the same time")
	flag.Parse()
	only, err := regexp.Compile(*pattern)
	if err == nil {
		err = run(only, *timeout, *jobs)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// run tests all mutants and prints a line for each. The error says how many
// survive that should not.
func run(only *regexp.Regexp, timeout time.Duration, jobs int) error {
	list, err := parse(listed)
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(m mutant) bool { return !only.MatchString(m.name) })
	if err := control(root, list, timeout); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	var (
		group  sync.WaitGroup
		places = make(chan struct{}, jobs)
		out    sync.Mutex
		counts = map[verdict]int{}
	)
	for i, m := range list {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			began := time.Now()
			v, detail := m.test(root, filepath.Join(dir, fmt.Sprint(i)), timeout)
			out.Lock()
			defer out.Unlock()
			counts[v]++
			fmt.Printf("%-9s %5.1f s  %s%s\n", v, time.Since(began).Seconds(), m.name, detail)
		})
	}
	group.Wait()
	fmt.Printf("%d killed, %d survive for a reason, %d survive, %d too slow, %d broken\n",
		counts[killed], counts[excused], counts[survives], counts[tooSlow], counts[broken])
	if n := len(list) - counts[killed] - counts[excused]; n > 0 {
		return fmt.Errorf("%d of %d mutants are neither killed nor excused", n, len(list))
	}
	return nil
}

// control runs the tests of all mutants without any of them: a test that fails then
// kills nothing.
func control(root string, list []mutant, timeout time.Duration) error {
	patterns := map[string][]string{} // by package
	for _, m := range list {
		switch len(m.tests) {
		case 1:
			patterns[m.tests[0]] = append(patterns[m.tests[0]], ".")
		case 3:
			patterns[m.tests[0]] = append(patterns[m.tests[0]], m.tests[2])
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(patterns)) {
		args := append(testArgs(timeout), pkg, "-run", strings.Join(patterns[pkg], "|"))
		cmd := exec.Command("go", args...)
		cmd.Dir = root
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("without a mutant: go %s: %w\n%s", strings.Join(args, " "), err, output)
		}
	}
	return nil
}

func testArgs(timeout time.Duration) []string {
	return []string{"test", "-short", "-failfast", "-vet=off", "-timeout", timeout.String()}
}

type verdict string

const (
	killed   verdict = "killed"
	survives verdict = "SURVIVES"
	excused  verdict = "excused"  // survives, with its reason in the list
	tooSlow  verdict = "TOO SLOW" // no test has failed when its time is over
	broken   verdict = "BROKEN"   // does not apply, or does not build
)

// test runs the tests of one mutant; dir is its own.
func (m mutant) test(root, dir string, timeout time.Duration) (v verdict, detail string) {
	files, err := m.mutate(root)
	if err != nil {
		return broken, ": " + err.Error()
	}
	overlay, err := overlayOf(root, dir, files)
	if err != nil {
		return broken, ": " + err.Error()
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout+time.Minute)
	defer cancel()
	args := append(append(testArgs(timeout), "-overlay", overlay), m.tests...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	output, err := cmd.CombinedOutput()
	switch {
	case strings.Contains(string(output), "[no tests to run]"):
		return broken, ": none of its tests exists"
	case err == nil && m.reason != "":
		return excused, ": " + m.reason
	case err == nil:
		return survives, ""
	}
	by := killer(string(output))
	switch {
	case by == "" && (ctx.Err() != nil || strings.Contains(string(output), "panic: test timed out")):
		return tooSlow, ""
	case by == "": // as with "[build failed]"
		return broken, ": " + firstLines(string(output), 3)
	case m.reason != "":
		return broken, ": killed by " + by + ", although the list says that it survives: " + m.reason
	}
	return killed, " by " + by
}

// overlayOf writes the mutated files, and the JSON that puts them in place of the
// originals.
func overlayOf(root, dir string, files map[string]string) (path string, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for file, text := range files {
		mutated := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(mutated, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, file)] = mutated
	}
	body, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, body, 0o600)
}

var failed = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// killer names the first test that failed, "" if none has.
func killer(output string) string {
	switch m := failed.FindStringSubmatch(output); {
	case m != nil:
		return m[1]
	case strings.Contains(output, "panic: test timed out"):
		return ""
	case strings.Contains(output, "\npanic: "), strings.HasPrefix(output, "panic: "), strings.Contains(output, "fatal error: "):
		return "a panic"
	}
	return ""
}

func firstLines(s string, n int) string {
	lines := strings.SplitN(strings.TrimSpace(s), "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], " | ")
}

// moduleRoot is the root of the library's module.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/flightpath-dtls/flightpath").Output()
	if err != nil {
		return "", fmt.Errorf("go list -m: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
