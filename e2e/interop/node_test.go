package interop

import (
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// TestNodeRTC: pre-shared keys, among them a suite that nobody else has.
func TestNodeRTC(t *testing.T) {
	t.Parallel()
	identities := []Identity{TextIdentity, LongIdentity, OddIdentity, ZeroIdentity}
	for i, id := range []uint16{0x00a8, 0x00a9, 0xccab, 0xccac, 0xd001, 0xd002} {
		c := Case{WeServe: true, Suite: id, MTU: pskMTUs[i%2], Identity: identities[i%4], Hint: i < 3, Loss: i%3 == 2}
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			run(t, Flightpath{}, Node("nodertc"), c)
		})
	}
}

// TestNodeRTCHasNoSchemes: a hello without signature_algorithms gets no
// certificate. RFC 9155, Section 2.
func TestNodeRTCHasNoSchemes(t *testing.T) {
	t.Parallel()
	c := Case{WeServe: true, Suite: 0xcca9, MTU: 1232}
	serving, dialing := c.options()
	p := connect(t, Flightpath{}, Node("nodertc"), serving, dialing, c)
	waitUntil(t, "end of the handshake", func() bool { return p.client.Failed() != nil })
	if !p.client.Heard("alert code 40") || !strings.Contains(p.server.Log(), "signature schemes") {
		t.Error("not for the reason expected")
	}
}

// TestNodeDTLSClient: what gateways in homes are made of. It has no extended
// master secret, does not repeat its hello, is put off by a repeated flight, and
// ends when it is sent a hint.
func TestNodeDTLSClient(t *testing.T) {
	t.Parallel()
	for i, id := range []uint16{0x00a8, 0x00a9, 0xc0a4, 0xc0a5, 0xc0a8, 0xc0a9} {
		c := Case{WeServe: true, Suite: id, MTU: pskMTUs[i%2], Identity: []Identity{TextIdentity, LongIdentity}[i/3]}
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			serving, dialing := c.options()
			serving.Ours = func(cfg *dtls.Config) { cfg.Retransmit = dtls.RetransmitConstrained }
			p := connect(t, Flightpath{}, Node("node-dtls-client"), serving, dialing, c)
			converse(t, p.server, p.client)
			if err := p.server.Agrees(); err != nil {
				t.Error(err)
			}
		})
	}
}
