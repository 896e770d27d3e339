package dtls

import (
	"bytes"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/record"
)

// TestRefusalBehindCookie: a Listener refuses what a client with a good cookie
// wants. The client hears why, within seconds: that a cookie has become too old
// explains an alert once.
func TestRefusalBehindCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, func(client, server *Config) {
			client.NextProtos, server.NextProtos = []string{"coap"}, []string{"mqtt"}
		})
		defer l.Close()
		conn := l.net.dial(l.Addr())
		c := Client(conn, l.client)
		defer c.Close()
		began := time.Now()
		err := c.HandshakeContext(t.Context())
		var ae *AlertError
		if !errors.As(err, &ae) || !ae.Remote || ae.Alert != alert.NoApplicationProtocol {
			t.Errorf("the client hears %v", err)
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

// TestRefusalOfAServerThatIsGone: the server refuses the second hello, and answers
// nothing from then on, as one that has a single association. The client ends with the
// alert. After illegal_parameter, which a server has for cookies, it begins anew, and
// an outage of 5 s that follows one forged alert ends nothing; one that stays is named
// by the error of the time-out.
func TestRefusalOfAServerThatIsGone(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 0)
	client.NextProtos, server.NextProtos = []string{"coap"}, []string{"mqtt"}
	s := newSim(t, client, server)
	s.run(time.Minute, func() bool { return s.eng[clientSide].Err() != nil })
	var ae *AlertError
	if err := s.eng[clientSide].Err(); !errors.As(err, &ae) || !ae.Remote || ae.Alert != alert.NoApplicationProtocol {
		t.Errorf("the client hears %v", err)
	}
	if took := s.now.Sub(simStart); took > time.Second {
		t.Errorf("after %v\n%s", took, s.history())
	}

	for _, outage := range []time.Duration{5 * time.Second, time.Hour} {
		client, server = simConfigs13(dtlstest.P256, 0)
		client.Hello = HelloSmall
		s = newSim(t, client, server)
		s.path = func(from side, n int, _ []byte) []time.Duration {
			if from == clientSide && n == 1 {
				s.inject(clientSide, forgeAlert(alert.Fatal, alert.IllegalParameter))
			}
			if n >= 1 && s.now.Sub(s.start) < outage {
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		e := s.eng[clientSide]
		s.run(2*time.Minute, func() bool { return s.established() || e.Err() != nil })
		if outage == 5*time.Second {
			if !s.established() {
				t.Errorf("%v; %v\n%s", s.eng[0], s.eng[1], s.history())
			}
			continue
		}
		if err := e.Err(); !errors.Is(err, ErrHandshakeTimeout) || !errors.As(err, &ae) || ae.Alert != alert.IllegalParameter ||
			!strings.Contains(err.Error(), "illegal_parameter") {
			t.Errorf("%v", err)
		}
	}
}

// TestServerHelloOfAnother: a server still repeats its flight for a client that
// has vanished, and the next one has its port. The second message of a server is
// no answer to a first hello.
func TestServerHelloOfAnother(t *testing.T) {
	var stale []byte
	client, server := simConfigs13(dtlstest.P256, 0)
	old := newSim(t, client, server)
	old.path = func(from side, n int, d []byte) []time.Duration {
		if from == serverSide && n == 1 {
			_, _, rest, err := record.Next(d)
			if err != nil {
				t.Fatal(err)
			}
			stale = bytes.Clone(d[:len(d)-len(rest)])
		}
		return []time.Duration{simRTT / 2}
	}
	old.handshake()

	client, server = simConfigs13(dtlstest.P256, 0)
	s := newSim(t, client, server)
	s.path = func(from side, n int, d []byte) []time.Duration {
		if from == clientSide && n == 0 {
			s.inject(clientSide, stale)
		}
		return []time.Duration{simRTT / 2}
	}
	if !s.run(2*time.Second, s.established) {
		t.Errorf("%v; %v\n%s", s.eng[0], s.eng[1], s.history())
	}
}

// TestTicketsOfAnotherConfig: the keys of tickets are those of the Config that
// served the client, when they are made and when they come back.
func TestTicketsOfAnotherConfig(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 0)
	another := &Config{Certificates: server.Certificates, ClientCAs: server.ClientCAs, Time: server.Time}
	server.GetConfigForClient = func(*tls.ClientHelloInfo) (*Config, error) { return another, nil }
	s := newSim(t, client, server)
	s.handshake()
	s.settle()
	session, err := s.eng[clientSide].Session()
	if err != nil {
		t.Fatal(err)
	}
	client.Session = session
	s = newSim(t, client, server)
	s.handshake()
	if !s.eng[clientSide].ConnectionState().DidResume {
		t.Error("the ticket of the Config that served the client was not taken")
	}
}

// TestSessionsOfOtherRoots: an earlier association vouches for its peer only as
// long as the certificate that it saw would do. A clone of a Config takes the
// tickets of the first.
func TestSessionsOfOtherRoots(t *testing.T) {
	chain, other := dtlstest.MustChain(dtlstest.P256, 0), dtlstest.MustChain(dtlstest.P256, 700)
	end := chain.Certificate.Leaf.NotAfter
	early, late := func() time.Time { return end.Add(-time.Hour) }, func() time.Time { return end.Add(time.Hour) }
	for _, test := range []struct {
		name   string
		change func(client, server *Config)
		refuse side // that no longer trusts the other
	}{
		{"the client's roots change", func(client, _ *Config) { client.RootCAs = other.Pool() }, clientSide},
		{"the server's roots change", func(_, server *Config) { server.ClientCAs = other.Pool() }, serverSide},
		{"the server's certificate has expired", func(client, _ *Config) { client.Time = late }, clientSide},
		{"the client's certificate has expired", func(_, server *Config) { server.Time = late }, serverSide},
	} {
		client, server := simConfigs13(dtlstest.P256, 0)
		client.Certificates, server.ClientAuth = server.Certificates, tls.RequireAndVerifyClientCert
		client.Time, server.Time = early, early
		server.SetSessionTicketKeys([][32]byte{{1}})
		s := newSim(t, client, server)
		s.handshake()
		s.settle()
		session, err := s.eng[clientSide].Session()
		if err != nil {
			t.Fatal(err)
		}
		client, server = client.Clone(), server.Clone()
		client.Session = session
		test.change(client, server)
		s = newSim(t, client, server)
		s.run(time.Minute, func() bool { return s.eng[test.refuse].Err() != nil })
		if err := s.eng[test.refuse].Err(); err == nil {
			t.Errorf("%s: both go on, resumed %v", test.name, s.eng[test.refuse].ConnectionState().DidResume)
		}
	}
}

// TestBinderBeforeTrust: a ticket that somebody has only seen makes no work. Its
// binder ends the handshake, also where the ticket would not be taken.
func TestBinderBeforeTrust(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 0)
	client.Certificates, server.ClientAuth = server.Certificates, tls.RequireAndVerifyClientCert
	server.SetSessionTicketKeys([][32]byte{{1}})
	first := newSim(t, client, server)
	first.handshake()
	first.settle()
	for _, trusted := range []bool{true, false} {
		blob, err := first.eng[clientSide].Session()
		if err != nil {
			t.Fatal(err)
		}
		seen, err := handshake.ParseSession(blob)
		if err != nil {
			t.Fatal(err)
		}
		seen.Secret[0] ^= 1
		client, server := client.Clone(), server.Clone()
		if client.Session, err = seen.Marshal(); err != nil {
			t.Fatal(err)
		}
		server.PlaintextAlerts = AlertsImmediate
		if !trusted {
			server.ClientCAs = dtlstest.MustChain(dtlstest.P256, 700).Pool()
		}
		s := newSim(t, client, server)
		s.run(time.Minute, s.over)
		if a, remote := alertOf(t, s.eng[serverSide]); a != alert.DecryptError || remote {
			t.Errorf("trusted %v: %v", trusted, s.eng[serverSide])
		}
	}
}
