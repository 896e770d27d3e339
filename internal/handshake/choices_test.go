package handshake

import (
	"context"
	"crypto/tls"
	"errors"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// versions are both, for what does not depend on them.
var versions = []uint16{message.Version12, message.Version13}

// TestMutual: the client's certificate is asked for and verified, and each side ends
// with the chain of the other.
func TestMutual(t *testing.T) {
	for _, version := range versions {
		for _, callback := range []bool{false, true} {
			client, server := configs(version)
			server.ClientAuth, server.ALPN, client.ALPN = tls.RequireAndVerifyClientCert, []string{"a", "b"}, []string{"b"}
			if callback {
				client.GetClientCertificate = func(context.Context, *tls.CertificateRequestInfo) (*tls.Certificate, error) {
					return &testChain.Certificate, nil
				}
				server.GetCertificate = func(context.Context, *tls.ClientHelloInfo) (*tls.Certificate, error) {
					return &testChain.Certificate, nil
				}
			} else {
				client.Certificates = []tls.Certificate{testChain.Certificate}
			}
			client.RecordSizeLimit, server.RecordSizeLimit = 600, 700
			c, s := begin(t, client, server)
			finish(t, c, s)
			if len(c.Info.PeerCertificates) == 0 || len(s.Info.PeerCertificates) == 0 || len(s.Info.VerifiedChains) == 0 {
				t.Errorf("%s: client %+v, server %+v", message.VersionName(version), c.Info, s.Info)
			}
			if c.Info.NegotiatedProtocol != "b" || s.Info.NegotiatedProtocol != "b" || s.Info.ServerName != "localhost" {
				t.Errorf("%s: client %+v, server %+v", message.VersionName(version), c.Info, s.Info)
			}
			if version == message.Version13 && (c.link.limit != 700 || s.link.limit != 600) {
				t.Errorf("record_size_limit %d and %d", c.link.limit, s.link.limit)
			}
		}
	}
}

// TestMissingClientCertificate: where one is required, an empty chain ends the
// handshake: with certificate_required in DTLS 1.3 (RFC 8446, Section 4.4.2.4).
func TestMissingClientCertificate(t *testing.T) {
	for version, want := range map[uint16]alert.Alert{message.Version12: alert.HandshakeFailure, message.Version13: alert.CertificateRequired} {
		client, server := configs(version)
		server.ClientAuth = tls.RequireAnyClientCert
		c, s := begin(t, client, server)
		for s.StateName() == "awaitClientHello" || s.StateName() == "awaitSecondHello13" {
			s.deliver(t, c)
			c.deliver(t, s)
		}
		if err := s.refused(t, c.link.flight[0]); alert.Of(err) != want {
			t.Errorf("%s: %v", message.VersionName(version), err)
		}
	}
}

// TestRefusedConnection: VerifyConnection has the last word on both sides.
func TestRefusedConnection(t *testing.T) {
	refusal := errors.New("not this one")
	for _, version := range versions {
		for _, isClient := range []bool{true, false} {
			client, server := configs(version)
			refuse := func(in *Info) error {
				if in.Version != version || in.CipherSuite == 0 {
					t.Errorf("%+v", in)
				}
				return refusal
			}
			if isClient {
				client.VerifyConnection = refuse
			} else {
				server.VerifyConnection = refuse
			}
			c, s := begin(t, client, server)
			var err error
			for from, to := c, s; err == nil && !to.IsComplete(); from, to = to, from {
				for _, o := range from.link.flight {
					if !o.ccs && err == nil {
						err = to.give(o)
					}
				}
			}
			if !errors.Is(err, refusal) || alert.Of(err) != alert.BadCertificate {
				t.Errorf("%s, client %v: %v", message.VersionName(version), isClient, err)
			}
		}
	}
}

// TestRecalledRetry: a server that sent its HelloRetryRequest in an association
// before this one goes on from the cookie, which proves the address; without one it
// refuses (RFC 9147, Section 5.1).
func TestRecalledRetry(t *testing.T) {
	for _, known := range []bool{true, false} {
		client, server := configs(message.Version13)
		c, s := begin(t, client, server)
		hello := c.link.flight[0].raw()
		v, ok := message.ScanClientHello(hello[message.HeaderLen:])
		if !ok {
			t.Fatal("no hello")
		}
		chosen, why := server.Choose(&v, nil)
		if why != Accepted {
			t.Fatal(why.Alert())
		}
		m := &message.HelloRetryRequest{CipherSuite: chosen.Suite.ID, Cookie: []byte("cookie")}
		body, err := m.AppendBody(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.give(outgoing{typ: message.TypeServerHello, body: body}); err != nil {
			t.Fatal(err)
		}
		if !known {
			if err := s.refused(t, c.link.flight[0]); alert.Of(err) != alert.IllegalParameter || s.link.proven {
				t.Errorf("%v, proven %v", err, s.link.proven)
			}
			continue
		}
		s.link.recalled = retryOf(chosen, hello, body, &v)
		finish(t, c, s)
		if !s.link.proven {
			t.Error("the cookie proves no address")
		}
	}
}

// TestOtherVersion: peers without a version in common say so.
func TestOtherVersion(t *testing.T) {
	client, _ := configs(message.Version12)
	_, server := configs(message.Version13)
	c, s := begin(t, client, server)
	if err := s.refused(t, c.link.flight[0]); alert.Of(err) != alert.ProtocolVersion {
		t.Errorf("%v", err)
	}
	client, _ = configs(message.Version13)
	_, server = configs(message.Version12)
	c, s = begin(t, client, server)
	if err := s.refused(t, c.link.flight[0]); alert.Of(err) != alert.ProtocolVersion {
		t.Errorf("%v", err)
	}
}

// TestSignatureOfAnother: a signature over another transcript is refused, and the
// genuine one taken afterwards.
func TestSignatureOfAnother(t *testing.T) {
	client, server := configs(message.Version13)
	other, from := begin(t, client, server)
	from.deliver(t, other)
	c, s := begin(t, client, server)
	s.deliver(t, c)
	for i, o := range s.link.flight {
		if o.typ == message.TypeCertificateVerify {
			if err := c.refused(t, from.link.flight[i]); alert.Of(err) != alert.DecryptError {
				t.Errorf("%v", err)
			}
		}
		if err := c.give(o); err != nil {
			t.Fatal(err)
		}
	}
	if !c.IsComplete() {
		t.Errorf("the client is %s", c.StateName())
	}
}
