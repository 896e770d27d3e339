package message

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"reflect"
	"slices"
	"testing"
)

// What crypto/tls hands to QUIC is handshake messages of TLS 1.3 in the clear. But for the cookie field of the
// ClientHello and the number of the version they are those of DTLS 1.3.

// handshake13 runs a handshake between crypto/tls and itself, and returns all messages in the order they were sent, the
// server's ticket last.
func handshake13(t *testing.T, client, server *tls.Config) []rawMessage {
	t.Helper()
	near := tls.QUICClient(&tls.QUICConfig{TLSConfig: client})
	far := tls.QUICServer(&tls.QUICConfig{TLSConfig: server})
	defer near.Close()
	defer far.Close()
	near.SetTransportParameters([]byte("near"))
	far.SetTransportParameters([]byte("far"))
	for _, q := range []*tls.QUICConn{near, far} {
		if err := q.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	var messages []rawMessage
	pump := func(from, to *tls.QUICConn) (moved, done bool) {
		for {
			switch e := from.NextEvent(); e.Kind {
			case tls.QUICNoEvent:
				return moved, done
			case tls.QUICWriteData:
				moved = true
				messages = append(messages, tlsMessages(t, e.Data)...)
				if err := to.HandleData(e.Level, bytes.Clone(e.Data)); err != nil {
					t.Fatal(err)
				}
			case tls.QUICHandshakeDone:
				done = true
			default: // keys and parameters are of no interest here
			}
		}
	}
	for {
		a, _ := pump(near, far)
		b, done := pump(far, near)
		if done {
			if err := far.SendSessionTicket(tls.QUICSessionTicketOptions{EarlyData: true}); err != nil {
				t.Fatal(err)
			}
		}
		if !a && !b && !done {
			return messages
		}
	}
}

// tlsMessages takes apart messages with headers of TLS, 4 bytes each.
func tlsMessages(t *testing.T, stream []byte) (messages []rawMessage) {
	t.Helper()
	for len(stream) > 0 {
		if len(stream) < 4 || len(stream) < 4+int(uint24(stream[1:])) {
			t.Fatalf("half a message: %x", stream)
		}
		n := 4 + uint24(stream[1:])
		messages = append(messages, rawMessage{Type(stream[0]), bytes.Clone(stream[4:n])})
		stream = stream[n:]
	}
	return messages
}

// parse13 reads messages of TLS 1.3 as ours.
func parse13(t *testing.T, messages []rawMessage) (got []Message) {
	t.Helper()
	for _, m := range messages {
		body := m.body
		if m.t == TypeClientHello {
			body = withCookieField(body)
			if _, ok := ScanClientHello(body); !ok {
				t.Errorf("the scan refuses %x", body)
			}
		}
		parsed, err := Parse(m.t, TLS13, body)
		if err != nil {
			t.Fatalf("%v: %v", m.t, err)
		}
		got = append(got, parsed)
	}
	return got
}

func TestTLS13MessagesParse(t *testing.T) {
	cert := testCertificate(t)
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	server := &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		NextProtos: []string{"coap"}, MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.CurveP256},
	}
	client := &tls.Config{
		Certificates: []tls.Certificate{cert}, RootCAs: pool, ServerName: "example.org", NextProtos: []string{"h2", "coap"},
		MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}

	got := parse13(t, handshake13(t, client, server))
	var types []Type
	for _, m := range got {
		types = append(types, m.Type())
	}
	want := []Type{
		TypeClientHello, TypeServerHello, TypeClientHello, TypeServerHello,
		TypeEncryptedExtensions, TypeCertificateRequest, TypeCertificate, TypeCertificateVerify, TypeFinished,
		TypeCertificate, TypeCertificateVerify, TypeFinished, TypeNewSessionTicket,
	}
	if !slices.Equal(types, want) {
		t.Fatalf("got  %v\nwant %v", types, want)
	}
	first, retry, again, hello := got[0].(*ClientHello), got[1].(*ServerHello), got[2].(*ClientHello), got[3].(*ServerHello)
	if first.ServerName != "example.org" || !slices.Equal(first.ALPN, []string{"h2", "coap"}) || len(first.KeyShares) != 1 ||
		first.KeyShares[0].Group != uint16(tls.X25519) || len(first.KeyShares[0].Data) != 32 {
		t.Errorf("client hello: %+v", first)
	}
	if !retry.IsRetry() || retry.SelectedGroup != uint16(tls.CurveP256) || retry.SupportedVersion != tls.VersionTLS13 {
		t.Errorf("hello retry request: %+v", retry)
	}
	if len(again.KeyShares) != 1 || again.KeyShares[0].Group != uint16(tls.CurveP256) || again.Random != first.Random {
		t.Errorf("second client hello: %+v", again)
	}
	if hello.IsRetry() || hello.KeyShare.Group != uint16(tls.CurveP256) || len(hello.KeyShare.Data) != 65 || hello.HasSelectedPSK {
		t.Errorf("server hello: %+v", hello)
	}
	const quicTransportParameters = 57
	ee := got[4].(*EncryptedExtensions)
	if ee.ALPN != "coap" || !slices.Contains(ee.ExtensionTypes, quicTransportParameters) {
		t.Errorf("encrypted extensions: %+v", ee)
	}
	cr := got[5].(*CertificateRequest13)
	if len(cr.SignatureSchemes) == 0 || len(cr.Authorities) != 1 || !bytes.Equal(cr.Authorities[0], cert.Leaf.RawSubject) {
		t.Errorf("certificate request: %+v", cr)
	}
	for _, i := range []int{6, 9} {
		if !slices.EqualFunc(got[i].(*Certificate13).Chain, cert.Certificate, bytes.Equal) {
			t.Error("another certificate came out")
		}
	}
	nst := got[12].(*NewSessionTicket13)
	if nst.Lifetime != 7*24*3600 || !nst.HasEarlyData || nst.MaxEarlyData != 1<<32-1 {
		t.Errorf("new session ticket: %+v", nst)
	}

	client.CurvePreferences = []tls.CurveID{tls.CurveP256}
	got = parse13(t, handshake13(t, client, server))
	resumed, hello := got[0].(*ClientHello), got[1].(*ServerHello)
	if len(resumed.PSKs) != 1 || !resumed.EarlyData || !bytes.Equal(resumed.PSKs[0].Identity, nst.Ticket) || !bytes.Equal(resumed.PSKModes, []byte{PSKModeDHEKE}) ||
		len(resumed.Binders) != 1 || resumed.BindersLen() != 2+1+len(resumed.Binders[0]) {
		t.Errorf("client hello that resumes: %+v", resumed)
	}
	if !hello.HasSelectedPSK || hello.SelectedPSK != 0 || !hello.HasKeyShare {
		t.Errorf("server hello that resumes: %+v", hello)
	}
}

// TestTLS13MessagesAreWrittenTheSame: what crypto/tls writes, we write the same, extensions we skip and their order aside.
func TestTLS13MessagesAreWrittenTheSame(t *testing.T) {
	cert := testCertificate(t)
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	for _, raw := range handshake13(t,
		&tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, ServerName: "example.org", MinVersion: tls.VersionTLS13},
		&tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13},
	) {
		m := parse13(t, []rawMessage{raw})[0]
		written, err := m.AppendBody(nil)
		if err != nil {
			t.Fatal(err)
		}
		switch m.Type() {
		case TypeClientHello, TypeServerHello, TypeEncryptedExtensions, TypeCertificateRequest:
			again, err := Parse(m.Type(), TLS13, written)
			if err != nil || !reflect.DeepEqual(withExtensionTypes(again, nil), withExtensionTypes(m, nil)) {
				t.Errorf("%v: %+v\nwritten as %+v (%v)", m.Type(), m, again, err)
			}
		default:
			if !bytes.Equal(written, raw.body) {
				t.Errorf("%v: %x\nwritten as %x", m.Type(), raw.body, written)
			}
		}
	}
}
