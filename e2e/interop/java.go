package interop

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	iana "github.com/flightpath-dtls/flightpath/internal/suite"
)

// BouncyCastle drives Bouncy Castle 1.72 by a program of ours. The cookie of its
// server covers all of the ClientHello.
type BouncyCastle struct{}

func (BouncyCastle) Name() string     { return "bouncycastle" }
func (BouncyCastle) Suites() []uint16 { return allSuites() }

// PSK: every suite and identity there is.
func (BouncyCastle) PSK() Abilities {
	return Abilities{
		Suites:     suitesWithout(pskSuites),
		Identities: []Identity{TextIdentity, LongIdentity, OddIdentity, ZeroIdentity},
		Hints:      true,
	}
}

func (BouncyCastle) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	e, addr := program(bouncyCastle.run).serve(t, o, fmt.Sprintf("%04x", o.Suite))
	return e.number(o), addr
}

func (BouncyCastle) Dial(t testing.TB, addr string, o Options) Endpoint {
	t.Helper()
	e := program(bouncyCastle.run).dial(t, addr, o, fmt.Sprintf("%04x", o.Suite))
	if o.PSK != nil {
		e.agrees = append(e.agrees, fmt.Sprintf("hint %x\n", o.PSK.Hint))
	}
	return e.number(o)
}

// JSSE drives the SSLEngine of OpenJDK 17 by a program of ours.
type JSSE struct {
	Slow time.Duration // before each task of its engine
}

func (JSSE) Name() string { return "jsse" }

// Suites: it has no CCM in TLS, and no pre-shared keys in DTLS 1.2.
func (JSSE) Suites() []uint16 {
	return suitesWithout(suites, 0xc0ac, 0xc0ad, 0xc0ae, 0xc0af)
}

func (p JSSE) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	e, addr := program(jsse.run).serve(t, o, iana.Name(o.Suite), p.slow())
	return p.named(e, o), addr
}

func (p JSSE) Dial(t testing.TB, addr string, o Options) Endpoint {
	t.Helper()
	return p.named(program(jsse.run).dial(t, addr, o, iana.Name(o.Suite), p.slow()), o)
}

func (p JSSE) slow() string { return fmt.Sprintf("slow=%d", p.Slow.Milliseconds()) }

// named has the suite among what the program has to print.
func (JSSE) named(e *process, o Options) *process {
	e.agrees = append(e.agrees, " "+iana.Name(o.Suite)+"\n")
	return e
}

// class is a Java program of ours.
type class string

const (
	bouncyCastle class = "BouncyCastle"
	jsse         class = "JSSE"
)

func (c class) run(t testing.TB, args ...string) *process {
	t.Helper()
	dir, err := classes()
	if err != nil {
		t.Fatal(err)
	}
	// A virtual machine that starts fast: it does not live long.
	jvm := []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", dir + ":" + bctls, string(c)}
	return start(t, "default-jre-headless", "java", append(jvm, args...)...)
}

// bctls is Bouncy Castle's library. Its manifest names the others it needs.
const bctls = "/usr/share/java/bctls.jar"

// classes returns the directory of our Java programs, compiled. The Java runtime of
// Debian has the compiler, without a command for it.
var classes = sync.OnceValues(func() (string, error) {
	const needs = "it needs the Debian packages default-jre-headless and libbctls-java (make peers)"
	version, err := exec.Command("java", "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("java -version: %w; %s\n%s", err, needs, version)
	}
	files, err := filepath.Glob(filepath.Join(sources, "*.java"))
	if err != nil {
		return "", err
	}
	inputs := version
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		inputs = append(inputs, source...)
	}
	return built("java", inputs, func(dir string) error {
		args := []string{"-m", "jdk.compiler/com.sun.tools.javac.Main", "-Xlint:all,-path", "-Werror", "-cp", bctls, "-d", dir}
		if out, err := exec.Command("java", append(args, files...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("compiling %v: %w; %s\n%s", files, err, needs, bytes.TrimSpace(out))
		}
		return nil
	})
})
