package interop

import "testing"

func TestOpenSSL(t *testing.T) { testPeer(t, OpenSSL{}) }
func TestGnuTLS(t *testing.T)  { testPeer(t, GnuTLS{}) }
func TestPion(t *testing.T)    { testPeer(t, Pion{}) }

// testPeer runs the library against a peer. The cases of all peers run side by
// side, they mostly wait for timers.
func testPeer(t *testing.T, peer Peer) {
	t.Parallel()
	for _, c := range Cases(peer.Suites()) {
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			if c.WeServe {
				run(t, Flightpath{}, peer, c)
			} else {
				run(t, peer, Flightpath{}, c)
			}
		})
	}
}
