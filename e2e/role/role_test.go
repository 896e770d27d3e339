package role

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	Play(map[string]func(args []string) error{"echo": echo, "fail": fail})
	os.Exit(m.Run())
}

// echo reports its arguments, and then each line.
func echo(args []string) error {
	reports := json.NewEncoder(os.Stdout)
	if err := reports.Encode(args); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := reports.Encode(lines.Text()); err != nil {
			return err
		}
	}
	fmt.Fprintln(os.Stderr, "it was nice")
	return nil
}

func fail([]string) error { return errors.New("no mood") }

func start(t *testing.T, args ...string) *Process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(exec.CommandContext(t.Context(), program, args...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop() })
	return p
}

func TestProcess(t *testing.T) {
	p := start(t, "echo", "a", "b")
	var args []string
	if err := p.Report(&args); err != nil || strings.Join(args, " ") != "a b" {
		t.Fatalf("%q, %v", args, err)
	}
	for _, line := range []string{"one", "two"} {
		var got string
		if err := p.Ask(line, &got); err != nil || got != line {
			t.Errorf("%q, %v", got, err)
		}
	}
	for range 2 {
		if log := p.Stop(); log != "it was nice\n" {
			t.Errorf("%q", log)
		}
	}
	if err := p.Ask("three", new(string)); err == nil || !strings.Contains(err.Error(), "it was nice") {
		t.Errorf("asked after its end: %v", err)
	}
}

func TestProcessThatFails(t *testing.T) {
	p := start(t, "fail")
	if err := p.Report(new(string)); !errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "no mood") {
		t.Errorf("%v", err)
	}
}

func TestStartFails(t *testing.T) {
	if p, err := Start(exec.CommandContext(t.Context(), "/no such program")); p != nil || err == nil {
		t.Errorf("%v, %v", p, err)
	}
}
