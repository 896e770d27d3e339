package message

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"reflect"
	"slices"
	"testing"
	"time"
)

// Apart from the cookie, the bodies of DTLS 1.2 messages are those of TLS 1.2. So the standard library tells us whether we
// read what others write, and whether others read what we write.

func TestWeReadAWholeTLSHandshake(t *testing.T) {
	cert := testCertificate(t)
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	clientRaw, serverRaw := net.Pipe()
	clientConn, serverConn := &recorder{Conn: clientRaw}, &recorder{Conn: serverRaw}
	client := tls.Client(clientConn, &tls.Config{
		ServerName: "example.org", RootCAs: pool, Certificates: []tls.Certificate{cert}, NextProtos: []string{"coap", "h2"},
		MaxVersion: tls.VersionTLS12, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
		CipherSuites:       []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	})
	server := tls.Server(serverConn, &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		NextProtos: []string{"coap"}, MaxVersion: tls.VersionTLS12,
	})
	serverDone := make(chan error, 1)
	go func() { serverDone <- server.Handshake() }()
	if err := errors.Join(client.Handshake(), <-serverDone); err != nil {
		t.Fatal(err)
	}

	var got []Message
	for _, raw := range slices.Concat(plaintextMessages(t, clientConn.sent.Bytes()), plaintextMessages(t, serverConn.sent.Bytes())) {
		body := raw.body
		if raw.t == TypeClientHello {
			body = withCookieField(body)
		}
		m, err := Parse(raw.t, ECDHE, body)
		if err != nil {
			t.Fatalf("%v: %v\n%x", raw.t, err, body)
		}
		if again, err := m.AppendBody(nil); err != nil {
			t.Errorf("%v: %v", raw.t, err)
		} else if hello := raw.t == TypeClientHello || raw.t == TypeServerHello; !hello && !bytes.Equal(again, body) {
			t.Errorf("%v:\n got %x\nwant %x", raw.t, again, body)
		}
		got = append(got, m)
	}

	var types []Type
	for _, m := range got {
		types = append(types, m.Type())
	}
	if want := []Type{
		TypeClientHello, TypeCertificate, TypeClientKeyExchange, TypeCertificateVerify,
		TypeServerHello, TypeCertificate, TypeServerKeyExchange, TypeCertificateRequest, TypeServerHelloDone, TypeNewSessionTicket,
	}; !slices.Equal(types, want) {
		t.Fatalf("got %v, want %v", types, want)
	}
	ch, sh, cr := got[0].(*ClientHello), got[4].(*ServerHello), got[7].(*CertificateRequest)
	if ch.ServerName != "example.org" || !slices.Equal(ch.ALPN, []string{"coap", "h2"}) || !ch.ExtendedMasterSecret ||
		!slices.Equal(ch.SupportedGroups, []uint16{29, 23}) || !ch.HasSessionTicket || !ch.HasRenegotiationInfo ||
		!slices.Contains(ch.SupportedVersions, tls.VersionTLS12) {
		t.Errorf("client hello: %+v", ch)
	}
	if sh.CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 || sh.ALPN != "coap" || !sh.SessionTicketAck ||
		!sh.ExtendedMasterSecret || !sh.HasRenegotiationInfo || sh.Version != tls.VersionTLS12 {
		t.Errorf("server hello: %+v", sh)
	}
	if !slices.EqualFunc(got[5].(*Certificate).Chain, cert.Certificate, bytes.Equal) {
		t.Error("another certificate came out")
	}
	if ske := got[6].(*ServerKeyExchangeECDHE); ske.Group != 29 || len(ske.Public) != 32 {
		t.Errorf("server key exchange: %+v", ske)
	}
	if len(cr.Authorities) != 1 || !bytes.Equal(cr.Authorities[0], cert.Leaf.RawSubject) {
		t.Errorf("certificate request: %+v", cr)
	}
}

func TestTLSReadsOurClientHello(t *testing.T) {
	m := &ClientHello{
		Version: tls.VersionTLS12, Random: testRandom,
		CipherSuites: []uint16{0xc02b, 0xcca9}, Compression: []byte{0},
		ExtendedMasterSecret: true, HasRenegotiationInfo: true, PointFormats: []byte{0},
		SupportedVersions: []uint16{tls.VersionTLS12}, SupportedGroups: []uint16{29, 23},
		SignatureSchemes: []uint16{0x0403, 0x0804}, ALPN: []string{"coap", "h2"}, ServerName: "example.org",
		SessionTicket: []byte("ticket"),
	}
	body := withoutCookieField(sample{m: m}.body(t))
	record := append([]byte{22, 3, 1, byte((4 + len(body)) >> 8), byte(4 + len(body))}, byte(TypeClientHello))
	record = append(appendUint24(record, uint32(len(body))), body...)

	near, far := net.Pipe()
	go func() {
		_, _ = near.Write(record)
		_, _ = io.Copy(io.Discard, near)
	}()
	var info *tls.ClientHelloInfo
	errSeen := errors.New("seen")
	err := tls.Server(far, &tls.Config{GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) {
		info = i
		return nil, errSeen
	}}).Handshake()
	_ = near.Close()
	if !errors.Is(err, errSeen) {
		t.Fatalf("not read: %v", err)
	}

	var groups, schemes []uint16
	for _, g := range info.SupportedCurves {
		groups = append(groups, uint16(g))
	}
	for _, s := range info.SignatureSchemes {
		schemes = append(schemes, uint16(s))
	}
	got := &ClientHello{
		Version: m.Version, Random: m.Random, Compression: m.Compression, ExtendedMasterSecret: true,
		HasRenegotiationInfo: true, SessionTicket: m.SessionTicket, // not in tls.ClientHelloInfo
		CipherSuites: info.CipherSuites, PointFormats: info.SupportedPoints, SupportedVersions: info.SupportedVersions,
		SupportedGroups: groups, SignatureSchemes: schemes, ALPN: info.SupportedProtos, ServerName: info.ServerName,
	}
	if !reflect.DeepEqual(got, m) {
		t.Errorf("got  %+v\nwant %+v", got, m)
	}
	if want := []uint16{23, 0xff01, 11, 43, 10, 13, 16, 0, 35}; !slices.Equal(info.Extensions, want) {
		t.Errorf("extensions %v, want the documented order %v", info.Extensions, want)
	}
}

// recorder keeps what is written to a connection.
type recorder struct {
	net.Conn
	sent bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	r.sent.Write(b)
	return r.Conn.Write(b)
}

type rawMessage struct {
	t    Type
	body []byte
}

// plaintextMessages takes TLS records apart, up to change_cipher_spec.
func plaintextMessages(t *testing.T, stream []byte) (messages []rawMessage) {
	t.Helper()
	const handshake = 22
	var joined []byte
	for len(stream) >= 5 && stream[0] == handshake {
		n := 5 + int(stream[3])<<8 + int(stream[4])
		joined = append(joined, stream[5:n]...)
		stream = stream[n:]
	}
	for len(joined) > 0 {
		n := 4 + uint24(joined[1:])
		messages = append(messages, rawMessage{Type(joined[0]), joined[4:n:n]})
		joined = joined[n:]
	}
	return messages
}

// withCookieField makes a TLS ClientHello a DTLS one, with an empty cookie; withoutCookieField undoes it.
func withCookieField(tlsBody []byte) []byte {
	return slices.Insert(bytes.Clone(tlsBody), cookieFieldAt(tlsBody), 0)
}

func withoutCookieField(dtlsBody []byte) []byte {
	at := cookieFieldAt(dtlsBody)
	return slices.Delete(bytes.Clone(dtlsBody), at, at+1)
}

func cookieFieldAt(body []byte) int { return 2 + randomLen + 1 + int(body[2+randomLen]) }

func testCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
