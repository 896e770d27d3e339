package dtls

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// Associations end in many ways, and none of them may leave anything behind: no
// goroutine, no timer, no entry in a table, no file descriptor, no memory.

// endings is how many associations end in each way: some in every run, 10 000
// together with FLIGHTPATH_SOAK.
func endings(ways int) int {
	if soak() {
		return 1 + 10_000/ways
	}
	if brief() {
		return 10
	}
	return 20
}

// ourGoroutines counts those that run code of this package. The runtime's own
// come and go with the garbage collector, and runtime.NumGoroutine counts some.
// In a bubble of synctest it is called behind synctest.Wait, when those that are
// about to end have ended.
func ourGoroutines() (n int) {
	buf := make([]byte, 1<<20)
	for runtime.Stack(buf, true) == len(buf) {
		buf = make([]byte, 2*len(buf))
	}
	buf = buf[:runtime.Stack(buf, true)]
	for stack := range bytes.SplitSeq(buf, []byte("\n\n")) {
		if bytes.Contains(stack, []byte("flightpath/dtls.")) {
			n++
		}
	}
	return n
}

// vanish closes a transport without a word, and the association on it.
func (l *listening) vanish(c *Conn, conn *memConn) {
	_ = conn.Close()
	_ = c.Close()
	l.net.drop(conn.addr)
}

// TestEveryEndLeavesNothing of associations with one listener.
func TestEveryEndLeavesNothing(t *testing.T) {
	const room = 4 // handshakes at once
	half := func(t *testing.T, l *listening, cut int) {
		conn := l.net.dial(l.Addr())
		c := Client(conn, l.client)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		conn.tap = func(n int, _ []byte, _ net.Addr) {
			if n == cut {
				cancel()
			}
		}
		_ = c.HandshakeContext(ctx)
		l.vanish(c, conn)
		time.Sleep(time.Minute)
	}
	fails := func(t *testing.T, l *listening, change func(*Config)) {
		config := l.client.Clone()
		change(config)
		conn := l.net.dial(l.Addr())
		c := Client(conn, config)
		if err := c.Handshake(); err == nil {
			t.Error("it did not fail")
		}
		l.vanish(c, conn)
		time.Sleep(time.Minute)
	}
	ways := map[string]func(t *testing.T, l *listening, i int){
		"closed by the client": func(t *testing.T, l *listening, _ int) {
			c, conn := l.dial(t)
			server := l.accept(t)
			exchange(t, c, server, "hello")
			l.vanish(c, conn)
			server.Close()
		},
		"closed by the server": func(t *testing.T, l *listening, _ int) {
			c, conn := l.dial(t)
			l.accept(t).Close()
			_, _ = c.Read(nil)
			l.vanish(c, conn)
		},
		"closed by both": func(t *testing.T, l *listening, _ int) {
			c, conn := l.dial(t)
			server := l.accept(t)
			go server.Close()
			c.Close()
			l.vanish(c, conn)
		},
		"refused": func(t *testing.T, l *listening, _ int) {
			fails(t, l, func(c *Config) { c.CipherSuites = []uint16{0xc0a8, 0x1305} })
		},
		"a wrong key": func(t *testing.T, l *listening, _ int) {
			fails(t, l, func(c *Config) {
				c.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) {
					return []PSK{{Identity: testPSK.Identity, Key: []byte("wrong")}}, nil
				}
			})
		},
		"cancelled at some step": func(t *testing.T, l *listening, i int) { half(t, l, 1+i%4) },
		"restarted": func(t *testing.T, l *listening, _ int) {
			c, conn := l.dial(t)
			old := l.accept(t)
			again := l.reuse(conn)
			c2 := Client(again, l.client)
			if err := c2.Handshake(); err != nil {
				t.Error(err)
			}
			server := l.accept(t)
			exchange(t, c2, server, "again")
			if _, err := old.Read(nil); !errors.Is(err, ErrPeerRestarted) {
				t.Error(err)
			}
			c.Close()
			l.vanish(c2, again)
			closeAll(server) // the old one is left to itself
		},
		"shed": func(t *testing.T, l *listening, i int) {
			before := l.Stats().HandshakesShed
			for port := range room + 1 {
				addr := from(10, port/room, 0, 1+port)
				l.stall(t, addr)
				l.net.drop(addr)
			}
			synctest.Wait()
			if l.Stats().HandshakesShed == before {
				t.Error("none was")
			}
			time.Sleep(time.Minute)
		},
		"idle": func(t *testing.T, l *listening, _ int) {
			c, conn := l.dial(t)
			server := l.accept(t)
			exchange(t, c, server, "hello")
			if _, err := server.Read(nil); !errors.Is(err, ErrIdleTimeout) {
				t.Error(err)
			}
			l.vanish(c, conn)
		},
		"lingering": func(t *testing.T, l *listening, _ int) {
			defer mute(l.net, l.Addr())()
			c, conn := l.dial(t)
			server := l.accept(t)
			conn.Close()
			server.Close()
			l.vanish(c, conn)
			if l.Stats().Lingering != 1 {
				t.Error("it does not")
			}
			time.Sleep(time.Minute)
		},
		"its socket is gone": func(t *testing.T, l *listening, _ int) {
			c, conn := l.dial(t)
			server := l.accept(t)
			exchange(t, c, server, "hello")
			conn.Close()
			_, _ = c.Read(nil)
			l.vanish(c, conn)
			server.Close()
		},
	}
	for name, end := range ways {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
				l := listen(t, func(c, s *Config) {
					only(c, s)
					s.MaxHandshakes, s.HandshakeTimeout, s.IdleTimeout, s.Linger = room, 20*time.Second, time.Minute, 30*time.Second
				})
				end(t, l, 0) // whatever is made only once
				synctest.Wait()
				goroutines, heap := ourGoroutines(), liveHeap()
				n := endings(len(ways))
				for i := range n {
					end(t, l, 1+i)
				}
				time.Sleep(time.Minute) // should one linger
				synctest.Wait()
				if got := ourGoroutines(); got > goroutines {
					t.Errorf("%d goroutines, were %d", got, goroutines)
				}
				if grown := int64(liveHeap() - heap); grown > 64<<10 && grown/int64(n) > 100 {
					t.Errorf("%d associations left %d bytes", n, grown)
				}
				s := l.Stats()
				if s.Associations != 0 || s.Lingering != 0 || s.HandshakesOpen != 0 || count(l.members) != 0 ||
					l.members.users != 1 || l.books.crowd.Prefixes() != 0 || l.members.shard.sock.alarms.Len() != 0 || l.books.ready.Len() != 0 {
					t.Errorf("left behind: %+v; %d users, %d prefixes, %d alarms, %d wait", s,
						l.members.users, l.books.crowd.Prefixes(), l.members.shard.sock.alarms.Len(), l.books.ready.Len())
				}
				l.Close()
				time.Sleep(time.Second)
			})
		})
	}
}

// openFiles counts the file descriptors of this process, 0 where nobody says.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

// TestEveryEndClosesItsSocket: the fronts that open sockets close them, whatever
// becomes of the handshake.
func TestEveryEndClosesItsSocket(t *testing.T) {
	for name, only := range map[string]func(client, server *Config){"DTLS 1.2": only12, "DTLS 1.3": only13} {
		t.Run(name, func(t *testing.T) { everyEndClosesItsSocket(t, only) })
	}
}

func everyEndClosesItsSocket(t *testing.T, only func(client, server *Config)) {
	client, server := quickConfigs()
	only(client, server)
	client.HandshakeTimeout = 20 * time.Millisecond
	patient := client.Clone()
	patient.HandshakeTimeout = time.Minute
	server.Linger = time.Millisecond
	listenOn := func() *Listener {
		l, err := Listen("udp", "127.0.0.1:0", server)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := listenOn()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = c.Read(make([]byte, 1))
				_ = c.Close()
			}()
		}
	}()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	wrong := patient.Clone()
	wrong.CipherSuites, wrong.PlaintextAlerts = []uint16{0xc0a8, 0x1305}, AlertsImmediate
	ways := map[string]func() error{
		"well": func() error {
			c, err := Dial("udp", l.Addr().String(), patient)
			if err == nil {
				_, _ = c.Write([]byte("x"))
				_ = c.Close()
			}
			return err
		},
		"refused": func() error {
			if second(Dial("udp", l.Addr().String(), wrong)) == nil {
				return errors.New("it was not")
			}
			return nil
		},
		"timed out": func() error {
			if err := second(Dial("udp", silent.LocalAddr().String(), client)); !errors.Is(err, ErrHandshakeTimeout) {
				return err
			}
			return nil
		},
		"cancelled": func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			d := Dialer{Config: patient}
			if err := second(d.DialContext(ctx, "udp", silent.LocalAddr().String())); err == nil {
				return errors.New("it was not")
			}
			return nil
		},
		"a listener closed under its associations": func() error {
			l := listenOn()
			c, err := Dial("udp", l.Addr().String(), patient)
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := l.Accept(); err != nil {
				return err
			}
			return l.Shutdown(t.Context())
		},
		"an endpoint": func() error {
			pc, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			e, err := NewEndpoint(pc, patient)
			if err != nil {
				return err
			}
			_, err = e.Dial(t.Context(), l.Addr(), nil)
			_ = e.Close()
			return err
		},
	}
	for name, end := range ways {
		if err := end(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	files, goroutines := openFiles(), ourGoroutines()
	for name, end := range ways {
		for range endings(len(ways)) {
			if err := end(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	for deadline := time.Now().Add(time.Minute); openFiles() > files || ourGoroutines() > goroutines; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("%d files, were %d; %d goroutines, were %d", openFiles(), files, ourGoroutines(), goroutines)
			break
		}
	}
	if err := l.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
