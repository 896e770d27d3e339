package interop

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// Flightpath is this library as a Peer, so that both ends of a case are driven
// the same way.
type Flightpath struct{}

func (Flightpath) Name() string     { return "flightpath" }
func (Flightpath) Suites() []uint16 { return allSuites() }

func (Flightpath) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	a := &association{options: o}
	l := a.listen(t)
	a.start(t, l.AcceptContext)
	return a, l.Addr().String()
}

func (Flightpath) Dial(t testing.TB, addr string, o Options) Endpoint {
	t.Helper()
	a := &association{options: o}
	a.start(t, a.dialing(addr))
	return a
}

// association is an endpoint of ours.
type association struct {
	options Options
	log     output // failures, also of handshakes that a listener gave up

	mu    sync.Mutex
	conn  *dtls.Conn // once the handshake is complete
	asked bool       // a client for its pre-shared key
	hint  []byte     // of the server about it
	heard []string
	err   error // why it ended
}

// listen returns a listener that lives until the test ends.
func (a *association) listen(t testing.TB) *dtls.Listener {
	t.Helper()
	o, cfg := a.options, a.config()
	if o.Roots != nil {
		cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, o.Roots.Pool()
	}
	if o.PSK != nil {
		cfg.PSKHint = o.PSK.Hint
		cfg.ServerPSK = func(_ context.Context, info dtls.ServerPSKInfo) (*dtls.PSK, error) {
			if !bytes.Equal(info.Identity, o.PSK.Identity) {
				return nil, nil
			}
			return &dtls.PSK{Identity: info.Identity, Key: o.PSK.Key}, nil
		}
	}
	if o.Ours != nil {
		o.Ours(cfg)
	}
	l, err := dtls.Listen("udp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// dialing returns a function that opens the association.
func (a *association) dialing(addr string) func(context.Context) (*dtls.Conn, error) {
	o, cfg := a.options, a.config()
	if o.Roots != nil {
		cfg.ServerName, cfg.RootCAs = o.ServerName, o.Roots.Pool()
	}
	if o.PSK != nil {
		cfg.ClientPSK = func(_ context.Context, info dtls.ClientPSKInfo) ([]dtls.PSK, error) {
			a.mu.Lock()
			a.asked, a.hint = true, info.Hint
			a.mu.Unlock()
			return []dtls.PSK{{Identity: o.PSK.Identity, Key: o.PSK.Key}}, nil
		}
	}
	if o.Ours != nil {
		o.Ours(cfg)
	}
	return func(ctx context.Context) (*dtls.Conn, error) {
		d := dtls.Dialer{Config: cfg}
		conn, err := d.DialContext(ctx, "udp", addr)
		if err != nil {
			return nil, err
		}
		return conn.(*dtls.Conn), nil
	}
}

// config is what both roles have.
func (a *association) config() *dtls.Config {
	o := a.options
	cfg := &dtls.Config{
		MTU:    o.MTU,
		MaxMTU: o.MTU,
		Logger: slog.New(slog.NewTextHandler(&a.log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if o.Suite != 0 {
		cfg.CipherSuites = []uint16{o.Suite}
	}
	if o.NoEMS {
		cfg.RequireExtendedMasterSecret = new(bool)
	}
	if o.Chain != nil {
		cfg.Certificates = []tls.Certificate{o.Chain.Certificate}
	}
	if o.ALPN != "" {
		cfg.NextProtos = []string{o.ALPN}
	}
	return cfg
}

// start opens the association and reads from it until the test ends.
func (a *association) start(t testing.TB, open func(context.Context) (*dtls.Conn, error)) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := a.converse(ctx, open)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.err = err
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

func (a *association) converse(ctx context.Context, open func(context.Context) (*dtls.Conn, error)) error {
	conn, err := open(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	a.mu.Lock()
	a.conn = conn
	a.mu.Unlock()
	buf := make([]byte, 1<<14)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		a.mu.Lock()
		a.heard = append(a.heard, string(buf[:n]))
		a.mu.Unlock()
	}
}

func (a *association) connection() *dtls.Conn {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.conn
}

func (a *association) Established() bool { return a.connection() != nil }

func (a *association) Say(line string) error { return a.send([]byte(line + "\n")) }

// send makes a record of p.
func (a *association) send(p []byte) error {
	conn := a.connection()
	if conn == nil {
		return errors.New("flightpath: no association")
	}
	_, err := conn.Write(p)
	return err
}

func (a *association) Failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

func (a *association) Echoes() bool { return false }

func (a *association) Heard(line string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.heard {
		if strings.Contains(h, line) {
			return true
		}
	}
	return false
}

func (a *association) Agrees() error {
	conn := a.connection()
	if conn == nil {
		return errors.New("flightpath: no association")
	}
	state, o := conn.ConnectionState(), a.options
	if version := cmp.Or(o.Version, dtls.VersionDTLS12); state.Version != version {
		return fmt.Errorf("flightpath: version %#04x, want %#04x", state.Version, version)
	}
	if o.Suite != 0 && state.CipherSuite != o.Suite {
		return fmt.Errorf("flightpath: suite %#04x, want %#04x", state.CipherSuite, o.Suite)
	}
	if state.Version == dtls.VersionDTLS12 && state.ExtendedMasterSecret == o.NoEMS {
		return fmt.Errorf("flightpath: extended master secret %v", state.ExtendedMasterSecret)
	}
	if state.NegotiatedProtocol != o.ALPN {
		return fmt.Errorf("flightpath: protocol %q, want %q", state.NegotiatedProtocol, o.ALPN)
	}
	want := 0
	if o.Roots != nil {
		want = len(o.Roots.Certificate.Certificate)
	}
	if got := len(state.PeerCertificates); got != want {
		return fmt.Errorf("flightpath: %d certificates of the peer, want %d", got, want)
	}
	if want > 0 && !state.PeerCertificates[0].Equal(o.Roots.Certificate.Leaf) {
		return errors.New("flightpath: another certificate than the peer's")
	}
	return a.agreesPSK(state)
}

// agreesPSK compares identities, and on a client the server's hint.
func (a *association) agreesPSK(state dtls.ConnectionState) error {
	want := &PSK{}
	if a.options.PSK != nil {
		want = a.options.PSK
	}
	if !bytes.Equal(state.PSKIdentity, want.Identity) {
		return fmt.Errorf("flightpath: identity %q, want %q", state.PSKIdentity, want.Identity)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked && !bytes.Equal(a.hint, want.Hint) {
		return fmt.Errorf("flightpath: hint %q, want %q", a.hint, want.Hint)
	}
	return nil
}

func (a *association) Log() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprintf("%sflightpath: connected %v, heard %q, ended with %v", a.log.String(), a.conn != nil, a.heard, a.err)
}
