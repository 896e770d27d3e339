package interop

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	iana "github.com/flightpath-dtls/flightpath/internal/suite"
)

// Node is a client from npm, driven by a script of ours that has its name:
// "nodertc" or "node-dtls-client".
type Node string

func (p Node) Name() string { return string(p) }

// Limits: they cannot be told an MTU, and only one knows RFC 7627.
func (p Node) Limits() Limits { return Limits{MTU: 1472, NoEMS: p == "node-dtls-client"} }

func (p Node) Dial(t testing.TB, addr string, o Options) Endpoint {
	t.Helper()
	// scripts/peers.sh installs the modules there.
	dir, err := cacheDir("node")
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(modules); err != nil {
		t.Fatalf("npm's modules are missing: run scripts/peers.sh (make peers): %v", err)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{filepath.Join(sources, "node", string(p)+".cjs"), "port=" + port, "suite=" + iana.Name(o.Suite)}
	if o.PSK != nil {
		args = append(args, fmt.Sprintf("psk=%x", o.PSK.Key), fmt.Sprintf("identity=%x", o.PSK.Identity))
	}
	e := startIn(t, []string{"NODE_PATH=" + modules}, "nodejs", "node", args...)
	e.established = "established"
	return e
}
