package dtls

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestShutdown tells everybody, accepted or not, and returns when the socket is
// closed.
func TestShutdown(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		l := listen(t, only)
		l.net.delay(20 * time.Millisecond)
		accepted, _ := l.dial(t)
		server := l.accept(t)
		waiting, _ := l.dial(t)
		under, conn, done := l.dialing(t)
		conn.set(func(s *memSocket) { // stops behind its cookie
			s.tap = func(n int, _ []byte, _ net.Addr) {
				if n == 2 {
					s.refuse = func([]byte, net.Addr) error { return errors.New("gone") }
				}
			}
		})
		time.Sleep(100 * time.Millisecond)
		if s := l.Stats(); s.Associations != 2 || s.HandshakesOpen != 1 {
			t.Fatalf("%+v", s)
		}
		accepting := make(chan error, 1)
		go func() {
			_, _ = l.Accept() // the one that waits
			accepting <- second(l.Accept())
		}()
		synctest.Wait()
		began := time.Now()
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		want := 40 * time.Millisecond // the answer to a close_notify
		if server.ConnectionState().Version == VersionDTLS13 {
			want = 0 // all has been acknowledged, and nobody is waited for
		}
		if waited := time.Since(began); waited != want {
			t.Errorf("it took %v, want %v", waited, want)
		}
		if !l.socket.isClosed() {
			t.Error("the socket is left open")
		}
		if err := <-accepting; !errors.Is(err, ErrServerClosed) {
			t.Errorf("an Accept that waited: %v", err)
		}
		for name, c := range map[string]*Conn{"accepted": accepted, "not accepted": waiting} {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("ours: %v", err)
		}
		if s := l.Stats(); s.Associations != 0 || s.HandshakesOpen != 0 || s.Lingering != 0 || s.HandshakesFailed != 1 {
			t.Errorf("%+v", s)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Errorf("a second one: %v", err)
		}
		closeAll(accepted, waiting, under)
		<-done
		time.Sleep(time.Second)
	})
}

// TestShutdownWaitsForTheLastFlight of those that have just begun, and gives up
// with its context.
func TestShutdownWaitsForTheLastFlight(t *testing.T) {
	for _, patient := range []bool{true, false} {
		eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
			l := listen(t, only)
			heal := deaf(l.net, l.Addr())
			client, _, done := l.dialing(t)
			l.accept(t)
			time.AfterFunc(10*time.Second, heal)
			began := time.Now()
			ctx, cancel := t.Context(), func() {}
			if !patient {
				ctx, cancel = context.WithTimeout(ctx, 5*time.Second)
			}
			defer cancel()
			err := l.Shutdown(ctx)
			waited := time.Since(began)
			if synctest.Wait(); !l.socket.isClosed() {
				t.Error("the socket is left open")
			}
			if patient {
				if err != nil || waited < 10*time.Second || waited > time.Minute {
					t.Errorf("after %v: %v", waited, err)
				}
				if err := <-done; err != nil {
					t.Errorf("the client: %v", err)
				}
			} else {
				if !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.DeadlineExceeded) || waited != 5*time.Second {
					t.Errorf("after %v: %v", waited, err)
				}
				client.Close()
				<-done
			}
			client.Close()
			time.Sleep(maxLinger) // of a client that was never answered
		})
	}
}

// TestShutdownAfterClose is for those that were accepted and live on.
func TestShutdownAfterClose(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		l := listen(t, only)
		client, _ := l.dial(t)
		server := l.accept(t)
		l.Close()
		exchange(t, client, server, "still here")
		if l.socket.isClosed() {
			t.Error("the socket was closed under an association")
		}
		if err := l.Shutdown(t.Context()); err != nil || !l.socket.isClosed() {
			t.Errorf("%v; socket closed: %v", err, l.socket.isClosed())
		}
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		client.Close()
		time.Sleep(time.Second)
	})
}

// TestShutdownWaitsForACallback that has a handshake in its hands.
func TestShutdownWaitsForACallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, func(_, s *Config) {
			s.ServerPSK = func(context.Context, ServerPSKInfo) (*PSK, error) {
				time.Sleep(3 * time.Second)
				return &testPSK, nil
			}
		})
		client, _, done := l.dialing(t)
		synctest.Wait()
		began := time.Now()
		if err := l.Shutdown(t.Context()); err != nil || time.Since(began) != 3*time.Second || !l.socket.isClosed() {
			t.Errorf("after %v: %v; socket closed: %v", time.Since(began), err, l.socket.isClosed())
		}
		client.Close()
		<-done
		time.Sleep(time.Second)
	})
}

// TestShutdownOfAnEndpoint leaves the socket, what was dialed, and room for
// another Listener.
func TestShutdownOfAnEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		a, b := newNode(t, n, 1, nodeConfig()), newNode(t, n, 2, nodeConfig())
		ab, ba := a.dial(t, b.LocalAddr()), b.dial(t, a.LocalAddr())
		fromA := b.accept(t)
		if err := a.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := ba.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("one that was accepted: %v", err)
		}
		exchange(t, ab, fromA, "dialed")
		ba.Close()
		l, err := a.Listen(nil)
		if err != nil {
			t.Fatal(err)
		}
		ba = b.dial(t, a.LocalAddr())
		ours, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, ba, ours.(*Conn), "again")
		a.Close()
		b.Close()
		time.Sleep(time.Second)
	})
}
