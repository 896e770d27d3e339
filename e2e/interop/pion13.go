package interop

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"

	pion "github.com/pion/dtls/v4"
	"github.com/pion/dtls/v4/pkg/crypto/ciphersuite"
	"github.com/pion/dtls/v4/pkg/crypto/elliptic"
	versions "github.com/pion/dtls/v4/pkg/protocol"
	"github.com/pion/dtls/v4/pkg/protocol/extension"
	"github.com/pion/dtls/v4/pkg/protocol/extension/dtls13"
	"github.com/pion/dtls/v4/pkg/protocol/handshake"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// Pion13 runs version 4 of github.com/pion/dtls, which speaks DTLS 1.3, inside
// the test process. Of what DTLS 1.3 has it leaves out:
//
//   - AES-CCM: its suites of 1.3 are the three of Suites;
//   - certificates that are signed with Ed25519, which it offers and shows: it
//     looks for one with {hash.None, Ed25519} among the schemes that it allows,
//     which have {hash.Ed25519, Ed25519} (signaturehash.FromCertificate);
//   - P-521, and the hybrid groups besides X25519MLKEM768;
//   - tickets where the server asks for a client certificate: such a server gives
//     and takes none (allowServerTickets), and such a client keeps none
//     (handleNewSessionTicket);
//   - tickets of a server without a certificate, likewise;
//   - a choice of the PSK mode: a client with external keys always offers both, and a
//     server takes psk_ke only without a group in common.
//
// Early data, connection IDs, its probing of paths and encrypted hellos are not
// tried: we do not have them.
type Pion13 struct {
	Groups   []tls.CurveID     // nil: its own choice
	Min, Max uint16            // versions of DTLS, 0: 1.2 to 1.3
	Proven   bool              // its server asks no client for a cookie
	Sessions pion.SessionStore // nil: it resumes nothing
	Hash     crypto.Hash       // of its pre-shared keys, 0: SHA-256
	Alone    bool              // its client offers pre-shared keys for psk_ke only
	Decoys   []pion.PSK        // that its client offers before its own key
}

func (Pion13) Name() string { return "pion-v4" }

// Suites of DTLS 1.3.
func (Pion13) Suites() []uint16 { return []uint16{0x1301, 0x1302, 0x1303} }

func (p Pion13) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	opts := []pion.ServerOption{pion.WithInsecureSkipVerifyHello(p.Proven)}
	for _, opt := range p.common(o) {
		opts = append(opts, opt)
	}
	if o.Roots != nil {
		opts = append(opts, pion.WithClientAuth(pion.RequireAndVerifyClientCert), pion.WithClientCAs(o.Roots.Pool()))
	}
	if o.PSK != nil {
		opts = append(opts, pion.WithPSK(nil, func(identities [][]byte) (*pion.PSK, error) {
			if !slices.ContainsFunc(identities, func(id []byte) bool { return bytes.Equal(id, o.PSK.Identity) }) {
				return nil, nil
			}
			return p.key(o.PSK), nil
		}))
	}
	l, err := pion.ListenAddr("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	e := &pion13Endpoint{options: o}
	e.serve(t, l)
	return e, l.Addr().String()
}

func (p Pion13) Dial(t testing.TB, addr string, o Options) Endpoint {
	t.Helper()
	var opts []pion.ClientOption
	for _, opt := range p.common(o) {
		opts = append(opts, opt)
	}
	if o.ServerName != "" {
		opts = append(opts, pion.WithServerName(o.ServerName))
	}
	if o.Roots != nil {
		opts = append(opts, pion.WithRootCAs(o.Roots.Pool()))
	}
	if o.PSK != nil {
		opts = append(opts, pion.WithPSK(func() ([]pion.PSK, error) {
			return append(slices.Clone(p.Decoys), *p.key(o.PSK)), nil
		}, nil))
	}
	if p.Alone {
		opts = append(opts, pion.WithClientHelloMessageHook(pskAlone))
	}
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	e := &pion13Endpoint{options: o}
	e.run(t, func() (*pion.Conn, error) { return pion.Dial("udp", to, opts...) })
	return e
}

// common is what both roles have.
func (p Pion13) common(o Options) []pion.Option {
	opts := []pion.Option{pion.WithMTU(o.MTU), pion.WithFlightInterval(dtls.RetransmitRealtime.Initial)}
	if o.Suite != 0 {
		// It takes suites for a range of versions: those of 1.2 are named too.
		ids := []ciphersuite.ID{ciphersuite.ID(o.Suite)}
		if p.Min != dtls.VersionDTLS13 && o.PSK == nil {
			ids = append(ids, 0xc02b, 0xc02f)
		}
		if p.Min != dtls.VersionDTLS13 && o.PSK != nil {
			ids = append(ids, 0x00a8)
		}
		opts = append(opts, pion.WithCipherSuites(ids...))
	}
	if p.Groups != nil {
		groups := make([]elliptic.Curve, len(p.Groups))
		for i, g := range p.Groups {
			groups[i] = elliptic.Curve(g)
		}
		opts = append(opts, pion.WithEllipticCurves(groups...))
	}
	if p.Min != 0 {
		opts = append(opts, pion.WithMinVersion(versions.Version(p.Min)))
	}
	if p.Max != 0 {
		opts = append(opts, pion.WithMaxVersion(versions.Version(p.Max)))
	}
	if o.Chain != nil {
		opts = append(opts, pion.WithCertificates(o.Chain.Certificate))
	}
	if o.ALPN != "" {
		opts = append(opts, pion.WithSupportedProtocols(o.ALPN))
	}
	if p.Sessions != nil {
		opts = append(opts, pion.WithSessionStore(p.Sessions))
	}
	return opts
}

func (p Pion13) key(psk *PSK) *pion.PSK {
	return &pion.PSK{Identity: psk.Identity, Key: psk.Key, Hash: p.Hash}
}

// pskAlone leaves psk_ke of the modes that a hello offers its keys for.
func pskAlone(h handshake.MessageClientHello) handshake.Message {
	h.Extensions = slices.Clone(h.Extensions)
	for i, ext := range h.Extensions {
		if ext.ExtensionType() == extension.TypePSKKeyExchangeModes {
			h.Extensions[i] = &dtls13.PSKKeyExchangeModes{Modes: []dtls13.PSKKeyExchangeMode{dtls13.PSKKE}}
		}
	}
	return &h
}

// pion13Endpoint is an association of pion's, or one that begins.
type pion13Endpoint struct {
	inProcess[*pion.Conn]
	options Options
}

// state is what the handshake has agreed upon.
func (e *pion13Endpoint) state() (pion.State, error) {
	conn, ok := e.connection()
	if !ok {
		return pion.State{}, errors.New("pion: no connection")
	}
	state, ok := conn.ConnectionState()
	if !ok {
		return pion.State{}, errors.New("pion: the handshake is not complete")
	}
	return state, nil
}

func (e *pion13Endpoint) Agrees() error {
	o := e.options
	state, err := e.state()
	if err != nil {
		return err
	}
	switch version := uint16(state.NegotiatedVersion()); {
	case version != o.Version:
		return fmt.Errorf("pion: version %#04x, want %#04x", version, o.Version)
	case o.Suite != 0 && uint16(state.CipherSuiteID) != o.Suite:
		return fmt.Errorf("pion: suite %v, want %#04x", state.CipherSuiteID, o.Suite)
	case state.NegotiatedProtocol != o.ALPN:
		return fmt.Errorf("pion: protocol %q, want %q", state.NegotiatedProtocol, o.ALPN)
	}
	var identity []byte
	if o.PSK != nil {
		identity = o.PSK.Identity
	}
	if !bytes.Equal(state.IdentityHint, identity) {
		return fmt.Errorf("pion: identity %q, want %q", state.IdentityHint, identity)
	}
	if o.Roots == nil {
		if n := len(state.PeerCertificates); n > 0 {
			return fmt.Errorf("pion: %d certificates of the peer, want none", n)
		}
		return nil
	}
	if len(state.PeerCertificates) != len(o.Roots.Certificate.Certificate) {
		return fmt.Errorf("pion: %d certificates of the peer, want %d", len(state.PeerCertificates), len(o.Roots.Certificate.Certificate))
	}
	leaf, err := x509.ParseCertificate(state.PeerCertificates[0])
	if err != nil {
		return err
	}
	if !leaf.Equal(o.Roots.Certificate.Leaf) {
		return errors.New("pion: another certificate than the peer's")
	}
	return nil
}

// update changes its keys, and asks us to change ours.
func (e *pion13Endpoint) update(ctx context.Context, requestPeer bool) error {
	conn, ok := e.connection()
	if !ok {
		return errors.New("pion: no connection")
	}
	return conn.UpdateKeys(ctx, pion.KeyUpdateOptions{RequestPeerUpdate: requestPeer})
}

// epochs are those in which it reads and writes.
func (e *pion13Endpoint) epochs() (read, write uint64) {
	state, err := e.state()
	if err != nil || state.KeyUsage == nil {
		return 0, 0
	}
	return state.KeyUsage.ReadEpoch, state.KeyUsage.WriteEpoch
}
