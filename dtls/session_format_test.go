package dtls

import (
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// TestSessionOfAnotherFormat: what a program has kept and nobody can read is a reason
// for a full handshake, in Session as in ClientSessionCache.
func TestSessionOfAnotherFormat(t *testing.T) {
	_, server := simConfigs13(dtlstest.P256, 0)
	good, _ := resumable13()
	for name, blob := range map[string][]byte{
		"another format": append([]byte{1}, good.Session[1:]...),
		"a later flag":   append([]byte{good.Session[0], good.Session[1], good.Session[2], 0x80}, good.Session[4:]...),
		"cut short":      good.Session[:len(good.Session)/2],
		"no session":     []byte("v0 session of the year before"),
		"empty":          {},
	} {
		for _, cached := range []bool{false, true} {
			client, _ := simConfigs13(dtlstest.P256, 0)
			if cached {
				client.ClientSessionCache = NewClientSessionCache(0)
				client.ClientSessionCache.Put(client.ServerName, blob)
			} else {
				client.Session = blob
			}
			s := newSim(t, client, server)
			s.handshake()
			if s.eng[clientSide].ConnectionState().DidResume {
				t.Errorf("%s, out of a cache %v: resumed", name, cached)
			}
		}
	}
}
