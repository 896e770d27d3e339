package dtls

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/door"
)

// listening is a Listener in memory.
type listening struct {
	*Listener
	net    *memNet
	socket *memSocket
	client *Config // for Client
}

func listen(t testing.TB, change func(client, server *Config)) *listening {
	t.Helper()
	client, server := quickConfigs()
	client.CurvePreferences = []tls.CurveID{tls.X25519} // hellos of one datagram
	if change != nil {
		change(client, server)
	}
	n := newMemNet()
	socket := n.listen(memAddr(2, 4433))
	l, err := NewListener(socket, server)
	if err != nil {
		t.Fatal(err)
	}
	return &listening{l, n, socket, client}
}

// dial returns a client that is established, and the socket it lives on.
func (l *listening) dial(t testing.TB) (*Conn, *memConn) {
	t.Helper()
	conn := l.net.dial(l.Addr())
	c := Client(conn, l.client)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c, conn
}

func (l *listening) accept(t testing.TB) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := l.AcceptContext(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reuse is a new socket with the address of an old one: a device that restarted.
func (l *listening) reuse(old *memConn) *memConn {
	_ = old.Close()
	return &memConn{l.net.listen(old.addr), old.to}
}

func TestListenerEcho(t *testing.T) {
	for _, addr := range []net.Addr{memAddr(2, 4433), memName("server")} {
		t.Run(addr.Network(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clientConfig, serverConfig := quickConfigs()
				n := newMemNet()
				socket := n.listen(addr)
				l, err := NewListener(socket, serverConfig)
				if err != nil {
					t.Fatal(err)
				}
				const clients = 20
				go func() {
					for {
						conn, err := l.Accept()
						if err != nil {
							if !errors.Is(err, ErrServerClosed) || !errors.Is(err, net.ErrClosed) {
								t.Errorf("Accept: %v", err)
							}
							return
						}
						go func() {
							defer conn.Close()
							buf := make([]byte, 100)
							for {
								n, err := conn.Read(buf)
								if err != nil {
									if !errors.Is(err, io.EOF) {
										t.Errorf("server Read: %v", err)
									}
									return
								}
								if _, err := conn.Write(buf[:n]); err != nil {
									t.Errorf("server Write: %v", err)
								}
							}
						}()
					}
				}()
				var wg sync.WaitGroup
				for i := range clients {
					wg.Go(func() {
						c := Client(n.dial(addr), clientConfig)
						for j := range 10 {
							text := fmt.Sprint(i, "says", j)
							mustWrite(t, c, text)
							mustRead(t, c, text)
						}
						c.Close()
					})
				}
				wg.Wait()
				synctest.Wait()
				s := l.Stats()
				if s.HandshakesDone != clients || s.CookiesSent != clients || s.Associations != 0 || s.HandshakesOpen != 0 || s.HandshakesFailed != 0 {
					t.Errorf("%+v", s)
				}
				if s.DatagramsIn == 0 || s.DatagramsOut != uint64(socket.sent()) || s.BytesIn < s.DatagramsIn || s.Drops != (Drops{}) {
					t.Errorf("%+v", s)
				}
				if err := l.Close(); err != nil || !socket.isClosed() {
					t.Errorf("Close: %v, socket closed: %v", err, socket.isClosed())
				}
				time.Sleep(time.Second)
			})
		})
	}
}

// TestStalledHandshakesDelayNobody: a thousand clients, in the brief form some
// hundred, stop behind their cookie;
// another one is served as if they were not there, and all are gone after the
// handshake's time-out.
func TestStalledHandshakesDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled := 1000
		if brief() {
			stalled = 300
		}
		l := listen(t, func(_, s *Config) { s.HandshakeTimeout = 20 * time.Second })
		synctest.Wait()
		before := runtime.NumGoroutine()
		for range stalled {
			conn := l.net.dial(l.Addr())
			c := Client(conn, l.client)
			ctx, cancel := context.WithCancel(t.Context())
			conn.tap = func(n int, _ []byte, _ net.Addr) {
				if n == 2 { // the hello with the cookie
					cancel()
				}
			}
			if err := c.HandshakeContext(ctx); !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			conn.Close() // it dies without a word
			c.Close()
		}
		synctest.Wait()
		if s := l.Stats(); s.HandshakesOpen != stalled {
			t.Fatalf("%+v", s)
		}
		if n := runtime.NumGoroutine() - before; n > stalled+10 {
			t.Errorf("%d goroutines for %d handshakes", n, stalled)
		}
		for _, c := range l.members.conns.All() {
			if c.mu.Lock(); c.hs != nil && c.hs.proof != nil {
				t.Fatal("a handshake keeps the hello that the door let in")
			}
			c.mu.Unlock()
		}
		began := time.Now()
		honest, _ := l.dial(t)
		server := l.accept(t)
		if waited := time.Since(began); waited > 100*time.Millisecond {
			t.Errorf("an honest handshake took %v", waited)
		}
		time.Sleep(25 * time.Second)
		s := l.Stats()
		if s.HandshakesOpen != 0 || s.HandshakesFailed != uint64(stalled) || s.Associations != 1 {
			t.Errorf("afterwards: %+v", s)
		}
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 5 {
			t.Errorf("%d goroutines are left", n)
		}
		mustWrite(t, honest, "still here")
		mustRead(t, server, "still here")
		closeAll(honest, server)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestMaxHandshakes: proven clients over it are not answered, and get in when
// there is room.
func TestMaxHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		l := listen(t, func(_, s *Config) {
			s.MaxHandshakes = 2
			look := s.ServerPSK
			s.ServerPSK = func(ctx context.Context, info ServerPSKInfo) (*PSK, error) {
				<-gate
				return look(ctx, info)
			}
		})
		done := make(chan error, 3)
		for range cap(done) {
			go func() {
				c := Client(l.net.dial(l.Addr()), l.client)
				done <- c.Handshake()
				c.Close()
			}()
		}
		time.Sleep(time.Second / 2)
		if s := l.Stats(); s.HandshakesOpen != 2 || s.HandshakesRefused == 0 {
			t.Errorf("%+v", s)
		}
		close(gate)
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestSlowCallbackDelaysNobody: a look-up that sleeps and an association whose
// queue is full do not touch the others.
func TestSlowCallbackDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := false
		l := listen(t, func(_, s *Config) {
			look := s.ServerPSK
			s.ServerPSK = func(ctx context.Context, info ServerPSKInfo) (*PSK, error) {
				if slow {
					time.Sleep(4 * time.Second)
				}
				return look(ctx, info)
			}
		})
		good, _ := l.dial(t)
		goodServer := l.accept(t)
		full, _ := l.dial(t)
		fullServer := l.accept(t)
		for range 1000 {
			mustWrite(t, full, "nobody reads this, nobody reads this, nobody reads this, nobody reads this")
		}
		slow = true
		late := make(chan error, 1)
		go func() {
			c := Client(l.net.dial(l.Addr()), l.client)
			late <- c.Handshake()
			c.Close()
		}()
		synctest.Wait()
		began := time.Now()
		for range 100 {
			mustWrite(t, good, "ping")
			mustRead(t, goodServer, "ping")
		}
		if waited := time.Since(began); waited > 0 {
			t.Errorf("it took %v", waited)
		}
		if err := <-late; err != nil {
			t.Error(err)
		}
		if s := l.Stats(); s.Drops.Memory == 0 {
			t.Errorf("a full queue was not counted: %+v", s)
		}
		closeAll(good, goodServer, full, fullServer)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestRandomErrnos: every error that a socket may have, at random, on reads and
// writes, stops neither the listener nor any handshake.
func TestRandomErrnos(t *testing.T) {
	errnos := []error{
		syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EPROTO,
		syscall.ENOPROTOOPT, syscall.EACCES, syscall.ENOBUFS, syscall.EAGAIN, syscall.EINTR, syscall.EPERM,
		syscall.ENOMEM, syscall.EMSGSIZE, syscall.EIO, syscall.EINVAL, errors.New("odd"),
	}
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 0))
				var mu sync.Mutex
				fault := func() func() error {
					var last error
					return func() (err error) {
						mu.Lock()
						defer mu.Unlock()
						if rng.IntN(10) < 3 {
							err = errnos[rng.IntN(len(errnos))]
						}
						if errors.Is(err, last) { // EMSGSIZE twice in a row would be meant
							err = nil
						}
						last = err
						return err
					}
				}
				trouble := func(s *memSocket) {
					refuse := fault()
					s.refuse, s.fault = func([]byte, net.Addr) error { return refuse() }, fault()
				}
				l := listen(t, func(c, s *Config) {
					c.Retransmit.MaxTries, s.Retransmit.MaxTries = 30, 30
					c.HandshakeTimeout, s.HandshakeTimeout = time.Hour, time.Hour
				})
				l.socket.set(trouble)
				for range 5 {
					conn := l.net.dial(l.Addr())
					conn.set(trouble)
					c := Client(conn, l.client)
					if err := c.Handshake(); err != nil {
						t.Fatal(err)
					}
					server := l.accept(t)
					for try := 0; ; try++ {
						_, err := c.Write([]byte("hello"))
						if IsFatal(err) || try > 100 {
							t.Fatalf("Write: %v", err)
						}
						if err == nil {
							break
						}
					}
					mustRead(t, server, "hello")
					closeAll(c, server)
				}
				l.Close()
				time.Sleep(maxLinger) // the last words of one may be lost
			})
		})
	}
}

// TestListenerClose: those who were accepted live on, the others do not, and
// the socket goes with the last.
func TestListenerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, nil)
		accepted, _ := l.dial(t)
		server := l.accept(t)
		waiting, _ := l.dial(t)
		synctest.Wait()
		blocked := make(chan error, 1)
		blockedListener := listen(t, nil)
		go func() { blocked <- second(blockedListener.Accept()) }()
		synctest.Wait()
		blockedListener.Close()
		if err := <-blocked; !errors.Is(err, ErrServerClosed) {
			t.Errorf("an Accept that waited: %v", err)
		}

		l.Close()
		l.Close()
		if _, err := l.Accept(); !errors.Is(err, ErrServerClosed) {
			t.Errorf("Accept: %v", err)
		}
		if _, err := waiting.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("one that was not accepted: %v", err)
		}
		if l.socket.isClosed() {
			t.Fatal("the socket is closed under an association")
		}
		mustWrite(t, accepted, "hello")
		mustRead(t, server, "hello")
		mustWrite(t, server, "hello yourself")
		mustRead(t, accepted, "hello yourself")

		stranger := Client(l.net.dial(l.Addr()), l.client)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := stranger.HandshakeContext(ctx); !errors.Is(err, ErrInterrupted) {
			t.Errorf("a stranger after Close: %v", err)
		}
		server.Close()
		if !l.socket.isClosed() {
			t.Error("the socket is left open")
		}
		if _, err := accepted.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the close_notify of the last one: %v", err)
		}
		closeAll(accepted, waiting, stranger)
		time.Sleep(time.Second)
	})
}

// TestListenerCloseInHandshake ends those that are under way.
func TestListenerCloseInHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, nil)
		conn := l.net.dial(l.Addr())
		c := Client(conn, l.client)
		conn.set(func(s *memSocket) {
			s.refuse = func(p []byte, _ net.Addr) error {
				if s.sent() >= 2 {
					return syscall.ENOBUFS
				}
				return nil
			}
		})
		go c.Handshake()
		synctest.Wait()
		if l.Stats().HandshakesOpen != 1 {
			t.Fatalf("%+v", l.Stats())
		}
		l.Close()
		synctest.Wait()
		if s := l.Stats(); s.HandshakesOpen != 0 || !l.socket.isClosed() {
			t.Errorf("%+v, socket closed: %v", s, l.socket.isClosed())
		}
		c.Close()
		time.Sleep(time.Second)
	})
}

// TestSocketDies: a socket that is closed by others ends everything.
func TestSocketDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, nil)
		c, _ := l.dial(t)
		server := l.accept(t)
		l.socket.Close()
		if _, err := l.Accept(); !errors.Is(err, ErrServerClosed) {
			t.Errorf("Accept: %v", err)
		}
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) || !IsFatal(err) {
			t.Errorf("Read: %v", err)
		}
		closeAll(c, server)
		time.Sleep(time.Second)
	})
}

// TestAddressIsFreeAfterClose: late datagrams of an association that has ended
// go to the door, and its address can begin anew.
func TestAddressIsFreeAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, nil)
		c, conn := l.dial(t)
		server := l.accept(t)
		var late []byte
		conn.set(func(s *memSocket) { s.tap = func(_ int, p []byte, _ net.Addr) { late = bytes.Clone(p) } })
		mustWrite(t, c, "hello")
		mustRead(t, server, "hello")
		server.Close()
		before := l.Stats()
		if before.Associations != 0 {
			t.Errorf("%+v", before)
		}
		synctest.Wait()
		dropped := l.Stats().StrangersDropped
		l.socket.put(conn.addr, late)
		synctest.Wait()
		if s := l.Stats(); s.StrangersDropped != dropped+1 {
			t.Errorf("a late datagram was not taken to the door: %+v", s)
		}
		c2 := Client(l.reuse(conn), l.client)
		if err := c2.Handshake(); err != nil {
			t.Fatal(err)
		}
		server2 := l.accept(t)
		mustWrite(t, c2, "again")
		mustRead(t, server2, "again")
		closeAll(c, c2, server2)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestPeerRestarts: a device that lost its state is back after one handshake
// from the same address, and the old association lives until then.
func TestPeerRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, nil)
		old, conn := l.dial(t)
		oldServer := l.accept(t)
		defer closeAll(old, oldServer)

		// Half a handshake from that address changes nothing.
		half := &memConn{l.net.listen(conn.addr), conn.to}
		started := Client(half, l.client)
		half.set(func(s *memSocket) {
			s.refuse = func([]byte, net.Addr) error {
				if s.sent() >= 2 {
					return syscall.ENOBUFS
				}
				return nil
			}
		})
		go started.Handshake()
		synctest.Wait()
		if s := l.Stats(); s.HandshakesOpen != 1 || s.Associations != 1 {
			t.Fatalf("%+v", s)
		}
		l.net.mu.Lock()
		l.net.sockets[conn.addr.String()] = conn.memSocket
		l.net.mu.Unlock()
		for range 100 {
			mustWrite(t, old, "from before")
			mustRead(t, oldServer, "from before")
			mustWrite(t, oldServer, "to before")
			mustRead(t, old, "to before")
		}

		// A whole one takes over.
		again := Client(l.reuse(conn), l.client)
		began := time.Now()
		if err := again.Handshake(); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited > 100*time.Millisecond {
			t.Errorf("it took %v", waited)
		}
		server := l.accept(t)
		if _, err := oldServer.Read(make([]byte, 1)); !errors.Is(err, ErrPeerRestarted) || !IsFatal(err) {
			t.Errorf("the old association: %v", err)
		}
		mustWrite(t, again, "from after")
		mustRead(t, server, "from after")
		mustWrite(t, server, "to after")
		mustRead(t, again, "to after")
		synctest.Wait()
		if s := l.Stats(); s.Associations != 1 || s.HandshakesOpen != 0 {
			t.Errorf("%+v", s)
		}
		started.Close()
		closeAll(again, server)
		l.Close()
		if !l.socket.isClosed() {
			t.Error("the socket is left open")
		}
		time.Sleep(maxLinger) // of the half, whose Finished never left
	})
}

// TestStaleHelloIsNoRestart: the hello that an association began with, coming
// once more, is only a late datagram.
func TestStaleHelloIsNoRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, nil)
		conn := l.net.dial(l.Addr())
		var hellos [][]byte
		conn.tap = func(_ int, p []byte, _ net.Addr) {
			if door.Mark(p) != 0 {
				hellos = append(hellos, bytes.Clone(p))
			}
		}
		c := Client(conn, l.client)
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		server := l.accept(t)
		if len(hellos) != 2 || door.Mark(hellos[0]) != door.Mark(hellos[1]) {
			t.Fatalf("%d hellos", len(hellos))
		}
		before := l.Stats()
		for _, hello := range hellos {
			l.socket.put(conn.addr, hello)
		}
		synctest.Wait()
		if s := l.Stats(); s.CookiesSent != before.CookiesSent || s.HandshakesOpen != 0 {
			t.Errorf("%+v", s)
		}
		if d := server.Drops(); d.Total() != 2 { // in a handshake it would be a repetition to answer
			t.Errorf("the association saw %+v", d)
		}
		mustWrite(t, c, "hello")
		mustRead(t, server, "hello")
		closeAll(c, server)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestBacklogIsBounded: what no Accept takes is closed.
func TestBacklogIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, nil)
		var conns []*Conn
		for range maxBacklog + 3 {
			c, _ := l.dial(t)
			conns = append(conns, c)
		}
		synctest.Wait()
		if s := l.Stats(); s.BacklogDropped != 3 || s.Associations != maxBacklog {
			t.Errorf("%+v", s)
		}
		if _, err := conns[maxBacklog+2].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("one too many: %v", err)
		}
		l.Close()
		synctest.Wait() // until the clients have answered
		if !l.socket.isClosed() {
			t.Error("the socket is left open")
		}
		closeAll(conns...)
		time.Sleep(time.Second)
	})
}

// TestIdleAssociationsHaveNoGoroutine.
func TestIdleAssociationsHaveNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, nil)
		synctest.Wait()
		before := runtime.NumGoroutine()
		const n = 200
		var clients, servers []*Conn
		for range n {
			c, _ := l.dial(t)
			clients = append(clients, c)
			servers = append(servers, l.accept(t))
		}
		synctest.Wait()
		if more := runtime.NumGoroutine() - before; more > n+5 { // one reader for each client
			t.Errorf("%d goroutines for %d associations", more-n, n)
		}
		closeAll(servers...)
		closeAll(clients...)
		l.Close()
		time.Sleep(time.Second)
	})
}

func TestAcceptContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if _, err := l.AcceptContext(ctx); !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		l.Close()
		time.Sleep(time.Second)
	})
}

func TestListenerCookieModes(t *testing.T) {
	for _, test := range []struct {
		mode    CookieMode
		cookies uint64
	}{{CookieAuto, 1}, {CookieAlways, 1}, {CookieUnderLoad, 0}, {CookieNever, 0}, {AddressProven, 0}} {
		synctest.Test(t, func(t *testing.T) {
			l := listen(t, func(_, s *Config) { s.CookieMode = test.mode })
			c, _ := l.dial(t)
			server := l.accept(t)
			mustWrite(t, c, "hello")
			mustRead(t, server, "hello")
			if s := l.Stats(); s.CookiesSent != test.cookies {
				t.Errorf("mode %d: %d cookies", test.mode, s.CookiesSent)
			}
			closeAll(c, server)
			l.Close()
			time.Sleep(time.Second)
		})
	}
}

// TestManualMTUNeedsACallback where no caller can be asked.
func TestManualMTUNeedsACallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, func(c, s *Config) { c.MTUMode, s.MTUMode = MTUManual, MTUManual })
		for _, err := range []error{
			second(Dial("udp", "127.0.0.1:9", l.client)),
			second(l.Accept()),
			second(l.AcceptContext(t.Context())),
		} {
			var bad *configError
			if !errors.As(err, &bad) {
				t.Errorf("%v", err)
			}
		}
		l.Close()
		time.Sleep(time.Second)
	})
}

func TestStreamsAreRefused(t *testing.T) {
	client, server := quickConfigs()
	for _, network := range []string{"tcp", "tcp4", "tcp6", "unix"} {
		for _, err := range []error{second(Dial(network, "127.0.0.1:9", client)), second(Listen(network, "127.0.0.1:0", server))} {
			var unknown net.UnknownNetworkError
			if !errors.As(err, &unknown) {
				t.Errorf("%s: %v", network, err)
			}
		}
	}
}

// TestDialGivesUp frees everything when the context ends.
func TestDialGivesUp(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	client, _ := quickConfigs()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _, _ = silent.ReadFrom(make([]byte, 2048)) // the ClientHello
		cancel()
	}()
	d := Dialer{Config: client}
	conn, err := d.DialContext(ctx, "udp", silent.LocalAddr().String())
	if conn != nil || !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", conn, err)
	}
	d.NetDialer = &net.Dialer{Timeout: time.Millisecond}
	if _, err := d.Dial("udp", silent.LocalAddr().String()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("NetDialer.Timeout: %v", err)
	}
}

func TestHelloMark(t *testing.T) {
	client, _ := quickConfigs()
	e, err := NewClientEngine(withName(client), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	tx, _ := e.PollTransmit(time.Now(), nil)
	hello := tx.Data
	if door.Mark(hello) == 0 {
		t.Fatal("a ClientHello was not recognised")
	}
	for n := range 59 {
		if door.Mark(hello[:n]) != 0 {
			t.Errorf("recognised in %d bytes", n)
		}
	}
	for name, at := range map[string]int{"content type": 0, "epoch": 4, "message type": 13, "fragment offset": 21} {
		other := bytes.Clone(hello)
		other[at]++
		if door.Mark(other) != 0 {
			t.Errorf("recognised with another %s", name)
		}
	}
}

func withName(c *Config) *Config {
	c = c.Clone()
	c.ServerName = "example.com"
	return c
}

// count is how many associations a socket has, countDialed how many of them began
// from this side.
func count(m *members) int {
	all, _ := m.conns.Len()
	return all
}

func countDialed(m *members) int {
	_, n := m.conns.Len()
	return n
}
