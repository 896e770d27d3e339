package main

import (
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/examples/internal/exampletest"
)

func TestRun(t *testing.T) {
	ctx, cancel := exampletest.Context(t)
	defer cancel()
	var out exampletest.Buffer
	if err := run(ctx, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		"client: dtls: handshake of ",
		"SetMTU(",
		"server: dtls: handshake of ",
		"client: established",
		"client: dtls: write of ",
		"came back",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
