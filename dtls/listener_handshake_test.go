package dtls

import (
	"bytes"
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/ring"
)

// dialing runs a client's handshake and sends its result.
func (l *listening) dialing(t testing.TB) (c *Conn, conn *memConn, done chan error) {
	t.Helper()
	conn = l.net.dial(l.Addr())
	c = Client(conn, l.client)
	done = make(chan error, 1)
	go func() { done <- c.Handshake() }()
	return c, conn, done
}

// acceptHandshake is accept for those whose handshake is not run.
func (l *listening) acceptHandshake(t testing.TB) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := l.AcceptHandshake(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// driven is a Listener whose handshakes wait for AcceptHandshake.
func driven(t testing.TB, change func(client, server *Config)) *listening {
	t.Helper()
	l := listen(t, change)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.AcceptHandshake(ctx); !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return l
}

// TestAcceptHandshake: nothing but the cookie is sent until the caller drives the
// handshake, in as many steps as it likes.
func TestAcceptHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := driven(t, nil)
		client, conn, done := l.dialing(t)
		server := l.acceptHandshake(t)
		if server.ConnectionState().HandshakeComplete || server.RemoteAddr().String() != client.LocalAddr().String() {
			t.Errorf("%+v with %v", server.ConnectionState(), server.RemoteAddr())
		}
		time.Sleep(3 * time.Second)
		if s := l.Stats(); l.socket.sent() != 1 || s.CookiesSent != 1 || s.HandshakesOpen != 1 || s.HandshakesDone != 0 || s.Associations != 0 {
			t.Errorf("%d datagrams sent; %+v", l.socket.sent(), s)
		}
		if err := server.SetMTU(600); err != nil || server.MTU() != 600 {
			t.Errorf("SetMTU: %v, MTU %d", err, server.MTU())
		}
		server.SetDeadline(time.Now())
		var answer [][]byte // the client might be so quick that one step is all
		l.net.mu.Lock()
		l.net.path = func(from, _ net.Addr, p []byte) bool {
			if from == conn.addr {
				answer = append(answer, bytes.Clone(p))
			}
			return from != conn.addr
		}
		l.net.mu.Unlock()
		if err := server.Handshake(); !errors.Is(err, ErrAgain) || l.socket.sent() < 2 {
			t.Errorf("a first step: %v, %d datagrams sent", err, l.socket.sent())
		}
		synctest.Wait()
		l.net.mu.Lock()
		l.net.path = nil
		l.net.mu.Unlock()
		for _, d := range answer {
			l.socket.put(conn.addr, d)
		}
		server.SetDeadline(time.Time{})
		if err := errors.Join(server.Handshake(), <-done); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, client, "hello")
		mustRead(t, server, "hello")
		if s := l.Stats(); s.HandshakesOpen != 0 || s.HandshakesDone != 1 || s.Associations != 1 {
			t.Errorf("%+v", s)
		}
		closeAll(client, server)
		if s := l.Stats(); s.Associations != 0 {
			t.Errorf("%+v", s)
		}
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestAcceptHandshakeManualMTU: a listener with MTUManual and nobody to ask; the
// caller is told what the socket refused.
func TestAcceptHandshakeManualMTU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, func(c, s *Config) {
			cert, certServer := simConfigs(dtlstest.P256, 3000)
			certServer.CookieMode = CookieAuto
			*c, *s = *cert, *certServer
			s.MTUMode = MTUManual
		})
		l.socket.set(func(s *memSocket) {
			s.refuse = func(p []byte, _ net.Addr) error {
				if len(p) > 400 {
					return syscall.EMSGSIZE
				}
				return nil
			}
		})
		client, _, done := l.dialing(t) // before the first call: it waits all the same
		synctest.Wait()
		server := l.acceptHandshake(t)
		err := server.Handshake()
		var large *LargePacketError
		if !errors.As(err, &large) || IsFatal(err) || large.Size <= 400 {
			t.Fatalf("%v", err)
		}
		began := time.Now()
		if err := errors.Join(server.SetMTU(400), server.Handshake(), <-done); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited > 100*time.Millisecond {
			t.Errorf("it took %v: a timer was waited for", waited)
		}
		closeAll(client, server)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestAcceptHandshakeTakesWhatWasBegun: handshakes that ran before the first call
// come out complete.
func TestAcceptHandshakeTakesWhatWasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, nil)
		early, _ := l.dial(t)
		synctest.Wait()
		server := l.acceptHandshake(t)
		if !server.ConnectionState().HandshakeComplete || server.Handshake() != nil {
			t.Error("it was not complete")
		}
		late, _, done := l.dialing(t)
		server2 := l.acceptHandshake(t)
		if server2.ConnectionState().HandshakeComplete {
			t.Error("the next one was run by the Listener")
		}
		if err := errors.Join(server2.Handshake(), <-done); err != nil {
			t.Error(err)
		}
		closeAll(early, server, late, server2)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestUndrivenHandshakesEnd: those that nobody accepts, those that were accepted
// and left alone and those that were left half-way are over when their time is
// up, cost no goroutine until then and nothing afterwards.
func TestUndrivenHandshakesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 10 * time.Second
		l := driven(t, func(_, s *Config) { s.HandshakeTimeout = limit })
		defer time.Sleep(time.Second)
		defer l.Close()
		var clients []*Conn
		for range 30 {
			c, conn, done := l.dialing(t)
			synctest.Wait()
			conn.Close()
			<-done
			clients = append(clients, c)
		}
		began := time.Now()
		defer closeAll(clients...)
		synctest.Wait()
		before := ourGoroutines()
		var left []*Conn
		for i := range 20 {
			c := l.acceptHandshake(t)
			left = append(left, c)
			switch {
			case i >= 15:
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				if err := c.HandshakeContext(ctx); !errors.Is(err, ErrInterrupted) {
					t.Errorf("left half-way: %v", err)
				}
			case i >= 10:
				c.SetMTU(500)
				c.NextTimeout() // looking at it makes its engine
			}
		}
		synctest.Wait()
		if n := ourGoroutines(); n > before {
			t.Errorf("%d goroutines more", n-before)
		}
		time.Sleep(limit - time.Since(began) - time.Second)
		if s := l.Stats(); s.HandshakesOpen != 30 || s.HandshakesFailed != 0 {
			t.Errorf("before its time: %+v", s)
		}
		time.Sleep(2 * time.Second)
		if s := l.Stats(); s.HandshakesOpen != 0 || s.HandshakesFailed != 30 || count(l.members) != 0 || l.members.users != 1 {
			t.Errorf("after its time: %+v, %d users", s, l.members.users)
		}
		for i, c := range left {
			if err := c.Handshake(); !errors.Is(err, ErrHandshakeTimeout) || !IsFatal(err) {
				t.Errorf("%d: %v", i, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if c, err := l.AcceptHandshake(ctx); !errors.Is(err, ErrInterrupted) {
			t.Errorf("one that is over was accepted: %v, %v", c, err)
		}
	})
}

// TestHandshakeTimeoutInACallback: the deadline passes while a callback of the
// driver has not returned; it ends the handshake when that lets it.
func TestHandshakeTimeoutInACallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := driven(t, func(_, s *Config) {
			s.HandshakeTimeout = 2 * time.Second
			s.CallbackTimeout = time.Minute
			s.ServerPSK = func(context.Context, ServerPSKInfo) (*PSK, error) {
				time.Sleep(10 * time.Second)
				return nil, errors.New("nobody")
			}
		})
		client, _, done := l.dialing(t)
		server := l.acceptHandshake(t)
		began := time.Now()
		if err := server.Handshake(); err == nil || !IsFatal(err) || time.Since(began) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if s := l.Stats(); s.HandshakesFailed != 1 || s.HandshakesOpen != 0 {
			t.Errorf("%+v", s)
		}
		client.Close()
		<-done
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestListenerCloseLeavesTheAccepted: an accepted handshake can be driven after
// Close, one that waits for AcceptHandshake is over.
func TestListenerCloseLeavesTheAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := driven(t, nil)
		client, _, done := l.dialing(t)
		server := l.acceptHandshake(t)
		other, _, refused := l.dialing(t)
		synctest.Wait()
		waiting := make(chan error, 1)
		l.Close()
		go func() { waiting <- second(l.AcceptHandshake(t.Context())) }()
		if err := <-waiting; !errors.Is(err, ErrServerClosed) {
			t.Errorf("AcceptHandshake: %v", err)
		}
		if s := l.Stats(); s.HandshakesOpen != 1 || s.HandshakesFailed != 1 || l.socket.isClosed() {
			t.Errorf("%+v, socket closed: %v", s, l.socket.isClosed())
		}
		if err := errors.Join(server.Handshake(), <-done); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, client, "hello")
		mustRead(t, server, "hello")
		closeAll(client, server)
		if synctest.Wait(); !l.socket.isClosed() {
			t.Error("the socket is left open")
		}
		other.Close()
		<-refused
		time.Sleep(time.Second)
	})
}

// TestRestartWhileItWaits: a client that begins anew takes the place of its
// first try, also in the backlog.
func TestRestartWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := driven(t, nil)
		first, conn, done := l.dialing(t)
		synctest.Wait()
		second := Client(l.reuse(conn), l.client)
		<-done
		go func() { done <- second.Handshake() }()
		synctest.Wait()
		if s := l.Stats(); s.HandshakesOpen != 1 || s.HandshakesFailed != 1 || l.books.offered.Len() != 1 {
			t.Errorf("%+v, %d wait", s, l.books.offered.Len())
		}
		server := l.acceptHandshake(t)
		if err := errors.Join(server.Handshake(), <-done); err != nil {
			t.Fatal(err)
		}
		closeAll(first, second, server)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestBacklogPassesTheTokenOn: of many calls that wait at once, each gets one
// association, however the tokens fall together.
func TestBacklogPassesTheTokenOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 50
		l := driven(t, nil)
		got := make(chan *Conn, n)
		for range n {
			go func() {
				c, err := l.AcceptHandshake(t.Context())
				if err != nil {
					t.Error(err)
				}
				got <- c
			}()
		}
		synctest.Wait()
		var clients []*Conn
		for range n {
			c, _, done := l.dialing(t)
			go func() { <-done }()
			clients = append(clients, c)
		}
		seen := map[*Conn]bool{}
		for range n {
			c := <-got
			seen[c] = true
			c.Close()
		}
		if len(seen) != n || l.books.offered.Len() != 0 {
			t.Errorf("%d associations for %d calls, %d wait", len(seen), n, l.books.offered.Len())
		}
		closeAll(clients...)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestInboxBeforeTheFirstStep: what comes before anybody drives is bounded.
func TestInboxBeforeTheFirstStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := driven(t, nil)
		client, conn, done := l.dialing(t)
		server := l.acceptHandshake(t)
		for range 1000 {
			l.socket.put(conn.addr, bytes.Repeat([]byte{22}, 1000))
		}
		synctest.Wait()
		if s := l.Stats(); s.InboxDropped < 960 || server.hs.inbox.Bytes() > ring.MaxInbox {
			t.Errorf("%d bytes kept; %+v", server.hs.inbox.Bytes(), s)
		}
		if err := errors.Join(server.Handshake(), <-done); err != nil {
			t.Error(err)
		}
		closeAll(client, server)
		l.Close()
		time.Sleep(time.Second)
	})
}
