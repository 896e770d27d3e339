package dtls

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// unknownPSKs are n keys that no server knows.
func unknownPSKs(n int) (list []PSK) {
	for i := range n {
		list = append(list, PSK{Identity: fmt.Appendf(nil, "device before reset %d", i), Key: []byte("old")})
	}
	return list
}

// TestPSKIdentitiesPassedOver: RFC 8446, Section 4.2.11: "Any unknown PSKs [...] SHOULD
// simply be ignored." A server looks at the first 8 identities, within one
// CallbackTimeout.
func TestPSKIdentitiesPassedOver(t *testing.T) {
	for _, test := range []struct {
		name     string
		unknown  int // before the one that is known
		asked    int
		succeeds bool
	}{
		{"the first is known", 0, 1, true},
		{"the second is known", 1, 2, true},
		{"the eighth is known", 7, 8, true},
		{"the ninth is known", 8, 8, false},
	} {
		client, server := withOnlyPSK()
		client.ClientPSK = pskOf(append(unknownPSKs(test.unknown), testPSK)...)
		client.PlaintextAlerts, server.PlaintextAlerts = AlertsImmediate, AlertsImmediate
		asked, deadlines := 0, map[time.Time]bool{}
		server.ServerPSK = func(ctx context.Context, info ServerPSKInfo) (*PSK, error) {
			asked++
			end, _ := ctx.Deadline()
			deadlines[end] = true
			return knowing(testPSK)(ctx, info)
		}
		s := newSim(t, client, server)
		s.run(time.Minute, func() bool { return s.established() || s.over() })
		if s.established() != test.succeeds || asked != test.asked || len(deadlines) != 1 {
			t.Errorf("%s: established %v, asked for %d keys within %d time-outs", test.name, s.established(), asked, len(deadlines))
		}
		if test.succeeds {
			if id := s.eng[serverSide].ConnectionState().PSKIdentity; string(id) != string(testPSK.Identity) {
				t.Errorf("%s: the client is %q", test.name, id)
			}
		} else if a, _ := alertOf(t, s.eng[serverSide]); a != alert.DecryptError {
			t.Errorf("%s: %v", test.name, a)
		}
	}
}

// TestPSKServerRestarts: tickets that a server can open no more, since it was started
// anew, cost no handshake, in front of an external key or of several.
func TestPSKServerRestarts(t *testing.T) {
	client, server := withOnlyPSK()
	client.ClientSessionCache = NewClientSessionCache(0)
	client.ClientPSK = pskOf(append(unknownPSKs(2), testPSK)...)
	for dial := range byte(12) {
		restarted := dial%2 == 0
		if restarted {
			server = server.Clone()
			server.shares = nil
		}
		c, s := resumed(t, client, server)
		if c.DidResume == restarted || string(s.PSKIdentity) != string(testPSK.Identity) {
			t.Errorf("dial %d: resumed %v, the client is %q", dial, c.DidResume, s.PSKIdentity)
		}
	}
}
