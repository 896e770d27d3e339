package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// A second run resumes what the first one has kept, and keeps another one. The
// tickets of a server come before it echoes, on a path without loss.
func TestSessionFile(t *testing.T)   { testSessionFile(t, "1.3") }
func TestSessionFile12(t *testing.T) { testSessionFile(t, "1.2") }

func testSessionFile(t *testing.T, version string) {
	f := files(t, dtlstest.P256)
	file := filepath.Join(t.TempDir(), "session")
	_, address := startListen(t, "-cert", f.Chain, "-key", f.Key, "-version", version)
	var kept [][]byte
	for _, resumed := range []bool{false, true, true} {
		c := start(t, "connect", "-ca", f.Root, "-servername", "localhost", "-session", file, address)
		c.say("hello")
		c.out.after(t, "hello")
		c.exit(0)
		if got := strings.Contains(c.err.String(), "resumed"); got != resumed {
			t.Errorf("resumed: %v, want %v", got, resumed)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Fatalf("%v, %v: others may read it", info, err)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, earlier := range kept {
			if bytes.Equal(earlier, content) {
				t.Error("a session is kept for a second use")
			}
		}
		kept = append(kept, content)
	}
	if left, _ := filepath.Glob(file + "*"); len(left) != 1 {
		t.Errorf("files %q", left)
	}
}

// A session that was offered is gone, whatever becomes of the handshake; one that
// was not is still there.
func TestSessionFileAfterFailures(t *testing.T) {
	f := files(t, dtlstest.P256)
	file := filepath.Join(t.TempDir(), "session")
	l, address := startListen(t, "-cert", f.Chain, "-key", f.Key)
	c := start(t, "connect", "-ca", f.Root, "-servername", "localhost", "-session", file, address)
	c.say("hello")
	c.out.after(t, "hello")
	c.exit(0)
	l.interrupt()
	l.exit(0)
	for _, tt := range []struct {
		args []string
		code int
		kept bool
	}{
		{[]string{"-mtu", "100"}, exitUsage, true},
		{[]string{"-timeout", "50ms"}, exitFailed, false},
	} {
		args := append([]string{"connect", "-ca", f.Root, "-servername", "localhost", "-session", file}, tt.args...)
		if code, _, errs := runLine(t, append(args, address)...); code != tt.code {
			t.Errorf("%q: exit code %d\n%s", tt.args, code, errs)
		}
		if _, err := os.Stat(file); (err == nil) != tt.kept {
			t.Errorf("%q: %v, kept: %v", tt.args, err, tt.kept)
		}
	}
}

// A file that holds something else is left alone; a session of another version of
// the library is not offered.
func TestSessionFileIsSomethingElse(t *testing.T) {
	f := files(t, dtlstest.P256)
	before, err := os.ReadFile(f.Key)
	if err != nil {
		t.Fatal(err)
	}
	code, _, errs := runLine(t, "connect", "-insecure", "-session", f.Key, "127.0.0.1:9")
	if code != exitUsage || !strings.Contains(errs, "is not a session") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	if after, err := os.ReadFile(f.Key); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed: %v", err)
	}
	if code, _, errs := runLine(t, "connect", "-insecure", "-session", t.TempDir(), "127.0.0.1:9"); code != exitFailed || !strings.Contains(errs, "-session: ") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}

// withoutTickets is the address of a server of DTLS 1.2 that gives no tickets.
func withoutTickets(t *testing.T) string {
	t.Helper()
	l, err := dtls.Listen("udp", "127.0.0.1:0", &dtls.Config{
		Certificates: []tls.Certificate{dtlstest.MustChain(dtlstest.P256, 0).Certificate}, SessionTicketsDisabled: true, MaxVersion: dtls.VersionDTLS12,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// No session came: the file is not made, and that is no failure.
func TestNoSessionToKeep(t *testing.T) {
	file := filepath.Join(t.TempDir(), "session")
	c := start(t, "connect", "-insecure", "-session", file, withoutTickets(t))
	c.exit(0)
	contains(t, &c.err, "the server gave no session")
	if _, err := os.Stat(file); err == nil {
		t.Error("there is a file")
	}
}

func TestReconnect(t *testing.T)   { testReconnect(t, "1.3") }
func TestReconnect12(t *testing.T) { testReconnect(t, "1.2") }

func testReconnect(t *testing.T, version string) {
	l, address := startListen(t, "-stats", "-version", version)
	c := start(t, "connect", "-insecure", "-reconnect", address)
	c.err.after(t, "resumed ")
	c.say("again")
	c.out.after(t, "again")
	c.exit(0)
	l.interrupt()
	l.exit(0)
	contains(t, &l.err, "2 complete, 0 failed")
	if n := strings.Count(c.err.String(), "connected to "); n != 2 {
		t.Errorf("connected %d times", n)
	}
}

func TestReconnectWithoutSessions(t *testing.T) {
	c := start(t, "connect", "-insecure", "-reconnect", withoutTickets(t))
	c.exit(1)
	contains(t, &c.err, "-reconnect: the server gave no session")
}

// Only the newest session counts, and a giver never waits.
func TestSessions(t *testing.T) {
	s := newSessions()
	if got := s.newest(); got != nil {
		t.Errorf("a session from nowhere: %q", got)
	}
	for _, blob := range []string{"one", "two", "three"} {
		s.add((*dtls.Conn)(nil), []byte(blob))
	}
	if got := string(s.newest()); got != "three" {
		t.Errorf("got %q", got)
	}
	if got := s.newest(); got != nil {
		t.Errorf("%q once more", got)
	}
}

// The whole chain is saved, and is good for -ca.
func TestChain(t *testing.T) {
	chain := dtlstest.MustChain(dtlstest.P256, 6000)
	f, err := chain.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "chain.pem")
	_, address := startListen(t, "-cert", f.Chain, "-key", f.Key)
	start(t, "connect", "-insecure", "-chain", file, address).exit(0)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sent := chain.Certificate.Certificate
	for i := 0; ; i++ {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			if i != len(sent) || i < 2 {
				t.Errorf("%d certificates, %d were sent", i, len(sent))
			}
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil || !bytes.Equal(block.Bytes, sent[i]) {
			t.Errorf("certificate %d: %v, or another one", i, err)
		}
	}
	if _, err := loadPool(file); err != nil {
		t.Error(err)
	}

	c := start(t, "connect", "-ca", f.Root, "-servername", "localhost", "-chain", "-", address)
	c.exit(0)
	if n := strings.Count(c.err.String(), "-----BEGIN CERTIFICATE-----"); n != len(sent) {
		t.Errorf("%d certificates on standard error", n)
	}
}
