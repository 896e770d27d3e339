package interop

import (
	"testing"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// TestTinyDTLS: the second ClientHello repeats the first byte for byte but for the
// cookie (RFC 6347, Section 4.2.1), also where it offers DTLS 1.3 with the binder of a
// pre-shared key: the cookie covers all of it.
func TestTinyDTLS(t *testing.T) {
	t.Parallel()
	for _, both := range []bool{false, true} {
		for _, identity := range []Identity{TextIdentity, LongIdentity} {
			c := Case{Suite: pskCCM8, Identity: identity, MTU: 1232, Loss: identity == LongIdentity}
			name := "1.2 alone_" + c.Name()
			if both {
				name = "default versions_" + c.Name()
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				serving, dialing := c.options()
				dialing.Ours = func(cfg *dtls.Config) {
					if !both {
						cfg.MaxVersion = dtls.VersionDTLS12
					}
				}
				p := connect(t, TinyDTLS{}, Flightpath{}, serving, dialing, c)
				converse(t, p.server, p.client)
				for _, e := range []Endpoint{p.server, p.client} {
					if err := e.Agrees(); err != nil {
						t.Error(err)
					}
				}
				s := p.server.(*tinyServer)
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.asked == 0 || s.refused > 0 {
					t.Errorf("of %d hellos %d were asked for a cookie, %d although they had one", len(s.hellos), s.asked, s.refused)
				}
				hello, ok := message.ScanClientHello(s.hellos[0])
				if bound := len(hello.PSK) > 0; !ok || bound != both {
					t.Errorf("the hello has a binder: %v", bound)
				}
			})
		}
	}
}
