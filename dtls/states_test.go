package dtls

import (
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// TestEveryMessageInEveryState sends every type of message to every state of a
// live handshake: what is not expected is an unexpected_message and nothing
// else, in plaintext under AlertsImmediate.
func TestEveryMessageInEveryState(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, configs := range []func() (*Config, *Config){
		func() (*Config, *Config) {
			client, server := simKinds[1].configs()
			server.CookieMode = CookieAuto
			return client, server
		},
		hostileConfigs,
		func() (*Config, *Config) { client, server := simKinds[2].configs(); return client, server },
	} {
		immediate := func() (*Config, *Config) {
			client, server := configs()
			client.PlaintextAlerts, server.PlaintextAlerts = AlertsImmediate, AlertsImmediate
			return client, server
		}
		for _, m := range moments(t, immediate) {
			if m.after {
				continue
			}
			for _, typ := range handshakeTypes {
				s := at(t, immediate, m, func(s *sim) {
					e := s.eng[m.to]
					if !e.handshaking() || !e.hs.in.Fixed() || typ == message.TypeFinished {
						return // tried in TestForgedPlaintext
					}
					state, expected := e.hs.m.StateName(), e.hs.m.Expects().Has(typ)
					seen[state] = true
					s.inject(m.to, forgeMessage(typ, e.hs.in.Awaited(), 0xff))
					a, remote := alertOf(t, e)
					if remote || expected == (a == alert.UnexpectedMessage) {
						t.Errorf("%v in %s: %v", typ, state, e.Err())
					}
				})
				if s.over() && s.now.Sub(s.start) > time.Second {
					t.Errorf("%v at %+v: ended after %v", typ, m, s.now.Sub(s.start))
				}
			}
		}
	}
	if len(seen) < 8 {
		t.Errorf("only %d states were tried: %v", len(seen), seen)
	}
}
