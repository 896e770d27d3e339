package interop

import (
	"testing"
	"time"

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

// run takes a case from the first datagram to data in both directions, and
// checks what crossed the relay.
func run(t *testing.T, server, client Peer, c Case) {
	t.Helper()
	size := 0
	if c.LongChain {
		size = longChain
	}
	// Two chains of the same kind, so that nobody verifies the other side
	// against its own root by accident.
	key := suiteByID(c.Suite).key
	serverChain := dtlstest.MustChain(key, size)
	clientChain := dtlstest.MustChain(key, size+1)

	serving := Options{Suite: c.Suite, Chain: serverChain, MTU: c.MTU}
	dialing := Options{Suite: c.Suite, Roots: serverChain, MTU: c.MTU, ServerName: "localhost"}
	if c.ClientCert {
		serving.Roots, dialing.Chain = clientChain, clientChain
	}
	if c.ALPN {
		serving.ALPN, dialing.ALPN = protocol, protocol
	}

	s, addr := server.Serve(t, serving)
	tr := &trace{start: time.Now()}
	relay, err := dtlstest.NewRelay(addr, dtlstest.RelayConfig{
		Seed:     c.seed(),
		ToServer: c.path(),
		ToClient: c.path(),
		Tap:      tr.tap,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	cl := client.Dial(t, relay.Addr().String(), dialing)
	defer func() {
		if t.Failed() {
			t.Logf("---- relay, MTU %d:\n%s", c.MTU, tr)
			t.Logf("---- server %s:\n%s\n---- client %s:\n%s", server.Name(), s.Log(), client.Name(), cl.Log())
		}
	}()

	converse(t, s, cl)
	for _, e := range []Endpoint{s, cl} {
		if err := e.Agrees(); err != nil {
			t.Error(err)
		}
	}
	c.checkPath(t, relay.Stats(dtlstest.ToServer), c.LongChain && c.ClientCert)
	c.checkPath(t, relay.Stats(dtlstest.ToClient), c.LongChain)
}

// rough is the number of datagrams in each direction that a lossy path treats
// badly: four losses, and a fifth one for certain, the second datagram, which
// every handshake has. It ends because the peers double their timers and some
// give up after 40 seconds: a matrix without an end always has a case where
// the same flight is hit six times.
const rough = 20

// path is what the relay does in each direction.
func (c Case) path() dtlstest.Path {
	p := dtlstest.Path{MTU: c.MTU}
	if c.Loss {
		p.LossEvery, p.Reorder, p.Rough = 5, 0.1, rough
		p.Drop = []int{1}
	}
	return p
}

// checkPath looks at the datagrams of one direction. long says that a chain of
// 6 KB went that way, which must have filled whole datagrams.
func (c Case) checkPath(t *testing.T, s dtlstest.PathStats, long bool) {
	t.Helper()
	if c.Loss && s.Lost == 0 {
		t.Errorf("no datagram was lost: %+v", s)
	}
	if !c.Loss && s.Lost > 0 {
		t.Errorf("datagrams were lost: %+v", s)
	}
	if s.LargestSeen > c.MTU {
		t.Errorf("a datagram of %d bytes was sent, the MTU is %d", s.LargestSeen, c.MTU)
	}
	if long && s.LargestSeen < c.MTU*3/4 {
		t.Errorf("the largest datagram has %d bytes, the MTU of %d is not used", s.LargestSeen, c.MTU)
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
