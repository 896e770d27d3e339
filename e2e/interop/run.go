package interop

import (
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

const (
	longChain = 6000 // bytes of Certificate message
	protocol  = "coap"

	// A handshake must get through 20 % loss within the timers of either side:
	// the slowest peers start at one second and double.
	caseTimeout = 100 * time.Second

	// Lines of application data may be lost like any datagram. They are
	// repeated until they arrive, less and less often: a peer that is busy
	// with its handshake puts all that has come meanwhile into one record.
	sayAgain = 100 * time.Millisecond
	sayLast  = 3200 * time.Millisecond
)

// options are those of both sides.
func (c Case) options() (serving, dialing Options) {
	serving = Options{Suite: c.Suite, MTU: c.MTU}
	dialing = Options{Suite: c.Suite, MTU: c.MTU, ServerName: "localhost"}
	if c.ALPN {
		serving.ALPN, dialing.ALPN = protocol, protocol
	}
	s := suiteByID(c.Suite)
	if s.psk {
		serving.PSK, dialing.PSK = c.credentials(), c.credentials()
		return serving, dialing
	}
	size := 0
	if c.LongChain {
		size = longChain
	}
	// Two chains of the same kind, so that nobody verifies the other side
	// against its own root by accident.
	serving.Chain = dtlstest.MustChain(s.key, size)
	dialing.Roots = serving.Chain
	if c.ClientCert {
		dialing.Chain = dtlstest.MustChain(s.key, size+1)
		serving.Roots = dialing.Chain
	}
	return serving, dialing
}

// run takes a case from the first datagram to data in both directions, and
// checks what crossed the relay.
func run(t *testing.T, server Server, client Client, c Case) {
	t.Helper()
	serving, dialing := c.options()
	p := connect(t, server, client, serving, dialing, c)
	converse(t, p.server, p.client)
	for _, e := range []Endpoint{p.server, p.client} {
		if err := e.Agrees(); err != nil {
			t.Error(err)
		}
	}
	c.checkPath(t, client, p.relay.Stats(dtlstest.ToServer), c.LongChain && c.ClientCert)
	c.checkPath(t, server, p.relay.Stats(dtlstest.ToClient), c.LongChain)
}

// ends are a server and a client, and the relay between them.
type ends struct {
	server, client Endpoint
	relay          *dtlstest.Relay
	trace          *trace
}

// connect starts both. If the test fails, it prints all they had to say.
func connect(t *testing.T, server Server, client Client, serving, dialing Options, c Case) ends {
	t.Helper()
	p := ends{trace: &trace{start: time.Now()}}
	serving.NoEMS, dialing.NoEMS = limitsOf(client).NoEMS, limitsOf(server).NoEMS
	if c.MTU < limitsOf(server).Hello {
		dialing.Ours = func(c *dtls.Config) { c.MaxVersion = dtls.VersionDTLS12 }
	}
	var addr string
	p.server, addr = server.Serve(t, serving)
	var err error
	p.relay, err = dtlstest.NewRelay(addr, dtlstest.RelayConfig{
		Seed:     c.seed(),
		ToServer: c.path(client),
		ToClient: c.path(server),
		Tap:      p.trace.tap,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.relay.Close() })
	p.client = client.Dial(t, p.relay.Addr().String(), dialing)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("---- relay, MTU %d:\n%s", c.MTU, p.trace)
			t.Logf("---- server %s:\n%s\n---- client %s:\n%s", server.Name(), p.server.Log(), client.Name(), p.client.Log())
		}
	})
	return p
}

// rough is the number of datagrams in each direction that a lossy path treats
// badly: four losses, and a fifth one for certain, the second datagram, which
// every handshake has. It ends because the peers double their timers and some
// give up after 40 seconds: a matrix without an end always has a case where
// the same flight is hit six times.
const rough = 20

// mtuOf is the largest datagram that passes from a side.
func (c Case) mtuOf(sender any) int {
	l := limitsOf(sender)
	return max(c.MTU, l.MTU, l.Least)
}

// path is what the relay does to the datagrams of one side.
func (c Case) path(sender any) dtlstest.Path {
	p := dtlstest.Path{MTU: c.mtuOf(sender)}
	if c.Loss {
		p.LossEvery, p.Reorder, p.Rough = 5, 0.1, rough
		p.Drop = []int{1}
	}
	return p
}

// checkPath looks at the datagrams of one side. long says that it sent a chain
// of 6 KB, which must have filled whole datagrams.
func (c Case) checkPath(t *testing.T, sender any, s dtlstest.PathStats, long bool) {
	t.Helper()
	mtu := c.mtuOf(sender)
	if c.Loss && s.Dropped() == 0 {
		t.Errorf("no datagram was lost: %+v", s)
	}
	if !c.Loss && s.Lost > 0 {
		t.Errorf("datagrams were lost: %+v", s)
	}
	if s.LargestSeen > mtu && limitsOf(sender).Least == 0 {
		t.Errorf("a datagram of %d bytes was sent, the MTU is %d", s.LargestSeen, mtu)
	}
	if c.Loss && limitsOf(sender).Cautious {
		return
	}
	if long && s.LargestSeen < mtu*3/4 {
		t.Errorf("the largest datagram has %d bytes, the MTU of %d is not used", s.LargestSeen, mtu)
	}
}

// converse returns when a line of each side has arrived at the other.
func converse(t *testing.T, server, client Endpoint) {
	t.Helper()
	// No letter that a command line peer takes for a command of its own comes
	// first in a line.
	const ping, pong = "ping-from-client", "pong-from-server"
	answer := pong
	if server.Echoes() {
		answer = ping
	}
	deadline := time.After(caseTimeout)
	again := time.NewTicker(sayAgain)
	defer again.Stop()
	pause := sayAgain // between two lines of the client
	next := time.Now()
	for tick := 0; ; tick++ {
		up, down := server.Heard(ping), client.Heard(answer)
		if up && down {
			return
		}
		for _, e := range []Endpoint{server, client} {
			if err := e.Failed(); err != nil {
				t.Fatal(err)
			}
		}
		if client.Established() && (!up || server.Echoes()) && !time.Now().Before(next) {
			next = time.Now().Add(pause)
			pause = min(2*pause, sayLast)
			if err := client.Say(ping); err != nil {
				t.Fatalf("client: %v", err)
			}
		}
		// The server speaks second. gnutls-cli starts its timer anew for every
		// record, so that data every now and then keeps it from asking for a
		// lost Finished; s_server completes a handshake inside a write, and
		// then reports nothing about it. But not speaking at all is wrong too:
		// s_client woken by a late datagram of the handshake looks at its input
		// again only after some data.
		reluctant := server.Established() && tick%50 == 49
		if !down && !server.Echoes() && (up || reluctant) {
			if err := server.Say(pong); err != nil {
				t.Fatalf("server: %v", err)
			}
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("after %v, data has arrived at the server: %v, at the client: %v", caseTimeout, up, down)
		}
	}
}

// waitUntil returns when something has come true, and ends the test when time is
// over.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(caseTimeout); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v there is no %s", caseTimeout, what)
		}
	}
}
