package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// ticketPaths are what abbreviated handshakes of DTLS 1.2 are sent through.
var ticketPaths = []struct {
	name string
	mtu  int
	loss bool
}{
	{"1232", 1232, false}, {"300", 300, false}, {"1232 and 20 % loss", 1232, true}, {"300 and 20 % loss", 300, true},
}

// eachTicketPath has the first path with one suite and the last with the other, and all
// of them with FLIGHTPATH_FULL. With a peer that neither makes nor takes a hello in
// fragments the MTU is one into which a hello with a ticket goes.
func eachTicketPath(t *testing.T, peer any, suites []uint16, test func(t *testing.T, c Case)) {
	for at, path := range ticketPaths {
		for i, id := range suites {
			if !Full() && at != i*(len(ticketPaths)-1) {
				continue
			}
			t.Run(suiteByID(id).name+", "+path.name, func(t *testing.T) {
				t.Parallel()
				test(t, Case{Suite: id, MTU: max(path.mtu, limitsOf(peer).Hello), Loss: path.loss, Identity: TextIdentity})
			})
		}
	}
}

// TestTicketsOfServers: our client resumes with the ticket of a foreign server, which
// says so, and again with the ticket that came with that.
func TestTicketsOfServers(t *testing.T) {
	t.Parallel()
	for _, p := range []struct {
		server  Server
		resumed string // what it prints
	}{
		{OpenSSL{}, "Reused session-id"},
		{GnuTLS{}, ""}, // it says nothing with --echo
		{MbedTLS{Tickets: true}, "a session has been resumed"},
	} {
		t.Run(p.server.Name(), func(t *testing.T) {
			eachTicketPath(t, p.server, []uint16{0xc02b, 0x00a8}, func(t *testing.T, c Case) {
				serving, dialing := c.options()
				server, addr := p.server.Serve(t, serving)
				t.Cleanup(func() {
					if t.Failed() {
						t.Log(server.Log())
					}
				})
				cache := dtls.NewClientSessionCache(0)
				a := &association{options: dialing}
				a.options.Ours = func(cfg *dtls.Config) { cfg.ClientSessionCache = cache }
				for i := range 3 {
					tr := &trace{start: time.Now()}
					t.Cleanup(func() {
						if t.Failed() {
							t.Logf("association %d:\n%s", i, tr)
						}
					})
					relay, err := dtlstest.NewRelay(addr, dtlstest.RelayConfig{Seed: c.seed() + uint64(i), ToServer: c.path(Flightpath{}), ToClient: c.path(p.server), Tap: tr.tap})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { relay.Close() })
					dial := a.dialing(relay.Addr().String())
					ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
					conn, err := dial(ctx)
					cancel()
					if err != nil {
						t.Fatal(err)
					}
					if got := conn.ConnectionState().DidResume; got != (i > 0) {
						t.Errorf("%d: resumed is %v", i, got)
					}
					line := fmt.Sprintf("line of association %d", i)
					pause := sayAgain
					waitUntil(t, "line at the server", func() bool {
						if _, err := conn.Write([]byte(line + "\n")); err != nil {
							t.Fatal(err)
						}
						pause *= 2 // gnutls-serv starts its timer anew with each record
						return readsLine(conn, line, pause) || server.Heard(line)
					})
					// The server has one association at a time: the path is clean before its end.
					for range rough {
						_, _ = conn.Write([]byte("more\n"))
					}
					conn.Close()
				}
				if n := strings.Count(server.Log(), p.resumed); p.resumed != "" && n != 2 {
					t.Errorf("the server says %d times %q", n, p.resumed)
				}
			})
		})
	}
}

// readsLine reads for a while.
func readsLine(conn *dtls.Conn, line string, while time.Duration) bool {
	buf := make([]byte, 2048)
	_ = conn.SetReadDeadline(time.Now().Add(while))
	n, err := conn.Read(buf)
	return err == nil && bytes.Contains(buf[:n], []byte(line))
}

// TestTicketsOfOurs: a foreign client resumes with a ticket of our server, and both say
// so.
func TestTicketsOfOurs(t *testing.T) {
	t.Parallel()
	t.Run("openssl", func(t *testing.T) {
		eachTicketPath(t, Flightpath{}, []uint16{0xc02b, 0x00a8}, func(t *testing.T, c Case) {
			serving, dialing := c.options()
			addr, next := ticketServer(t, c, serving, OpenSSL{})
			file := filepath.Join(t.TempDir(), "session")
			client := func(args ...string) *process {
				args = append([]string{"s_client", "-connect", addr, "-sess_out", file}, append((OpenSSL{}).common(t, dialing), args...)...)
				return start(t, "openssl", "openssl", args...)
			}
			first := client()
			if s := next(t); s.DidResume {
				t.Error("the first handshake is resumed")
			}
			waitUntil(t, "session of s_client", func() bool { return strings.Contains(first.Log(), "SSL-Session:") })
			_ = first.Say("Q")
			waitUntil(t, "end of s_client", func() bool { return first.Failed() != nil })
			second := client("-sess_in", file)
			if s := next(t); !s.DidResume {
				t.Error("the second handshake is a full one")
			}
			waitUntil(t, "resumed session of s_client", func() bool { return strings.Contains(second.Log(), "Reused, ") })
		})
	})
	t.Run("gnutls", func(t *testing.T) {
		eachTicketPath(t, Flightpath{}, []uint16{0xc02b, 0x00a8}, func(t *testing.T, c Case) {
			serving, dialing := c.options()
			addr, next := ticketServer(t, c, serving, GnuTLS{})
			dialing.Ours = nil
			client := (GnuTLS{}).dial(t, addr, dialing, "--resume")
			if s := next(t); s.DidResume {
				t.Error("the first handshake is resumed")
			}
			if s := next(t); !s.DidResume {
				t.Error("the second handshake is a full one")
			}
			waitUntil(t, "resumed session of gnutls-cli", func() bool { return strings.Contains(client.Log(), "This is a resumed session") })
		})
	})
	t.Run("mbedtls", func(t *testing.T) {
		eachTicketPath(t, MbedTLS{}, []uint16{0xc02b, 0x00a8}, func(t *testing.T, c Case) {
			serving, dialing := c.options()
			addr, next := ticketServer(t, c, serving, MbedTLS{})
			file := "session=" + filepath.Join(t.TempDir(), "session")
			for i, says := range []string{"no session has been resumed", "a session has been resumed", "a session has been resumed"} {
				client := (MbedTLS{}).dial(t, addr, dialing, file)
				if s := next(t); s.DidResume != (i > 0) {
					t.Errorf("%d: resumed is %v", i, s.DidResume)
				}
				waitUntil(t, "end of the handshake", client.Established)
				if !strings.Contains(client.Log(), says) {
					t.Errorf("%d: it does not say %q:\n%s", i, says, client.Log())
				}
			}
		})
	})
}

// ticketServer is a server of ours behind a relay. next waits for the state of its next
// association. It closes those whose client has closed.
func ticketServer(t *testing.T, c Case, o Options, client Client) (addr string, next func(t *testing.T) dtls.ConnectionState) {
	t.Helper()
	a := &association{options: o}
	a.options.Ours = func(cfg *dtls.Config) { cfg.ClientAuth = tls.NoClientCert }
	l := a.listen(t)
	tr := &trace{start: time.Now()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("relay:\n%s\nserver:\n%s", tr, a.Log())
		}
	})
	relay, err := dtlstest.NewRelay(l.Addr().String(), dtlstest.RelayConfig{Seed: c.seed(), ToServer: c.path(client), ToClient: c.path(Flightpath{}), Tap: tr.tap})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	states := make(chan dtls.ConnectionState, 8)
	go func() {
		for {
			conn, err := l.AcceptContext(context.Background())
			if err != nil {
				return
			}
			states <- conn.ConnectionState()
			go func() {
				defer conn.Close()
				buf := make([]byte, 2048)
				for {
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					_, _ = conn.Write(buf[:n])
				}
			}()
		}
	}()
	return relay.Addr().String(), func(t *testing.T) dtls.ConnectionState {
		t.Helper()
		var state dtls.ConnectionState
		waitUntil(t, "association", func() bool {
			select {
			case state = <-states:
				return true
			default:
				return false
			}
		})
		return state
	}
}
