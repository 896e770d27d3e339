//go:build linux

package browser

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/dtls"
)

func TestChromium(t *testing.T) { testBrowser(t, chromium) }
func TestFirefox(t *testing.T)  { testBrowser(t, firefox) }

// callCase is one call: what we are and want, and what must come of it.
type callCase struct {
	name     string
	isClient bool // our role in DTLS
	config   dtls.Config
	lose     func(direction, int) bool

	version uint16
	group   tls.CurveID
}

var callCases = []callCase{
	{
		name: "1.3/client", isClient: true,
		version: dtls.VersionDTLS13, group: tls.X25519MLKEM768,
	},
	{
		name:    "1.3/server",
		version: dtls.VersionDTLS13, group: tls.X25519MLKEM768,
	},
	{
		name: "1.2/client", isClient: true, config: dtls.Config{MaxVersion: dtls.VersionDTLS12},
		version: dtls.VersionDTLS12, group: tls.X25519,
	},
	{
		name: "1.2/server", config: dtls.Config{MaxVersion: dtls.VersionDTLS12},
		version: dtls.VersionDTLS12, group: tls.X25519, // the browser offers DTLS 1.3 all the same
	},
	{
		name: "retry/server", config: dtls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256}},
		version: dtls.VersionDTLS13, group: tls.CurveP256,
	},
	{
		// Of what we have shares for, browsers know nothing.
		name: "retry/client", isClient: true,
		config:  dtls.Config{CurvePreferences: []tls.CurveID{tls.SecP256r1MLKEM768, tls.X25519MLKEM768}},
		version: dtls.VersionDTLS13, group: tls.X25519MLKEM768,
	},
	{
		name: "loss/client", isClient: true, lose: someOfSeven,
		version: dtls.VersionDTLS13, group: tls.X25519MLKEM768,
	},
	{
		name: "loss/server", lose: someOfSeven,
		version: dtls.VersionDTLS13, group: tls.X25519MLKEM768,
	},
}

// someOfSeven loses a part of the first flight in each direction, and two more
// datagrams before the data channel is open.
func someOfSeven(_ direction, i int) bool { return i == 1 || i == 4 || i == 6 }

func testBrowser(t *testing.T, b browser) {
	t.Parallel()
	s := newStage(t)
	p := b.open(t, s)
	for _, c := range callCases {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("---- %s:\n%s", b.name, &p.stderr)
				}
			})
			c.run(t, s, p)
		})
	}
}

// Extensions of a hello: RFC 5764, Section 4.1.2, and RFC 8446, Section 4.2.
const (
	useSRTP           = 14
	supportedVersions = 43
)

func (c *callCase) run(t *testing.T, s *stage, b *process) {
	call := s.next(t, b)
	p := take(t, call, c.isClient, c.config.Clone(), c.lose)
	echoed := make(chan error, 1)
	go func() { echoed <- p.echo() }()

	channel, err := p.channel()
	if err != nil {
		t.Fatal(err)
	}
	send := func(messages ...string) {
		t.Helper()
		for _, m := range messages {
			if err := roundTrip(channel, m); err != nil {
				t.Fatalf("echo of the page: %v", err)
			}
		}
	}
	send("a text", strings.Repeat("y", 50000))
	if c.version == dtls.VersionDTLS13 {
		p.updateKeys(t)
	}
	send("äöü", "bye")
	if err := channel.Close(); err != nil {
		t.Fatal(err)
	}
	r := call.report(t)
	if r.Echoed != 3 || r.Heard != 4 {
		t.Errorf("the page got %d messages back and sent %d back, want 3 and 4", r.Echoed, r.Heard)
	}
	c.check(t, p.conn.ConnectionState(), p.wire.sight(), r)
	p.conn.Close()
	if err := <-echoed; err != nil {
		t.Errorf("echo: %v", err)
	}
}

// check compares what our Conn says, what has passed, and what the browser says.
func (c *callCase) check(t *testing.T, state dtls.ConnectionState, seen sight, r report) {
	t.Helper()
	hello := &seen.hello
	extensions := hello.extensions()
	t.Logf("data channel open after %.0f ms: %s, %s, %v; hello of %d bytes in %d datagrams, versions %x; %d lost",
		r.Opened, dtls.VersionName(state.Version), dtls.CipherSuiteName(state.CipherSuite), state.CurveID,
		len(hello.body), hello.datagrams, extensions[supportedVersions], seen.lost)

	if state.Version != c.version || state.CurveID != c.group {
		t.Errorf("%s with %v, want %s with %v", dtls.VersionName(state.Version), state.CurveID, dtls.VersionName(c.version), c.group)
	}
	role := "client"
	if c.isClient {
		role = "server"
	}
	for _, v := range []struct{ name, got, want string }{
		{"tlsVersion", r.Stats.TLSVersion, fmt.Sprintf("%04X", c.version)},
		{"dtlsCipher", r.Stats.DTLSCipher, dtls.CipherSuiteName(state.CipherSuite)},
		{"dtlsRole", r.Stats.DTLSRole, role},
		{"dtlsState", r.Stats.DTLSState, "connected"},
		{"srtpCipher", r.Stats.SRTPCipher, ""},
	} {
		if v.got != v.want {
			t.Errorf("the browser's %s is %q, want %q", v.name, v.got, v.want)
		}
	}
	switch split := hello.datagrams > 1; {
	case !hello.complete():
		t.Errorf("the first ClientHello is not complete: %d bytes, %d datagrams", len(hello.body), hello.datagrams)
	case !c.isClient && hello.datagrams != 2:
		t.Errorf("the browser's hello of %d bytes comes in %d datagrams, want 2", len(hello.body), hello.datagrams)
	case c.isClient && split != (c.group == tls.X25519MLKEM768):
		t.Errorf("our hello of %d bytes goes out in %d datagrams; one with a post-quantum share alone needs several",
			len(hello.body), hello.datagrams)
	}
	if _, ok := extensions[useSRTP]; !ok && !c.isClient {
		t.Error("the browser's hello has no use_srtp: nothing shows that we pass over it")
	}
	if want := c.version == dtls.VersionDTLS13; seen.keyUpdates[sent] != want || seen.keyUpdates[received] != want {
		t.Errorf("records of new keys received, sent: %v, want %v both", seen.keyUpdates, want)
	}
	if (seen.lost > 0) != (c.lose != nil) {
		t.Errorf("%d datagrams were lost", seen.lost)
	}
}
