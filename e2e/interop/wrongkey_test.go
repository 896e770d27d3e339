package interop

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// pskPeers are what a wrong key is tried with; one suite of each.
var pskPeers = []struct {
	peer    Peer
	suite   uint16
	anybody bool // its server has one key for all identities
}{
	{OpenSSL{}, 0xc0a8, true},
	{OpenSSL{}, 0xccac, true},
	{GnuTLS{}, 0xc0a8, false},
	{Pion{}, 0xc0a8, false},
	{MbedTLS{}, 0xc0a8, false},
	{WolfSSL{}, 0xd001, false},
}

// TestUnknownIdentity: a client with the wrong key, and one whose identity we
// do not know, are sent the same datagrams: a cookie, one flight, and nothing
// about what they answer to it. RFC 4279, Section 2.
func TestUnknownIdentity(t *testing.T) {
	t.Parallel()
	for _, p := range pskPeers {
		c := Case{WeServe: true, Suite: p.suite, Identity: TextIdentity, MTU: 1232}
		t.Run(p.peer.Name()+"_"+c.Name(), func(t *testing.T) {
			t.Parallel()
			wrongKey := refused(t, p.peer, c, func(psk *PSK) { psk.Key[0] ^= 1 })
			unknown := refused(t, p.peer, c, func(psk *PSK) { psk.Identity[0] ^= 1 })
			if !slices.Equal(wrongKey, unknown) {
				t.Errorf("a wrong key is sent %v bytes, an unknown identity %v", wrongKey, unknown)
			}
		})
	}
}

// refused lets a client with other credentials than ours try until it has sent
// its Finished twice, and returns the sizes of what it was sent, without cookies:
// when the machine is slow, a client asks for more than one.
func refused(t *testing.T, client Client, c Case, spoil func(*PSK)) (sent []int) {
	t.Helper()
	serving, dialing := c.options()
	spoil(dialing.PSK)
	serving.Ours = func(cfg *dtls.Config) {
		cfg.Retransmit = dtls.RetransmitPolicy{Initial: time.Minute, NoRTT: true} // no timer of ours in between
	}
	p := connect(t, Flightpath{}, client, serving, dialing, c)
	waitUntil(t, "second Finished of the client", func() bool {
		finished := 0
		for _, d := range p.trace.seen(dtlstest.ToServer) {
			if strings.Contains(describe(d), " [1.") {
				finished++
			}
		}
		return finished >= 2
	})
	if p.server.Established() || p.client.Established() {
		t.Error("the handshake succeeds")
	}
	for _, d := range p.trace.seen(dtlstest.ToClient) {
		if !strings.Contains(describe(d), "HelloVerifyRequest") {
			sent = append(sent, len(d))
		}
	}
	return sent
}

// TestWrongKey: a server with another key than ours. It may say so or not; the
// handshake ends, and the error says which.
func TestWrongKey(t *testing.T) {
	t.Parallel()
	for _, p := range pskPeers {
		for _, wrong := range []string{"key", "identity"} {
			if wrong == "identity" && p.anybody {
				continue
			}
			c := Case{Suite: p.suite, Identity: TextIdentity, MTU: 1232}
			t.Run(p.peer.Name()+"_"+c.Name()+"_"+wrong, func(t *testing.T) {
				t.Parallel()
				serving, dialing := c.options()
				dialing.Ours = func(cfg *dtls.Config) { cfg.HandshakeTimeout = 3 * time.Second }
				if wrong == "key" {
					dialing.PSK.Key[0] ^= 1
				} else {
					dialing.PSK.Identity[0] ^= 1
				}
				e := connect(t, p.peer, Flightpath{}, serving, dialing, c)
				waitUntil(t, "end of the handshake", func() bool { return e.client.Failed() != nil || e.client.Established() })
				if e.client.Established() {
					t.Fatal("the handshake succeeds")
				}
				err := e.client.Failed()
				alert, ok := errors.AsType[*dtls.AlertError](err)
				if told := ok && alert.Remote; !told && !errors.Is(err, dtls.ErrHandshakeTimeout) {
					t.Errorf("ended with %v", err)
				}
			})
		}
	}
}
