package dtls

import (
	"bytes"
	"context"
	"testing"
	"time"
)

// TestOtherPSK: a client with another pre-shared key repeats a flight that cannot be
// opened. Copies of its ClientKeyExchange, which answered the flight of the server, do
// not have that flight repeated.
func TestOtherPSK(t *testing.T) {
	client, server := pskConfigs()
	client.PlaintextAlerts, server.PlaintextAlerts = AlertsIgnored, AlertsIgnored
	psk := server.ServerPSK
	server.ServerPSK = func(ctx context.Context, info ServerPSKInfo) (*PSK, error) {
		k, err := psk(ctx, info)
		if k != nil {
			other := *k
			other.Key = bytes.Repeat([]byte{7}, 32)
			k = &other
		}
		return k, err
	}
	s := newSim(t, client, server)
	s.run(time.Minute+time.Second, func() bool { return s.established() || s.eng[clientSide].Err() != nil })
	if n := s.sent[clientSide] + s.sent[serverSide]; s.established() || n > 25 {
		t.Errorf("%d datagrams\n%s", n, s.history())
	}
}
