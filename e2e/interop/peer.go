package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// Peer is a foreign implementation that can be started in either role.
type Peer interface {
	Server
	Client

	// Suites are those with certificates that the peer shares with us, by IANA
	// number.
	Suites() []uint16
}

// Server is an implementation that can be started as a server.
type Server interface {
	Name() string

	// Serve starts a server and returns when it is ready to receive.
	Serve(t testing.TB, o Options) (Endpoint, string)
}

// Client is an implementation that can be started as a client.
type Client interface {
	Name() string

	// Dial starts a client of the server at addr. It returns at once.
	Dial(t testing.TB, addr string, o Options) Endpoint
}

// Limits are what a peer cannot do, on top of its suites. Peers without any
// need not say so.
type Limits struct {
	MTU      int  // it sends datagrams of up to this size whatever it is told, and takes none larger; 0: it does as it is told
	Least    int  // it finds the MTU by itself, from above, but none below this one; 0: it does as it is told
	Hello    int  // its server takes no hello in fragments: one of ours that offers both versions needs this MTU, below it offers 1.2 alone
	InOrder  bool // a flight of several datagrams, one of which is lost or overtaken, ends its handshake
	SaysOnce bool // its server does not repeat a last flight that was lost
	NoEMS    bool // it has no extended master secret (RFC 7627)
	Cautious bool // after a loss its datagrams are much smaller than the path allows
}

// limitsOf asks a Server or Client.
func limitsOf(peer any) Limits {
	if p, ok := peer.(interface{ Limits() Limits }); ok {
		return p.Limits()
	}
	return Limits{}
}

// Options say what a foreign endpoint does, in terms every peer understands.
type Options struct {
	Version    uint16          // that both agree on; 0: DTLS 1.2
	Suite      uint16          // 0: the one that comes first
	Chain      *dtlstest.Chain // its own certificate; nil: a client without one
	Roots      *dtlstest.Chain // the other side's chain leads to this root; nil on a server: no client certificate is asked for
	PSK        *PSK            // with a suite that needs one, instead of certificates
	ALPN       string          // "": none
	MTU        int             // bytes of UDP payload it may send in one datagram
	ServerName string          // a client expects this name in the certificate

	NoEMS bool // the other side has no extended master secret

	// Ours changes the configuration of an endpoint of ours. nil: as it is.
	Ours func(*dtls.Config)
}

// PSK is a pre-shared key.
type PSK struct {
	Identity []byte
	Key      []byte
	Hint     []byte // what the server says to those who may have the key; nil: nothing
}

// Endpoint is a running foreign client or server with one association.
type Endpoint interface {
	// Established reports whether the endpoint's handshake is complete, as far
	// as it tells. Lines it is given before that would pile up.
	Established() bool

	// Say makes the endpoint send a line of application data.
	Say(line string) error

	// Failed returns why the endpoint gave up, nil while it has not.
	Failed() error

	// Echoes reports that the endpoint cannot speak by itself, but returns
	// what it receives.
	Echoes() bool

	// Heard reports whether a line of application data has arrived there.
	Heard(line string) bool

	// Agrees returns an error when the endpoint says that it negotiated
	// something else than the options it was started with.
	Agrees() error

	// Log is everything the endpoint had to say, for a failed test.
	Log() string
}

// process is an endpoint that is a child process: lines go in by its standard
// input, and everything it prints is kept.
type process struct {
	name        string
	stdin       io.WriteCloser
	out         output
	echoes      bool
	established string   // what it prints when its handshake is complete
	agrees      []string // what it prints when it negotiated what it should
	denies      []string // and what it prints when it did not
	ended       chan struct{}
}

// start runs a program until the test ends. pkg is the Debian package that
// has it.
func start(t testing.TB, pkg, program string, args ...string) *process {
	t.Helper()
	return startIn(t, nil, pkg, program, args...)
}

// startIn is start with more variables in the environment.
func startIn(t testing.TB, env []string, pkg, program string, args ...string) *process {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is missing: install the Debian package %s (make peers)", program, pkg)
	}
	p := &process{name: program, ended: make(chan struct{})}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&p.out, "$", program, strings.Join(args, " "))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		if err := cmd.Wait(); err != nil {
			fmt.Fprintf(&p.out, "\n[%v]\n", err)
		}
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("stopping %s: %v", program, err)
		}
		<-p.ended
	})
	return p
}

func (p *process) Say(line string) error {
	_, err := io.WriteString(p.stdin, line+"\n")
	return err
}

func (p *process) Established() bool { return strings.Contains(p.out.String(), p.established) }
func (p *process) Failed() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has ended", p.name)
	default:
		return nil
	}
}

func (p *process) Echoes() bool           { return p.echoes }
func (p *process) Heard(line string) bool { return strings.Contains(p.out.String(), line) }
func (p *process) Log() string            { return p.out.String() }

func (p *process) Agrees() error {
	for _, s := range p.agrees {
		if !strings.Contains(p.out.String(), s) {
			return fmt.Errorf("%s does not say %q", p.name, s)
		}
	}
	for _, s := range p.denies {
		if strings.Contains(p.out.String(), s) {
			return fmt.Errorf("%s says %q", p.name, s)
		}
	}
	return nil
}

// output collects what a process prints, while it prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Ports for servers that must be told one come from below the kernel's
// ephemeral range, so that no relay or client can take a port between our
// probe and the server's bind; the counter keeps our own servers apart.
const (
	firstPort = 20000
	lastPort  = 32000
)

var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(lastPort - firstPort)) }

// freePort returns a UDP port of this machine that is free on all addresses.
func freePort(t testing.TB) int {
	t.Helper()
	for range lastPort - firstPort {
		port := firstPort + int(nextPort.Add(1)%(lastPort-firstPort))
		pc, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
		if err != nil {
			continue
		}
		pc.Close()
		return port
	}
	t.Fatal("no free UDP port")
	return 0
}

// waitBound returns when somebody has bound the UDP port, and fails the test
// when the process ended instead.
func (p *process) waitBound(t testing.TB, port int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // it may have to share the machine
	defer cancel()
	for !bound(t, port) {
		select {
		case <-p.ended:
			t.Fatalf("%s ended before it was ready:\n%s", p.name, p.Log())
		case <-ctx.Done():
			t.Fatalf("%s did not bind port %d:\n%s", p.name, port, p.Log())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// bound looks for the port among the kernel's sockets; probing it with a
// datagram would leave that datagram for the server to puzzle over.
func bound(t testing.TB, port int) bool {
	t.Helper()
	suffix := fmt.Sprintf(":%04X", port)
	for _, name := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		table, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel without IPv6
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(table)) {
			if f := strings.Fields(line); len(f) > 1 && strings.HasSuffix(f[1], suffix) {
				return true
			}
		}
	}
	return false
}
