package dtls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"golang.org/x/net/nettest"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// pair returns both ends of an association that is established, over memory.
// change may be nil.
func pair(t testing.TB, change func(client, server *Config)) (client, server *Conn, a, b *memConn) {
	t.Helper()
	client, server, a, b = rawPair(change)
	if err := shake(client, server); err != nil {
		t.Fatal(err)
	}
	return client, server, a, b
}

// rawPair is pair before the handshake.
func rawPair(change func(client, server *Config)) (client, server *Conn, a, b *memConn) {
	clientConfig, serverConfig := quickConfigs()
	if change != nil {
		change(clientConfig, serverConfig)
	}
	a, b = newMemNet().pair()
	return Client(a, clientConfig), Server(b, serverConfig), a, b
}

// shake runs both handshakes.
func shake(client, server *Conn) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Handshake() }()
	return errors.Join(client.Handshake(), <-failed)
}

func closeAll(conns ...*Conn) {
	for _, c := range conns {
		_ = c.Close()
	}
}

func mustRead(t *testing.T, c net.Conn, want string) {
	t.Helper()
	buf := make([]byte, 2048)
	_ = c.SetReadDeadline(time.Now().Add(time.Minute)) // of a loaded machine, over UDP
	n, err := c.Read(buf)
	_ = c.SetReadDeadline(time.Time{})
	if err != nil || string(buf[:n]) != want {
		t.Fatalf("read %q, %v; want %q", buf[:n], err, want)
	}
}

func mustWrite(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("wrote %d, %v", n, err)
	}
}

// ---- the net.Conn contract -------------------------------------------------------

// TestNetConn runs all of nettest over a transport that loses nothing. The
// suite has streams in mind: it writes 1 KiB at a time, which fits a record, but
// more of them than a default receive queue holds before anybody reads.
func TestNetConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		client, server, _, _ := rawPair(func(c, s *Config) {
			c.ReceiveQueue, s.ReceiveQueue = 1<<30, 1<<30
		})
		err = shake(client, server)
		return client, server, func() { closeAll(client, server) }, err
	})
}

// TestNetConnBeforeHandshake leaves the handshake to the first Read and Write.
func TestNetConnBeforeHandshake(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		client, server, _, _ := rawPair(func(c, s *Config) {
			c.ReceiveQueue, s.ReceiveQueue = 1<<30, 1<<30
		})
		return client, server, func() { closeAll(client, server) }, nil
	})
}

// TestNetConnUDP runs all of nettest over loopback sockets. The suite expects
// that nothing is lost, which the kernel's socket buffer does not promise, so
// writers are held back while the other end has many datagrams to read.
func TestNetConnUDP(t *testing.T) {
	clientConfig, serverConfig := quickConfigs()
	clientConfig.ReceiveQueue, serverConfig.ReceiveQueue = 1<<30, 1<<30
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		l, err := Listen("udp", "127.0.0.1:0", serverConfig)
		if err != nil {
			return nil, nil, nil, err
		}
		client, err := Dial("udp", l.Addr().String(), clientConfig)
		if err != nil {
			return nil, nil, nil, err
		}
		server, err := l.AcceptContext(context.Background())
		stop := func() {
			closeAll(client, server)
			l.Close()
		}
		return &heldBack{client, server}, &heldBack{server, client}, stop, err
	})
}

// heldBack is a Conn that writes when its peer has read most of what came
// before.
type heldBack struct {
	*Conn
	peer *Conn
}

func (h *heldBack) Write(p []byte) (int, error) {
	for range 10000 {
		if h.sock.Traffic().DatagramsOut-h.peer.sock.Traffic().DatagramsIn < 32 || h.peer.closedAfter(nil) {
			break
		}
		time.Sleep(50 * time.Microsecond)
	}
	return h.Conn.Write(p)
}

// ---- a handshake that is interrupted -------------------------------------------------

// TestHandshakeAgain: a deadline ends the call, not the handshake, and between
// calls nothing is sent.
func TestHandshakeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, a, _ := rawPair(nil)
		defer time.Sleep(time.Second)
		defer closeAll(client, server)

		client.SetDeadline(time.Now().Add(100 * time.Millisecond))
		began := time.Now()
		err := client.Handshake() // nobody answers yet
		if !errors.Is(err, ErrAgain) || !errors.Is(err, os.ErrDeadlineExceeded) || IsFatal(err) || time.Since(began) != 100*time.Millisecond {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no time-out of a net.Error", err)
		}
		sent := a.sent()
		if sent != 1 {
			t.Errorf("%d datagrams sent, want the ClientHello", sent)
		}
		if client.Direction() != Reading || client.NextTimeout().IsZero() {
			t.Errorf("waits for %v until %v", client.Direction(), client.NextTimeout())
		}
		time.Sleep(10 * time.Second)
		if a.sent() != sent {
			t.Error("datagrams were sent while nobody called Handshake")
		}

		// A deadline in the past makes each call a poll.
		go server.Handshake()
		polls := 0
		for err = client.Handshake(); errors.Is(err, ErrAgain); err = client.Handshake() {
			if polls++; polls > 1000 {
				t.Fatal("polling gets nowhere")
			}
			time.Sleep(time.Millisecond)
		}
		if err != nil || polls == 0 {
			t.Fatalf("after %d polls: %v", polls, err)
		}
		client.SetDeadline(time.Time{})
		mustWrite(t, client, "hello")
		mustRead(t, server, "hello")
	})
}

// TestHandshakeInterruptedEverywhere cancels the context of either side after
// each datagram it sends: the call returns at once, nothing more is sent, and
// the next call completes the same handshake.
func TestHandshakeInterruptedEverywhere(t *testing.T) {
	for _, who := range []string{"client", "server"} {
		for step := 1; ; step++ {
			interrupted := false
			t.Run(fmt.Sprintf("%s after datagram %d", who, step), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					interrupted = interruptAt(t, who == "server", step)
				})
			})
			if !interrupted || t.Failed() {
				if step < 3 {
					t.Errorf("the %s was interrupted %d times", who, step-1)
				}
				break
			}
		}
	}
}

func interruptAt(t *testing.T, atServer bool, step int) (interrupted bool) {
	client, server, a, b := rawPair(func(c, s *Config) {
		cert, certServer := simConfigs(dtlstest.P256, 3000)
		*c, *s = *cert, *certServer
	})
	defer time.Sleep(time.Second)
	defer closeAll(client, server)
	one, other, socket := client, server, a
	if atServer {
		one, other, socket = server, client, b
	}
	cause := errors.New("had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	socket.set(func(s *memSocket) {
		s.tap = func(n int, _ []byte, _ net.Addr) {
			if n == step {
				cancel(cause)
			}
		}
	})
	done := make(chan error, 1)
	go func() { done <- other.Handshake() }()
	err := one.HandshakeContext(ctx)
	if err == nil {
		return false // it takes fewer datagrams, or that was the last
	}
	if !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) || !errors.Is(err, cause) || IsFatal(err) {
		t.Fatalf("cancelled: %v", err)
	}
	sent := socket.sent()
	if sent != step {
		t.Errorf("%d datagrams sent before it returned, want %d", sent, step)
	}
	time.Sleep(2 * time.Second) // less than the patience of the other side
	if socket.sent() != sent {
		t.Error("an interrupted handshake went on sending")
	}
	if err := one.HandshakeContext(ctx); !errors.Is(err, ErrInterrupted) || socket.sent() != sent {
		t.Errorf("a call with a cancelled context: %v, %d datagrams more", err, socket.sent()-sent)
	}
	if err := one.Handshake(); err != nil {
		t.Fatalf("the next call: %v", err)
	}
	mustWrite(t, one, "hello") // if the last flight was lost, this is what asks for it
	if err := <-done; err != nil {
		t.Fatalf("the other side: %v", err)
	}
	mustRead(t, other, "hello")
	return true
}

// TestHandshakeConcurrentCallers: one of them works, all get the result, and a
// cancelled one does not stop the others.
func TestHandshakeConcurrentCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, _, _ := rawPair(nil)
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		ctx, cancel := context.WithCancel(t.Context())
		driver := make(chan error, 1)
		go func() { driver <- client.HandshakeContext(ctx) }()
		synctest.Wait()
		results := make(chan error, 20)
		for range cap(results) {
			go func() { results <- client.Handshake() }()
		}
		read := make(chan error, 1)
		go func() {
			_, err := client.Read(make([]byte, 10))
			read <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-driver; !errors.Is(err, ErrInterrupted) {
			t.Errorf("the cancelled one: %v", err)
		}
		if err := server.Handshake(); err != nil {
			t.Fatal(err)
		}
		for range cap(results) {
			if err := <-results; err != nil {
				t.Errorf("one of many: %v", err)
			}
		}
		mustWrite(t, server, "x")
		if err := <-read; err != nil {
			t.Errorf("the first Read: %v", err)
		}
	})
}

// TestHandshakeTimeout bounds all calls of Handshake together.
func TestHandshakeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, _, _ := rawPair(func(c, _ *Config) { c.HandshakeTimeout = 5 * time.Second })
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		client.MTU()                 // looking at it does not start the clock
		time.Sleep(20 * time.Second) // nor does waiting
		began := time.Now()
		var err error
		for range 100 {
			client.SetDeadline(time.Now().Add(300 * time.Millisecond))
			if err = client.Handshake(); !errors.Is(err, ErrAgain) {
				break
			}
		}
		if !errors.Is(err, ErrHandshakeTimeout) || !IsFatal(err) || time.Since(began) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		client.SetDeadline(time.Time{})
		if _, again := client.Read(nil); !errors.Is(again, err) {
			t.Errorf("Read: %v, want the same error", again)
		}
		if _, again := client.Write(nil); !errors.Is(again, err) {
			t.Errorf("Write: %v, want the same error", again)
		}
	})
}

// TestManualMTU is the GnuTLS contract: a transport that takes 300 bytes, a
// caller that is told so and goes on with the same flight at once.
func TestManualMTU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manual := func(c, s *Config) {
			cert, certServer := simConfigs(dtlstest.P256, 3000)
			*c, *s = *cert, *certServer
			c.MTUMode, s.MTUMode = MTUManual, MTUManual
		}
		client, server, a, b := rawPair(manual)
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		refuse := func(p []byte, _ net.Addr) error {
			if len(p) > 300 {
				return syscall.EMSGSIZE
			}
			return nil
		}
		a.set(func(s *memSocket) { s.refuse = refuse })
		b.set(func(s *memSocket) { s.refuse = refuse })
		began := time.Now()
		resume := func(c *Conn) (refusals int, err error) {
			for {
				err := c.Handshake()
				var large *LargePacketError
				if !errors.As(err, &large) {
					return refusals, err
				}
				if refusals++; IsFatal(err) || large.Size <= 300 || large.Op != "handshake" {
					return refusals, fmt.Errorf("odd refusal: %w", err)
				}
				if err := c.SetMTU(300); err != nil {
					return refusals, err
				}
			}
		}
		type result struct {
			refusals int
			err      error
		}
		done := make(chan result, 1)
		go func() {
			n, err := resume(server)
			done <- result{n, err}
		}()
		if n, err := resume(client); err != nil {
			t.Fatalf("client, after %d refusals: %v", n, err)
		}
		if r := <-done; r.err != nil || r.refusals != 1 {
			t.Errorf("server: %d refusals, %v", r.refusals, r.err)
		}
		if waited := time.Since(began); waited > 100*time.Millisecond {
			t.Errorf("it took %v: a timer was waited for", waited)
		}
		if server.MTU() != 300 {
			t.Errorf("MTU %d", server.MTU())
		}

		// Data obeys the same limit.
		n, err := server.Write(make([]byte, server.MaxData()+1))
		var large *LargePacketError
		if n != 0 || !errors.As(err, &large) || IsFatal(err) || large.MaxData != server.MaxData() {
			t.Errorf("too large a Write: %d, %v", n, err)
		}
		if _, err := server.Write(make([]byte, server.MaxData())); err != nil {
			t.Errorf("the largest Write: %v", err)
		}
	})
}

// TestOnLargePacket decides for Dial, Accept and first Reads.
func TestOnLargePacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		client, server, _, b := rawPair(func(c, s *Config) {
			cert, certServer := simConfigs(dtlstest.P256, 3000)
			*c, *s = *cert, *certServer
			s.MTUMode = MTUManual
			s.OnLargePacket = func(e *LargePacketError) (int, bool) {
				asked++
				return e.Suggest(), asked < 5
			}
		})
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		b.set(func(s *memSocket) {
			s.refuse = func(p []byte, _ net.Addr) error {
				if len(p) > 500 {
					return errTooLargeFor(500)
				}
				return nil
			}
		})
		go client.Write([]byte("first"))
		mustRead(t, server, "first")
		if asked != 1 || server.MTU() != 500 {
			t.Errorf("asked %d times, MTU %d", asked, server.MTU())
		}
	})
}

// TestOnLargePacketSaysNo: then the call returns the refusal, and nothing is
// over.
func TestOnLargePacketSaysNo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, a, _ := rawPair(func(c, _ *Config) {
			c.MTUMode, c.Linger = MTUManual, -1
			c.OnLargePacket = func(*LargePacketError) (int, bool) { return 0, false }
			c.NextProtos = []string{strings.Repeat("long", 60), strings.Repeat("name", 60)}
		})
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		a.set(func(s *memSocket) {
			s.refuse = func(p []byte, _ net.Addr) error {
				if len(p) > 300 {
					return syscall.EMSGSIZE
				}
				return nil
			}
		})
		if _, err := client.Write([]byte("x")); !errors.Is(err, ErrLargePacket) || IsFatal(err) {
			t.Fatalf("first Write: %v", err)
		}
		go server.Handshake()
		if err := errors.Join(client.SetMTU(300), client.Handshake()); err != nil {
			t.Errorf("after SetMTU: %v", err)
		}
	})
}

// TestWarningAlert is returned by Handshake, and skipped by Read and Write.
func TestWarningAlert(t *testing.T) {
	warning := []byte{21, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 1, 112} // unrecognized_name
	for _, explicit := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			client, server, a, _ := rawPair(nil)
			defer time.Sleep(time.Second)
			defer closeAll(client, server)
			a.put(a.to, warning)
			if explicit {
				err := client.Handshake()
				var alert *AlertError
				if !errors.As(err, &alert) || !alert.Warning || !alert.Remote || alert.Alert != 112 || IsFatal(err) {
					t.Fatalf("%v", err)
				}
			}
			go server.Handshake()
			if _, err := client.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			mustRead(t, server, "hello")
		})
	}
}

// ---- callbacks that block ---------------------------------------------------------------

// blockedPair is a pair whose client is inside a callback until release is
// called; its handshake's result comes on done.
func blockedPair(t *testing.T) (client, server *Conn, a *memConn, release func(), done chan error) {
	entered, gate := make(chan struct{}), make(chan struct{})
	client, server, a, _ = rawPair(func(c, _ *Config) {
		c.VerifyConnection = func(ConnectionState) error {
			close(entered)
			<-gate
			return nil
		}
	})
	done = make(chan error, 1)
	go server.Handshake()
	go func() { done <- client.Handshake() }()
	<-entered
	return client, server, a, sync.OnceFunc(func() { close(gate) }), done
}

// TestCallbackBlocksNobody: while a callback of the handshake blocks, every
// other method returns.
func TestCallbackBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, a, release, done := blockedPair(t)
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		began := time.Now()
		a.put(a.to, []byte("the reader still reads"))
		if client.MTU() == 0 || client.PathMTU().MTU == 0 || client.NextTimeout().IsZero() {
			t.Error("getters know nothing")
		}
		if s := client.ConnectionState(); s.HandshakeComplete {
			t.Errorf("state %+v", s)
		}
		if err := client.SetMTU(400); err != nil {
			t.Error(err)
		}
		if err := client.SetMTU(5); err == nil || IsFatal(err) {
			t.Errorf("SetMTU(5): %v", err)
		}
		client.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, ErrAgain) {
			t.Errorf("Read: %v", err)
		}
		client.SetDeadline(time.Time{})
		if waited := time.Since(began); waited != time.Millisecond {
			t.Errorf("took %v", waited)
		}
		release()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if client.MTU() != 400 {
			t.Errorf("MTU %d: SetMTU was forgotten", client.MTU())
		}
	})
}

// TestCloseInsideCallback: Close does not wait for a callback, and everything is
// gone once that returns.
func TestCloseInsideCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, a, release, done := blockedPair(t)
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		began := time.Now()
		if err := client.Close(); err != nil || time.Since(began) != 0 {
			t.Errorf("Close took %v: %v", time.Since(began), err)
		}
		sent := a.sent()
		release()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Handshake: %v", err)
		}
		time.Sleep(10 * time.Second)
		if !a.isClosed() {
			t.Error("the transport is still open")
		}
		if more := a.sent() - sent; more > 1 {
			t.Errorf("%d datagrams after Close, want a close_notify", more)
		}
	})
}

// ---- records ------------------------------------------------------------------------------

func TestRecordsKeepTheirBoundaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, _, _ := pair(t, nil)
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		max := client.MaxData()
		if max < 1000 || max > defaultMTU {
			t.Fatalf("MaxData %d", max)
		}
		sizes := []int{1, 0, 100, max, 3, 0, max - 1}
		for i, n := range sizes {
			if _, err := client.Write(bytes.Repeat([]byte{byte(i)}, n)); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, 2000)
		for i, n := range sizes {
			got, err := server.Read(buf)
			if got != n || err != nil || n > 0 && buf[n-1] != byte(i) {
				t.Errorf("record %d: %d bytes, %v; want %d", i, got, err, n)
			}
		}

		mustWrite(t, client, "too long for it")
		mustWrite(t, client, "next")
		if n, err := server.Read(buf[:8]); n != 8 || !errors.Is(err, ErrShortBuffer) || IsFatal(err) || string(buf[:8]) != "too long" {
			t.Errorf("short Read: %q, %v", buf[:n], err)
		}
		mustRead(t, server, "next")

		if n, err := client.Write(make([]byte, max+1)); n != 0 || !errors.Is(err, ErrLargePacket) {
			t.Errorf("long Write: %d, %v", n, err)
		}
		if err := errors.Join(client.SetMaxData(10), client.SetMTU(800)); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Write(make([]byte, 11)); !errors.Is(err, ErrLargePacket) || client.MaxData() != 10 {
			t.Errorf("Write over SetMaxData: %v, MaxData %d", err, client.MaxData())
		}
	})
}

// TestReceiveQueueIsBounded: what nobody reads is dropped, counted, and costs
// no more than the queue; then everything goes on.
func TestReceiveQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 10_000
		client, server, _, _ := pair(t, func(_, s *Config) { s.ReceiveQueue = limit })
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		for range 1000 {
			if _, err := client.Write(make([]byte, 98)); err != nil {
				t.Fatal(err)
			}
		}
		client.Close()
		synctest.Wait()
		if got := server.received.Memory(); got > 2*limit {
			t.Errorf("the queue has %d bytes", got)
		}
		records := 0
		var err error
		for ; err == nil; records++ {
			_, err = server.Read(make([]byte, 100))
		}
		if records--; records != limit/100 || !errors.Is(err, io.EOF) {
			t.Errorf("%d records, then %v", records, err)
		}
		if d := server.Drops().Memory; d != 900 {
			t.Errorf("%d dropped, want 900", d)
		}
		if !server.received.Empty() {
			t.Error("an empty queue keeps memory")
		}
	})
}

// ---- the end ---------------------------------------------------------------------------------

func TestCloseNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, a, b := pair(t, nil)
		defer time.Sleep(time.Second)
		mustWrite(t, client, "last words")
		blocked := make(chan error, 2)
		go func() {
			_, err := client.Read(make([]byte, 1))
			blocked <- err
		}()
		synctest.Wait()
		client.Close()
		client.Close()
		if err := <-blocked; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a Read that waited: %v", err)
		}
		for name, err := range map[string]error{
			"Read":             second(client.Read(make([]byte, 1))),
			"Write":            second(client.Write(nil)),
			"Handshake":        client.Handshake(),
			"SetMTU":           client.SetMTU(500),
			"SetDeadline":      client.SetDeadline(time.Now()),
			"ProbeMTU":         client.ProbeMTU(t.Context(), 1300),
			"HandshakeContext": client.HandshakeContext(t.Context()),
		} {
			if !errors.Is(err, net.ErrClosed) || !IsFatal(err) {
				t.Errorf("%s after Close: %v", name, err)
			}
		}
		synctest.Wait()
		if !a.isClosed() {
			t.Error("Close left the transport open")
		}

		if _, err := server.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write after the peer's close_notify: %v", err)
		}
		mustRead(t, server, "last words")
		for range 2 {
			if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("Read after the peer's close_notify: %v", err)
			}
		}
		if b.isClosed() {
			t.Error("the peer's close_notify closed our transport")
		}
		server.Close()
		if !b.isClosed() {
			t.Error("Close left the transport open")
		}
	})
}

func second[A, B any](_ A, b B) B { return b }

// TestFatalErrorStays: the error that ended the association is returned by every
// later call.
func TestFatalErrorStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, _, _ := rawPair(func(c, _ *Config) {
			c.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) {
				return []PSK{{Identity: testPSK.Identity, Key: []byte("wrong")}}, nil
			}
			c.HandshakeTimeout = 3 * time.Second
		})
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		failed := make(chan error, 1)
		go func() { failed <- server.Handshake() }()
		err := client.Handshake()
		if err == nil || !IsFatal(err) {
			t.Fatalf("a wrong key: %v", err)
		}
		for name, again := range map[string]error{
			"Read": second(client.Read(make([]byte, 1))), "Write": second(client.Write(nil)),
			"Handshake": client.Handshake(), "SetMTU": client.SetMTU(500),
			"ExportKeyingMaterial": second(client.ExportKeyingMaterial("x", nil, 1)),
		} {
			if !errors.Is(again, err) {
				t.Errorf("%s: %v, want %v", name, again, err)
			}
		}
		server.Close()
		<-failed
	})
}

// TestTransportEnds: a transport that is closed under an association ends it,
// after the data that had arrived.
func TestTransportEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, _, b := pair(t, nil)
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		mustWrite(t, client, "in time")
		synctest.Wait()
		b.Close()
		synctest.Wait()
		mustRead(t, server, "in time")
		_, err := server.Read(make([]byte, 1))
		if !errors.Is(err, net.ErrClosed) || !IsFatal(err) {
			t.Errorf("Read: %v", err)
		}
		if _, again := server.Write([]byte("x")); !errors.Is(again, err) {
			t.Errorf("Write: %v", again)
		}
	})
}

// TestBadConfig is returned by the first call, and by every other.
func TestBadConfig(t *testing.T) {
	a, _ := newMemNet().pair()
	c := Client(a, &Config{MTU: 5})
	for _, err := range []error{c.Handshake(), second(c.Read(nil)), second(c.Write(nil)), c.SetMTU(300)} {
		var bad *configError
		if !errors.As(err, &bad) || !IsFatal(err) {
			t.Errorf("%v", err)
		}
	}
	if c.MTU() != 0 || c.MaxData() != 0 || c.Direction() != Reading {
		t.Error("getters of nothing")
	}
	if c.Close(); !a.isClosed() {
		t.Error("Close left the transport open")
	}
}

// TestEveryMethodInEveryState calls everything before, inside and after the
// handshake, and after Close: nothing may panic or wait for ever.
func TestEveryMethodInEveryState(t *testing.T) {
	exercise := func(t *testing.T, c *Conn) {
		t.Helper()
		v := reflect.ValueOf(c)
		for i := range v.NumMethod() {
			m, name := v.Method(i), v.Type().Method(i).Name
			if name == "Close" || name == "Handshake" || name == "SetDeadline" {
				continue
			}
			c.SetDeadline(time.Now())
			var args []reflect.Value
			for j := range m.Type().NumIn() {
				if m.Type().In(j) == reflect.TypeFor[context.Context]() {
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					args = append(args, reflect.ValueOf(ctx))
				} else {
					args = append(args, reflect.Zero(m.Type().In(j)))
				}
			}
			if m.Type().NumIn() == 1 && m.Type().In(0) == reflect.TypeFor[any]() {
				args = []reflect.Value{reflect.ValueOf("value")}
			}
			m.Call(args)
		}
		c.SetDeadline(time.Time{})
	}
	t.Run("config", func(t *testing.T) {
		a, _ := newMemNet().pair()
		c := Client(a, &Config{MTU: 5})
		exercise(t, c)
		c.Close()
		exercise(t, c)
	})
	for _, when := range []string{"before", "callback", "established", "closed", "failed"} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer time.Sleep(maxLinger)
				switch when {
				case "before":
					client, server, _, _ := rawPair(nil)
					exercise(t, client)
					exercise(t, server)
					closeAll(client, server)
					exercise(t, client)
				case "callback":
					client, server, _, release, done := blockedPair(t)
					exercise(t, client)
					release()
					<-done
					closeAll(client, server)
				case "established", "closed":
					client, server, _, _ := pair(t, nil)
					if when == "closed" {
						closeAll(client, server)
					}
					exercise(t, client)
					exercise(t, server)
					closeAll(client, server)
				case "failed":
					client, server, a, _ := pair(t, nil)
					a.Close()
					exercise(t, client)
					closeAll(client, server)
				}
			})
		})
	}
}

// ---- the transport refuses ----------------------------------------------------------------------

// TestWriteRefused: what a second EMSGSIZE means for data, in each mode.
func TestWriteRefused(t *testing.T) {
	for _, test := range []struct {
		mode MTUMode
		want int // MTU afterwards
	}{{MTUAuto, 700}, {MTUKernel, 700}, {MTUManual, defaultMTU}} {
		t.Run(test.mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []int
				client, server, a, _ := pair(t, func(c, _ *Config) {
					c.MTUMode = test.mode
					c.OnMTU = func(p PathInfo) { told = append(told, p.MTU) }
				})
				defer time.Sleep(time.Second)
				defer closeAll(client, server)
				a.set(func(s *memSocket) {
					s.refuse = func(p []byte, _ net.Addr) error {
						if len(p) > 700 {
							return errTooLargeFor(700)
						}
						return nil
					}
				})
				n, err := client.Write(make([]byte, 1000))
				var large *LargePacketError
				if n != 0 || !errors.As(err, &large) || IsFatal(err) || large.Op != "write" || large.PathMTU != 700 || large.Suggest() != 700 {
					t.Fatalf("%d, %v", n, err)
				}
				if client.MTU() != test.want {
					t.Errorf("MTU %d, want %d", client.MTU(), test.want)
				}
				synctest.Wait()
				if test.mode != MTUManual && (client.MaxData() != large.MaxData || !slices.Equal(told, []int{700})) {
					t.Errorf("MaxData %d, the error says %d; told %v", client.MaxData(), large.MaxData, told)
				}
				if _, err := client.Write(make([]byte, large.MaxData)); err != nil {
					t.Errorf("the size that was suggested: %v", err)
				}
			})
		})
	}
}

// TestWriteErrors of the transport are the caller's, and end nothing.
func TestWriteErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, a, _ := pair(t, nil)
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		for _, errno := range []error{syscall.ENOBUFS, syscall.EPERM, syscall.ENETUNREACH, errors.New("odd")} {
			a.set(func(s *memSocket) { s.refuse = func([]byte, net.Addr) error { return errno } })
			if n, err := client.Write([]byte("x")); n != 0 || !errors.Is(err, errno) || IsFatal(err) {
				t.Errorf("%v: %d, %v", errno, n, err)
			}
		}
		a.set(func(s *memSocket) { s.refuse = nil })
		mustWrite(t, client, "still here")
		mustRead(t, server, "still here")
	})
}

// stuckConn is a transport whose Writes block until their deadline.
type stuckConn struct {
	*memConn
	mu       sync.Mutex
	stuck    bool
	once     bool // stuck ends with the first interruption
	deadline time.Time
	moved    chan struct{}
}

func (s *stuckConn) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	close(s.moved)
	s.moved = make(chan struct{})
	return nil
}

func (s *stuckConn) Write(p []byte) (int, error) {
	for {
		s.mu.Lock()
		stuck, deadline, moved := s.stuck, s.deadline, s.moved
		s.mu.Unlock()
		switch {
		case !deadline.IsZero() && time.Until(deadline) <= 0:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.stuck = stuck && !s.once
			return 0, os.ErrDeadlineExceeded
		case !stuck:
			return s.memConn.Write(p)
		case deadline.IsZero():
			<-moved
		default:
			select {
			case <-moved:
			case <-time.After(time.Until(deadline)):
			}
		}
	}
}

// TestTransportThatBlocks: deadlines and Close reach into it.
func TestTransportThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientConfig, serverConfig := quickConfigs()
		serverConfig.Linger = -1
		a, b := newMemNet().pair()
		conn := &stuckConn{memConn: a, moved: make(chan struct{})}
		client, server := Client(conn, clientConfig), Server(b, serverConfig)
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		stick := func(stuck bool) {
			conn.mu.Lock()
			defer conn.mu.Unlock()
			conn.stuck = stuck
		}
		stick(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := client.HandshakeContext(ctx); !errors.Is(err, ErrInterrupted) || time.Since(began) != time.Second {
			t.Errorf("Handshake after %v: %v", time.Since(began), err)
		}
		stick(false)
		if err := shake(client, server); err != nil {
			t.Fatal(err)
		}

		stick(true)
		began = time.Now()
		client.SetWriteDeadline(began.Add(time.Second))
		waiting := make(chan error, 3)
		for range cap(waiting) {
			go func() { waiting <- second(client.Write([]byte("x"))) }()
		}
		for range cap(waiting) {
			if err := <-waiting; !errors.Is(err, ErrAgain) || time.Since(began) != time.Second {
				t.Errorf("Write after %v: %v", time.Since(began), err)
			}
		}
		client.SetWriteDeadline(time.Time{})
		go func() { waiting <- second(client.Write([]byte("x"))) }()
		synctest.Wait()
		began = time.Now()
		client.Close()
		if time.Since(began) != 0 {
			t.Errorf("Close took %v", time.Since(began))
		}
		if err := <-waiting; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write while closed: %v", err)
		}
		time.Sleep(time.Second)
		if !a.isClosed() {
			t.Error("the transport is still open")
		}
	})
}

// TestCloseInterruptsADatagram: Close interrupts the transport in the middle of a
// datagram of the protocol, and its close_notify goes out behind that all the same.
func TestCloseInterruptsADatagram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientConfig, serverConfig := quickConfigs()
		only13(clientConfig, serverConfig)
		a, b := newMemNet().pair()
		conn := &stuckConn{memConn: a, moved: make(chan struct{})}
		client, server := Client(conn, clientConfig), Server(b, serverConfig)
		if err := shake(client, server); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		conn.mu.Lock()
		conn.stuck, conn.once = true, true
		conn.mu.Unlock()
		waiting := make(chan error, 1)
		go func() { waiting <- client.UpdateKeys(t.Context(), false) }()
		synctest.Wait()
		client.Close()
		if err := <-waiting; !errors.Is(err, net.ErrClosed) {
			t.Errorf("UpdateKeys: %v", err)
		}
		_ = server.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the peer's Read: %v", err)
		}
		server.Close()
		time.Sleep(maxLinger)
	})
}

// ---- cost ------------------------------------------------------------------------------------------

// TestDataPathDoesNotAllocate over UDP, in both directions: on a socket for one
// address, and on ones for all, where each datagram tells which it called and
// is answered from.
func TestDataPathDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			clientConfig, serverConfig := quickConfigs()
			clientConfig.IdleTimeout, serverConfig.IdleTimeout = time.Hour, time.Hour
			l, err := Listen("udp", address, serverConfig)
			if err != nil {
				t.Skip(err)
			}
			defer l.Close()
			client, err := Dial("udp", fmt.Sprint("127.0.0.1:", addrOf(l.Addr()).Port()), clientConfig)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			server, err := l.AcceptContext(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			client.SetReadDeadline(time.Now().Add(time.Minute)) // should a datagram be lost
			server.SetReadDeadline(time.Now().Add(time.Minute))
			out, in := make([]byte, 1000), make([]byte, 2000)
			allocs := testing.AllocsPerRun(2000, func() {
				for _, way := range [][2]*Conn{{client, server}, {server, client}} {
					if _, err := way[0].Write(out); err != nil {
						t.Fatal(err)
					}
					if _, err := way[1].Read(in); err != nil {
						t.Fatal(err)
					}
				}
			})
			if allocs > 0 {
				t.Errorf("%v allocations for a record there and back", allocs)
			}
		})
	}
}

// TestConnIsSmall: a server has many of them.
func TestConnIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > 256 {
		t.Errorf("a Conn has %d bytes", size)
	}
}

// TestConcurrentWriters: record numbers leave in order, and every record
// arrives once.
func TestConcurrentWriters(t *testing.T) {
	client, server, a, _ := pair(t, func(c, s *Config) {
		s.ReceiveQueue = 1 << 28
		c.MaxVersion = VersionDTLS12 // where numbers are there to be read
	})
	defer closeAll(client, server)
	var last, bad atomic.Uint64
	a.set(func(s *memSocket) {
		s.tap = func(_ int, p []byte, _ net.Addr) {
			var seq uint64
			for _, b := range p[3:11] {
				seq = seq<<8 | uint64(b)
			}
			if last.Swap(seq) >= seq {
				bad.Add(1)
			}
		}
	})
	const writers, each = 16, 300
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if _, err := client.Write([]byte("record")); err != nil {
					t.Error(err)
					return
				}
				_ = client.SetMTU(500 + runtime.NumGoroutine())
			}
		})
	}
	for range writers * each {
		mustRead(t, server, "record")
	}
	wg.Wait()
	if bad.Load() > 0 {
		t.Errorf("%d records overtook others on the way to the transport", bad.Load())
	}
}
