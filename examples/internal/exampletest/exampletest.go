// Package exampletest runs the examples in their tests.
package exampletest

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// Run is the run of an example that listens on one address, or connects to the other.
type Run func(ctx context.Context, out io.Writer, listen, connect string) error

// Context bounds a test.
func Context(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 20*time.Second)
}

// Listening runs an example on a free port until ctx ends. Its first line has to be prefix
// and the address, which is returned; ended has its error.
func Listening(ctx context.Context, t testing.TB, run Run, prefix string) (address string, ended <-chan error) {
	t.Helper()
	r, w := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- run(ctx, w, "127.0.0.1:0", "") }()
	line := make([]byte, 100)
	n, err := r.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	address, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), prefix)
	if !ok {
		t.Fatalf("printed: %s", line[:n])
	}
	return address, served
}

// Buffer takes the output of several goroutines.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
