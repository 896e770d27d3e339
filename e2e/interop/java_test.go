package interop

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// Java's virtual machine takes a second of processor time for each case, so there
// are few.

func TestBouncyCastle(t *testing.T) {
	t.Parallel()
	testCases(t, BouncyCastle{}, casesOf(BouncyCastle{}, few))
}

func TestPSKBouncyCastle(t *testing.T) {
	t.Parallel()
	cases := append(pskCasesOf(BouncyCastle{}, few),
		// What no other peer has.
		Case{Suite: 0xd005, Identity: TextIdentity, MTU: 1232, More: "alone"},
		Case{WeServe: true, Suite: 0xd003, Identity: TextIdentity, MTU: 300, More: "alone"},
	)
	testCases(t, BouncyCastle{}, cases)
}

func TestJSSE(t *testing.T) {
	t.Parallel()
	testCases(t, JSSE{}, casesOf(JSSE{}, few))
}

// TestJavaServersOfOneVersion: a client with the default Config, which offers
// both versions, agrees on DTLS 1.2 with servers that ask for a cookie. That of
// Bouncy Castle covers all of the ClientHello but the cookie itself, binders of
// DTLS 1.3 included. RFC 6347, Section 4.2.1.
func TestJavaServersOfOneVersion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		server Server
		c      Case
	}{
		{BouncyCastle{}, Case{Suite: 0xc02b, MTU: 1232}},
		{BouncyCastle{}, Case{Suite: 0xd001, MTU: 1232, Identity: TextIdentity}},
		{JSSE{}, Case{Suite: 0xc02b, MTU: 1232, ClientCert: true}},
	} {
		t.Run(tt.server.Name()+"_"+tt.c.Name(), func(t *testing.T) {
			t.Parallel()
			serving, dialing := tt.c.options()
			dialing.Suite = 0
			dialing.Ours = func(cfg *dtls.Config) { cfg.MTU, cfg.MaxMTU = 0, 0 }
			p := connect(t, tt.server, Flightpath{}, serving, dialing, tt.c)
			converse(t, p.server, p.client)
			for _, e := range []Endpoint{p.server, p.client} {
				if err := e.Agrees(); err != nil {
					t.Error(err)
				}
			}
			if !p.sent(dtlstest.ToClient, "HelloVerifyRequest") {
				t.Error("no cookie was asked for")
			}
			p.checkHellos(t)
		})
	}
}

// checkHellos looks at the ClientHellos of a client of both versions: they are equal
// but for a cookie. Of those that are repeated for a slow machine some may be in
// fragments, which say nothing else.
func (p ends) checkHellos(t *testing.T) {
	t.Helper()
	var first []byte
	for _, d := range p.trace.seen(dtlstest.ToServer) {
		if text := describe(d); !strings.Contains(text, "ClientHello") || strings.Contains(text, " of ") {
			continue
		}
		body := d[recordHeader+handshakeHeader:]
		if hello, ok := message.ScanClientHello(body); !ok || !hello.Offers(dtls.VersionDTLS13) || !hello.Offers(dtls.VersionDTLS12) {
			t.Errorf("no ClientHello for both versions: %x", body)
		}
		rest := withoutCookie(body)
		if first == nil {
			first = rest
		}
		if !bytes.Equal(rest, first) {
			t.Errorf("the ClientHello\n%x\nis repeated as\n%x", first, rest)
		}
	}
}

// withoutCookie: RFC 6347, Section 4.2.1; version, random, session_id, cookie.
func withoutCookie(hello []byte) []byte {
	cookie := 2 + 32
	cookie += 1 + int(hello[cookie])
	end := cookie + 1 + int(hello[cookie])
	return slices.Concat(hello[:cookie], hello[end:])
}
