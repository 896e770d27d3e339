package dtls

import (
	"crypto"
	"crypto/tls"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// TestPSKAlone: a server that may do without a key exchange does so where the
// client offers none, or none that it could take part in (RFC 8446, Section 4.2.9);
// by itself no client of ours offers it.
func TestPSKAlone(t *testing.T) {
	for _, test := range []struct {
		name  string
		modes []byte
		group tls.CurveID // of the server
		asked bool        // PSKWithoutDHE
		alone bool        // there is no key exchange
		fails bool
	}{
		{name: "psk_ke only", modes: []byte{message.PSKModeKE}, group: tls.X25519, asked: true, alone: true},
		{name: "psk_ke only, not asked for", modes: []byte{message.PSKModeKE}, group: tls.X25519, fails: true},
		{name: "both modes", modes: []byte{message.PSKModeKE, message.PSKModeDHEKE}, group: tls.X25519, asked: true},
		{name: "both modes, no group in common", modes: []byte{message.PSKModeKE, message.PSKModeDHEKE}, group: tls.CurveP384, asked: true, alone: true},
		{name: "both modes, no group in common, not asked for", modes: []byte{message.PSKModeKE, message.PSKModeDHEKE}, group: tls.CurveP384, fails: true},
		{name: "psk_dhe_ke only, no group in common", modes: []byte{message.PSKModeDHEKE}, group: tls.CurveP384, asked: true, fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := simConfigs13(dtlstest.P256, 0)
			withPSK(client, server)
			client.CurvePreferences, server.CurvePreferences = []tls.CurveID{tls.X25519}, []tls.CurveID{test.group}
			server.Certificates, server.PSKWithoutDHE = nil, test.asked
			server.CookieMode, server.PlaintextAlerts = AddressProven, AlertsImmediate
			c, err := NewClientEngine(client, simStart)
			if err != nil {
				t.Fatal(err)
			}
			h := *c.hs.m.step.(awaitServerHello).hello
			h.PSKModes = test.modes
			body, err := h.AppendBody(nil)
			if err != nil {
				t.Fatal(err)
			}
			offered := offeredPSK{identity: testPSK.Identity, key: testPSK.Key, hash: crypto.SHA256}
			h.Binders = [][]byte{offered.binder(nil, body, h.BindersLen())}

			e, err := NewServerEngine(server, nil, simStart)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.HandleDatagram(simStart, helloDatagram(t, &h, 0), testAddr); (err != nil) != test.fails {
				t.Fatalf("it fails with %v, should it? %v", err, test.fails)
			}
			if test.fails {
				if a, _ := alertOf(t, e); a != alert.HandshakeFailure {
					t.Errorf("ended with %v", e.Err())
				}
				return
			}
			if _, ok := e.hs.m.step.(awaitClientFinished13); !ok {
				t.Fatalf("the server is %v", e)
			}
			if alone := e.ConnectionState().CurveID == 0; alone != test.alone {
				t.Errorf("without a key exchange: %v, want %v", alone, test.alone)
			}
		})
	}
}
