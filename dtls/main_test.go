package dtls

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain runs the tests and then looks for goroutines that they left behind:
// readers, handshakes and timers must all be gone after the last Close, on an
// idle machine within a second.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if code == 0 {
		if leaked := leakedGoroutines(before, time.Minute); leaked != "" {
			fmt.Fprintf(os.Stderr, "goroutines left behind after all tests:\n\n%s\n", leaked)
			code = 1
		}
	}
	os.Exit(code)
}

// leakedGoroutines waits until no more goroutines than baseline run, and
// returns the stacks of this package's ones that do not end.
func leakedGoroutines(baseline int, patience time.Duration) string {
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > baseline; time.Sleep(10 * time.Millisecond) {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		var ours []string
		for stack := range strings.SplitSeq(string(buf), "\n\n") {
			if strings.Contains(stack, "flightpath/dtls.") && !strings.Contains(stack, "leakedGoroutines") {
				ours = append(ours, stack)
			}
		}
		if len(ours) == 0 || time.Now().After(deadline) {
			return strings.Join(ours, "\n\n")
		}
	}
	return ""
}
