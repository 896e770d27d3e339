package interop

import (
	"crypto/sha256"
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

// make compiles the program, unless an earlier run has left it in the user's
// cache.
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
	dir, err := cacheDir("bin")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("%s-%.8x", c.name, sha256.Sum256(fmt.Append(source, header, args))))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	// Under another name first: several test processes may do the same.
	work, err := os.MkdirTemp(dir, "build")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	fresh := filepath.Join(work, c.name)
	cmd := exec.Command("gcc", append(args, "-I", sources, "-o", fresh)...)
	cmd.Stdin = strings.NewReader(string(source))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling %s.c: %w; it needs the Debian packages gcc and %s (make peers)\n%s", c.name, err, c.pkg, out)
	}
	return path, os.Rename(fresh, path)
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
	port := freePort(t)
	e := c.start(t, "server", strconv.Itoa(port), suite, o, more...)
	if o.PSK != nil {
		e.agrees = append(e.agrees, fmt.Sprintf("identity %x\n", o.PSK.Identity))
	}
	e.waitBound(t, port)
	return e, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// dial starts the program as a client.
func (c *compiled) dial(t testing.TB, addr string, o Options, suite string) Endpoint {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return c.start(t, "client", port, suite, o)
}

func (c *compiled) start(t testing.TB, role, port, suite string, o Options, more ...string) *process {
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
	e := start(t, c.pkg, c.build(t), args...)
	e.established = "established "
	e.agrees = append(e.agrees, "DTLSv1.2", fmt.Sprintf(" %04x\n", o.Suite))
	if o.ALPN != "" {
		e.agrees = append(e.agrees, "alpn "+o.ALPN+"\n")
	}
	return e
}
