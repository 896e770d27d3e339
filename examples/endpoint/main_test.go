package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTwoNodes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out buffer
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
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, w := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- run(ctx, w, "127.0.0.1:0", "") }()
	line := make([]byte, 100)
	n, err := r.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	address, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "node: this is ")
	if !ok {
		t.Fatalf("printed: %s", line[:n])
	}
	var out buffer
	if err := run(ctx, &out, "127.0.0.1:0", address); err != nil || !strings.Contains(out.String(), `is "hello"`) {
		t.Errorf("%v\n%s", err, out.String())
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// buffer takes the output of both nodes.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
