package dtls

import "context"

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
