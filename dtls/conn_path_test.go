package dtls

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/transport"
	"github.com/flightpath-dtls/flightpath/internal/udpsock"
)

// ---- whole handshakes --------------------------------------------------------------

// TestPacketTooBigInHandshake: a path narrower than the links of both ends.
// ICMP costs no time: no timer of the protocol fires.
func TestPacketTooBigInHandshake(t *testing.T) {
	for _, mode := range []MTUMode{MTUAuto, MTUKernel} {
		for _, mtu := range []int{1231, 872, 548} {
			t.Run(fmt.Sprintf("%v, %d", mode, mtu), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					clientConfig, serverConfig := largeConfigs()
					clientConfig.MTUMode, serverConfig.MTUMode = mode, mode
					l, pc := listenKernel(t, serverConfig)
					conn := l.net.kernelDial(pc.addr)
					dropped := l.net.router(mtu, pc, conn.kernelSocket)
					began := time.Now()
					client := Client(conn, clientConfig)
					if err := client.Handshake(); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(began); took > 50*time.Millisecond {
						t.Errorf("it took %v", took)
					}
					server := l.accept(t)
					if info := server.PathMTU(); info.MTU != mtu || info.Source != FromICMP {
						t.Errorf("the server knows %+v", info)
					}
					// The first burst, and what was under way when its notices came.
					if n := dropped.Load(); n == 0 || n > 12 {
						t.Errorf("%d datagrams were too large", n)
					}
					closeAll(client, server)
					l.Close()
					time.Sleep(time.Second)
				})
			})
		}
	}
}

// TestHandshakeHearsTheFirstLink: a refusal of the kernel's own names the size,
// which is then used to the byte.
func TestHandshakeHearsTheFirstLink(t *testing.T) {
	for _, mode := range []MTUMode{MTUAuto, MTUKernel} {
		for _, link := range []int{1000, 300, minMTU} {
			t.Run(fmt.Sprintf("%v, %d", mode, link), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					clientConfig, serverConfig := largeConfigs()
					clientConfig.MTUMode, serverConfig.MTUMode = mode, mode
					l, pc := listenKernel(t, serverConfig)
					pc.link = link
					began := time.Now()
					client := Client(l.net.kernelDial(pc.addr), clientConfig)
					if err := client.Handshake(); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(began); took > 50*time.Millisecond {
						t.Errorf("it took %v", took)
					}
					server := l.accept(t)
					if info := server.PathMTU(); info.MTU != link || info.Source != FromKernel {
						t.Errorf("the server knows %+v", info)
					}
					closeAll(client, server)
					l.Close()
					time.Sleep(time.Second)
				})
			})
		}
	}
}

// TestManualAnswersLateNotices: the caller's answer to the first notice is one
// to those about the rest of the flight as well, also when they arrive between
// the two calls, before the answer or behind it.
func TestManualAnswersLateNotices(t *testing.T) {
	for _, before := range []bool{true, false} {
		t.Run(fmt.Sprintf("before SetMTU: %v", before), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clientConfig, serverConfig := largeConfigs()
				serverConfig.MTUMode = MTUManual
				n := newMemNet()
				a, b := n.kernelDial(memAddr(1, 2)), n.kernelDial(memAddr(1, 1))
				a.to, b.to = b.addr, a.addr
				var lost [][]byte // of the server
				n.path = func(from, _ net.Addr, p []byte) bool {
					if len(p) > 900 && from == b.addr {
						lost = append(lost, bytes.Clone(p))
					}
					return len(p) <= 900
				}
				notice := func(i int) {
					b.icmp(syscall.EMSGSIZE, a.addr, 900, lost[i])
					synctest.Wait()
				}
				client, server := Client(a, clientConfig), Server(b, serverConfig)
				failed := make(chan error, 2)
				go func() { failed <- client.Handshake() }()
				go func() { failed <- server.Handshake() }()
				synctest.Wait()
				notice(0)
				var lp *LargePacketError
				if err := <-failed; !errors.As(err, &lp) || lp.PathMTU != 900 {
					t.Fatalf("Handshake: %v", err)
				}
				if before {
					notice(1)
				}
				if err := server.SetMTU(lp.Suggest()); err != nil {
					t.Fatal(err)
				}
				if !before {
					notice(1)
				}
				if err := errors.Join(server.Handshake(), <-failed); err != nil {
					t.Error(err)
				}
				closeAll(client, server)
				time.Sleep(time.Second)
			})
		})
	}
}

// TestPacketTooBigManual: Handshake returns the refusal at once, and once, and
// the flight goes on as the caller decides.
func TestPacketTooBigManual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientConfig, serverConfig := largeConfigs()
		serverConfig.MTUMode = MTUManual
		var mtus []int
		serverConfig.OnMTU = func(p PathInfo) { mtus = append(mtus, p.MTU) }
		n := newMemNet()
		a, b := n.kernelDial(memAddr(1, 2)), n.kernelDial(memAddr(1, 1))
		a.to, b.to = b.addr, a.addr
		n.router(900, a.kernelSocket, b.kernelSocket)
		client, server := Client(a, clientConfig), Server(b, serverConfig)
		failed := make(chan error, 1)
		go func() { failed <- client.Handshake() }()
		began := time.Now()
		err := server.Handshake()
		var lp *LargePacketError
		if !errors.As(err, &lp) || lp.Op != "handshake" || lp.Source != FromICMP || lp.PathMTU != 900 || lp.Size <= 900 || IsFatal(err) {
			t.Fatalf("Handshake: %v", err)
		}
		if err := server.SetMTU(lp.Suggest()); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(server.Handshake(), <-failed); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("it took %v", took)
		}

		// Data: the limit is the caller's, so what is too large is lost, and the
		// next that is too large is refused once.
		if err := server.SetMTU(1200); err != nil {
			t.Fatal(err)
		}
		large := make([]byte, server.MaxData())
		if _, err := server.Write(large); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait() // the timer's goroutine would have called OnMTU
		if !slices.Equal(mtus, []int{900}) || server.MTU() != 1200 {
			t.Errorf("OnMTU got %v, the limit is %d", mtus, server.MTU())
		}
		mustWrite(t, server, "small")
		mustRead(t, client, "small")
		if _, err := server.Write(large); !errors.As(err, &lp) || lp.Op != "write" || lp.PathMTU != 900 || lp.Source != FromICMP {
			t.Errorf("Write: %v", err)
		}
		if _, err := server.Write(large[:lp.MaxData]); err != nil {
			t.Error(err)
		}
		mustRead(t, client, string(large[:lp.MaxData]))
		closeAll(client, server)
		time.Sleep(time.Second)
	})
}

// TestPacketTooBigForData: the path MTU falls in an established association. The
// datagram that was too large is lost; the next Write of that size is refused, and
// OnMTU is called.
func TestPacketTooBigForData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientConfig, serverConfig := quickConfigs()
		var mtus []int
		serverConfig.OnMTU = func(p PathInfo) { mtus = append(mtus, p.MTU) }
		l, pc := listenKernel(t, serverConfig)
		client := Client(l.net.kernelDial(pc.addr), clientConfig)
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		server := l.accept(t)
		large := make([]byte, server.MaxData())
		dropped := l.net.router(900, pc)
		if _, err := server.Write(large); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait() // the timer's goroutine has called OnMTU
		if !slices.Equal(mtus, []int{900}) || server.MTU() != 900 {
			t.Errorf("OnMTU got %v, the limit is %d", mtus, server.MTU())
		}
		var lp *LargePacketError
		if _, err := server.Write(large); !errors.As(err, &lp) || lp.MaxData != server.MaxData() || lp.Source != FromICMP {
			t.Fatalf("Write: %v", err)
		}
		if _, err := server.Write(large[:lp.MaxData]); err != nil || dropped.Load() != 1 {
			t.Errorf("%v, %d were too large", err, dropped.Load())
		}
		mustRead(t, client, string(large[:lp.MaxData]))
		closeAll(client, server)
		l.Close()
		time.Sleep(time.Second)
	})
}

// ---- who is disturbed --------------------------------------------------------------

// TestErrorsOfAnotherPeer: whatever ICMP says about one peer, calls for another
// one do what they are asked to, at once.
func TestErrorsOfAnotherPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientConfig, serverConfig := quickConfigs()
		l, pc := listenKernel(t, serverConfig)
		var conns [2][2]*Conn // A and B, at the client and at the server
		for i := range conns {
			client := Client(l.net.kernelDial(pc.addr), clientConfig)
			if err := client.Handshake(); err != nil {
				t.Fatal(err)
			}
			conns[i] = [2]*Conn{client, l.accept(t)}
		}
		a, b := conns[0][1], conns[1][1]
		data := make([]byte, b.MaxData())
		peerA := a.RemoteAddr()
		began := time.Now()
		for i, errno := range []syscall.Errno{
			syscall.EMSGSIZE, syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN,
			syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EACCES, syscall.EOPNOTSUPP,
		} {
			for _, more := range []int{1, 5} {
				for range more {
					mtu := 0
					if errno == syscall.EMSGSIZE {
						mtu = 600
					}
					pc.icmp(errno, peerA, mtu, data[:100])
				}
				if _, err := b.Write(data); err != nil {
					t.Errorf("%d, %v: %v", i, errno, err)
				}
				mustRead(t, conns[1][0], string(data))
				mustWrite(t, conns[1][0], "and back")
				mustRead(t, b, "and back")
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		if a.MTU() != defaultMTU || b.MTU() != defaultMTU {
			t.Errorf("limits %d, %d", a.MTU(), b.MTU())
		}
		closeAll(conns[0][:]...)
		closeAll(conns[1][:]...)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestNoticeFoundBySomebodyElse: a Write for B finds what the network says
// about A, whose handshake goes on by itself; also if A's driver has the engine
// just then.
func TestNoticeFoundBySomebodyElse(t *testing.T) {
	for _, busy := range []bool{false, true} {
		t.Run(fmt.Sprint("busy ", busy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clientConfig, serverConfig := largeConfigs()
				release := make(chan struct{})
				serverConfig.Trace = &Trace{Dropped: func(Drops, int) { <-release }}
				l, pc := listenKernel(t, serverConfig)
				var lost [][]byte
				l.net.path = func(from, _ net.Addr, p []byte) bool {
					if from == pc.addr && len(p) > 900 {
						lost = append(lost, bytes.Clone(p))
						return false
					}
					return true
				}
				a := l.net.kernelDial(pc.addr)
				clientA := Client(a, clientConfig)
				failed := make(chan error, 1)
				go func() { failed <- clientA.Handshake() }()
				synctest.Wait()
				if len(lost) < 3 {
					t.Fatalf("%d datagrams lost", len(lost))
				}
				if busy { // the driver meets something that it drops, and stays with it
					if _, err := a.Write([]byte("junk, which is longer than a header")); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				for _, p := range lost {
					pc.note(udpsock.Notice{Peer: addrOf(a.addr), MTU: 900, Origin: udpsock.ICMP, Errno: syscall.EMSGSIZE, Quoted: p[:520]})
				}
				began := time.Now()
				pc.Drain(l.members.shard.noticed) // as the Write for B does
				if busy {
					l.members.mu.Lock()
					c := l.members.conns.At(addrOf(a.addr)).Accepted
					l.members.mu.Unlock()
					c.mu.Lock()
					if got := len(c.hs.hints); !c.turn.driver || got == 0 || got > transport.MaxHints {
						t.Errorf("busy %v, %d hints wait", c.turn.driver, got)
					}
					c.mu.Unlock()
				}
				close(release)
				if err := <-failed; err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 50*time.Millisecond {
					t.Errorf("it took %v", took)
				}
				closeAll(clientA, l.accept(t))
				l.Close()
				time.Sleep(time.Second)
			})
		})
	}
}

// TestForgedNotices change nothing, for whomever they are.
func TestForgedNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientConfig, serverConfig := quickConfigs()
		l, pc := listenKernel(t, serverConfig)
		conn := l.net.kernelDial(pc.addr)
		var seen []byte
		pc.set(func(s *memSocket) { s.tap = func(_ int, p []byte, _ net.Addr) { seen = bytes.Clone(p) } })
		client := Client(conn, clientConfig)
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		server := l.accept(t)
		if _, err := server.Write(make([]byte, server.MaxData())); err != nil {
			t.Fatal(err)
		}
		zero := make([]byte, 520)
		guessed := append(bytes.Clone(seen[:21]), zero...)
		for _, forged := range []struct {
			peer   net.Addr
			mtu    int
			quoted []byte
		}{
			{conn.addr, 900, zero},
			{conn.addr, 900, guessed},
			{conn.addr, 900, nil},
			{conn.addr, 68 - overheadIPv4, seen},
			{conn.addr, 0, seen},
			{memAddr(77, 77), 900, seen},
			{memAddr(77, 0), 900, seen},
		} {
			before := pc.sent()
			pc.icmp(syscall.EMSGSIZE, forged.peer, forged.mtu, forged.quoted)
			synctest.Wait()
			time.Sleep(time.Second)
			if server.MTU() != defaultMTU || pc.sent() != before {
				t.Errorf("%+v: the limit is %d, %d datagrams sent", forged, server.MTU(), pc.sent()-before)
			}
		}
		pc.icmp(syscall.EMSGSIZE, conn.addr, 900, seen)
		synctest.Wait()
		if server.MTU() != 900 {
			t.Errorf("the true one: the limit is %d", server.MTU())
		}
		closeAll(client, server)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestWithdrawn: a notice that is found while its own association sends has the
// datagram in hand cut anew, or refused, and not sent once more.
func TestWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientConfig, serverConfig := quickConfigs()
		serverConfig.MaxVersion = VersionDTLS12 // no acknowledgements between the datagrams that are watched
		l, pc := listenKernel(t, serverConfig)
		conn := l.net.kernelDial(pc.addr)
		client := Client(conn, clientConfig)
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		server := l.accept(t)
		var seen []byte
		conn.set(func(s *memSocket) { s.tap = func(_ int, p []byte, _ net.Addr) { seen = bytes.Clone(p) } })
		large := make([]byte, client.MaxData())
		if _, err := client.Write(large); err != nil {
			t.Fatal(err)
		}
		sent := conn.sent()
		// The notice is there, and its error goes to the Write and not to the
		// reader.
		conn.note(udpsock.Notice{Peer: addrOf(pc.addr), MTU: 900, Origin: udpsock.ICMP, Errno: syscall.EMSGSIZE, Quoted: seen})
		conn.set(func(s *memSocket) { s.pending = syscall.EMSGSIZE })
		var lp *LargePacketError
		if n, err := client.Write(large); n != 0 || !errors.As(err, &lp) || lp.Size != defaultMTU || lp.PathMTU != 900 ||
			lp.MaxData != client.MaxData() || lp.Source != FromICMP || IsFatal(err) {
			t.Errorf("%d, %v, %+v", n, err, lp)
		}
		if conn.sent() != sent {
			t.Error("it was sent")
		}
		closeAll(client, server)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestFlightWithdrawn: what the network says about the first datagram of a burst
// comes back with the call for the second. Of those that are too large, none
// follows.
func TestFlightWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientConfig, serverConfig := largeConfigs()
		n := newMemNet()
		a, b := n.kernelDial(memAddr(1, 2)), n.kernelDial(memAddr(1, 1))
		a.to, b.to = b.addr, a.addr
		lost := 0
		n.path = func(from, to net.Addr, p []byte) bool {
			if from == a.addr || len(p) <= 900 {
				return true
			}
			lost++
			// No reader is woken: the error is there for the next call.
			b.note(udpsock.Notice{Peer: addrOf(to), MTU: 900, Origin: udpsock.ICMP, Errno: syscall.EMSGSIZE, Quoted: p})
			b.set(func(m *memSocket) { m.pending = syscall.EMSGSIZE })
			return false
		}
		client, server := Client(a, clientConfig), Server(b, serverConfig)
		failed := make(chan error, 1)
		go func() { failed <- client.Handshake() }()
		if err := errors.Join(server.Handshake(), <-failed); err != nil {
			t.Fatal(err)
		}
		if lost != 1 || server.MTU() != 900 {
			t.Errorf("%d were too large, the limit is %d", lost, server.MTU())
		}
		closeAll(client, server)
		time.Sleep(time.Second)
	})
}

// ---- the route's value ---------------------------------------------------------------

// TestKernelIsAsked at the start of a handshake and after each time-out. What it
// says is a rumour: the first try, and not below the fallback.
func TestKernelIsAsked(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before int // what the kernel believes at the start, 0: nothing
		after  int // and after the first time-out
		hole   int // larger ones are lost
		want   int
		source MTUSource
		after1 bool // one time-out is needed
	}{
		{"it knows from the start", 700, 700, 700, 700, FromKernel, false},
		{"it knows after a time-out", 0, 700, 700, 700, FromKernel, true},
		{"it knows nothing", 1472, 1472, 1232, 1232, FromConfig, false},
		{"it was lied to", 300, 300, 548, 548, FromKernel, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clientConfig, serverConfig := largeConfigs()
				serverConfig.MTUMode = MTUKernel // no ladder: silence teaches nothing
				n := newMemNet()
				a, b := n.kernelDial(memAddr(1, 2)), n.kernelDial(memAddr(1, 1))
				a.to, b.to = b.addr, a.addr
				if tt.before > 0 {
					b.routes[addrOf(a.addr)] = tt.before
				}
				n.router(tt.hole)
				client, server := Client(a, clientConfig), Server(b, serverConfig)
				failed := make(chan error, 1)
				go func() { failed <- client.Handshake() }()
				go func() {
					time.Sleep(100 * time.Millisecond)
					b.mu.Lock()
					defer b.mu.Unlock()
					b.routes[addrOf(a.addr)] = tt.after
				}()
				began := time.Now()
				if err := errors.Join(server.Handshake(), <-failed); err != nil {
					t.Fatal(err)
				}
				if waited := time.Since(began) > 100*time.Millisecond; waited != tt.after1 {
					t.Errorf("it took %v", time.Since(began))
				}
				if info := server.PathMTU(); info.MTU != tt.want || info.Source != tt.source {
					t.Errorf("%+v", info)
				}
				closeAll(client, server)
				time.Sleep(time.Second)
			})
		})
	}
}

// TestLastResort: at the floor, a socket of a Conn's own lets IP cut its
// datagrams; until the caller knows better.
func TestLastResort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientConfig, serverConfig := largeConfigs()
		n := newMemNet()
		a, b := n.kernelDial(memAddr(1, 2)), n.kernelDial(memAddr(1, 1))
		a.to, b.to = b.addr, a.addr
		n.router(300)
		client, server := Client(a, clientConfig), Server(b, serverConfig)
		failed := make(chan error, 1)
		go func() { failed <- client.Handshake() }()
		if err := errors.Join(server.Handshake(), <-failed); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(b.whole, []bool{false}) || server.MTU() != defaultMTU {
			t.Errorf("don't fragment: %v; the limit is %d", b.whole, server.MTU())
		}
		if err := server.SetMTU(1000); err != nil || !slices.Equal(b.whole, []bool{false, true}) {
			t.Errorf("after SetMTU: %v, %v", b.whole, err)
		}
		closeAll(client, server)
		time.Sleep(time.Second)
	})
}

// TestTimeoutSaysWhatICMPSaid about the peer, and not about others.
func TestTimeoutSaysWhatICMPSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientConfig, _ := quickConfigs()
		n := newMemNet()
		conn := n.kernelDial(memAddr(2, 1))
		conn.set(func(s *memSocket) {
			s.tap = func(_ int, p []byte, to net.Addr) { conn.icmp(syscall.ECONNREFUSED, to, 0, p) }
		})
		client := Client(conn, clientConfig)
		if err := client.Handshake(); !errors.Is(err, ErrHandshakeTimeout) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Error(err)
		}
		client.Close()
		time.Sleep(time.Second)
	})
}
