package dtls

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

var testPSK = PSK{Identity: []byte("me\x00and more"), Key: []byte{1, 2, 3, 4}}

func withPSK(client, server *Config) {
	client.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) { return []PSK{testPSK}, nil }
	server.ServerPSK = func(_ context.Context, info ServerPSKInfo) (*PSK, error) {
		if string(info.Identity) == string(testPSK.Identity) {
			return &testPSK, nil
		}
		return nil, nil
	}
}

// TestPSKHint: bytes that reach ClientPSK as they are. Without a hint the message
// that would carry it is left out, if there is nothing else in it.
func TestPSKHint(t *testing.T) {
	for _, id := range []uint16{0x00a8, 0xd001} {
		for _, hint := range [][]byte{nil, {}, []byte("which key?"), {0, 0xff, 0}, make([]byte, 65535)} {
			client, server := pskConfigs()
			client.CipherSuites, server.CipherSuites = []uint16{id}, []uint16{id}
			client.MaxHandshakeSize = 1 << 17
			server.PSKHint = hint
			asked := 0
			client.ClientPSK = func(_ context.Context, info ClientPSKInfo) ([]PSK, error) {
				asked++
				if !bytes.Equal(info.Hint, hint) || len(hint) == 0 && info.Hint != nil {
					t.Errorf("%04x: a hint of %d bytes, want %d", id, len(info.Hint), len(hint))
				}
				return []PSK{testPSK}, nil
			}
			s := newSim(t, client, server)
			wire := &strings.Builder{}
			s.path = func(_ side, _ int, d []byte) []time.Duration {
				wire.WriteString(describeDatagram(d))
				return []time.Duration{simRTT / 2}
			}
			s.handshake()
			if asked != 1 {
				t.Errorf("%04x: ClientPSK was asked %d times", id, asked)
			}
			sent := strings.Contains(wire.String(), message.TypeServerKeyExchange.String())
			if want := len(hint) > 0 || suite.Lookup(id).UsesECDHE(); sent != want {
				t.Errorf("%04x, a hint of %d bytes: server_key_exchange sent %v, want %v", id, len(hint), sent, want)
			}
		}
	}
}

func pskOf(k PSK) func(context.Context, ClientPSKInfo) ([]PSK, error) {
	return func(context.Context, ClientPSKInfo) ([]PSK, error) { return []PSK{k}, nil }
}
