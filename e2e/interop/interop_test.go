package interop

import "testing"

func TestOpenSSL(t *testing.T) { testPeer(t, OpenSSL{}) }
func TestGnuTLS(t *testing.T)  { testPeer(t, GnuTLS{}) }
func TestPion(t *testing.T)    { testPeer(t, Pion{}) }
func TestMbedTLS(t *testing.T) { testPeer(t, MbedTLS{}) }
func TestWolfSSL(t *testing.T) { testPeer(t, WolfSSL{}) }

func TestPSKOpenSSL(t *testing.T) { testPSK(t, OpenSSL{}) }
func TestPSKGnuTLS(t *testing.T)  { testPSK(t, GnuTLS{}) }
func TestPSKPion(t *testing.T)    { testPSK(t, Pion{}) }
func TestPSKMbedTLS(t *testing.T) { testPSK(t, MbedTLS{}) }
func TestPSKWolfSSL(t *testing.T) { testPSK(t, WolfSSL{}) }

// TestErlang has few cases, since its virtual machine takes a while to start, and
// none with loss: its server does not repeat a HelloVerifyRequest.
func TestErlang(t *testing.T) {
	t.Parallel()
	for i, id := range (Erlang{}).Suites() {
		c := Case{
			WeServe:    i%2 == 0,
			Suite:      id,
			ClientCert: i%3 == 0,
			ALPN:       i%3 == 1,
			LongChain:  i%4 < 2,
			MTU:        []int{1232, 548, 300}[i/2%3],
		}
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			runWith(t, Erlang{}, c)
		})
	}
}

// TestPSKGnuTLSServer: ECDHE_PSK, which only its server has.
func TestPSKGnuTLSServer(t *testing.T) {
	t.Parallel()
	for i, identity := range append(GnuTLS{}.PSK().Identities, ZeroIdentity) {
		c := Case{Suite: 0xccac, Identity: identity, MTU: pskMTUs[i%2], Hint: i%2 == 0, Loss: i/2 == 1}
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			run(t, GnuTLS{}, Flightpath{}, c)
		})
	}
}

// testPeer runs the library against a peer. The cases of all peers run side by
// side, they mostly wait for timers.
func testPeer(t *testing.T, peer Peer) {
	t.Parallel()
	testCases(t, peer, Cases(peer))
}

// testPSK is testPeer with pre-shared keys.
func testPSK(t *testing.T, peer PSKPeer) {
	t.Parallel()
	testCases(t, peer, PSKCases(peer))
}

func testCases(t *testing.T, peer Peer, cases []Case) {
	for _, c := range cases {
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			runWith(t, peer, c)
		})
	}
}

// runWith runs a case between us and a peer.
func runWith(t *testing.T, peer Peer, c Case) {
	if c.WeServe {
		run(t, Flightpath{}, peer, c)
	} else {
		run(t, peer, Flightpath{}, c)
	}
}
