package dissect

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// What crosses the wire in Wireshark's words, a line for each datagram of the
// client (>) or the server (<).
var (
	retry = []string{
		"> Client Hello",
		"< Hello Retry Request",
	}
	full = []string{
		"> Client Hello",
		"< Server Hello, Encrypted Extensions, Certificate, Certificate Verify, Finished",
		"> Finished",
	}
	withPSK = []string{
		"> Client Hello",
		"< Server Hello, Encrypted Extensions, Finished",
		"> Finished",
	}
	tickets = []string{
		"< Acknowledgement, New Session Ticket, New Session Ticket", // the ACK of the Finished
		"> Acknowledgement",
	}
	data = []string{
		"> Application Data",
		"< Application Data",
	}
	goodbye = []string{
		"> Alert (Level: Warning, Description: Close Notify)",
		"< Alert (Level: Warning, Description: Close Notify)",
	}
	newClientKeys = []string{
		"> Key Update",
		"< Acknowledgement",
	}
	answeredUpdate = []string{
		"> Key Update",
		"< Acknowledgement, Key Update", // which was asked for
		"> Acknowledgement",
	}
	newServerKeys = []string{
		"< Key Update",
		"> Acknowledgement",
	}
)

// sessionCase is what Wireshark has to read.
type sessionCase struct {
	name   string
	change func(client, server *dtls.Config) // nil: the client verifies a server that asks for no cookies
	play   func(*session)                    // after the handshake
	want   []string
}

var sessionCases = []sessionCase{
	{
		name: "a full handshake",
		play: func(s *session) { s.echo(); s.close() },
		want: slices.Concat(full, tickets, data, goodbye),
	},
	{
		name:   "a cookie is asked for",
		change: func(_, server *dtls.Config) { server.CookieMode = dtls.CookieAuto },
		play:   (*session).echo,
		want:   slices.Concat(retry, full, tickets, data),
	},
	{
		name: "a share of P-256 is asked for, with the cookie",
		change: func(_, server *dtls.Config) {
			server.CurvePreferences = []tls.CurveID{tls.CurveP256}
			server.CookieMode = dtls.CookieAuto
		},
		play: (*session).echo,
		want: slices.Concat(retry, full, tickets, data),
	},
	{
		name: "X25519MLKEM768, and a hello in fragments",
		change: func(client, server *dtls.Config) {
			client.CurvePreferences, client.Hello = []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256}, dtls.HelloFull
			server.CurvePreferences = client.CurvePreferences
		},
		play: (*session).echo,
		want: slices.Concat([]string{
			"> Client Hello (Fragment)",
			"> Client Hello (Fragment)",
			"> Client Hello (Reassembled)",
			"< Server Hello",
			"< Encrypted Extensions, Certificate, Certificate Verify, Finished",
			"> Finished",
		}, tickets, data),
	},
	{
		name: "certificates of RSA on both sides, and a protocol",
		change: func(client, server *dtls.Config) {
			chain := dtlstest.MustChain(dtlstest.RSA2048, 0)
			client.Certificates, client.RootCAs = []tls.Certificate{chain.Certificate}, chain.Pool()
			server.Certificates, server.ClientCAs = client.Certificates, client.RootCAs
			server.ClientAuth = tls.RequireAndVerifyClientCert
			client.NextProtos, server.NextProtos = []string{"coap"}, []string{"coap"}
		},
		play: (*session).echo,
		want: slices.Concat([]string{
			"> Client Hello",
			"< Server Hello, Encrypted Extensions, Certificate Request, Certificate, Certificate Verify (Fragment)",
			"< Certificate Verify (Reassembled), Finished",
			"> Certificate, Certificate Verify, Finished",
			"< Acknowledgement",
			"< New Session Ticket, New Session Ticket (Fragment)", // with the client's chain
			"< New Session Ticket (Reassembled)",
			"> Acknowledgement",
		}, data),
	},
	{
		name: "resumed, with a cookie",
		change: func(_, server *dtls.Config) {
			server.CookieMode = dtls.CookieAuto
		},
		play: func(s *session) { s.again(); s.echo() },
		want: slices.Concat(retry, full, tickets, goodbye, retry, withPSK, tickets, data),
	},
	{
		name: "new keys of each side, and of both",
		play: func(s *session) {
			s.update(s.client, false)
			s.echo()
			s.update(s.server, false)
			s.echo()
			s.update(s.client, true)
			s.update(s.server, true)
			s.echo()
		},
		want: slices.Concat(full, tickets, newClientKeys, data, newServerKeys, data, answeredUpdate, []string{
			"< Key Update",
			"> Acknowledgement, Key Update",
			"< Acknowledgement",
		}, data),
	},
	suiteCase("AES-256-GCM", 0x1302),
	suiteCase("ChaCha20-Poly1305", 0x1303),
	suiteCase("AES-128-CCM", 0x1304),
	suiteCase("AES-128-CCM-8", 0x1305),
	{
		name: "an external pre-shared key",
		change: func(client, server *dtls.Config) {
			key := dtls.PSK{Identity: []byte("meter 17"), Key: []byte("sixteen bytes or")}
			client.ClientPSK = func(context.Context, dtls.ClientPSKInfo) ([]dtls.PSK, error) { return []dtls.PSK{key}, nil }
			server.ServerPSK = func(context.Context, dtls.ServerPSKInfo) (*dtls.PSK, error) { return &key, nil }
		},
		play: (*session).echo,
		want: slices.Concat(withPSK, tickets, data),
	},
	{
		name:   "DTLS 1.2",
		change: func(client, _ *dtls.Config) { client.MaxVersion = dtls.VersionDTLS12 },
		play:   func(s *session) { s.echo(); s.close() },
		want: slices.Concat([]string{
			"> Client Hello",
			"< Server Hello, Certificate, Server Key Exchange, Server Hello Done",
			"> Client Key Exchange, Change Cipher Spec, Finished",
			"< Change Cipher Spec, Finished",
		}, data, goodbye),
	},
}

// suiteCase is a session of one suite, with new keys.
func suiteCase(name string, id uint16) sessionCase {
	return sessionCase{
		name: name,
		change: func(client, server *dtls.Config) {
			client.CipherSuites = []uint16{id}
			server.CipherSuites = client.CipherSuites
		},
		play: func(s *session) { s.echo(); s.update(s.client, true); s.echo() },
		want: slices.Concat(full, tickets, data, answeredUpdate, data),
	}
}

func (c sessionCase) run(t *testing.T) *session {
	t.Helper()
	chain := dtlstest.MustChain(dtlstest.P256, 0)
	client := &dtls.Config{RootCAs: chain.Pool(), ServerName: "localhost"}
	server := &dtls.Config{Certificates: []tls.Certificate{chain.Certificate}, CookieMode: dtls.AddressProven}
	for _, cfg := range []*dtls.Config{client, server} {
		cfg.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
	}
	if c.change != nil {
		c.change(client, server)
	}
	s := newSession(t, client, server)
	c.play(s)
	return s
}

// TestWireshark: every record of every session is decrypted, and is what it
// should be.
func TestWireshark(t *testing.T) {
	var sessions []*session
	var captures []capture
	for _, c := range sessionCases {
		s := c.run(t)
		sessions = append(sessions, s)
		captures = append(captures, capture{s.sent, s.keys.Bytes()})
	}
	// Without its key log the first one cannot be read, and that shows.
	captures = append(captures, capture{sessions[0].sent, nil})

	all := dissect(t, captures)
	for i, c := range sessionCases {
		t.Run(c.name, func(t *testing.T) {
			if got := words(all[i]); !slices.Equal(got, c.want) {
				t.Errorf("Wireshark says\n%s\n---- but we sent\n%s\n---- in\n%s",
					strings.Join(got, "\n"), strings.Join(c.want, "\n"), sessions[i].trace())
			}
			for n, f := range all[i] {
				if len(f.Doubts) > 0 {
					t.Errorf("packet %d, %s: Wireshark doubts %q", n+1, f.Info, f.Doubts)
				}
			}
		})
	}
	t.Run("no key log", func(t *testing.T) {
		for n, f := range all[len(sessionCases)] {
			if hello := n == 0; hello != (len(f.Doubts) == 0) {
				t.Errorf("packet %d, %s: Wireshark doubts %q", n+1, f.Info, f.Doubts)
			}
		}
	})
}

// words are the lines of a capture.
func words(frames []frame) []string {
	var lines []string
	for _, f := range frames {
		arrow := "> "
		if f.Port == serverAddr.Port() {
			arrow = "< "
		}
		lines = append(lines, arrow+strings.TrimSuffix(f.Info, " (SNI=localhost)"))
	}
	return lines
}
