//go:build linux

package browser

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/sctp"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// sctpMTU is what pion/sctp and Chromium take for one, in bytes of an SCTP packet.
const sctpMTU = 1191

// callTimeout bounds each thing that a test waits for.
const callTimeout = 20 * time.Second

// peer is our side of a call: pion/ice, our Conn, pion/sctp.
type peer struct {
	isClient bool // of DTLS
	agent    *ice.Agent
	wire     *wire
	conn     *dtls.Conn
	sctp     *sctp.Association
	loggers  logging.LoggerFactory
	log      *output // what they all say
}

// take answers the call as a DTLS client or server and returns when an SCTP
// association is there. config says the rest; take adds what any program that
// does WebRTC has in it.
func take(t *testing.T, c *call, isClient bool, config *dtls.Config, lose func(direction, int) bool) *peer {
	t.Helper()
	p := &peer{isClient: isClient, log: &output{}}
	p.loggers = &logging.DefaultLoggerFactory{Writer: p.log, DefaultLogLevel: logging.LogLevelWarn}
	a := answer{setup: "passive"}
	if isClient {
		a.setup = "active"
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("---- offer:\n%s\n---- answer:\n%s\n---- our side:\n%s", c.offer, a, p.log)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()

	o, err := parseOffer(c.offer)
	if err != nil {
		t.Fatal(err)
	}
	a.mid = o.mid
	if a.candidates, err = p.gather(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.agent.Close() })
	if a.ufrag, a.pwd, err = p.agent.GetLocalUserCredentials(); err != nil {
		t.Fatal(err)
	}
	cert, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	a.fingerprint = fingerprint(cert.Certificate[0])
	c.answer(a.String())

	conn, err := p.agent.Accept(ctx, o.ufrag, o.pwd)
	if err != nil {
		t.Fatalf("ICE: %v", err)
	}
	logger := slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p.wire = &wire{Conn: conn, log: logger, lose: lose}
	config.Certificates = []tls.Certificate{cert}
	config.CookieMode = dtls.AddressProven // by the checks of ICE
	config.Retransmit = dtls.RetransmitRealtime
	config.Logger = logger
	// RFC 8827, Section 6.5: certificates are checked by the fingerprint of the
	// signaling channel, on both sides.
	config.InsecureSkipVerify = true
	config.ClientAuth = tls.RequireAnyClientCert
	config.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error {
		if got := fingerprint(raw[0]); !strings.EqualFold(got, o.fingerprint) {
			return fmt.Errorf("the peer's certificate has the fingerprint %s, its offer says %s", got, o.fingerprint)
		}
		return nil
	}
	if isClient {
		p.conn = dtls.Client(p.wire, config)
	} else {
		p.conn = dtls.Server(p.wire, config)
	}
	t.Cleanup(func() { p.conn.Close() })
	defer context.AfterFunc(ctx, func() { p.conn.Close() })() // pion/sctp waits without an end
	if err := p.conn.HandshakeContext(ctx); err != nil {
		t.Fatalf("handshake: %v", err)
	}
	// Both sides of SCTP in WebRTC open the association (RFC 8831, Section 6).
	mtu := min(p.conn.MaxData(), sctpMTU) // of the path as the handshake found it
	p.sctp, err = sctp.ClientWithOptions(sctp.WithNetConn(p.conn), sctp.WithMTU(uint32(mtu)), sctp.WithLoggerFactory(p.loggers))
	if err != nil {
		t.Fatalf("SCTP: %v", err)
	}
	return p
}

// gather makes the agent and returns its candidates. It is a lite one (RFC 8445,
// Section 2.5): it answers the browser's checks from whatever address, so the
// browser's candidates, which are names of multicast DNS, need no resolving.
func (p *peer) gather(ctx context.Context) ([]string, error) {
	var err error
	p.agent, err = ice.NewAgentWithOptions(
		ice.WithICELite(true),
		ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}),
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
		ice.WithLoggerFactory(p.loggers),
	)
	if err != nil {
		return nil, err
	}
	gathered := make(chan struct{})
	if err := p.agent.OnCandidate(func(c ice.Candidate) {
		if c == nil {
			close(gathered)
		}
	}); err != nil {
		return nil, err
	}
	if err := p.agent.GatherCandidates(); err != nil {
		return nil, err
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return nil, errors.New("ICE gathers no candidates")
	}
	candidates, err := p.agent.GetLocalCandidates()
	var lines []string
	for _, c := range candidates {
		lines = append(lines, c.Marshal())
	}
	if lines == nil && err == nil {
		err = errors.New("ICE has no candidates")
	}
	return lines, err
}

// maxMessage is as large as a message on a data channel gets here.
const maxMessage = 1 << 16

// echo takes the channel that the browser opens and sends back what comes on
// it, until it is closed.
func (p *peer) echo() error {
	channel, err := datachannel.Accept(p.sctp, &datachannel.Config{LoggerFactory: p.loggers})
	if err != nil {
		return err
	}
	buf := make([]byte, maxMessage)
	for {
		n, isString, err := channel.ReadDataChannel(buf)
		if err != nil {
			return nil // the end of the call; the page knows whether it came too early
		}
		if _, err := channel.WriteDataChannel(buf[:n], isString); err != nil {
			return err
		}
	}
}

// channel opens one from our side.
func (p *peer) channel() (*datachannel.DataChannel, error) {
	id := uint16(3) // RFC 8832, Section 6: odd for the DTLS server
	if p.isClient {
		id = 2
	}
	return datachannel.Dial(p.sctp, id, &datachannel.Config{Label: "go", LoggerFactory: p.loggers})
}

// roundTrip sends a message and returns nil when it has come back.
func roundTrip(channel *datachannel.DataChannel, message string) error {
	if _, err := channel.WriteDataChannel([]byte(message), true); err != nil {
		return err
	}
	if err := channel.SetReadDeadline(time.Now().Add(callTimeout)); err != nil {
		return err
	}
	buf := make([]byte, maxMessage)
	n, isString, err := channel.ReadDataChannel(buf)
	if err != nil {
		return err
	}
	if got := string(buf[:n]); got != message || !isString {
		return fmt.Errorf("%.40q (%d bytes, text %v) came back for %.40q (%d bytes)", got, n, isString, message, len(message))
	}
	return nil
}

// updateKeys makes new keys for both directions (RFC 9147, Section 8).
func (p *peer) updateKeys(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	if err := p.conn.UpdateKeys(ctx, true); err != nil {
		t.Fatalf("KeyUpdate: %v", err)
	}
}

// selfSigned makes a certificate as browsers do.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore:    time.Now().Add(-24 * time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
