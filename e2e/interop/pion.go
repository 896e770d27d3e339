package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
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
		Suites:     suitesWithout(pskSuites, 0x00a9, 0xc0a5, 0xd001, 0xd002),
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
	e := newPionEndpoint(o)
	if o.PSK != nil {
		e.identity = o.PSK.Identity
	}
	e.run(t, func() (*pion.Conn, error) {
		conn, err := l.Accept()
		if err != nil {
			return nil, err
		}
		return conn.(*pion.Conn), nil
	})
	// Cleanups run last to first: the listener ends before run is waited for.
	t.Cleanup(func() { l.Close() })
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
	e := newPionEndpoint(o)
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

// pionEndpoint is an endpoint on goroutines of the test.
type pionEndpoint struct {
	options  Options
	identity []byte // what the other side must have said: a client its identity, a server its hint

	mu    sync.Mutex
	conn  *pion.Conn // once the handshake is complete
	heard []string
	err   error // why it ended
}

func newPionEndpoint(o Options) *pionEndpoint { return &pionEndpoint{options: o} }

// run opens a connection, completes its handshake and reads until the end of
// the test.
func (e *pionEndpoint) run(t testing.TB, open func() (*pion.Conn, error)) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := e.converse(ctx, open)
		e.mu.Lock()
		e.err = err
		e.mu.Unlock()
	}()
	t.Cleanup(func() {
		cancel()
		e.mu.Lock()
		conn := e.conn
		e.mu.Unlock()
		if conn != nil {
			conn.Close()
		}
		<-ended
	})
}

func (e *pionEndpoint) converse(ctx context.Context, open func() (*pion.Conn, error)) error {
	conn, err := open()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	e.mu.Lock()
	e.conn = conn
	e.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	buf := make([]byte, 1<<14)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		e.mu.Lock()
		e.heard = append(e.heard, string(buf[:n]))
		e.mu.Unlock()
	}
}

func (e *pionEndpoint) Established() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conn != nil
}

func (e *pionEndpoint) Say(line string) error {
	e.mu.Lock()
	conn := e.conn
	e.mu.Unlock()
	if conn == nil {
		return errors.New("pion: no connection")
	}
	_, err := conn.Write([]byte(line + "\n"))
	return err
}

func (e *pionEndpoint) Failed() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

func (e *pionEndpoint) Echoes() bool { return false }

func (e *pionEndpoint) Heard(line string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.heard {
		if strings.Contains(h, line) {
			return true
		}
	}
	return false
}

func (e *pionEndpoint) Agrees() error {
	e.mu.Lock()
	conn := e.conn
	e.mu.Unlock()
	if conn == nil {
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

func (e *pionEndpoint) Log() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprintf("pion: connected %v, heard %q, ended with %v", e.conn != nil, e.heard, e.err)
}
