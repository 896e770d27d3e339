package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// files returns the PEM files of a chain.
func files(t *testing.T, key dtlstest.Key) dtlstest.Files {
	t.Helper()
	f, err := dtlstest.MustChain(key, 0).Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const (
	demoPSK      = "000102030405060708090a0b0c0d0e0f"
	exporterFlag = "-exporter=EXPORTER-flightpath-test"
)

// Whatever authenticates, a line comes back as it went and both ends say the
// same about the association.
func TestConnectToListen(t *testing.T) {
	server, client, rsa := files(t, dtlstest.P256), files(t, dtlstest.Ed25519), files(t, dtlstest.RSA2048)
	keyFile := filepath.Join(t.TempDir(), "psk")
	if err := os.WriteFile(keyFile, []byte(demoPSK+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		listen, connect []string
		both            []string // both say so
		client, server  []string // one says so
	}{
		"a certificate": {
			listen:  []string{"-cert", server.Chain, "-key", server.Key},
			connect: []string{"-ca", server.Root},
			both:    []string{"DTLS 1.3", "TLS_AES_128_GCM_SHA256", "X25519MLKEM768", "1232 bytes of UDP payload"},
			client:  []string{", verified", "SHA-256"},
		},
		"DTLS 1.2": {
			listen:  []string{"-cert", server.Chain, "-key", server.Key},
			connect: []string{"-ca", server.Root, "-version", "1.2"},
			both:    []string{"DTLS 1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "X25519", "1232 bytes of UDP payload"},
			client:  []string{", verified", "SHA-256"},
		},
		"a certificate that listen makes": {
			connect: []string{"-insecure"},
			client:  []string{`"CN=flightpath listen", not verified`},
			server:  []string{"made a certificate"},
		},
		"a client certificate": {
			listen:  []string{"-cert", server.Chain, "-key", server.Key, "-require-client-cert", "-client-ca", client.Root},
			connect: []string{"-ca", server.Root, "-cert", client.Chain, "-key", client.Key},
			both:    []string{", verified"},
		},
		"a client certificate that is optional": {
			listen:  []string{"-client-ca", client.Root},
			connect: []string{"-insecure"},
		},
		"a pre-shared key": {
			listen:  []string{"-psk", demoPSK, "-identity", "door 7"},
			connect: []string{"-psk", demoPSK, "-identity", "door 7"},
			both:    []string{"TLS_AES_128_GCM_SHA256", `"door 7"`},
		},
		"a pre-shared key in DTLS 1.2": {
			listen:  []string{"-psk", demoPSK, "-identity", "door 7", "-version", "1.2"},
			connect: []string{"-psk", demoPSK, "-identity", "door 7"},
			both:    []string{"TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256", `"door 7"`},
		},
		"a pre-shared key from a file": {
			listen:  []string{"-psk-file", keyFile},
			connect: []string{"-psk", demoPSK},
			both:    []string{`"Client_identity"`},
		},
		"without the extended master secret": {
			listen:  []string{"-version", "1.2", "-ems", "allow", "-exporter="},
			connect: []string{"-insecure", "-ems", "off", "-exporter="},
			both:    []string{"not extended"},
		},
		"a suite, a group and a protocol": {
			listen: []string{ // whose order counts
				"-cert", rsa.Chain, "-key", rsa.Key, "-alpn", "coap,echo",
				"-suite", "0xcca8", "-suite", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
			},
			connect: []string{
				"-ca", rsa.Root, "-servername", "localhost", "-version", "1.2",
				"-suite", "0xc030,ecdhe_rsa_with_chacha20_poly1305_sha256", "-group", "p-384", "-alpn", "echo",
			},
			both: []string{"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "P-384", `"echo"`},
		},
		"a small MTU that this command decides about": {
			listen:  []string{"-mtu", "300", "-mtu-mode", "manual"},
			connect: []string{"-insecure", "-mtu", "300", "-mtu-mode", "manual"},
			both:    []string{"300 bytes of UDP payload, said by config"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, address := startListen(t, append([]string{"-once", "-stats", exporterFlag}, tt.listen...)...)
			c := start(t, append(append([]string{"connect", exporterFlag}, tt.connect...), address)...)
			c.say("over the fields")
			if rest := c.out.after(t, "over the"); rest != " fields" {
				t.Errorf("the echo goes on with %q", rest)
			}
			c.exit(0)
			l.exit(0)
			if !slices.Contains(tt.connect, "-exporter=") { // which takes the flag back
				const exported = "exporter EXPORTER-flightpath-test"
				if a, b := c.err.after(t, exported), l.err.after(t, exported); a != b {
					t.Errorf("exported\n%s\n%s", a, b)
				}
			}
			contains(t, &c.err, append(tt.both, tt.client...)...)
			contains(t, &l.err, append(tt.both, tt.server...)...)
			contains(t, &l.err, "1 complete, 0 failed", ": closed")
		})
	}
}

func contains(t *testing.T, b *liveBuffer, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(b.String(), text) {
			t.Errorf("%q is missing", text)
		}
	}
}

// The reason is in the error, on both sides, and the server goes on.
func TestConnectFails(t *testing.T) {
	server, other := files(t, dtlstest.P256), files(t, dtlstest.P384)
	tests := map[string]struct {
		listen, connect []string
		client, server  string
	}{
		"the wrong authority": {
			[]string{"-cert", server.Chain, "-key", server.Key},
			[]string{"-ca", other.Root},
			"signed by unknown authority", "peer sent fatal alert",
		},
		"the wrong name": {
			[]string{"-cert", server.Chain, "-key", server.Key},
			[]string{"-ca", server.Root, "-servername", "example.com"},
			"not example.com", "peer sent fatal alert",
		},
		"no client certificate": {
			[]string{"-require-client-cert", "-client-ca", other.Root},
			[]string{"-insecure", "-version", "1.2"},
			"peer sent fatal alert", "certificate",
		},
		"the wrong key": {
			[]string{"-psk", demoPSK},
			[]string{"-psk", "ff" + demoPSK, "-version", "1.2", "-timeout", "300ms"},
			"timed out", "",
		},
		"the wrong key in DTLS 1.3": {
			[]string{"-psk", demoPSK},
			[]string{"-psk", "ff" + demoPSK},
			"decrypt_error", "binder",
		},
		"no suite in common": {
			[]string{"-suite", "ECDHE_ECDSA_WITH_AES_128_CCM"},
			[]string{"-insecure", "-version", "1.2", "-suite", "ECDHE_ECDSA_WITH_AES_256_CCM"},
			"handshake_failure", "no cipher suite in common",
		},
		"no extended master secret": {
			[]string{"-version", "1.2", "-ems", "off"},
			[]string{"-insecure"},
			"extended master secret", "",
		},
		"no version in common": {
			[]string{"-version", "1.3"},
			[]string{"-insecure", "-version", "1.2"},
			"protocol_version", "",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, address := startListen(t, append(tt.listen, "-stats")...)
			c := start(t, append(append([]string{"connect", "-trace"}, tt.connect...), address)...)
			c.exit(1)
			contains(t, &c.err, tt.client, "→ client_hello", "last sent: ")
			if tt.server != "" {
				l.err.after(t, tt.server)
			}
			l.interrupt()
			l.exit(0)
			contains(t, &l.err, "handshakes       0 complete")
		})
	}
}

// Without a server the error names the messages sent and awaited, or the closed port.
func TestConnectToNobody(t *testing.T) {
	l, address := startListen(t)
	l.interrupt()
	l.exit(0)
	c := start(t, "connect", "-insecure", "-timeout", "50ms", address)
	c.exit(1)
	contains(t, &c.err, "timed out", "sent client_hello", "awaiting")
	if runtime.GOOS == "linux" { // other systems do not deliver the quote
		c = start(t, "connect", "-insecure", address)
		c.exit(1)
		contains(t, &c.err, "the port of the peer is unreachable", "client_hello")
	}
}

func TestTraceAndKeyLog(t *testing.T) {
	dir := t.TempDir()
	logs := [2]string{filepath.Join(dir, "client.keys"), filepath.Join(dir, "server.keys")}
	l, address := startListen(t, "-trace", "-keylog", logs[1], "-once")
	c := start(t, "connect", "-insecure", "-trace", "-keylog", logs[0], address)
	c.exit(0)
	l.exit(0)
	contains(t, &c.err, "→ client_hello", "← server_hello", "← finished", "• established", "• closed")
	contains(t, &l.err, "← client_hello", "→ server_hello", "• established", "• closed", " ms  127.0.0.1:")
	var lines [2]string
	for i, name := range logs {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines[i] = string(content)
		if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v: others may read it", name, info.Mode(), err)
		}
	}
	if !strings.HasPrefix(lines[0], "CLIENT_HANDSHAKE_TRAFFIC_SECRET ") || lines[0] != lines[1] {
		t.Errorf("key logs\n%s\n%s", lines[0], lines[1])
	}
}

// A line that fits no record is said to be missing; the others go on.
func TestALineTooLong(t *testing.T) {
	_, address := startListen(t)
	c := start(t, "connect", "-insecure", address)
	for _, size := range []int{2000, maxRecord, maxRecord + 1, 1 << 16} {
		c.say(strings.Repeat("x", size))
	}
	c.say("short")
	c.out.after(t, "short")
	c.exit(1)
	contains(t, &c.err, "not every line was sent", "a Write may have")
	if n := strings.Count(c.err.String(), "a line was not sent"); n != 4 {
		t.Errorf("%d lines were refused, want 4", n)
	}
	if got := c.out.String(); got != "short\n" {
		t.Errorf("%d bytes came back", len(got))
	}
}

// A pre-shared key that is in the environment of both.
func TestPSKFromTheEnvironment(t *testing.T) {
	t.Setenv("FLIGHTPATH_TEST_PSK", demoPSK)
	l, address := startListen(t, "-psk-env", "FLIGHTPATH_TEST_PSK", "-once")
	c := start(t, "connect", "-psk-env", "FLIGHTPATH_TEST_PSK", address)
	c.exit(0)
	l.exit(0)
	contains(t, &c.err, `PSK identity  "Client_identity"`)
}

// What is wrong with a key is said without the key.
func TestPSKIsNotRepeated(t *testing.T) {
	const secret = "5ec3e7"
	file := filepath.Join(t.TempDir(), "psk")
	if err := os.WriteFile(file, []byte(secret+"g"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FLIGHTPATH_TEST_PSK", secret+"g")
	for _, args := range [][]string{{"-psk", secret + "g"}, {"-psk-file", file}, {"-psk-env", "FLIGHTPATH_TEST_PSK"}} {
		code, out, errs := runLine(t, append(append([]string{"connect"}, args...), "127.0.0.1:9")...)
		if code != exitUsage || strings.Contains(out+errs, secret) || !strings.Contains(errs, args[0]+" ") && !strings.Contains(errs, args[0]+":") {
			t.Errorf("%s: exit code %d\n%s", args[0], code, errs)
		}
	}
}
