package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain runs the tests and then looks for goroutines that they left behind.
func TestMain(m *testing.M) {
	if os.Getenv("FLIGHTPATH_TEST_RUN_MAIN") != "" {
		main() // for tests of signals
	}
	before := runtime.NumGoroutine()
	code := m.Run()
	if code == 0 {
		if leaked := leakedGoroutines(before, 5*time.Second); leaked != "" {
			fmt.Fprintf(os.Stderr, "goroutines left behind after all tests:\n\n%s\n", leaked)
			code = 1
		}
	}
	os.Exit(code)
}

// leakedGoroutines waits until no more goroutines than baseline run, and
// returns the stacks of ours that do not end.
func leakedGoroutines(baseline int, patience time.Duration) string {
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > baseline; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			buf = buf[:runtime.Stack(buf, true)]
			var ours []string
			for stack := range strings.SplitSeq(string(buf), "\n\n") {
				if strings.Contains(stack, "flightpath-dtls/flightpath/") && !strings.Contains(stack, "leakedGoroutines") {
					ours = append(ours, stack)
				}
			}
			return strings.Join(ours, "\n\n")
		}
	}
	return ""
}

// program is one command line that runs in this process.
type program struct {
	t         *testing.T
	in        *io.PipeWriter
	out, err  liveBuffer
	interrupt context.CancelFunc // what Ctrl-C does
	ended     chan struct{}
	code      int // once it has ended
}

// start runs a command line. It is interrupted, and must end, with the test.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	// The time only turns a test that hangs into one that fails.
	ctx, interrupt := context.WithTimeout(context.Background(), 30*time.Second)
	in, w := io.Pipe()
	p := &program{t: t, in: w, interrupt: interrupt, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.code = execute(ctx, args, streams{in, &p.out, &p.err})
		p.out.close()
		p.err.close()
	}()
	t.Cleanup(func() {
		interrupt()
		_ = w.Close()
		<-p.ended
		if t.Failed() {
			t.Logf("%s\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), p.out.String(), p.err.String())
		}
	})
	return p
}

// say writes a line to standard input.
func (p *program) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits for the end and checks the code.
func (p *program) exit(want int) {
	p.t.Helper()
	_ = p.in.Close()
	if <-p.ended; p.code != want {
		p.t.Errorf("exit code %d, want %d", p.code, want)
	}
}

// startListen starts a server on a port of the system's choice.
func startListen(t *testing.T, args ...string) (server *program, address string) {
	t.Helper()
	server = start(t, append(append([]string{"listen"}, args...), "127.0.0.1:0")...)
	return server, server.err.after(t, "listening on ")
}

// liveBuffer is read while it is written.
type liveBuffer struct {
	mu     sync.Mutex
	cond   *sync.Cond
	buf    bytes.Buffer
	closed bool
}

func (b *liveBuffer) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	if b.cond != nil {
		b.cond.Broadcast()
	}
}

func (b *liveBuffer) Write(p []byte) (int, error) {
	b.change(func() { b.buf.Write(p) })
	return len(p), nil
}

func (b *liveBuffer) close() { b.change(func() { b.closed = true }) }

func (b *liveBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// after waits until text was written and returns the rest of its line.
func (b *liveBuffer) after(t *testing.T, text string) string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cond == nil {
		b.cond = sync.NewCond(&b.mu)
	}
	for {
		if _, rest, ok := strings.Cut(b.buf.String(), text); ok {
			if line, _, ok := strings.Cut(rest, "\n"); ok {
				return line
			}
		}
		if b.closed {
			t.Fatalf("the command ended without %q", text)
		}
		b.cond.Wait()
	}
}
