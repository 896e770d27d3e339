package main

import (
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/examples/internal/exampletest"
)

func TestTwoNodes(t *testing.T) {
	ctx, cancel := exampletest.Context(t)
	defer cancel()
	var out exampletest.Buffer
	if err := run(ctx, &out, "", ""); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"A: seen from there, this is 127.0.0.1:", "B: seen from there", "A: the echo of 127.0.0.1:", "B: the echo of"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	if n := strings.Count(out.String(), "has dialed"); n != 2 {
		t.Errorf("%d nodes were dialed:\n%s", n, out.String())
	}
}

func TestOneAsksTheOther(t *testing.T) {
	ctx, cancel := exampletest.Context(t)
	defer cancel()
	address, served := exampletest.Listening(ctx, t, run, "node: this is ")
	var out exampletest.Buffer
	if err := run(ctx, &out, "127.0.0.1:0", address); err != nil || !strings.Contains(out.String(), `is "hello"`) {
		t.Errorf("%v\n%s", err, out.String())
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
