package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/examples/internal/exampletest"
)

// TestOneProcess: the client is served a second time after it has lost its state.
func TestOneProcess(t *testing.T) {
	ctx, cancel := exampletest.Context(t)
	defer cancel()
	var out exampletest.Buffer
	if err := run(ctx, &out, "", ""); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"is here", `the echo is "hello"`} {
		if n := strings.Count(out.String(), want); n != 2 {
			t.Errorf("%q is there %d times:\n%s", want, n, out.String())
		}
	}
}

func TestListenAndConnect(t *testing.T) {
	ctx, cancel := exampletest.Context(t)
	defer cancel()
	address, served := exampletest.Listening(ctx, t, run, "listening on ")
	for range 2 {
		if err := run(ctx, io.Discard, "", address); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-served; !errors.Is(err, context.Canceled) {
		t.Errorf("the server ended with %v", err)
	}
}
