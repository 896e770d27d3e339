package dtls

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// node is an Endpoint in memory that listens.
type node struct {
	*Endpoint
	*Listener
	socket *memSocket
}

// newNode opens a node on a host of its own. config is for both roles.
func newNode(t testing.TB, n *memNet, host int, config *Config) *node {
	t.Helper()
	socket := n.listen(memAddr(host, 5684))
	e, err := NewEndpoint(socket, config)
	if err != nil {
		t.Fatal(err)
	}
	l, err := e.Listen(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &node{e, l, socket}
}

func (n *node) Close() error { return n.Endpoint.Close() }

func (n *node) dial(t testing.TB, to net.Addr) *Conn {
	t.Helper()
	c, err := n.Dial(t.Context(), to, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (n *node) accept(t testing.TB) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := n.AcceptContext(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// nodeConfig is for both roles of a node, with a pre-shared key.
func nodeConfig() *Config {
	c := &Config{}
	withPSK(c, c)
	return c
}

func exchange(t *testing.T, a, b *Conn, text string) {
	t.Helper()
	mustWrite(t, a, text)
	mustRead(t, b, text)
	mustWrite(t, b, "not "+text)
	mustRead(t, a, "not "+text)
}

// TestEndpoint: one socket dials two peers, is dialed by a third, and hears a
// foreign protocol.
func TestEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		var heard []string
		config := nodeConfig()
		config.NonDTLS = func(p []byte, from net.Addr) { heard = append(heard, fmt.Sprintf("%s from %v", p, from)) }
		a := newNode(t, n, 1, config)
		b, c := newNode(t, n, 2, nodeConfig()), newNode(t, n, 3, nodeConfig())
		toB, toC := a.dial(t, b.LocalAddr()), a.dial(t, c.LocalAddr())
		fromA, fromA2 := b.accept(t), c.accept(t)
		stranger := Client(n.dial(a.LocalAddr()), nodeConfig())
		if err := stranger.Handshake(); err != nil {
			t.Fatal(err)
		}
		fromStranger := a.accept(t)

		exchange(t, toB, fromA, "to B")
		exchange(t, toC, fromA2, "to C")
		exchange(t, stranger, fromStranger, "to A")
		if _, err := b.socket.WriteTo([]byte{0, 1, 2}, a.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if want := fmt.Sprintf("\x00\x01\x02 from %v", b.LocalAddr()); len(heard) != 1 || heard[0] != want {
			t.Errorf("heard %q, want %q", heard, want)
		}
		if toB.NetConn() != nil || toB.LocalAddr().String() != a.LocalAddr().String() || toB.RemoteAddr().String() != b.LocalAddr().String() {
			t.Errorf("%v, %v to %v", toB.NetConn(), toB.LocalAddr(), toB.RemoteAddr())
		}
		if s := a.Stats(); s.Associations != 1 || s.HandshakesDone != 1 || s.Drops != (Drops{}) {
			t.Errorf("%+v", s)
		}
		closeAll(toB, toC, stranger)
		for _, conn := range []*Conn{fromA, fromA2, fromStranger} {
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("after close_notify: %v", err)
			}
		}
		for _, e := range []*node{a, b, c} {
			if e.Close(); !e.socket.isClosed() {
				t.Error("a socket is left open")
			}
		}
		time.Sleep(time.Second)
	})
}

// TestEndpointsDialEachOther at the same time, over a path with a delay: both
// associations live, and each gets its own records. With tags of 8 bytes 128
// records that were tried with the wrong keys would end an association.
func TestEndpointsDialEachOther(t *testing.T) {
	certified := func() *Config {
		client, server := simConfigs(dtlstest.P256, 3000)
		client.Certificates, client.ClientCAs, client.ClientAuth = server.Certificates, server.ClientCAs, tls.RequireAndVerifyClientCert
		return client
	}
	short := func() *Config {
		c := nodeConfig()
		c.CipherSuites = []uint16{0xc0a8}
		return c
	}
	for _, test := range []struct {
		name   string
		config *Config
		alerts PlaintextAlerts // certificates need AlertsDelayed, see Endpoint
	}{
		{"certificates", certified(), AlertsDelayed},
		{"8-byte tags", short(), AlertsDelayed},
		{"8-byte tags, every alert believed", short(), AlertsImmediate},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newMemNet()
				n.delay(20 * time.Millisecond)
				test.config.PlaintextAlerts = test.alerts
				a, b := newNode(t, n, 1, test.config), newNode(t, n, 2, test.config)
				var ab, ba *Conn
				var wg sync.WaitGroup
				began := time.Now()
				wg.Go(func() { ab = a.dial(t, b.LocalAddr()) })
				wg.Go(func() { ba = b.dial(t, a.LocalAddr()) })
				wg.Wait()
				if waited := time.Since(began); waited > 200*time.Millisecond {
					t.Errorf("it took %v", waited)
				}
				fromA, fromB := b.accept(t), a.accept(t)
				for i := range 300 {
					exchange(t, ab, fromA, fmt.Sprint("dialed by A ", i))
					exchange(t, ba, fromB, fmt.Sprint("dialed by B ", i))
				}
				for _, c := range []*Conn{ab, ba, fromA, fromB} {
					if d := c.Drops(); d.BadMAC > 4 { // records that came before the keys to recognize them
						t.Errorf("%v", d)
					}
				}
				closeAll(ab, fromB)
				time.Sleep(time.Second)
				if _, err := fromA.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
					t.Errorf("the end of A's: %v", err)
				}
				if _, err := ba.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
					t.Errorf("the end of B's: %v", err)
				}
				a.Close()
				b.Close()
				time.Sleep(time.Second)
			})
		})
	}
}

// nodeConfig12 is nodeConfig for DTLS 1.2, where hellos take one datagram.
func nodeConfig12() *Config {
	c := nodeConfig()
	c.MaxVersion = VersionDTLS12
	return c
}

// TestForgedRecordsAreShared: a record that no keys open counts against all that
// it may be for.
func TestForgedRecordsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		a, b := newNode(t, n, 1, nodeConfig12()), newNode(t, n, 2, nodeConfig12())
		ab, fromA := a.dial(t, b.LocalAddr()), b.accept(t)
		ba, fromB := b.dial(t, a.LocalAddr()), a.accept(t)
		forged := []byte{23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 99, 0, 30}
		forged = append(forged, make([]byte, 30)...)
		for range 10 {
			a.socket.put(b.LocalAddr(), forged)
		}
		synctest.Wait()
		if one, other := ab.Drops().BadMAC, fromB.Drops().BadMAC; one != 10 || other != 10 {
			t.Errorf("counted %d and %d times", one, other)
		}
		exchange(t, ab, fromA, "still here")
		exchange(t, ba, fromB, "here too")
		a.Close()
		b.Close()
		time.Sleep(time.Second)
	})
}

// TestEndpointDialTwice: an address has one association that was dialed.
func TestEndpointDialTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		a, b := newNode(t, n, 1, nodeConfig()), newNode(t, n, 2, nodeConfig())
		first := a.dial(t, b.LocalAddr())
		server := b.accept(t)
		if _, err := a.Dial(t.Context(), b.LocalAddr(), nil); !errors.Is(err, ErrAlreadyDialed) {
			t.Errorf("a second one: %v", err)
		}
		first.Close()
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		again := a.dial(t, b.LocalAddr())
		exchange(t, again, b.accept(t), "again")
		closeAll(again, server)
		a.Close()
		b.Close()
		time.Sleep(time.Second)
	})
}

// TestEndpointDialGivesUp leaves nothing behind.
func TestEndpointDialGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		a := newNode(t, n, 1, nodeConfig())
		cause := errors.New("had enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, cause)
		defer cancel()
		if _, err := a.Dial(ctx, memAddr(2, 1), nil); !errors.Is(err, ErrInterrupted) || !errors.Is(err, cause) {
			t.Errorf("%v", err)
		}
		config := nodeConfig()
		config.HandshakeTimeout = 3 * time.Second
		began := time.Now()
		if _, err := a.Dial(t.Context(), memAddr(2, 1), config); !errors.Is(err, ErrHandshakeTimeout) || time.Since(began) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if countDialed(a.Endpoint.members) != 0 || a.Endpoint.members.users != 2 {
			t.Errorf("%d addresses, %d users are left, want the Endpoint and its Listener", countDialed(a.Endpoint.members), a.Endpoint.members.users)
		}
		a.Close()
		time.Sleep(time.Second)
	})
}

// TestEndpointRetransmits: the dialing side repeats what is lost, with the timers
// of a Client.
func TestEndpointRetransmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		var sent atomic.Int32
		n.path = func(net.Addr, net.Addr, []byte) bool { return sent.Add(1)%3 != 1 }
		a, b := newNode(t, n, 1, nodeConfig12()), newNode(t, n, 2, nodeConfig12())
		ab := a.dial(t, b.LocalAddr())
		mustWrite(t, ab, "hello")
		mustWrite(t, ab, "hello") // one of them arrives
		mustRead(t, b.accept(t), "hello")
		a.Close()
		b.Close()
		time.Sleep(time.Second)
	})
}

// TestEndpointRestart: the peer of a dialed association has lost its state, and
// dials back from its address.
func TestEndpointRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		a, b := newNode(t, n, 1, nodeConfig()), newNode(t, n, 2, nodeConfig())
		ab := a.dial(t, b.LocalAddr())
		exchange(t, ab, b.accept(t), "before")
		b.socket.Close()
		synctest.Wait()
		b = newNode(t, n, 2, nodeConfig())
		ba := b.dial(t, a.LocalAddr())
		fromB := a.accept(t)
		exchange(t, ba, fromB, "after")
		ab.Close() // the application knows now that it is dead
		ab = a.dial(t, b.LocalAddr())
		exchange(t, ab, b.accept(t), "again")
		exchange(t, ba, fromB, "still")
		a.Close()
		b.Close()
		time.Sleep(time.Second)
	})
}

// TestEndpointListens: one Listener at a time, and none is needed.
func TestEndpointListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		socket := n.listen(memAddr(1, 1))
		e, err := NewEndpoint(socket, nodeConfig())
		if err != nil {
			t.Fatal(err)
		}
		client := Client(n.dial(socket.addr), nodeConfig())
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := client.HandshakeContext(ctx); !errors.Is(err, ErrInterrupted) || socket.sent() != 0 {
			t.Errorf("nobody listens: %v, %d datagrams in answer", err, socket.sent())
		}
		var conns []*Conn
		for i := range 3 {
			l, err := e.Listen(nodeConfig())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Listen(nil); !errors.Is(err, errAlreadyListening) {
				t.Errorf("a second Listener: %v", err)
			}
			if err := client.Handshake(); err != nil {
				t.Fatal(err)
			}
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if s := l.Stats(); s.HandshakesDone != 1 || s.Associations != 1 {
				t.Errorf("Listener %d: %+v", i, s)
			}
			l.Close()
			if socket.isClosed() {
				t.Fatal("a Listener closed the Endpoint's socket")
			}
			if _, err := l.Accept(); !errors.Is(err, ErrServerClosed) {
				t.Errorf("Accept: %v", err)
			}
			conns = append(conns, client, server.(*Conn))
			client = Client(n.dial(socket.addr), nodeConfig())
		}
		for i := 0; i < len(conns); i += 2 {
			exchange(t, conns[i], conns[i+1], "it outlives its Listener")
		}
		client.Close()
		e.Close()
		closeAll(conns...)
		time.Sleep(time.Second)
	})
}

// TestEndpointClose ends what was dialed, what was accepted, what is under way,
// and the socket.
func TestEndpointClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		a, b := newNode(t, n, 1, nodeConfig()), newNode(t, n, 2, nodeConfig())
		ab, ba := a.dial(t, b.LocalAddr()), b.dial(t, a.LocalAddr())
		fromA, fromB := b.accept(t), a.accept(t)
		under := make(chan error, 2)
		go func() { under <- second(a.Dial(t.Context(), memAddr(3, 1), nil)) }()
		go func() { under <- second(a.Accept()) }()
		synctest.Wait()
		a.Close()
		a.Close()
		for range cap(under) {
			if err := <-under; !errors.Is(err, net.ErrClosed) {
				t.Errorf("under way: %v", err)
			}
		}
		if !a.socket.isClosed() {
			t.Error("the socket is left open")
		}
		for name, err := range map[string]error{
			"dialed": second(ab.Read(nil)), "accepted": second(fromB.Read(nil)),
			"Dial": second(a.Dial(t.Context(), b.LocalAddr(), nil)), "Listen": second(a.Listen(nil)),
		} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, c := range map[string]*Conn{"accepted": fromA, "dialed": ba} {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the peer's, %s: %v", name, err)
			}
		}
		b.Close()
		time.Sleep(time.Second)
	})
}

// TestEndpointSocketDies: a socket that others close ends everything.
func TestEndpointSocketDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		a, b := newNode(t, n, 1, nodeConfig()), newNode(t, n, 2, nodeConfig())
		ab := a.dial(t, b.LocalAddr())
		a.socket.set(func(s *memSocket) { s.fault = func() error { return io.EOF } }) // it says so, and is left open
		a.socket.put(b.LocalAddr(), nil)
		synctest.Wait()
		for name, err := range map[string]error{
			"Read": second(ab.Read(nil)), "Accept": second(a.Accept()),
			"Dial": second(a.Dial(t.Context(), memAddr(3, 3), nil)), "Listen": second(a.Listen(nil)),
		} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if a.Close(); !a.socket.isClosed() {
			t.Error("the socket is left open")
		}
		b.Close()
		time.Sleep(time.Second)
	})
}

// TestEndpointConfigs: what is wrong with a config is said before it is used.
func TestEndpointConfigs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		var bad *configError
		if _, err := NewEndpoint(n.listen(memAddr(1, 1)), &Config{MTU: 5}); !errors.As(err, &bad) {
			t.Errorf("good for neither role: %v", err)
		}
		_, serverOnly := quickConfigs()
		serverOnly.CipherSuites = []uint16{0xc0a8}
		for name, config := range map[string]*Config{"none": nil, "a server's": serverOnly} {
			e, err := NewEndpoint(n.listen(memAddr(1, 2)), config)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if config == nil {
				if _, err := e.Listen(nil); !errors.As(err, &bad) {
					t.Errorf("Listen without credentials: %v", err)
				}
			} else if _, err := e.Dial(t.Context(), memAddr(3, 3), nil); !errors.As(err, &bad) {
				t.Errorf("Dial without credentials: %v", err)
			}
			manual := nodeConfig()
			manual.MTUMode = MTUManual
			if _, err := e.Dial(t.Context(), memAddr(3, 3), manual); !errors.Is(err, errManualDial) {
				t.Errorf("Dial with MTUManual: %v", err)
			}
			e.Close()
		}
		time.Sleep(time.Second)
	})
}

// TestEndpointUDP over loopback.
func TestEndpointUDP(t *testing.T) {
	var nodes [2]*Endpoint
	var listeners [2]*Listener
	heard := make(chan string, 10)
	for i := range nodes {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		config := nodeConfig()
		config.NonDTLS = func(p []byte, from net.Addr) { heard <- string(p) + from.String() }
		if nodes[i], err = NewEndpoint(pc, config); err != nil {
			t.Fatal(err)
		}
		defer nodes[i].Close()
		if listeners[i], err = nodes[i].Listen(nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := range nodes {
		c, err := nodes[i].Dial(t.Context(), nodes[1-i].LocalAddr(), nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := listeners[1-i].AcceptContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, c, s, "hello")
		defer closeAll(c, s)
	}
	var addr *net.AddrError
	if _, err := nodes[0].Dial(t.Context(), memName("x"), nil); !errors.As(err, &addr) {
		t.Errorf("an address that is not UDP's: %v", err)
	}
	conn, err := net.Dial("udp", nodes[0].LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET ")); err != nil {
		t.Fatal(err)
	}
	if got, want := <-heard, "GET "+conn.LocalAddr().String(); got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}
