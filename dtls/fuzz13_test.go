package dtls

import (
	"crypto/tls"
	"sync"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// The engines of DTLS 1.3 under the scripts of fuzz_test.go.

// configPair is a client and a server, made once: chains cost more than a
// handshake.
type configPair struct{ client, server *Config }

// fuzzKinds13 are the handshakes that a script chooses among. Most have a
// pre-shared key, which is quick.
var fuzzKinds13 = sync.OnceValue(func() (list [10]configPair) {
	for i := range list {
		c, s := simConfigs13(dtlstest.P256, 0)
		if i < 6 {
			withPSK(c, s)
			s.Certificates = nil
		}
		list[i] = configPair{c, s}
	}
	retry := func(p configPair) {
		p.client.CurvePreferences, p.server.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}, []tls.CurveID{tls.CurveP256}
	}
	quick := func(p configPair) { p.client.CurvePreferences = []tls.CurveID{tls.X25519} }
	both := func(p configPair) { p.client.MinVersion, p.server.MinVersion = 0, 0 }
	older := func(c *Config) { c.MinVersion, c.MaxVersion = 0, VersionDTLS12 }
	for i, p := range list {
		switch i {
		case 1:
			p.server.SessionTicketsDisabled = true
			quick(p)
		case 2:
			p.client.Hello = HelloFull // in several datagrams
		case 3, 7:
			retry(p)
		case 4, 8:
			both(p)
			quick(p)
		case 5:
			both(p)
			older(p.server)
			p.client.CipherSuites, p.server.CipherSuites = []uint16{0x1301, 0xd001}, []uint16{0xd001}
		case 9:
			p.client.Certificates, p.server.ClientAuth = p.server.Certificates, tls.RequireAndVerifyClientCert
			quick(p)
		default:
			quick(p)
		}
	}
	return list
})

func fuzzConfigs13(mode int) (client, server *Config) {
	kind := fuzzKinds13()[mode/27%10]
	return kind.client.Clone(), kind.server.Clone()
}

func fuzzSeeds13(f *testing.F) {
	for op := range byte(mutations) {
		psk, other := op%5*27, (5+op%5)*27
		f.Add([]byte{psk + 9, 4, 0, 4, 0, 0, 2, op, 0, 30, 7, op, 1, 2, 3, op, 0, 14, 255, op, 2, 0, 1})
		f.Add([]byte{op%3*9 + 1, 0, 0, 0, 0, 0, 0, 0, op, 0, 1, 2, op, 0, 60, 16, op, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9})
		f.Add([]byte{other + op%27, 3, 0, 1, 0, 0, 4, 0, 0, 0, op, 3, 24, 40, op, 2, 0, 7, 3, 0, op, 1, 1, 1, 1, 0, 0, 0, op})
	}
	for mode := byte(2 * 27); mode < 5*27; mode += 13 {
		f.Add([]byte{mode, 4, 0, 4, 0, 0, 0, 14, 2, 0, 0, 14, 0, 0, 3, 1, 2, 3, 14, 2, 1, 0, 15, 0, 2, 1, 2}) // HelloRetryRequests that contradict
		f.Add([]byte{mode, 4, 0, 4, 0, 0, 0, 15, 0, 3, 1, 2, 3, 0, 14, 0, 0, 3, 1, 2, 3})                     // behind a HelloVerifyRequest
		f.Add([]byte{mode, 4, 0, 4, 0, 0, 1, 1, 1, 13, 2, 0, 0, 0, 1, 0, 0, 99, 0, 13, 0, 0, 0, 99, 0})       // ACKs in the clear, after losses
	}
}

func FuzzEngineServer13(f *testing.F) {
	fuzzSeeds13(f)
	f.Fuzz(func(t *testing.T, input []byte) { fuzzEngine(t, input, serverSide, fuzzConfigs13) })
}

func FuzzEngineClient13(f *testing.F) {
	fuzzSeeds13(f)
	f.Fuzz(func(t *testing.T, input []byte) { fuzzEngine(t, input, clientSide, fuzzConfigs13) })
}
