package interop

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// firefox has the NSS that speaks the final DTLS 1.3. Debian's own speaks that
// of a draft, with other numbers on the wire.
const firefox = "/usr/lib/firefox-esr"

var nssProgram = compiled{
	name: "nss",
	pkg:  "libnss3-dev",
	libs: []string{
		"-Wno-unused-function", "-I/usr/include/nss", "-I/usr/include/nspr",
		"-lssl3", "-lnss3", "-lnssutil3", "-lnspr4",
		// Not only for the program but for what its libraries need, too.
		"-Wl,--disable-new-dtags,-rpath," + firefox,
	},
}

// NSS drives the library of Firefox through e2e/peers/nss.c.
type NSS struct {
	Args []string // for the program, besides those that follow from Options
}

func (NSS) Name() string { return "nss" }

// Suites are those of DTLS 1.2 with certificates.
func (NSS) Suites() []uint16 { return []uint16{0xc02b, 0xc02c, 0xcca9, 0xc02f, 0xc030, 0xcca8} }

// Limits: it cannot be told how large a datagram may be. It begins with 1417
// bytes, and once in a handshake, when a flight has been lost three times, goes
// to the next of four sizes below the largest datagram of that flight.
func (NSS) Limits() Limits { return Limits{Least: 1200, Cautious: true} }

func (p NSS) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	e := p.start(t, []string{"server"}, o)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, port, ok := strings.Cut(e.value("waiting"), " "); ok {
			return e, net.JoinHostPort("127.0.0.1", port)
		}
		if e.Failed() != nil || time.Now().After(deadline) {
			t.Fatalf("nss is not ready:\n%s", e.Log())
		}
	}
}

func (p NSS) Dial(t testing.TB, addr string, o Options) Endpoint {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return p.start(t, []string{"client", "port=" + port, "name=" + o.ServerName}, o)
}

func (p NSS) start(t testing.TB, args []string, o Options) *nssProcess {
	t.Helper()
	if _, err := os.Stat(filepath.Join(firefox, "libssl3.so")); err != nil {
		t.Fatalf("the NSS of Firefox is missing: install the Debian package firefox-esr (make peers): %v", err)
	}
	args = append(args, p.Args...)
	if o.Version == dtls.VersionDTLS13 {
		args = append(args, "min=304", "max=304")
	} else {
		args = append(args, "min=303", "max=303")
	}
	if o.Suite != 0 {
		args = append(args, fmt.Sprintf("suites=%04x", o.Suite))
	}
	return &nssProcess{process: start(t, "libnss3-dev", nssProgram.build(t), append(args, o.arguments(t)...)...), options: o}
}

// nssProcess is a process that has one association after the other. What it says
// counts from the beginning of the newest.
type nssProcess struct {
	*process
	options Options
	resumed bool // that is what the newest association should be
	before  int  // bytes of output of the earlier ones
}

func (e *nssProcess) says(s string) bool { return strings.Contains(e.out.String()[e.before:], s) }

// value returns the text behind a word at the beginning of a line.
func (e *nssProcess) value(word string) string {
	for line := range strings.Lines(e.out.String()[e.before:]) {
		if v, ok := strings.CutPrefix(line, word+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (e *nssProcess) Established() bool      { return e.says("\nestablished ") }
func (e *nssProcess) Heard(line string) bool { return e.says(line) }

func (e *nssProcess) Agrees() error {
	o := e.options
	version := "DTLSv1.2"
	if o.Version == dtls.VersionDTLS13 {
		version = "DTLSv1.3"
	}
	agreed := e.value("established")
	if !strings.HasPrefix(agreed, version) {
		return fmt.Errorf("nss: established %s, want %s", agreed, version)
	}
	if o.Suite != 0 && !strings.HasSuffix(agreed, fmt.Sprintf(" %04x", o.Suite)) {
		return fmt.Errorf("nss: established %s, want the suite %04x", agreed, o.Suite)
	}
	if got := e.value("alpn"); got != o.ALPN {
		return fmt.Errorf("nss: protocol %q, want %q", got, o.ALPN)
	}
	if got := e.says("\nresumed"); got != e.resumed {
		return fmt.Errorf("nss: resumed %v, want %v", got, e.resumed)
	}
	// Who resumes has seen the certificate before.
	if want := o.Roots != nil && !e.resumed; e.says("\nverified") != want {
		return fmt.Errorf("nss: verified the peer %v, want %v", !want, want)
	}
	return nil
}

// begin says that what it says from here on is of another association.
func (e *nssProcess) begin() {
	e.before = len(e.out.String()) - 1 // with the end of a line
	e.resumed = true
}
