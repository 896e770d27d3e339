package dtls

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// User code that unwinds where something else is being ended.

// misuses are how user code unwinds.
var misuses = map[string]func(){"panics": func() { panic("boom") }, "ends its goroutine": runtime.Goexit}

// recovered runs f on a goroutine of its own, and waits for its end, whatever that is.
func recovered(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		f()
	}()
	<-done
}

// TestCloseOfAnotherInCallback: a callback closes another association of the same socket,
// and unwinds then. The one it was called for fails, the other one is closed with all that
// belongs to it, and the socket serves on.
func TestCloseOfAnotherInCallback(t *testing.T) {
	for misuse, act := range misuses {
		for _, side := range []side{clientSide, serverSide} {
			t.Run(side.String()+" "+misuse, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var other *Conn // to be closed
					config := nodeConfig()
					config.Linger = -1
					config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
					hooked := config.Clone()
					hooked.VerifyConnection = func(ConnectionState) error {
						if c := other; c != nil {
							other = nil
							c.Close()
							act()
						}
						return nil
					}
					configs := map[bool]*Config{true: hooked, false: config}
					n := newMemNet()
					a, b, c := newNode(t, n, 1, config), newNode(t, n, 2, configs[side == serverSide]), newNode(t, n, 3, config)
					dialed := a.dial(t, b.LocalAddr())
					accepted := b.accept(t)
					at, closes, peer, from, to := b, accepted, dialed, c, b
					if side == clientSide {
						at, closes, peer, from, to = a, dialed, accepted, a, c
					}
					other = closes
					recovered(func() {
						ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
						defer cancel()
						_, _ = from.Dial(ctx, to.LocalAddr(), configs[side == clientSide])
						if side == clientSide {
							t.Error("Dial returned")
						}
					})
					synctest.Wait()
					if other != nil {
						t.Fatal("the callback was not called")
					}
					if _, err := closes.Write(nil); !errors.Is(err, net.ErrClosed) {
						t.Errorf("the other one: %v", err)
					}
					if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
						t.Errorf("its peer: %v", err)
					}
					time.Sleep(time.Minute) // of the peers whose handshake has ended
					if n := count(at.Endpoint.members); n != 0 {
						t.Errorf("%d associations are left", n)
					}
					again, err := from.Dial(t.Context(), to.LocalAddr(), config)
					if err != nil {
						t.Fatalf("the next association: %v", err)
					}
					again.Close()
					for _, n := range []*node{a, b, c} {
						n.Close()
					}
					time.Sleep(maxLinger)
				})
			})
		}
	}
}

// TestTraceUnwindsAtTheEnd: a hook of Trace that unwinds while an association ends does not
// keep its socket: that of a client is closed, and Shutdown of a Listener returns.
func TestTraceUnwindsAtTheEnd(t *testing.T) {
	for misuse, act := range misuses {
		t.Run("restart "+misuse, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := listen(t, func(_, server *Config) {
					server.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
					server.Trace = &Trace{Ended: func(err error) {
						if errors.Is(err, ErrPeerRestarted) {
							act()
						}
					}}
				})
				first, conn := l.dial(t)
				old := l.accept(t)
				again := Client(l.reuse(conn), l.client)
				if err := again.Handshake(); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if _, err := old.Read(nil); !errors.Is(err, ErrPeerRestarted) && !errors.Is(err, errPanicked) {
					t.Errorf("Read: %v", err)
				}
				closeAll(first, again)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := l.Shutdown(ctx); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
				time.Sleep(maxLinger)
			})
		})
		t.Run("Close in a callback "+misuse, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c *Conn
				l, conn := newUserCode(t, VersionDTLS13, func(client, _ *Config, _ *hookedConn) {
					client.VerifyConnection = func(ConnectionState) error { return c.Close() }
					client.Trace = &Trace{Ended: func(error) { act() }}
				})
				c = Client(conn, l.client)
				recovered(func() { _ = c.Handshake() })
				time.Sleep(time.Second)
				if !conn.isClosed() {
					t.Error("the transport is left open")
				}
				conn.Close()
				l.Shutdown(t.Context())
				time.Sleep(maxLinger)
			})
		})
	}
}

// TestContextOfClientCertificates: the Context of a CertificateRequestInfo is a child of that
// of the handshake.
func TestContextOfClientCertificates(t *testing.T) {
	type key struct{}
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		synctest.Test(t, func(t *testing.T) {
			asked := false
			l, conn := newUserCode(t, version, func(client, server *Config, _ *hookedConn) {
				own := dtlstest.MustChain(dtlstest.P256, 0).Certificate
				client.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
					asked = true
					ctx := info.Context()
					if ctx.Value(key{}) != 7 {
						t.Errorf("%s: the context is not that of the call", VersionName(version))
					}
					if at, ok := ctx.Deadline(); !ok || time.Until(at) != defaultCallbackTimeout {
						t.Errorf("%s: it ends at %v", VersionName(version), at)
					}
					<-ctx.Done() // the call's is cancelled
					return &own, ctx.Err()
				}
			})
			ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, 7))
			time.AfterFunc(time.Second, cancel)
			c := Client(conn, l.client)
			began := time.Now()
			if err := c.HandshakeContext(ctx); err == nil || !asked || time.Since(began) != time.Second {
				t.Errorf("%s: %v after %v, asked %v", VersionName(version), err, time.Since(began), asked)
			}
			c.Close()
			l.Shutdown(t.Context())
			time.Sleep(maxLinger)
		})
	}
}
