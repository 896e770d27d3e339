//go:build unix

package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// process starts a command line in a process of its own and returns its standard
// error after the first line with text.
func process(t *testing.T, text string, args ...string) (cmd *exec.Cmd, errs *bufio.Reader, line string) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "FLIGHTPATH_TEST_RUN_MAIN=1")
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // which stays open
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	errs = bufio.NewReader(pipe)
	return cmd, errs, waitLine(t, errs, text)
}

// waitLine reads until a line has text, and returns what follows that.
func waitLine(t *testing.T, r *bufio.Reader, text string) string {
	t.Helper()
	var read strings.Builder
	for {
		line, err := r.ReadString('\n')
		read.WriteString(line)
		if _, rest, ok := strings.Cut(line, text); ok {
			return strings.TrimSpace(rest)
		}
		if err != nil {
			t.Fatalf("%v, without %q in\n%s", err, text, read.String())
		}
	}
}

// SIGTERM and SIGINT end both commands with a close_notify, and listen with its
// statistics.
func TestSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			listen, listenErrs, address := process(t, "listening on ", "listen", "-stats", "127.0.0.1:0")
			ended, endedErrs, _ := process(t, "connected to ", "connect", "-insecure", address)
			_, stayErrs, _ := process(t, "connected to ", "connect", "-insecure", address)
			waitLine(t, listenErrs, ": connected")
			waitLine(t, listenErrs, ": connected")

			if err := ended.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			waitLine(t, endedErrs, "interrupted: the association is closed")
			waitLine(t, listenErrs, ": closed")
			if err := ended.Wait(); err != nil {
				t.Errorf("connect: %v", err)
			}

			if err := listen.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			waitLine(t, listenErrs, "interrupted: closing all associations")
			waitLine(t, stayErrs, "the peer has closed")
			waitLine(t, listenErrs, "2 complete, 0 failed")
			if err := listen.Wait(); err != nil {
				t.Errorf("listen: %v", err)
			}
		})
	}
}

// An interrupted handshake is no mistake of the program's: what is printed is for
// users.
func TestSignalInHandshake(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c, errs, _ := process(t, "client_hello", "connect", "-insecure", "-trace", silent.LocalAddr().String())
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	waitLine(t, errs, "flightpath: connect: interrupted before the handshake was complete")
	if err := c.Wait(); c.ProcessState.ExitCode() != exitFailed {
		t.Errorf("connect: %v", err)
	}
}
