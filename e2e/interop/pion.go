package interop

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"testing"

	pion "github.com/pion/dtls/v3"
)

// Pion runs github.com/pion/dtls inside the test process.
type Pion struct{}

func (Pion) Name() string { return "pion" }

// Suites leaves out AES-256 with CCM, which this peer has with PSK only.
func (Pion) Suites() []uint16 {
	return suitesWithout(suites, 0xc0ad, 0xc0af)
}

// PSK: identities are bytes.
func (Pion) PSK() Abilities {
	return Abilities{
		Suites:     suitesWithout(pskSuites, 0x00a9, 0xc0a5, 0xd001, 0xd002, 0xd005, 0xd003),
		Identities: []Identity{TextIdentity, LongIdentity, OddIdentity, ZeroIdentity},
		Hints:      true,
	}
}

// pionHeaders is what it adds to its MTU, which counts handshake bytes only:
// a record header, a handshake header, an explicit nonce and a tag.
const pionHeaders = 13 + 12 + 8 + 16

func (Pion) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	var opts []pion.ServerOption
	for _, opt := range pionCommon(o) {
		opts = append(opts, opt)
	}
	if o.Roots != nil {
		opts = append(opts, pion.WithClientAuth(pion.RequireAndVerifyClientCert), pion.WithClientCAs(o.Roots.Pool()))
	}
	if o.PSK != nil {
		opts = append(opts, pion.WithPSK(func(identity []byte) ([]byte, error) {
			if !bytes.Equal(identity, o.PSK.Identity) {
				return nil, errors.New("unknown identity")
			}
			return o.PSK.Key, nil
		}))
		if o.PSK.Hint != nil {
			opts = append(opts, pion.WithPSKIdentityHint(o.PSK.Hint))
		}
	}
	l, err := pion.ListenWithOptions("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	e := &pionEndpoint{options: o}
	if o.PSK != nil {
		e.identity = o.PSK.Identity
	}
	e.serve(t, l)
	return e, l.Addr().String()
}

func (Pion) Dial(t testing.TB, addr string, o Options) Endpoint {
	t.Helper()
	var opts []pion.ClientOption
	for _, opt := range pionCommon(o) {
		opts = append(opts, opt)
	}
	if o.Roots != nil {
		opts = append(opts, pion.WithServerName(o.ServerName), pion.WithRootCAs(o.Roots.Pool()))
	}
	if o.PSK != nil {
		opts = append(opts,
			pion.WithPSK(func([]byte) ([]byte, error) { return o.PSK.Key, nil }),
			pion.WithPSKIdentityHint(o.PSK.Identity)) // on a client the option means that
	}
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	e := &pionEndpoint{options: o}
	if o.PSK != nil {
		e.identity = o.PSK.Hint
	}
	e.run(t, func() (*pion.Conn, error) { return pion.DialWithOptions("udp", to, opts...) })
	return e
}

func pionCommon(o Options) []pion.Option {
	opts := []pion.Option{
		pion.WithCipherSuites(pion.CipherSuiteID(o.Suite)),
		pion.WithMTU(o.MTU - pionHeaders),
		pion.WithExtendedMasterSecret(pion.RequireExtendedMasterSecret),
	}
	if o.Chain != nil {
		opts = append(opts, pion.WithCertificates(o.Chain.Certificate))
	}
	if o.ALPN != "" {
		opts = append(opts, pion.WithSupportedProtocols(o.ALPN))
	}
	return opts
}

// pionEndpoint is an association of pion's, or one that begins.
type pionEndpoint struct {
	inProcess[*pion.Conn]
	options  Options
	identity []byte // what the other side must have said: a client its identity, a server its hint
}

func (e *pionEndpoint) Agrees() error {
	conn, ok := e.connection()
	if !ok {
		return errors.New("pion: no connection")
	}
	state, ok := conn.ConnectionState()
	switch {
	case !ok:
		return errors.New("pion: the handshake is not complete")
	case uint16(state.CipherSuiteID) != e.options.Suite:
		return fmt.Errorf("pion: suite %v", state.CipherSuiteID)
	case state.NegotiatedProtocol != e.options.ALPN:
		return fmt.Errorf("pion: protocol %q", state.NegotiatedProtocol)
	case !bytes.Equal(state.IdentityHint, e.identity):
		return fmt.Errorf("pion: identity or hint %q, want %q", state.IdentityHint, e.identity)
	}
	return nil
}
