package dtls

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// deaf loses what a server sends from its last flight on, until it is healed.
// Up to then a handshake without certificates has datagrams of two kinds only:
// one of the door, and one with ServerHello and ServerHelloDone.
func deaf(n *memNet, server net.Addr) (heal func()) {
	sent := 0
	n.mu.Lock()
	defer n.mu.Unlock()
	n.path = func(from, _ net.Addr, p []byte) bool {
		if from.String() == server.String() && p[0] == 20 { // change_cipher_spec
			sent++
		}
		return from.String() != server.String() || sent == 0
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.path = nil
	}
}

// only12: in DTLS 1.3 last flights are acknowledged, and nobody need linger for
// them.
func only12(_, s *Config) { s.MaxVersion = VersionDTLS12 }

// TestListenerLingers: a server that accepts and closes at once, through a path
// that loses its last flight, leaves no client in its time-out.
func TestListenerLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, only12)
		heal := deaf(l.net, l.Addr())
		before := ourGoroutines()
		client, _, done := l.dialing(t)
		server := l.accept(t)
		began := time.Now()
		if server.Close(); time.Since(began) != 0 {
			t.Errorf("Close took %v", time.Since(began))
		}
		for name, err := range map[string]error{"Read": second(server.Read(nil)), "Write": second(server.Write(nil))} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s := l.Stats(); s.Associations != 0 || s.Lingering != 1 || l.d.users != 2 {
			t.Errorf("%+v, %d users", s, l.d.users)
		}
		if n := ourGoroutines() - before; n > 2 { // the client and its reader
			t.Errorf("%d goroutines more", n)
		}
		time.Sleep(10 * time.Second)
		heal()
		if err := <-done; err != nil {
			t.Fatalf("the client: %v", err)
		}
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the client's Read: %v", err)
		}
		synctest.Wait() // until its close_notify is there
		if s := l.Stats(); s.Lingering != 0 || l.d.conns.len() != 0 || l.d.users != 1 {
			t.Errorf("%+v, %d users", s, l.d.users)
		}
		client.Close()
		if l.Close(); !l.socket.isClosed() {
			t.Error("the socket is left open")
		}
		time.Sleep(time.Second)
	})
}

// TestServerLingers does the same on a transport of its own, which stays open
// for that.
func TestServerLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, a, b := rawPair(only12)
		heal := deaf(a.net, b.addr)
		done := make(chan error, 1)
		go func() { done <- client.Handshake() }()
		if err := server.Handshake(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if server.Close(); time.Since(began) != 0 || b.isClosed() {
			t.Errorf("Close took %v; the transport is closed: %v", time.Since(began), b.isClosed())
		}
		time.Sleep(10 * time.Second)
		heal()
		if err := <-done; err != nil {
			t.Fatalf("the client: %v", err)
		}
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the client's Read: %v", err)
		}
		if synctest.Wait(); !b.isClosed() {
			t.Error("the transport is still open")
		}
		client.Close()
		time.Sleep(time.Second)
	})
}

// TestLingeringEnds by time, by an error of the transport that says that nobody
// is there, and not at all if it is switched off: then everything is gone.
func TestLingeringEnds(t *testing.T) {
	for _, test := range []struct {
		name  string
		after time.Duration
		do    func(server *Config, b *memConn)
	}{
		{"by time", time.Minute, func(c *Config, _ *memConn) { c.Linger = time.Minute }},
		{"switched off", 0, func(c *Config, _ *memConn) { c.Linger = -1 }},
		{"refused", 5 * time.Second, func(_ *Config, b *memConn) {
			time.AfterFunc(5*time.Second, func() {
				b.set(func(s *memSocket) { s.fault = func() error { return syscall.ECONNREFUSED } })
				b.put(b.to, nil) // the reader looks up
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b *memConn
				clientConfig, serverConfig := quickConfigs()
				only12(clientConfig, serverConfig)
				a, b := newMemNet().pair()
				test.do(serverConfig, b)
				client, server := Client(a, clientConfig), Server(b, serverConfig)
				if err := shake(client, server); err != nil {
					t.Fatal(err)
				}
				a.Close() // it dies without a word
				before := ourGoroutines()
				server.Close()
				if test.after > 0 {
					time.Sleep(test.after - time.Millisecond)
					if b.isClosed() {
						t.Error("the transport was closed too early")
					}
				}
				time.Sleep(2 * time.Millisecond)
				if synctest.Wait(); !b.isClosed() || ourGoroutines() >= before {
					t.Errorf("the transport is closed: %v; %d goroutines, were %d", b.isClosed(), ourGoroutines(), before)
				}
				client.Close()
				time.Sleep(time.Second)
			})
		})
	}
}

// TestHelloWhileItLingers: a device that restarts on the same port while its old
// association lingers is served at once.
func TestHelloWhileItLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, only12)
		old, conn := l.dial(t)
		conn.set(func(s *memSocket) { s.refuse = func([]byte, net.Addr) error { return syscall.ENOBUFS } }) // says nothing more
		server := l.accept(t)
		server.Close()
		if s := l.Stats(); s.Lingering != 1 {
			t.Fatalf("%+v", s)
		}
		c := Client(l.reuse(conn), l.client)
		began := time.Now()
		if err := c.Handshake(); err != nil || time.Since(began) != 0 {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		again := l.accept(t)
		exchange(t, c, again, "again")
		if s := l.Stats(); s.Lingering != 0 || s.Associations != 1 || l.d.users != 2 {
			t.Errorf("%+v, %d users", s, l.d.users)
		}
		closeAll(old, c, again)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestLingeringIsBounded: clients that shake hands and vanish leave so much and
// no more, and what lingers takes no room from others.
func TestLingeringIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const room = 10
		l := listen(t, func(_, s *Config) {
			s.MaxVersion = VersionDTLS12
			s.MaxHandshakes, s.MaxAssociations, s.MaxPerPrefix = room, 2, 2
			s.Linger = time.Minute
		})
		for range 3 * room {
			c, conn := l.dial(t)
			conn.Close()
			c.Close()
			l.accept(t).Close()
			if s := l.Stats(); s.Lingering > room || s.Associations != 0 {
				t.Fatalf("%+v", s)
			}
		}
		if s := l.Stats(); s.Lingering != room || l.d.users != 1+room || l.d.conns.len() != room || l.crowd.lingering.n != room {
			t.Errorf("%+v, %d users", s, l.d.users)
		}
		l.Close()
		if l.socket.isClosed() {
			t.Error("the socket was closed under those that linger")
		}
		time.Sleep(time.Minute + time.Second)
		if s := l.Stats(); s.Lingering != 0 || l.crowd.lingering.n != 0 || !l.socket.isClosed() {
			t.Errorf("%+v, socket closed: %v", s, l.socket.isClosed())
		}
	})
}

// TestLingeringIsSmall: the certificates of the peer and what nobody has read go
// with Close.
func TestLingeringIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, only12)
		client, _ := l.dial(t)
		server := l.accept(t)
		server.mu.Lock()
		server.enqueue(bytes.Repeat([]byte("unread"), 1000))
		server.mu.Unlock()
		server.SetValue("value")
		server.SetDeadline(time.Now().Add(time.Hour))
		l.net.mu.Lock()
		l.net.path = func(net.Addr, net.Addr, []byte) bool { return false }
		l.net.mu.Unlock()
		server.Close()
		server.mu.Lock()
		if server.queue != nil || server.value != nil || server.eng.state.PeerCertificates != nil || server.eng.secrets.master != nil {
			t.Error("something is left that is not needed")
		}
		if !server.flags.lingers {
			t.Error("it does not linger")
		}
		server.mu.Unlock()
		client.Close()
		l.Close()
		time.Sleep(maxLinger)
		if !l.socket.isClosed() {
			t.Error("the socket is left open")
		}
	})
}
