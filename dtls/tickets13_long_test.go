package dtls

import (
	"bytes"
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// TestLongClientChain: a ticket with the chain of its client would make a hello that
// no door lets in. A server gives such a ticket to nobody, so no dial is slow,
// and those with shorter chains resume.
func TestLongClientChain(t *testing.T) {
	for _, test := range []struct {
		size    int
		resumes bool
	}{{0, true}, {1500, true}, {3800, false}, {6000, false}} {
		synctest.Test(t, func(t *testing.T) {
			chain := dtlstest.MustChain(dtlstest.P256, test.size)
			l := listen(t, func(client, server *Config) {
				certified, certifying := simConfigs13(dtlstest.P256, 0)
				*client, *server = *certified, *certifying
				client.ClientSessionCache, client.Certificates = NewClientSessionCache(8), certs(chain)
				server.CookieMode, server.ClientAuth, server.ClientCAs = CookieAuto, tls.RequireAndVerifyClientCert, chain.Pool()
			})
			defer l.Close()
			for try := range 20 {
				began := time.Now()
				c, _ := l.dial(t)
				if took := time.Since(began); took > time.Second {
					t.Errorf("chain of %d bytes, dial %d: %v", test.size, try, took)
				}
				s := l.accept(t)
				synctest.Wait()
				if got := c.ConnectionState().DidResume; got != (test.resumes && try > 0) {
					t.Errorf("chain of %d bytes, dial %d: resumed %v", test.size, try, got)
				}
				time.Sleep(time.Second) // the tickets come
				closeAll(c, s)
			}
		})
	}
}

// TestLongTicketIsDropped: the ticket of another server makes a hello that it does not
// let in itself. After four transmissions the client sends a hello without it.
func TestLongTicketIsDropped(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 0)
	s := newSim(t, client, server)
	s.handshake()
	s.settle()
	m := &message.NewSessionTicket13{Lifetime: 3600, Ticket: bytes.Repeat([]byte{7}, 5000)}
	body, err := m.AppendBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	e := s.eng[serverSide]
	e.out.extend([]outMessage{e.newMessage(m.Type(), e.keys.Write(), body)})
	s.settle()
	if client.Session, err = s.eng[clientSide].Session(); err != nil {
		t.Fatal(err)
	}
	s = newSim(t, client, server)
	s.handshake()
	if took := s.now.Sub(s.start); took > 17*time.Second {
		t.Errorf("after %v", took)
	}
}

// TestShortTicketIsKept: silence behind a hello of one datagram is no reason to send
// another one.
func TestShortTicketIsKept(t *testing.T) {
	client, server := mutual()
	client.Hello = HelloSmall
	resumed(t, client, server)
	s := newSim(t, client.Clone(), server)
	s.path = func(from side, n int, _ []byte) []time.Duration {
		if from == clientSide && n < 5 {
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	s.handshake()
	if !s.eng[clientSide].ConnectionState().DidResume {
		t.Errorf("not resumed\n%s", s.history())
	}
}
