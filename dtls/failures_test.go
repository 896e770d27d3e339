package dtls

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/record"
)

// failure is a cause that ends a handshake.
type failure struct {
	cause  string
	finder side // that has to tell the other one
	alert  map[uint16]Alert
	words  string // of the finder's error
	make   func(client, server *Config)
	slow12 bool // in DTLS 1.2 it takes two transmissions to tell it from a forgery
	large  bool // a flight has five datagrams
}

// of is the same alert in both versions.
func of(a Alert) map[uint16]Alert {
	return map[uint16]Alert{VersionDTLS12: a, VersionDTLS13: a}
}

func failures() []failure {
	other := dtlstest.MustChain(dtlstest.P256, 900)
	large := dtlstest.MustChain(dtlstest.P256, 4500)
	refuse := func(ConnectionState) error { return errors.New("not today") }
	psk := func(client, server *Config, id, key string) {
		server.ServerPSK = func(_ context.Context, i ServerPSKInfo) (*PSK, error) {
			if string(i.Identity) != "me" {
				return nil, nil
			}
			return &PSK{Identity: i.Identity, Key: []byte("right")}, nil
		}
		client.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) {
			return []PSK{{Identity: []byte(id), Key: []byte(key)}}, nil
		}
		client.RootCAs, server.Certificates = nil, nil
	}
	mutual := func(client, server *Config) {
		client.Certificates, server.ClientAuth = server.Certificates, tls.RequireAndVerifyClientCert
	}
	return []failure{
		{
			cause: "wrong pre-shared key", finder: serverSide, alert: of(alert.DecryptError), slow12: true, words: "pre-shared key",
			make: func(client, server *Config) { psk(client, server, "me", "wrong") },
		},
		{
			cause: "unknown identity", finder: serverSide, alert: of(alert.DecryptError), slow12: true, words: "pre-shared key",
			make: func(client, server *Config) { psk(client, server, "nobody", "right") },
		},
		{
			cause: "no protocol in common", finder: serverSide, alert: of(alert.NoApplicationProtocol), words: "coap",
			make: func(client, server *Config) {
				client.NextProtos, server.NextProtos = []string{"coap"}, []string{"mqtt"}
			},
		},
		{
			cause: "no suite in common", finder: serverSide, alert: of(alert.HandshakeFailure), words: "suite",
			make: func(client, server *Config) {
				client.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_AES_128_GCM_SHA256}
				server.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_AES_256_GCM_SHA384}
			},
		},
		{
			cause: "no group in common", finder: serverSide, alert: of(alert.HandshakeFailure), words: "group",
			make: func(client, server *Config) {
				client.CurvePreferences, server.CurvePreferences = []tls.CurveID{tls.CurveP384, tls.CurveP256}, []tls.CurveID{tls.X25519}
			},
		},
		{
			cause: "the server has DTLS 1.3 alone", finder: serverSide, words: "version",
			alert: map[uint16]Alert{VersionDTLS12: alert.ProtocolVersion},
			make:  func(_, server *Config) { server.MinVersion, server.MaxVersion = VersionDTLS13, VersionDTLS13 },
		},
		{
			cause: "unknown authority of the server", finder: clientSide, alert: of(alert.UnknownCA), words: "unknown authority",
			make: func(client, _ *Config) { client.RootCAs = other.Pool() },
		},
		{
			cause: "expired certificate of the server", finder: clientSide, alert: of(alert.CertificateExpired), words: "expired",
			make: func(client, server *Config) {
				at := server.Certificates[0].Leaf.NotAfter.Add(time.Hour)
				client.Time = func() time.Time { return at }
			},
		},
		{
			cause: "another name of the server", finder: clientSide, alert: of(alert.BadCertificate), words: "elsewhere",
			make: func(client, _ *Config) { client.ServerName = "elsewhere.example" },
		},
		{
			cause: "refused by the client's VerifyPeerCertificate", finder: clientSide, alert: of(alert.BadCertificate), words: "not today",
			make: func(client, _ *Config) {
				client.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return errors.New("not today") }
			},
		},
		{
			cause: "refused by the client's VerifyConnection", finder: clientSide, alert: of(alert.BadCertificate), words: "not today",
			make: func(client, _ *Config) { client.VerifyConnection = refuse },
		},
		{
			cause: "refused by the server's VerifyConnection", finder: serverSide, alert: of(alert.BadCertificate), words: "not today",
			make: func(_, server *Config) { server.VerifyConnection = refuse },
		},
		{
			cause: "GetConfigForClient fails", finder: serverSide, alert: of(alert.InternalError), words: "not today",
			make: func(_, server *Config) {
				server.GetConfigForClient = func(*tls.ClientHelloInfo) (*Config, error) { return nil, errors.New("not today") }
			},
		},
		{
			cause: "the server's key does not sign", finder: serverSide, alert: of(alert.InternalError), words: "the token is away",
			make: func(_, server *Config) {
				c := server.Certificates[0]
				c.PrivateKey = brokenSigner{c.PrivateKey.(crypto.Signer)}
				server.Certificates = []tls.Certificate{c}
			},
		},
		{
			cause: "the client's key does not sign", finder: clientSide, alert: of(alert.InternalError), words: "the token is away",
			make: func(client, server *Config) {
				mutual(client, server)
				c := server.Certificates[0]
				c.PrivateKey = brokenSigner{c.PrivateKey.(crypto.Signer)}
				client.Certificates = []tls.Certificate{c}
			},
		},
		{
			cause: "the client has no certificate", finder: serverSide, words: "client has no certificate",
			alert: map[uint16]Alert{VersionDTLS12: alert.HandshakeFailure, VersionDTLS13: alert.CertificateRequired},
			make: func(client, server *Config) {
				mutual(client, server)
				client.Certificates = nil
			},
		},
		{
			cause: "unknown authority of the client", finder: serverSide, alert: of(alert.UnknownCA), words: "unknown authority",
			make: func(client, server *Config) {
				mutual(client, server)
				client.Certificates = certs(other)
			},
		},
		{
			cause: "the server's certificate is too large", large: true, finder: clientSide, alert: of(alert.IllegalParameter), words: "MaxHandshakeSize",
			make: func(client, server *Config) {
				client.MaxHandshakeSize, server.Certificates, client.RootCAs = 4096, certs(large), large.Pool()
			},
		},
		{
			cause: "the client's certificate is too large", large: true, finder: serverSide, alert: of(alert.IllegalParameter), words: "MaxHandshakeSize",
			make: func(client, server *Config) {
				mutual(client, server)
				client.Certificates, server.MaxHandshakeSize = certs(large), 4096
			},
		},
	}
}

// brokenSigner is a key in a token that is away.
type brokenSigner struct{ crypto.Signer }

func (brokenSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the token is away")
}

// TestEveryFailureIsTold: however a handshake fails, both sides end soon, with the
// alert that names the cause. The path has a round trip of 1 ms, the timers are the
// default ones: what anybody can have forged takes one of them to be believed. The
// table of docs/security.md is what this finds.
func TestEveryFailureIsTold(t *testing.T) {
	var table []string
	for _, f := range failures() {
		row := fmt.Sprintf("| %s | %v |", f.cause, f.finder)
		for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
			if _, ok := f.alert[version]; !ok {
				row += " – | – | – |"
				continue
			}
			row += fmt.Sprintf(" %v |", f.alert[version])
			for _, mode := range []CookieMode{CookieAlways, CookieAuto} {
				client, server := simConfigs(dtlstest.P256, 0)
				for _, c := range []*Config{client, server} {
					c.MinVersion, c.MaxVersion = version, version
				}
				server.CookieMode = mode
				f.make(client, server)
				name := fmt.Sprintf("%s, %s, cookie %v", f.cause, VersionName(version), mode == CookieAlways)
				took, ok := f.run(t, name, version, client, server)
				if !ok {
					continue
				}
				row += " " + atMost(took) + " |"
			}
		}
		table = append(table, row)
	}
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Join(table, "\n"); !strings.Contains(string(text), want) {
		t.Errorf("docs/security.md should have the table\n%s", want)
	}
}

// atMost rounds up to what the documentation says.
func atMost(d time.Duration) string {
	for _, limit := range []time.Duration{10 * time.Millisecond, 700 * time.Millisecond, 1500 * time.Millisecond} {
		if d <= limit {
			return limit.String()
		}
	}
	return (3 * time.Second).String()
}

// run is one handshake that fails, and the time until both sides know.
func (f failure) run(t *testing.T, name string, version uint16, client, server *Config) (took time.Duration, ok bool) {
	s := newSim(t, client, server)
	s.path = func(side, int, []byte) []time.Duration { return []time.Duration{time.Millisecond / 2} }
	var ended [2]time.Time
	s.run(70*time.Second, func() bool {
		for at, e := range s.eng {
			// A door that refuses a ClientHello begins no association.
			door := e.door != nil && s.eng[clientSide].Err() != nil
			if (e.Err() != nil || door) && ended[at].IsZero() {
				ended[at] = s.now
			}
		}
		return !ended[0].IsZero() && !ended[1].IsZero() || len(s.data[0]) > 0
	})
	if ended[0].IsZero() || ended[1].IsZero() {
		t.Errorf("%s: %v; %v\n%s", name, s.eng[0], s.eng[1], s.history())
		return 0, false
	}
	took = slices.MaxFunc(ended[:], time.Time.Compare).Sub(s.start)
	limit := 1500 * time.Millisecond
	if f.slow12 && version == VersionDTLS12 {
		limit = 3 * time.Second
	}
	finder, told := s.eng[f.finder].Err(), s.eng[f.finder.other()].Err()
	if sent := s.sent[0] + s.sent[1]; took > limit || sent > 20 && !f.large || sent > 40 {
		t.Errorf("%s: %v and %d datagrams\n%s", name, took, sent, s.history())
	}
	var ours, theirs *AlertError
	if s.eng[f.finder].door != nil {
	} else if !errors.As(finder, &ours) || ours.Remote || ours.Alert != f.alert[version] || !strings.Contains(finder.Error(), f.words) {
		t.Errorf("%s: the %v ended with %v", name, f.finder, finder)
	}
	if !errors.As(told, &theirs) || !theirs.Remote || theirs.Alert != f.alert[version] {
		t.Errorf("%s: the %v ended with %v\n%s", name, f.finder.other(), told, s.history())
	}
	return took, true
}

// TestAlertUnderKeysOfThePeer: a server of DTLS 1.3 that fails before its flight goes
// out sends the alert in the clear, since the client has no keys without the
// ServerHello; a client of DTLS 1.2 that fails before its Finished does so, too.
func TestAlertUnderKeysOfThePeer(t *testing.T) {
	for _, f := range failures() {
		if !strings.Contains(f.cause, "does not sign") {
			continue
		}
		for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
			client, server := simConfigs(dtlstest.P256, 0)
			for _, c := range []*Config{client, server} {
				c.MinVersion, c.MaxVersion = version, version
			}
			f.make(client, server)
			s := newSim(t, client, server)
			clear := false
			s.onDeliver = func(to side, d []byte) []byte {
				if h, _, _, err := record.Next(d); err == nil && h.Type == record.TypeAlert && to != f.finder {
					clear = h.Epoch == 0
				}
				return d
			}
			s.refuses(f.finder, alert.InternalError)
			if want := version == VersionDTLS12 || f.finder == serverSide; clear != want {
				t.Errorf("%s, %s: alert in the clear %v\n%s", f.cause, VersionName(version), clear, s.history())
			}
		}
	}
}

// TestPlaintextAlertsAfterKeys: once a record of the peer was deprotected, a plaintext
// alert counts nothing, however slow the handshake is, since the peer has keys for its
// alerts. A record that does not open proves nothing: it does not mute real alerts.
func TestPlaintextAlertsAfterKeys(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 6000)
	server.MTU = 600
	s := newSim(t, client, server)
	e, cut := s.eng[clientSide], false
	s.path = func(from side, _ int, _ []byte) []time.Duration {
		if cut && from == serverSide {
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	s.onDeliver = func(to side, d []byte) []byte {
		if cut && to == clientSide {
			return nil
		}
		return d
	}
	if !s.run(time.Minute, func() bool { return e.hs == nil || e.hs.suspicion.Authentic }) || !e.handshaking() {
		t.Fatalf("%v\n%s", e, s.history())
	}
	before := e.Drops().PlaintextAlert
	s.inject(clientSide, forgeAlert(alert.Fatal, alert.InternalError))
	cut = true // nothing valid follows for longer than any timer has
	s.run(10*time.Second, func() bool { return e.Err() != nil })
	cut = false
	s.run(2*time.Minute, func() bool { return e.Err() != nil || e.Established() })
	if !e.Established() || e.Drops().PlaintextAlert != before+1 {
		t.Errorf("%v, %+v\n%s", e, e.Drops(), s.history())
	}

	s = beforeFinished(t)
	e = s.eng[clientSide]
	s.inject(clientSide, forgeRecordAt(record.TypeHandshake, VersionDTLS12, record.Number{Epoch: 1, Seq: 9}, make([]byte, 60)...))
	s.inject(clientSide, forgeAlert(alert.Fatal, alert.InternalError))
	s.path = func(side, int, []byte) []time.Duration { return nil }
	s.run(5*time.Second, func() bool { return e.Err() != nil })
	if a, remote := alertOf(t, e); a != alert.InternalError || !remote {
		t.Errorf("%v", e)
	}
}

// TestUnopenedAfterKeys: records that do not open mean that the keys differ, until one
// has opened: all others are forged then, as often as they come.
func TestUnopenedAfterKeys(t *testing.T) {
	for _, opened := range []bool{false, true} {
		s := beforeFinished(t)
		e := s.eng[clientSide]
		if opened {
			s.inject(clientSide, s.authenticIn(serverSide, 1, record.TypeAlert, byte(alert.Warning), byte(alert.UserCanceled)))
		}
		s.path = func(side, int, []byte) []time.Duration { return nil }
		for seq := range uint64(5) {
			forged := record.Number{Epoch: 1, Seq: 100 + seq}
			s.inject(clientSide, forgeRecordAt(record.TypeHandshake, VersionDTLS12, forged, make([]byte, 60)...))
			s.run(500*time.Millisecond, func() bool { return e.Err() != nil })
		}
		if ended := e.Err() != nil; ended == opened {
			t.Errorf("a record has opened %v: %v\n%s", opened, e, s.history())
		}
	}
}

// TestRefusalIsRepeated: a client of DTLS 1.3 takes the handshake for complete while the
// server refuses its certificate. The alert may be lost: a repetition of the client's last
// flight is answered with another one (RFC 9147, Section 5.10), a bounded number of times.
func TestRefusalIsRepeated(t *testing.T) {
	for _, lost := range []int{1, 3, 1000} {
		client, server := simConfigs13(dtlstest.P256, 0)
		server.ClientAuth = tls.RequireAndVerifyClientCert
		s := newSim(t, client, server)
		e, told := s.eng[serverSide], 0
		s.path = func(from side, _ int, d []byte) []time.Duration {
			if from == serverSide && (e.Err() != nil || e.hs.suspicion.Refused()) && record.IsUnified(d[0]) {
				if told++; told <= lost {
					return nil
				}
			}
			return []time.Duration{simRTT / 2}
		}
		s.run(2*time.Minute, func() bool { return s.eng[0].Err() != nil && s.eng[1].Err() != nil })
		if a, remote := alertOf(t, e); a != alert.CertificateRequired || remote {
			t.Errorf("%d lost: %v", lost, e)
		}
		if lost == 1000 {
			if told > 8+1 {
				t.Errorf("%d alerts\n%s", told, s.history())
			}
			continue
		}
		if a, remote := alertOf(t, s.eng[clientSide]); a != alert.CertificateRequired || !remote {
			t.Errorf("%d lost: %v\n%s", lost, s.eng[clientSide], s.history())
		}
		if took := s.now.Sub(s.start); took > 5*time.Second {
			t.Errorf("%d lost: it took %v\n%s", lost, took, s.history())
		}
	}
}
