package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/examples/internal/exampletest"
)

func TestOneProcess(t *testing.T) {
	ctx, cancel := exampletest.Context(t)
	defer cancel()
	var out exampletest.Buffer
	if err := run(ctx, &out, "", ""); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `the echo is "light on"`) {
		t.Errorf("printed:\n%s", out.String())
	}
}

func TestListenAndConnect(t *testing.T) {
	ctx, cancel := exampletest.Context(t)
	defer cancel()
	address, served := exampletest.Listening(ctx, t, run, "listening on ")
	if err := run(ctx, io.Discard, "", address); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-served; !errors.Is(err, dtls.ErrInterrupted) {
		t.Errorf("the server ended with %v", err)
	}
}
