package dtls

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Restarts: hellos from the address of an association that is alive (RFC 6347,
// Section 4.2.8; THREATS 79). They may be the peer's, who has lost its state, or
// anybody's.

// live is an association with a listener, whose peer has the address of conn.
type live struct {
	*listening
	t            *testing.T
	conn         *memConn
	peer, server *Conn
	hellos       [][]byte // that it began with
}

func newLive(t *testing.T, change func(client, server *Config)) *live {
	l := &live{listening: listen(t, change), t: t}
	l.conn = l.net.dial(l.Addr())
	l.conn.tap = func(_ int, p []byte, _ net.Addr) {
		if door.Mark(p) != 0 {
			l.hellos = append(l.hellos, bytes.Clone(p))
		}
	}
	l.peer = Client(l.conn, l.client)
	if err := l.peer.Handshake(); err != nil {
		t.Fatal(err)
	}
	l.server = l.accept(t)
	l.conn.set(func(s *memSocket) { s.tap = nil })
	return l
}

// arrives hands the listener a datagram that claims to be the peer's.
func (l *live) arrives(datagram []byte) {
	l.socket.put(l.conn.addr, datagram)
	synctest.Wait()
}

// exchange sends data both ways, all of which must arrive.
func (l *live) exchange(n int) {
	l.t.Helper()
	exchangeMany(l.t, l.peer, l.server, n)
}

func exchangeMany(t *testing.T, peer, server *Conn, n int) {
	t.Helper()
	for i := range n {
		mustWrite(t, peer, fmt.Sprint("there ", i))
		mustRead(t, server, fmt.Sprint("there ", i))
		mustWrite(t, server, fmt.Sprint("back ", i))
		mustRead(t, peer, fmt.Sprint("back ", i))
	}
}

func (l *live) end() {
	closeAll(l.peer, l.server)
	l.Close()
	time.Sleep(time.Second)
	if s := l.Stats(); s.HandshakesOpen != 0 || s.Associations != 0 || !l.socket.isClosed() {
		l.t.Errorf("left over: %+v, socket closed %v", s, l.socket.isClosed())
	}
}

// otherHello is a hello of somebody else.
func otherHello(t *testing.T, client *Config) []byte {
	e, err := NewClientEngine(withName(client), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	tx, _ := e.PollTransmit(time.Now(), nil)
	return tx.Data
}

// TestForgedRestarts: forged hellos, whole and in pieces, and copies of the
// cookie that the association began with, in every disguise, cost it nothing.
func TestForgedRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLive(t, nil)
		h, body := helloBody(t, l.hellos[1])
		other := otherHello(t, l.client)
		changed := func(change func(m *message.ClientHello)) []byte { return changedHello(t, l.hellos[1], change) }
		for name, forged := range map[string][][]byte{
			"a hello":                       {other},
			"a hello in pieces":             cutHello(t, other, 2, 0),
			"pieces, backwards":             {cutHello(t, other, 2, 0)[1], cutHello(t, other, 2, 0)[0]},
			"the hello without its cookie":  {l.hellos[0]},
			"the hello with its cookie":     {l.hellos[1]},
			"in pieces":                     cutHello(t, l.hellos[1], 2, 5),
			"under another record number":   {helloFragment(h, body, 0, len(body), 1<<46)},
			"under another message_seq":     {forgeMessage(message.TypeClientHello, 3, body...)},
			"with another random":           {changed(func(m *message.ClientHello) { m.Random[12] ^= 1 })},
			"with another random elsewhere": {changed(func(m *message.ClientHello) { m.Random[31] ^= 1 })},
			"with another session id":       {changed(func(m *message.ClientHello) { m.SessionID = []byte{1} })},
			"with other suites":             {changed(func(m *message.ClientHello) { m.CipherSuites = append(m.CipherSuites, 0xc02b) })},
			"with other extensions":         {changed(func(m *message.ClientHello) { m.ServerName = "elsewhere" })},
			"garbage":                       {forgeMessage(message.TypeClientHello, 0, bytes.Repeat([]byte{0xff}, 100)...)},
		} {
			for _, d := range forged {
				l.arrives(d)
				if s := l.Stats(); s.HandshakesOpen != 0 || s.HandshakesDone != 1 {
					t.Errorf("%s began a handshake: %+v", name, s)
				}
				l.exchange(2)
			}
		}
		if d := l.server.Drops(); d.BadMAC+d.Replayed > 0 {
			t.Errorf("drops %+v", d)
		}
		l.end()
	})
}

// TestHalfRestarts: whoever can read the path can bring a cookie back and begin
// a handshake for the peer, again and again. There is one at a time, and the
// association has all its data.
func TestHalfRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLive(t, nil)
		for range 20 {
			e, err := NewClientEngine(withName(l.client), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			tx, _ := e.PollTransmit(time.Now(), nil)
			var reply []byte
			l.net.mu.Lock()
			l.net.path = func(from, _ net.Addr, p []byte) bool {
				if r, _, _, err := record.Next(p); from == l.Addr() && err == nil && r.Epoch == 0 {
					reply = bytes.Clone(p)
				}
				return true
			}
			l.net.mu.Unlock()
			l.arrives(tx.Data)
			l.arrives(withCookie(t, e, reply))
			if s := l.Stats(); s.HandshakesOpen != 1 || s.Associations != 1 {
				t.Fatalf("%+v", s)
			}
			l.exchange(5)
		}
		time.Sleep(2 * time.Minute) // the last of them gives up
		if s := l.Stats(); s.HandshakesOpen != 0 || s.HandshakesFailed != 20 {
			t.Errorf("%+v", s)
		}
		l.exchange(5)
		l.end()
	})
}

// TestRestartInPieces: a peer that has restarted and says hello in several
// datagrams is back after one handshake, although what stands before its
// extensions does not fit into the first of them.
func TestRestartInPieces(t *testing.T) {
	for _, backwards := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := newLive(t, nil)
			l.exchange(2)
			address, client := l.conn.addr, l.client
			client.MTU = minMTU
			for range 100 {
				client.CipherSuites = append(client.CipherSuites, 0xd001)
			}
			for i := range 20 {
				client.NextProtos = append(client.NextProtos, fmt.Sprint("a protocol with a long name ", i))
			}
			pieces := 0
			var kept []byte
			l.net.mu.Lock()
			l.net.path = func(from, to net.Addr, p []byte) bool {
				first := door.Mark(p) != 0
				if from != address || !first && !door.IsTail(p) {
					return true
				}
				pieces++
				if !backwards {
					return true
				}
				if first { // it comes after the one behind it
					kept = bytes.Clone(p)
					return false
				}
				l.socket.put(from, p)
				if kept != nil {
					l.socket.put(from, kept)
					kept = nil
				}
				return false
			}
			l.net.mu.Unlock()
			began := time.Now()
			if err := l.restart(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 100*time.Millisecond || pieces < 6 {
				t.Errorf("backwards %v: %d pieces, it took %v", backwards, pieces, took)
			}
			l.exchange(2)
			l.end()
		})
	}
}

// newLive13 is an association of DTLS 1.3 with hellos in several datagrams.
func newLive13(t *testing.T, mode CookieMode) *live {
	return newLive(t, func(client, server *Config) {
		c, s := simConfigs13(dtlstest.P256, 0)
		*client, *server = *c, *s
		client.Hello, server.CookieMode = HelloFull, mode
	})
}

// TestRestartInPieces13: a hello of DTLS 1.3 that is let in by its beginning has the
// rest of itself, not that of the one which the association began with a moment
// ago: what differs is the key share, which no cookie covers.
func TestRestartInPieces13(t *testing.T) {
	at := map[string]func(n int) []time.Duration{ // when fragment number n arrives
		"in order":  func(n int) []time.Duration { return []time.Duration{time.Duration(n) * ms} },
		"backwards": func(n int) []time.Duration { return []time.Duration{time.Duration(50-n) * ms} },
		"twice":     func(n int) []time.Duration { return []time.Duration{time.Duration(n) * ms, time.Duration(70-n) * ms} },
		"late":      func(n int) []time.Duration { return []time.Duration{time.Duration(n%3) * 150 * ms} },
	}
	for mode, most := range map[CookieMode]time.Duration{CookieAuto: 700 * ms, CookieNever: 1200 * ms} {
		for name, at := range at {
			synctest.Test(t, func(t *testing.T) {
				l := newLive13(t, mode)
				l.exchange(2)
				address, n := l.conn.addr, 0
				l.net.mu.Lock()
				l.net.path = func(from, _ net.Addr, p []byte) bool {
					if from != address || door.Mark(p) == 0 && !door.IsTail(p) {
						return true
					}
					d := bytes.Clone(p)
					for _, after := range at(n) {
						time.AfterFunc(after, func() { l.socket.put(address, d) })
					}
					n++
					return false
				}
				l.net.mu.Unlock()
				began := time.Now()
				if err := l.restart(); err != nil {
					t.Fatalf("cookies %d, %s: %v", mode, name, err)
				}
				s := l.Stats()
				if took := time.Since(began); took > most || n < 3 || s.HandshakesDone != 2 || s.HandshakesFailed != 0 {
					t.Errorf("cookies %d, %s: %d fragments, it took %v: %+v", mode, name, n, took, s)
				}
				l.exchange(2)
				l.end()
			})
		}
	}
}

// TestBackAtOnce13: a client that closes and comes back from the same port, within
// the second in which fragments of hellos are kept.
func TestBackAtOnce13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLive13(t, CookieAuto)
		for range 5 {
			l.exchange(1)
			closeAll(l.peer, l.server)
			time.Sleep(10 * ms)
			l.conn = l.reuse(l.conn)
			l.peer = Client(l.conn, l.client)
			if err := l.peer.Handshake(); err != nil {
				t.Fatal(err)
			}
			l.server = l.accept(t)
		}
		l.end()
	})
}

// TestRestartsWithoutCookies: where no cookie is asked for, anybody can invent
// restarts. One begins a handshake every ten seconds, in the place of the one
// before, and the association has all its data meanwhile. Its peer, restarted in
// truth, may take what was an answer to the forger for its own, and is back with
// the next try then.
func TestRestartsWithoutCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLive(t, func(_, s *Config) { s.CookieMode = CookieNever })
		const flood = 65 * time.Second
		most := 0
		for range int(flood / (100 * time.Millisecond)) {
			l.arrives(otherHello(t, l.client))
			time.Sleep(100 * time.Millisecond)
			s := l.Stats()
			most = max(most, s.HandshakesOpen)
			if s.Associations != 1 {
				t.Fatalf("%+v", s)
			}
			l.exchange(1)
		}
		s := l.Stats()
		if begun := s.HandshakesFailed + uint64(s.HandshakesOpen); most != 1 || begun != 7 {
			t.Errorf("%d handshakes were begun, %d at once: %+v", begun, most, s)
		}
		if err := l.restart(); err != nil {
			t.Logf("the first try: %v", err)
			if err := l.restart(); err != nil {
				t.Errorf("the second try: %v", err)
			}
		}
		l.exchange(2)
		l.end()
	})
}

// restart has the peer lose its state and begin anew.
func (l *live) restart() error {
	l.conn = l.reuse(l.conn)
	again := Client(l.conn, l.client)
	if err := again.Handshake(); err != nil {
		again.Close()
		return err
	}
	server := l.accept(l.t)
	if _, err := l.server.Read(make([]byte, 1)); !errors.Is(err, ErrPeerRestarted) {
		l.t.Errorf("the old association: %v", err)
	}
	l.peer.Close()
	l.peer, l.server = again, server
	return nil
}

// TestRestart: in every mode a peer that has lost its state is back after one
// handshake, as often as it likes.
func TestRestart(t *testing.T) {
	for mode := CookieAuto; mode <= AddressProven; mode++ {
		synctest.Test(t, func(t *testing.T) {
			l := newLive(t, func(_, s *Config) { s.CookieMode = mode })
			for range 4 {
				l.exchange(2)
				began := time.Now()
				if err := l.restart(); err != nil {
					t.Fatalf("mode %d: %v", mode, err)
				}
				if took := time.Since(began); took > 100*time.Millisecond {
					t.Errorf("mode %d: it took %v", mode, took)
				}
			}
			l.exchange(2)
			l.end()
		})
	}
}

// TestFirstHandshakeIsNotDisturbed: without cookies, other hellos from the
// address of a handshake that has no association yet do not end it.
func TestFirstHandshakeIsNotDisturbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, func(_, s *Config) { s.CookieMode = CookieNever })
		conn := l.net.dial(l.Addr())
		forged := otherHello(t, l.client)
		conn.tap = func(n int, _ []byte, _ net.Addr) {
			for range 5 {
				l.socket.put(conn.addr, forged)
			}
		}
		// The forger is quick, but not first.
		l.net.path = func(from, _ net.Addr, p []byte) bool {
			if from == conn.addr {
				l.socket.put(from, p)
				return false
			}
			return true
		}
		c := Client(conn, l.client)
		go func() { _ = c.Handshake() }()
		time.Sleep(5 * time.Second)
		s := l.Stats()
		if s.HandshakesDone+uint64(s.HandshakesOpen)+s.HandshakesFailed != 1 {
			t.Errorf("%+v", s)
		}
		c.Close()
		l.Close()
		time.Sleep(2 * time.Minute)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
	})
}
