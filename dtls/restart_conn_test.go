package dtls

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// Restarts of the peer of a Server over a net.Conn, which has nobody to take its
// hellos (THREATS 79).

// alone is an association without a listener.
type alone struct {
	t                    *testing.T
	net                  *memNet
	a, b                 *memConn // transports of peer and server
	peer, server         *Conn
	client, serverConfig *Config
	hellos               [][]byte // that it began with
}

func newAlone(t *testing.T, version uint16, change func(client, server *Config)) *alone {
	s := &alone{t: t, net: newMemNet()}
	s.client, s.serverConfig = quickConfigs()
	for _, c := range []*Config{s.client, s.serverConfig} {
		c.MinVersion, c.MaxVersion = version, version
	}
	if change != nil {
		change(s.client, s.serverConfig)
	}
	s.a, s.b = s.net.pair()
	s.a.tap = func(_ int, p []byte, _ net.Addr) {
		if door.Mark(p) != 0 {
			s.hellos = append(s.hellos, bytes.Clone(p))
		}
	}
	s.peer, s.server = Client(s.a, s.client), Server(s.b, s.serverConfig)
	if err := shake(s.peer, s.server); err != nil {
		t.Fatal(err)
	}
	s.a.set(func(m *memSocket) { m.tap = nil })
	return s
}

func (s *alone) exchange(n int) {
	s.t.Helper()
	exchangeMany(s.t, s.peer, s.server, n)
}

// watch is what the server knows of hellos.
func (s *alone) watch() restartWatch {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	return *s.server.eng.restart
}

// exchangeAgain repeats what was lost: a reader that could not be interrupted takes
// one datagram with it, whichever.
func (s *alone) exchangeAgain(n int) {
	s.t.Helper()
	for range n {
		for _, pair := range [2][2]*Conn{{s.peer, s.server}, {s.server, s.peer}} {
			for try := 0; ; try++ {
				mustWrite(s.t, pair[0], "again")
				_ = pair[1].SetReadDeadline(time.Now().Add(time.Second))
				_, err := pair[1].Read(make([]byte, 10))
				_ = pair[1].SetReadDeadline(time.Time{})
				if err == nil {
					break
				}
				if try > 1 {
					s.t.Fatal(err)
				}
			}
		}
	}
}

// arrives hands the server a datagram that claims to be the peer's.
func (s *alone) arrives(datagram []byte) {
	s.b.put(s.a.addr, datagram)
	synctest.Wait()
}

// reboot has the peer lose its state and say hello again, from the same address.
func (s *alone) reboot() (done chan error) {
	_ = s.a.Close()
	synctest.Wait()
	s.a = &memConn{s.net.listen(s.a.addr), s.b.addr}
	s.peer = Client(s.a, s.client)
	done = make(chan error, 1)
	go func() { done <- s.peer.Handshake() }()
	return done
}

// TestServerHearsOfRestart: a peer that has lost its state, and says so with a
// cookie, ends the association in bounded time, and the next Server on the same
// net.Conn has its handshake with one of its retransmissions.
func TestServerHearsOfRestart(t *testing.T) {
	modes := map[CookieMode]string{CookieAuto: "auto", CookieAlways: "always", CookieUnderLoad: "under load", CookieNever: "never", AddressProven: "proven"}
	for version, quiet := range map[uint16]time.Duration{VersionDTLS12: silence12, VersionDTLS13: silence13} {
		for mode, name := range modes {
			for _, deaf := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, cookies %s, deaf %v", VersionName(version), name, deaf), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := newAlone(t, version, func(_, server *Config) { server.CookieMode = mode })
						s.b.set(func(m *memSocket) { m.deaf = deaf })
						exchange := s.exchange
						if deaf {
							exchange = s.exchangeAgain
						}
						for range 3 {
							exchange(3)
							began := time.Now()
							done := s.reboot()
							if _, err := s.server.Read(make([]byte, 1)); !errors.Is(err, ErrPeerRestarted) || !IsFatal(err) {
								t.Fatalf("Read: %v", err)
							}
							if took := time.Since(began); took < quiet || took > quiet+time.Second {
								t.Errorf("it took %v", took)
							}
							if _, err := s.server.Write([]byte("x")); !errors.Is(err, ErrPeerRestarted) {
								t.Errorf("Write: %v", err)
							}
							s.server = Server(s.b, s.serverConfig)
							err := s.server.Handshake()
							if err := errors.Join(err, <-done); err != nil {
								t.Fatal(err)
							}
							if took := time.Since(began); took > time.Minute {
								t.Errorf("back after %v", took)
							}
						}
						exchange(3)
						closeAll(s.peer, s.server)
						time.Sleep(time.Minute)
					})
				})
			}
		}
	}
}

// TestServerForgedRestarts: hellos that nobody reads the answers of, and copies of
// those that the association began with, cost it nothing.
func TestServerForgedRestarts(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		synctest.Test(t, func(t *testing.T) {
			s := newAlone(t, version, func(client, server *Config) {
				server.CookieMode, client.CurvePreferences = CookieAlways, []tls.CurveID{tls.X25519}
			})
			own := s.hellos[len(s.hellos)-1]
			other := otherHello(t, s.client)
			h, body := helloBody(t, own)
			forged := [][]byte{
				other, s.hellos[0], own,
				helloFragment(h, body, 0, len(body), 1<<46),
				forgeMessage(message.TypeClientHello, 3, body...),
				changedHello(t, own, func(m *message.ClientHello) { m.Random[12] ^= 1 }),
				changedHello(t, own, func(m *message.ClientHello) { m.SessionID = []byte{1} }),
				forgeMessage(message.TypeClientHello, 0, bytes.Repeat([]byte{0xff}, 100)...),
			}
			forged = append(forged, cutHello(t, other, 3, 0)...)
			forged = append(forged, cutHello(t, own, 2, 5)...)
			for range 30 {
				for _, d := range forged {
					s.arrives(d)
				}
				s.exchange(1)
				time.Sleep(time.Second)
			}
			time.Sleep(time.Hour)
			s.exchange(3)
			if w := s.watch(); w.door != nil || w.suspects() {
				t.Errorf("something is left: %+v", w)
			}
			closeAll(s.peer, s.server)
			time.Sleep(time.Minute)
		})
	}
}

// TestServerRestartAnswers: a flood of hellos gets ten answers a second, none
// larger than its hello, and leaves nothing behind.
func TestServerRestartAnswers(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		synctest.Test(t, func(t *testing.T) {
			s := newAlone(t, version, func(client, _ *Config) { client.CurvePreferences = []tls.CurveID{tls.X25519} })
			hello := otherHello(t, s.client)
			answers := 0
			s.b.set(func(m *memSocket) {
				m.tap = func(_ int, p []byte, _ net.Addr) {
					answers++
					if len(p) > len(hello) {
						t.Errorf("%d bytes answer %d", len(p), len(hello))
					}
				}
			})
			for range 1000 {
				s.arrives(changedHello(t, hello, func(m *message.ClientHello) { m.Random[5]++ }))
				time.Sleep(10 * time.Millisecond)
			}
			if answers < 90 || answers > 110 {
				t.Errorf("%d answers in 10 seconds", answers)
			}
			s.b.set(func(m *memSocket) { m.tap = nil })
			s.exchange(3)
			closeAll(s.peer, s.server)
			time.Sleep(time.Minute)
		})
	}
}

// impostor reads what the server sends to its peer, and says hello with cookies.
type impostor struct {
	s      *alone
	mu     sync.Mutex
	heard  [][]byte
	copied [][]byte // its last hello with a cookie
}

func newImpostor(s *alone) *impostor {
	i := &impostor{s: s}
	s.b.set(func(m *memSocket) {
		m.tap = func(_ int, p []byte, _ net.Addr) {
			if door.IsPlaintext(p) {
				i.mu.Lock()
				defer i.mu.Unlock()
				i.heard = append(i.heard, bytes.Clone(p))
			}
		}
	})
	return i
}

// tries brings a cookie back.
func (i *impostor) tries() {
	e, err := NewClientEngine(withName(i.s.client), time.Now())
	if err != nil {
		i.s.t.Fatal(err)
	}
	for range 2 {
		i.copied = nil
		for tx, ok := e.PollTransmit(time.Now(), nil); ok; tx, ok = e.PollTransmit(time.Now(), nil) {
			i.copied = append(i.copied, bytes.Clone(tx.Data))
			i.s.arrives(tx.Data)
		}
		i.mu.Lock()
		heard := i.heard
		i.heard = nil
		i.mu.Unlock()
		for _, d := range heard {
			_ = e.HandleDatagram(time.Now(), d, i.s.b.addr.(*net.UDPAddr).AddrPort())
		}
	}
}

// TestServerImpostor: somebody who reads the path brings cookies back again and
// again, new ones and copies. While the peer is there, the association has all its
// data: in DTLS 1.3 although nobody says anything, in 1.2 if it does now and then.
func TestServerImpostor(t *testing.T) {
	t.Parallel()
	for version, pause := range map[uint16]time.Duration{VersionDTLS12: silence12 - time.Second, VersionDTLS13: 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s := newAlone(t, version, nil)
			i := newImpostor(s)
			suspected := 0
			for round := range 200 {
				for range 10 {
					i.tries()
					for _, d := range i.copied {
						s.arrives(d)
					}
					if w := s.watch(); w.suspects() {
						suspected++
					}
					time.Sleep(pause / 10)
				}
				s.exchange(1)
				if version == VersionDTLS13 && round == 20 {
					break
				}
			}
			if suspected < 50 {
				t.Errorf("suspected only %d times", suspected)
			}
			closeAll(s.peer, s.server)
			time.Sleep(time.Minute)
		})
	}
}

// TestServerImpostorThroughLoss: so it is in DTLS 1.3 where one datagram of ten is
// lost.
func TestServerImpostorThroughLoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newAlone(t, VersionDTLS13, nil)
		var n atomic.Uint32
		s.net.mu.Lock()
		s.net.path = func(net.Addr, net.Addr, []byte) bool { return n.Add(1)%10 != 0 }
		s.net.mu.Unlock()
		i := newImpostor(s)
		for range 300 {
			i.tries()
			time.Sleep(3 * time.Second)
		}
		s.net.mu.Lock()
		s.net.path = nil
		s.net.mu.Unlock()
		time.Sleep(10 * time.Second)
		s.exchange(3)
		closeAll(s.peer, s.server)
		time.Sleep(time.Minute)
	})
}

// TestServerRestartElsewhere: a successor with another Config does not know the
// cookie and refuses it (RFC 9147, Section 5.1); the client's next try begins from
// scratch.
func TestServerRestartElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAlone(t, VersionDTLS13, nil)
		done := s.reboot()
		if _, err := s.server.Read(make([]byte, 1)); !errors.Is(err, ErrPeerRestarted) {
			t.Fatal(err)
		}
		_, config := quickConfigs()
		s.server = Server(s.b, config)
		_ = s.server.SetReadDeadline(time.Now().Add(time.Minute))
		first := s.server.Handshake()
		if err := <-done; first == nil || err == nil {
			t.Fatalf("%v, %v", first, err)
		}
		closeAll(s.server)
		s.b = &memConn{s.net.listen(s.b.addr), s.a.addr}
		done = s.reboot()
		s.server = Server(s.b, config)
		if err := errors.Join(s.server.Handshake(), <-done); err != nil {
			t.Fatal(err)
		}
		s.exchange(1)
		closeAll(s.peer, s.server)
		time.Sleep(time.Minute)
	})
}

// TestEngineHearsOfRestart: an engine without a Door before it does so, too; one
// with a Door leaves hellos to that.
func TestEngineHearsOfRestart(t *testing.T) {
	s := established13(t)
	e := s.eng[serverSide]
	client, _ := quickConfigs()
	client.MinVersion, client.CurvePreferences = VersionDTLS13, []tls.CurveID{tls.X25519}
	hello := otherHello(t, client)
	s.inject(serverSide, hello)
	if tx, ok := e.PollTransmit(s.now, nil); !ok || !stateless(tx.Data[13:]) {
		t.Errorf("a hello is answered with %s", describeDatagram(tx.Data))
	}
	e.restart = nil
	s.inject(serverSide, hello)
	if tx, ok := e.PollTransmit(s.now, nil); ok {
		t.Errorf("with a Door before it, %s", describeDatagram(tx.Data))
	}
}

// namedConn is a transport whose peer has a name and no address of UDP.
type namedConn struct {
	net.Conn
	name string
}

func (c namedConn) RemoteAddr() net.Addr { return &net.UnixAddr{Name: c.name, Net: "unixgram"} }

// TestCookieOfAnotherTransport: servers of one Config know each other's cookies, so
// that the next one of a transport knows those of the one before. What the peer of
// one was given says nothing about the peer of another, also where that is not known
// by an address of UDP.
func TestCookieOfAnotherTransport(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		for _, same := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				client, server := quickConfigs()
				for _, c := range []*Config{client, server} {
					c.MinVersion, c.MaxVersion = version, version
				}
				client.CurvePreferences = []tls.CurveID{tls.X25519}
				var nets [2]*memNet
				var far, near [2]*memConn
				var peers, servers [2]*Conn
				for i := range nets {
					name := "a peer"
					if !same {
						name = fmt.Sprint("peer ", i)
					}
					nets[i] = newMemNet()
					far[i], near[i] = nets[i].pair()
					peers[i], servers[i] = Client(far[i], client), Server(namedConn{near[i], name}, server)
					if err := shake(peers[i], servers[i]); err != nil {
						t.Fatal(err)
					}
				}
				e, err := NewClientEngine(withName(client), time.Now())
				if err != nil {
					t.Fatal(err)
				}
				tx, _ := e.PollTransmit(time.Now(), nil)
				var reply []byte
				nets[1].mu.Lock()
				nets[1].path = func(from, _ net.Addr, p []byte) bool {
					if from == near[1].addr && door.IsPlaintext(p) {
						reply = bytes.Clone(p)
					}
					return true
				}
				nets[1].mu.Unlock()
				near[1].put(far[1].addr, tx.Data)
				synctest.Wait()
				if reply == nil {
					t.Fatal("no cookie")
				}
				near[0].put(far[0].addr, withCookie(t, e, reply))
				synctest.Wait()
				servers[0].mu.Lock()
				suspects := servers[0].eng.restart.suspects()
				servers[0].mu.Unlock()
				if suspects != same {
					t.Errorf("%s, the same name %v: suspected %v", VersionName(version), same, suspects)
				}
				closeAll(append(peers[:], servers[:]...)...)
				time.Sleep(5 * time.Minute)
			})
		}
	}
}

// TestOwnHelloInAnyOrder: a copy of the association's own ClientHello is no restart, also
// if the datagram begins with a later fragment of it.
func TestOwnHelloInAnyOrder(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		synctest.Test(t, func(t *testing.T) {
			s := newAlone(t, version, func(client, server *Config) {
				server.CookieMode, client.CurvePreferences = CookieAlways, []tls.CurveID{tls.X25519}
			})
			defer s.server.Close()
			defer s.peer.Close()
			cut := cutHello(t, s.hellos[len(s.hellos)-1], 2, 5)
			s.arrives(slices.Concat(cut[1], cut[0]))
			if w := s.watch(); w.door != nil || w.suspects() {
				t.Errorf("%s: taken for a restart: %+v", VersionName(version), w)
			}
		})
	}
}
