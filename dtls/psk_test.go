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

func pskOf(list ...PSK) func(context.Context, ClientPSKInfo) ([]PSK, error) {
	return func(context.Context, ClientPSKInfo) ([]PSK, error) { return list, nil }
}

// TestLongPSK: a key that no length field can hold is an error of the callback, in
// both versions and on both sides, and no panic.
func TestLongPSK(t *testing.T) {
	long := make([]byte, 1<<16)
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		for at := range side(2) {
			key := func(s side) []byte {
				if s == at {
					return long
				}
				return []byte("a key of both sides")
			}
			client := &Config{MinVersion: version, MaxVersion: version, ClientPSK: func(context.Context, ClientPSKInfo) ([]PSK, error) {
				return []PSK{{Identity: []byte("who"), Key: key(clientSide)}}, nil
			}}
			server := &Config{MinVersion: version, MaxVersion: version, ServerPSK: func(context.Context, ServerPSKInfo) (*PSK, error) {
				return &PSK{Key: key(serverSide)}, nil
			}}
			if _, err := NewClientEngine(client, simStart); err != nil {
				if version == VersionDTLS13 && at == clientSide && strings.Contains(err.Error(), "65535") {
					continue // DTLS 1.3 asks for the keys before the hello
				}
				t.Fatal(err)
			}
			s := newSim(t, client, server)
			s.run(time.Minute, func() bool { return s.eng[at].Err() != nil })
			if err := s.eng[at].Err(); err == nil || !strings.Contains(err.Error(), "65535") {
				t.Errorf("%s, %v: %v", VersionName(version), at, err)
			}
		}
	}
}

// TestEmptyIdentity: an empty PSK identity is legal in DTLS 1.2 (RFC 4279, Section 2), and
// DTLS 1.3 cannot offer it (RFC 8446, Section 4.2.11). A client that has no other key
// offers DTLS 1.2 alone, so that a server of both versions serves it, too.
func TestEmptyIdentity(t *testing.T) {
	for _, newest := range []uint16{VersionDTLS12, VersionDTLS13} {
		client, server := pskConfigs()
		client.CipherSuites, server.CipherSuites = nil, nil
		client.MaxVersion, server.MaxVersion = 0, newest
		key := []byte("0123456789abcdef")
		client.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) { return []PSK{{Key: key}}, nil }
		server.Certificates = nil
		server.ServerPSK = func(_ context.Context, info ServerPSKInfo) (*PSK, error) {
			if len(info.Identity) > 0 {
				return nil, nil
			}
			return &PSK{Key: key}, nil
		}
		s := newSim(t, client, server)
		s.handshake()
		s.echo("without an identity")
		if v := s.eng[clientSide].ConnectionState().Version; v != VersionDTLS12 {
			t.Errorf("version %04x", v)
		}
	}
}
