package dtls

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// selfSigned is a chain of one certificate with a key of that curve.
func selfSigned(t *testing.T, curve elliptic.Curve) []tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(0x55), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
}

// negativeSerial is one that crypto/x509 refuses.
func negativeSerial(t *testing.T) []tls.Certificate {
	t.Helper()
	list := selfSigned(t, elliptic.P256())
	der := list[0].Certificate[0]
	der[bytes.Index(der, []byte{2, 1, 0x55})+2] |= 0x80
	return list
}

// TestBadConfigs: what cannot work is said before anything is sent, with what
// to change.
func TestBadConfigs(t *testing.T) {
	ec, rsa := dtlstest.MustChain(dtlstest.P256, 0), dtlstest.MustChain(dtlstest.RSA2048, 0)
	good := func() (client, server *Config) {
		return &Config{ServerName: "localhost"}, &Config{Certificates: certs(ec)}
	}
	psk := func(context.Context, ClientPSKInfo) ([]PSK, error) { return nil, nil }
	no := false
	for _, test := range []struct {
		name           string
		client, server func(*Config) // what is wrong with it; nil: this role is not tried
		want           string
	}{
		{"a key for SHA-256, a suite for SHA-384", func(c *Config) { c.ClientPSK, c.CipherSuites = psk, []uint16{0x1302} }, func(c *Config) {
			c.Certificates, c.CipherSuites = nil, []uint16{0x1302, 0x00a8}
			c.ServerPSK = func(context.Context, ServerPSKInfo) (*PSK, error) { return nil, nil }
		}, "pre-shared keys are for SHA-256"},
		{"no certificate", nil, func(c *Config) { c.Certificates = nil }, "a server needs Certificates, GetCertificate, GetConfigForClient or ServerPSK"},
		{"an RSA key with ECDSA suites", nil, func(c *Config) { c.Certificates, c.CipherSuites = certs(rsa), []uint16{0xc02b} }, "RSA keys an ECDHE_RSA suite"},
		{"an ECDSA key with RSA suites", nil, func(c *Config) { c.CipherSuites = []uint16{0xc02f} }, "ECDSA and Ed25519 keys need an ECDHE_ECDSA suite"},
		{"an ECDSA key with RSA schemes", nil, func(c *Config) { c.SignatureSchemes = []tls.SignatureScheme{tls.PSSWithSHA256} }, "none of the Certificates"},
		{"a CBC suite", func(c *Config) { c.CipherSuites = []uint16{0xc013} }, func(c *Config) { c.CipherSuites = []uint16{0xc013} }, "cipher suite 0xc013 is not spoken here; remove it from CipherSuites"},
		{"a suite without encryption", func(c *Config) { c.CipherSuites = []uint16{0x1306} }, nil, "0x1306"},
		{"an empty list of suites", func(c *Config) { c.CipherSuites = []uint16{} }, func(c *Config) { c.CipherSuites = []uint16{} }, "leave it nil"},
		{"a PSK suite without keys", func(c *Config) { c.CipherSuites = []uint16{0x00a8} }, nil, "needs ClientPSK"},
		{"a PSK suite without a look-up", nil, func(c *Config) { c.CipherSuites = []uint16{0x00a8} }, "needs ServerPSK"},
		{"a long PSK hint", nil, func(c *Config) { c.PSKHint = make([]byte, 65536) }, "PSKHint of 65536 bytes: RFC 4279 allows 65535"},
		{"a certificate suite without certificates", nil, func(c *Config) {
			c.Certificates, c.CipherSuites = nil, []uint16{0xc02b}
			c.ServerPSK = func(context.Context, ServerPSKInfo) (*PSK, error) { return nil, nil }
		}, "needs Certificates or GetCertificate"},
		{"a tiny MTU", func(c *Config) { c.MTU = 100 }, func(c *Config) { c.MTU = 227 }, "the smallest is 228"},
		{"a huge MTU", func(c *Config) { c.MTU = 65508 }, nil, "the largest 65507"},
		{"a negative MTU", func(c *Config) { c.MTU = -1 }, nil, "MTU -1"},
		{"a ceiling below the start", func(c *Config) { c.MTU, c.MaxMTU = 1400, 1200 }, nil, "MaxMTU 1200 is below the MTU of 1400"},
		{"a ceiling below all", func(c *Config) { c.MaxMTU = 100 }, nil, "the smallest is 228"},
		{"an unknown MTU mode", func(c *Config) { c.MTUMode = 3 }, nil, "MTUMode 3 is unknown"},
		{"a TLS version number", func(c *Config) { c.MinVersion = tls.VersionTLS12 }, nil, "version 0x0303 is unknown; use VersionDTLS12, VersionDTLS13 or 0"},
		{"an old version", nil, func(c *Config) { c.MaxVersion = message.Version10 }, "version 0xfeff is unknown"},
		{"a minimum over the maximum", func(c *Config) { c.MinVersion, c.MaxVersion = VersionDTLS13, VersionDTLS12 }, nil, "MinVersion DTLS 1.3 is newer than MaxVersion DTLS 1.2"},
		{"post-quantum groups in DTLS 1.2", func(c *Config) { c.RequirePQ, c.MaxVersion = true, VersionDTLS12 }, nil, "RequirePQ needs DTLS 1.3"},
		{"no post-quantum group", func(c *Config) { c.RequirePQ, c.CurvePreferences = true, []tls.CurveID{tls.X25519} }, nil, "CurvePreferences names no post-quantum group"},
		{"an unknown hello", func(c *Config) { c.Hello = 3 }, nil, "Hello 3 is unknown"},
		{"a small record size limit", func(c *Config) { c.RecordSizeLimit = 63 }, func(c *Config) { c.RecordSizeLimit = 16386 }, "outside 64…16385"},
		{"no server name", func(c *Config) { c.ServerName = "" }, nil, "needs ServerName to verify the server by, or InsecureSkipVerify"},
		{"a chain without certificates", func(c *Config) { c.Certificates = []tls.Certificate{{}} }, func(c *Config) { c.Certificates = append(certs(ec), tls.Certificate{}) }, "has no certificate in it"},
		{"a key that cannot sign", nil, func(c *Config) {
			c.Certificates = certs(ec)
			c.Certificates[0].PrivateKey = "no key"
		}, "Certificates[0]: PrivateKey of type string cannot sign"},
		{"a name that is not ASCII", func(c *Config) { c.ServerName = "b\u00fccher.example" }, nil, "ServerName \"b\u00fccher.example\" cannot be sent"},
		{"a long name", func(c *Config) { c.ServerName = strings.Repeat("a.", 127) + "aa" }, nil, "ServerName of 256 bytes cannot be sent"},
		{"too many authorities", nil, func(c *Config) {
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
			name := pkix.RDNSequence{{{Type: []int{2, 5, 4, 3}, Value: strings.Repeat("a", 60000)}}, {{Type: []int{2, 5, 4, 3}, Value: strings.Repeat("b", 6000)}}}
			raw, err := asn1.Marshal(name)
			if err != nil {
				t.Fatal(err)
			}
			c.ClientCAs.AddCert(&x509.Certificate{Raw: []byte{1}, RawSubject: raw})
		}, "ClientCAs have names of "},
		{"hybrid groups in DTLS 1.2", func(c *Config) { c.CurvePreferences, c.MaxVersion = []tls.CurveID{tls.X25519MLKEM768}, VersionDTLS12 }, func(c *Config) {
			c.CurvePreferences, c.MaxVersion = []tls.CurveID{tls.X25519MLKEM768}, VersionDTLS12
		}, "CurvePreferences names post-quantum groups alone"},
		{"an empty identity in DTLS 1.3", func(c *Config) {
			c.MinVersion = VersionDTLS13
			c.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) { return []PSK{{Key: []byte("key")}}, nil }
		}, nil, "identities have 1 to"},
		{"a certificate that does not parse", func(c *Config) { c.Certificates = negativeSerial(t) }, func(c *Config) { c.Certificates = negativeSerial(t) }, "Certificates[0]: our certificate: x509: negative serial number"},
		{"a key that no scheme fits", func(c *Config) { c.Certificates = selfSigned(t, elliptic.P224()) }, func(c *Config) { c.Certificates = selfSigned(t, elliptic.P224()) }, "Certificates[0]: no signature scheme fits a key of type ECDSA P-224"},
		{"the key of another certificate", func(c *Config) {
			c.Certificates = append(certs(ec), certs(ec)...)
			c.Certificates[1].PrivateKey = rsa.Certificate.PrivateKey
		}, nil, "Certificates[1]: private key does not belong to the certificate"},
		{"a protocol without a name", func(c *Config) { c.NextProtos = []string{"a", ""} }, func(c *Config) { c.NextProtos = []string{""} }, "NextProtos: RFC 7301 allows 1 to 255 bytes"},
		{"a long protocol name", func(c *Config) { c.NextProtos = []string{strings.Repeat("a", 256)} }, nil, "NextProtos"},
		{"too many protocols", func(c *Config) {
			for range 300 {
				c.NextProtos = append(c.NextProtos, strings.Repeat("a", 255))
			}
		}, nil, "too many"},
		{"an unsupported group", func(c *Config) { c.CurvePreferences = []tls.CurveID{256} }, func(c *Config) { c.CurvePreferences = []tls.CurveID{tls.X25519, 30} }, "remove it from CurvePreferences"},
		{"a SHA-1 scheme", func(c *Config) { c.SignatureSchemes = []tls.SignatureScheme{tls.PKCS1WithSHA1} }, nil, "remove it from SignatureSchemes"},
		{"contradicting EMS", func(c *Config) {
			yes := true
			c.DisableExtendedMasterSecret, c.RequireExtendedMasterSecret = true, &yes
		}, nil, "RequireExtendedMasterSecret contradicts DisableExtendedMasterSecret"},
		{"a small replay window", func(c *Config) { c.ReplayWindow = 63 }, func(c *Config) { c.ReplayWindow = 65537 }, "outside 64…65536"},
		{"a negative receive queue", func(c *Config) { c.ReceiveQueue = -1 }, nil, "ReceiveQueue -1"},
		{"small handshakes", func(c *Config) { c.MaxHandshakeSize = 100 }, nil, "MaxHandshakeSize 100 is outside 4096…"},
		{"no handshakes", nil, func(c *Config) { c.MaxHandshakes = -5 }, "MaxHandshakes -5"},
		{"an unknown cookie mode", nil, func(c *Config) { c.CookieMode = 5 }, "CookieMode 5 is unknown"},
		{"a short cookie key", nil, func(c *Config) { c.CookieKeys = [][]byte{make([]byte, 16), make([]byte, 15)} }, "CookieKeys[1] has 15 bytes; 16 random ones are the least"},
		{"an empty cookie key", nil, func(c *Config) { c.CookieKeys = [][]byte{nil} }, "CookieKeys[0] has 0 bytes"},
		{"many cookie keys", nil, func(c *Config) {
			for range 4 {
				c.CookieKeys = append(c.CookieKeys, make([]byte, 32))
			}
		}, "4 CookieKeys are too many"},
		{"an unknown alert mode", func(c *Config) { c.PlaintextAlerts = 3 }, nil, "PlaintextAlerts 3 is unknown"},
		{"an unknown client policy", nil, func(c *Config) { c.ClientAuth = 7 }, "ClientAuth 7 is unknown"},
		{"a negative timer", func(c *Config) { c.Retransmit.Initial = -1 }, nil, "Retransmit.Initial is negative"},
		{"a maximum below the first timer", func(c *Config) { c.Retransmit.Max = time.Millisecond }, nil, "below Initial"},
		{"negative tries", func(c *Config) { c.Retransmit.MaxTries = -1 }, nil, "must not be negative"},
		{"a negative patience", func(c *Config) { c.IdleTimeout = -1 }, nil, "0 means never"},
		{"a negative limit", nil, func(c *Config) { c.MaxPerPrefix = -1 }, "MaxPerPrefix"},
		{"a negative time-out", func(c *Config) { c.HandshakeTimeout = -time.Second }, nil, "−1 means none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := good()
			var errs []error
			if test.client != nil {
				test.client(client)
				_, err := NewClientEngine(client, simStart)
				errs = append(errs, err)
			}
			if test.server != nil {
				test.server(server)
				_, err := NewServerEngine(server, nil, simStart)
				_, doorErr := NewDoor(server, simStart)
				errs = append(errs, err, doorErr)
			}
			for _, err := range errs {
				if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "dtls: config: ") {
					t.Errorf("error %v, want %q", err, test.want)
				}
			}
		})
	}
	for _, fine := range []*Config{
		{ServerName: "x"},
		{InsecureSkipVerify: true},
		{ClientPSK: psk},
		{ClientPSK: psk, CipherSuites: []uint16{0x1302, 0x1301}},
		{ClientPSK: psk, CipherSuites: []uint16{0x1302}, MaxVersion: VersionDTLS12},
		{ServerName: "x", MaxMTU: 1000},
		{ServerName: "x", MinVersion: VersionDTLS12, MaxVersion: VersionDTLS13},
		{ServerName: "x", RequireExtendedMasterSecret: &no},
		{ServerName: "x", HandshakeTimeout: -1},
		{ServerName: "x", MTU: 228},
		{ServerName: "x", CipherSuites: []uint16{0xc0ae}},
	} {
		if _, err := NewClientEngine(fine, simStart); err != nil {
			t.Errorf("%+v: %v", fine, err)
		}
	}
	if _, err := NewClientEngine(nil, simStart); err == nil || !strings.Contains(err.Error(), "ServerName") {
		t.Errorf("no config at all: %v", err)
	}
}

// TestRandFails: without randomness there is no hello.
func TestRandFails(t *testing.T) {
	client, server := pskConfigs()
	client.Rand = strings.NewReader("too short")
	if _, err := NewClientEngine(client, simStart); err == nil {
		t.Error("a client without randomness")
	}
	client, _ = pskConfigs()
	server.Rand = strings.NewReader("too short")
	server.CookieMode = AddressProven
	s := newSim(t, client, server)
	s.run(time.Minute, s.over)
	if a, remote := alertOf(t, s.eng[serverSide]); a.String() != "internal_error" || remote {
		t.Errorf("a server without randomness: %v", s.eng[serverSide].Err())
	}
}

// TestClone: a clone may be changed.
func TestClone(t *testing.T) {
	c := &Config{ServerName: "a"}
	clone := c.Clone()
	clone.ServerName = "b"
	if c.ServerName != "a" || (*Config)(nil).Clone() != nil {
		t.Error("Clone shares fields")
	}
}
