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

// epochByte is the first byte of a protected record of DTLS 1.3, without its length
// bits, in that epoch.
func epochByte(p []byte, epoch byte) bool { return p[0]&0xe3 == 0x20|epoch }

// deaf loses what a server sends from its last flight on, until it is healed: in
// DTLS 1.2 that begins with a change_cipher_spec, in DTLS 1.3 it is all in epoch 3.
func deaf(n *memNet, server net.Addr) (heal func()) {
	sent := 0
	return n.lose(func(from net.Addr, p []byte) bool {
		if from.String() == server.String() && (p[0] == 20 || epochByte(p, epochData)) {
			sent++
		}
		return from.String() == server.String() && sent > 0
	})
}

// mute loses what others than the server send in epoch 3 of DTLS 1.3, so that
// nothing tells it that its last flight has arrived. In DTLS 1.2 nothing does.
func mute(n *memNet, server net.Addr) (heal func()) {
	return n.lose(func(from net.Addr, p []byte) bool {
		return from.String() != server.String() && epochByte(p, epochData)
	})
}

// lose loses what is said so, until it is healed.
func (n *memNet) lose(whether func(from net.Addr, p []byte) bool) (heal func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.path = func(from, _ net.Addr, p []byte) bool { return !whether(from, p) }
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.path = nil
	}
}

// only12 and only13 are changes of configs.
func only12(_, s *Config) { s.MaxVersion = VersionDTLS12 }
func only13(_, s *Config) { s.MinVersion = VersionDTLS13 }

// eachVersion runs a test for either version of the protocol, in a bubble.
func eachVersion(t *testing.T, test func(t *testing.T, only func(client, server *Config))) {
	for name, only := range map[string]func(client, server *Config){"DTLS 1.2": only12, "DTLS 1.3": only13} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, only) })
		})
	}
}

// TestListenerLingers: a server that accepts and closes at once, through a path
// that loses its last flight, leaves no client in its time-out.
func TestListenerLingers(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		l := listen(t, only)
		heal := deaf(l.net, l.Addr())
		synctest.Wait()
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
		if s := l.Stats(); s.Associations != 0 || s.Lingering != 1 || l.members.users != 2 {
			t.Errorf("%+v, %d users", s, l.members.users)
		}
		synctest.Wait()
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
		if s := l.Stats(); s.Lingering != 0 || count(l.members) != 0 || l.members.users != 1 {
			t.Errorf("%+v, %d users", s, l.members.users)
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
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		client, server, a, b := rawPair(only)
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

// TestClientLingers: in DTLS 1.3 it is the client that sends the last flight. One
// that closes at once, through a path that loses it, leaves no server in its
// time-out; on a transport of its own, and on a socket that it shares.
func TestClientLingers(t *testing.T) {
	unheard := func(l *listening) (heal func()) {
		return l.net.lose(func(from net.Addr, p []byte) bool {
			return from.String() != l.Addr().String() && (epochByte(p, epochHandshake) || epochByte(p, epochData))
		})
	}
	ends := func(t *testing.T, l *listening) {
		server := l.accept(t)
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the server's Read: %v", err)
		}
		synctest.Wait()
		server.Close()
		if s := l.Stats(); s.Lingering != 0 || s.Associations != 0 {
			t.Errorf("%+v", s)
		}
		if l.Close(); !l.socket.isClosed() {
			t.Error("the listener's socket is left open")
		}
		time.Sleep(time.Second)
	}
	t.Run("its own transport", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := listen(t, only13)
			heal := unheard(l)
			synctest.Wait()
			before := ourGoroutines()
			client, conn := l.dial(t)
			began := time.Now()
			if client.Close(); time.Since(began) != 0 || conn.isClosed() {
				t.Errorf("Close took %v; the transport is closed: %v", time.Since(began), conn.isClosed())
			}
			time.Sleep(10 * time.Second)
			heal()
			ends(t, l)
			if synctest.Wait(); !conn.isClosed() || ourGoroutines() > before {
				t.Errorf("the transport is closed: %v; %d goroutines, were %d", conn.isClosed(), ourGoroutines(), before)
			}
		})
	})
	t.Run("an endpoint's", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := listen(t, only13)
			heal := unheard(l)
			e, err := NewEndpoint(l.net.listen(memAddr(9, 5684)), l.client)
			if err != nil {
				t.Fatal(err)
			}
			client, err := e.Dial(t.Context(), l.Addr(), l.client)
			if err != nil {
				t.Fatal(err)
			}
			client.Close()
			if e.members.users != 2 || countDialed(e.members) != 1 {
				t.Errorf("%d users, %d dialed", e.members.users, countDialed(e.members))
			}
			time.Sleep(10 * time.Second)
			heal()
			ends(t, l)
			if e.members.users != 1 || countDialed(e.members) != 0 {
				t.Errorf("%d users, %d dialed", e.members.users, countDialed(e.members))
			}
			e.Close()
			time.Sleep(time.Second)
		})
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
			eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
				var b *memConn
				clientConfig, serverConfig := quickConfigs()
				only(clientConfig, serverConfig)
				a, b := newMemNet().pair()
				mute(a.net, b.addr)
				test.do(serverConfig, b)
				client, server := Client(a, clientConfig), Server(b, serverConfig)
				if err := shake(client, server); err != nil {
					t.Fatal(err)
				}
				a.Close() // it dies without a word
				synctest.Wait()
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
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		l := listen(t, only)
		heal := mute(l.net, l.Addr())
		old, conn := l.dial(t)
		conn.set(func(s *memSocket) { s.refuse = func([]byte, net.Addr) error { return syscall.ENOBUFS } }) // says nothing more
		server := l.accept(t)
		server.Close()
		if s := l.Stats(); s.Lingering != 1 {
			t.Fatalf("%+v", s)
		}
		heal()
		c := Client(l.reuse(conn), l.client)
		began := time.Now()
		if err := c.Handshake(); err != nil || time.Since(began) != 0 {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		again := l.accept(t)
		exchange(t, c, again, "again")
		if s := l.Stats(); s.Lingering != 0 || s.Associations != 1 || l.members.users != 2 {
			t.Errorf("%+v, %d users", s, l.members.users)
		}
		closeAll(old, c, again)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestLingeringIsBounded: clients that shake hands and vanish leave so much and
// no more, and what lingers takes no room from others.
func TestLingeringIsBounded(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		const room = 10
		l := listen(t, func(c, s *Config) {
			only(c, s)
			s.MaxHandshakes, s.MaxAssociations, s.MaxPerPrefix = room, 2, 2
			s.Linger = time.Minute
		})
		mute(l.net, l.Addr())
		for range 3 * room {
			c, conn := l.dial(t)
			conn.Close()
			c.Close()
			l.accept(t).Close()
			if s := l.Stats(); s.Lingering > room || s.Associations != 0 {
				t.Fatalf("%+v", s)
			}
		}
		if s := l.Stats(); s.Lingering != room || l.members.users != 1+room || count(l.members) != room || l.books.crowd.Lingering() != room {
			t.Errorf("%+v, %d users", s, l.members.users)
		}
		l.Close()
		if l.socket.isClosed() {
			t.Error("the socket was closed under those that linger")
		}
		time.Sleep(time.Minute + time.Second)
		if s := l.Stats(); s.Lingering != 0 || l.books.crowd.Lingering() != 0 || !l.socket.isClosed() {
			t.Errorf("%+v, socket closed: %v", s, l.socket.isClosed())
		}
	})
}

// TestLingeringIsSmall: the certificates of the peer and what nobody has read go
// with Close.
func TestLingeringIsSmall(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		l := listen(t, only)
		mute(l.net, l.Addr())
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
		if !server.received.Empty() || server.value != nil || server.eng.state.PeerCertificates != nil || server.eng.secrets != nil && server.eng.secrets.Master != nil {
			t.Error("something is left that is not needed")
		}
		if !server.end.lingers {
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
