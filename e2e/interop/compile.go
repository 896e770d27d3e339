package interop

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// sources has the programs of our own that drive foreign libraries, seen from
// this package's directory.
const sources = "../peers"

// compiled is a C program of ours, built once for all runs.
type compiled struct {
	name string // of the source, without .c
	pkg  string // Debian package of what it is linked with
	libs []string

	once sync.Once
	path string
	err  error
}

// build returns the program's path.
func (c *compiled) build(t testing.TB) string {
	t.Helper()
	c.once.Do(func() { c.path, c.err = c.make() })
	if c.err != nil {
		t.Fatal(c.err)
	}
	return c.path
}

// make compiles the program.
func (c *compiled) make() (string, error) {
	args := append([]string{"-O1", "-Wall", "-Wextra", "-Werror", "-x", "c", "-", "-x", "none"}, c.libs...)
	source, err := os.ReadFile(filepath.Join(sources, c.name+".c"))
	if err != nil {
		return "", err
	}
	header, err := os.ReadFile(filepath.Join(sources, "peer.h"))
	if err != nil {
		return "", err
	}
	return built(c.name, fmt.Append(source, header, args), func(path string) error {
		cmd := exec.Command("gcc", append(args, "-I", sources, "-o", path)...)
		cmd.Stdin = strings.NewReader(string(source))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("compiling %s.c: %w; it needs the Debian packages gcc and %s (make peers)\n%s", c.name, err, c.pkg, out)
		}
		return nil
	})
}

// built returns the path of what compile leaves at the path that it is given, unless
// an earlier run has left it in the user's cache. inputs are all it depends on.
func built(name string, inputs []byte, compile func(path string) error) (string, error) {
	dir, err := cacheDir("bin")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("%s-%.8x", name, sha256.Sum256(inputs)))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	// Under another name first: several test processes may do the same.
	work, err := os.MkdirTemp(dir, "build")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	fresh := filepath.Join(work, name)
	if err := compile(fresh); err != nil {
		return "", err
	}
	if err := os.Rename(fresh, path); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return path, nil
}

// cacheDir is where scripts/peers.sh and these tests leave what takes time to
// make.
func cacheDir(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "flightpath-peers", name)
	return dir, os.MkdirAll(dir, 0o755)
}

// serve starts the program as a server.
func (c *compiled) serve(t testing.TB, o Options, suite string, more ...string) (Endpoint, string) {
	t.Helper()
	e, addr := program(c.run).serve(t, o, suite, more...)
	return e.number(o), addr
}

// dial starts the program as a client.
func (c *compiled) dial(t testing.TB, addr string, o Options, suite string, more ...string) *process {
	t.Helper()
	return program(c.run).dial(t, addr, o, suite, more...).number(o)
}

// number has the suite among what the program has to print.
func (p *process) number(o Options) *process {
	p.agrees = append(p.agrees, fmt.Sprintf(" %04x\n", o.Suite))
	return p
}

func (c *compiled) run(t testing.TB, args ...string) *process {
	t.Helper()
	return start(t, c.pkg, c.build(t), args...)
}

// program starts a program of ours that is used as peer.h says.
type program func(t testing.TB, args ...string) *process

func (run program) serve(t testing.TB, o Options, suite string, more ...string) (*process, string) {
	t.Helper()
	port := freePort(t)
	e := run.start(t, "server", strconv.Itoa(port), suite, o, more...)
	if o.PSK != nil {
		e.agrees = append(e.agrees, fmt.Sprintf("identity %x\n", o.PSK.Identity))
	}
	e.waitBound(t, port)
	return e, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func (run program) dial(t testing.TB, addr string, o Options, suite string, more ...string) *process {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return run.start(t, "client", port, suite, o, more...)
}

func (run program) start(t testing.TB, role, port, suite string, o Options, more ...string) *process {
	t.Helper()
	args := append([]string{role, "port=" + port, "suite=" + suite, fmt.Sprintf("mtu=%d", o.MTU)}, more...)
	args = append(args, o.arguments(t)...)
	if o.Roots != nil && role == "client" {
		args = append(args, "name="+o.ServerName)
	}
	if o.PSK != nil {
		args = append(args, fmt.Sprintf("psk=%x", o.PSK.Key), fmt.Sprintf("identity=%x", o.PSK.Identity))
		if role == "server" && o.PSK.Hint != nil {
			args = append(args, fmt.Sprintf("hint=%x", o.PSK.Hint))
		}
	}
	e := run(t, args...)
	e.established = "established "
	e.agrees = append(e.agrees, "DTLSv1.2")
	if o.ALPN != "" {
		e.agrees = append(e.agrees, "alpn "+o.ALPN+"\n")
	}
	return e
}
