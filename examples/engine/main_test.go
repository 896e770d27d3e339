package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestOneProcess: the client is served a second time after it has lost its state.
func TestOneProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out buffer
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
	address, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "listening on ")
	if !ok {
		t.Fatalf("printed: %s", line[:n])
	}
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

// buffer takes the output of client and server.
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
