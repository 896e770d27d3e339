package dtls

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/roster"
)

// from is an address in the prefix a.b.c.
func from(a, b, c, port int) *net.UDPAddr {
	return &net.UDPAddr{IP: net.IPv4(byte(a), byte(b), byte(c), 1), Port: port}
}

// stall begins a handshake from addr that stops behind its cookie, without a
// word.
func (l *listening) stall(t testing.TB, addr net.Addr) {
	t.Helper()
	conn := &memConn{l.net.listen(addr), l.Addr()}
	c := Client(conn, l.client)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	conn.tap = func(n int, _ []byte, _ net.Addr) {
		if n == 2 { // the hello with the cookie
			cancel()
		}
	}
	if err := c.HandshakeContext(ctx); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	conn.Close()
	c.Close()
	synctest.Wait() // none is displaced in the middle of a step
}

// enter is a client that is established, from addr, and how long it took.
func (l *listening) enter(t testing.TB, addr net.Addr) (*Conn, time.Duration) {
	t.Helper()
	c := Client(&memConn{l.net.listen(addr), l.Addr()}, l.client)
	began := time.Now()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c, time.Since(began)
}

// TestFewPrefixesKeepNobodyOut: a flood from one prefix fills all the room there
// is; clients of other prefixes do not notice, and one of the same prefix gets
// in when the flood's handshakes have stalled.
func TestFewPrefixesKeepNobodyOut(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		const room = 50
		l := listen(t, func(c, s *Config) { only(c, s); s.MaxHandshakes = room })
		for i := range 3 * room {
			l.stall(t, from(10, 0, 0, 1+i))
		}
		synctest.Wait()
		if s := l.Stats(); s.HandshakesOpen != room || s.HandshakesRefused != 2*room || s.HandshakesShed != 0 {
			t.Fatalf("%+v", s)
		}
		for i := range 20 {
			c, waited := l.enter(t, from(10, 1, i, 1))
			closeAll(c, l.accept(t))
			if waited != 0 {
				t.Errorf("a client of another prefix waited %v", waited)
			}
			l.stall(t, from(10, 0, 0, 1000+i)) // the flood goes on
		}
		synctest.Wait()
		if s := l.Stats(); s.HandshakesShed != 20 || s.HandshakesDone != 20 || s.HandshakesOpen != room {
			t.Errorf("%+v", s)
		}
		same, waited := l.enter(t, from(10, 0, 0, 2000))
		if waited < time.Second || waited > 10*time.Second {
			t.Errorf("one of the same prefix waited %v", waited)
		}
		if s := l.Stats(); s.HandshakesOpen > room || s.HandshakesShed != 21 {
			t.Errorf("%+v", s)
		}
		closeAll(same, l.accept(t))
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestManyPrefixesAreDisplacedByAge: a flood from as many prefixes as there is
// room for keeps others out until its handshakes have stalled, not until they
// time out; handshakes that are young are left to finish.
func TestManyPrefixesAreDisplacedByAge(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		const room = 50
		l := listen(t, func(c, s *Config) { only(c, s); s.MaxHandshakes = room })
		for i := range room {
			l.stall(t, from(10, 0, i, 1))
		}
		c, waited := l.enter(t, from(10, 1, 0, 1))
		if waited < roster.StallAge || waited > 8*time.Second { // the retransmission of 7 s
			t.Errorf("it waited %v", waited)
		}
		synctest.Wait() // in DTLS 1.3 a client is done before its server
		s := l.Stats()
		if s.HandshakesShed != 1 || s.HandshakesRefused == 0 || s.HandshakesOpen != room-1 {
			t.Errorf("%+v", s)
		}
		closeAll(c, l.accept(t))
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestShedHandshakesSayWhy to those that drive them, and the backlog forgets
// them.
func TestShedHandshakesSayWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := driven(t, func(_, s *Config) { s.MaxHandshakes = 3 })
		for i := range 3 {
			l.stall(t, from(10, 0, 0, 1+i))
		}
		synctest.Wait()
		accepted := l.acceptHandshake(t)
		driving := make(chan error, 1)
		go func() { driving <- accepted.Handshake() }()
		synctest.Wait()
		for i := range 2 {
			l.stall(t, from(10, 1, i, 1))
		}
		synctest.Wait()
		if err := <-driving; !errors.Is(err, ErrShed) || !IsFatal(err) {
			t.Errorf("%v", err)
		}
		if s := l.Stats(); s.HandshakesShed != 2 || s.HandshakesOpen != 3 || l.books.offered.Len() != 3 {
			t.Errorf("%+v, %d wait", s, l.books.offered.Len())
		}
		if _, err := accepted.Write(nil); !errors.Is(err, ErrShed) {
			t.Errorf("Write: %v", err)
		}
		l.Close()
		if s := l.Stats(); s.HandshakesFailed != 3 || s.HandshakesOpen != 0 || !l.socket.isClosed() {
			t.Errorf("%+v, socket closed: %v", s, l.socket.isClosed())
		}
		time.Sleep(time.Second)
	})
}

// TestMaxPerPrefix bounds handshakes and associations of a prefix together.
func TestMaxPerPrefix(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		l := listen(t, func(c, s *Config) { only(c, s); s.MaxPerPrefix = 3 })
		first, _ := l.enter(t, from(10, 0, 0, 1))
		second, _ := l.enter(t, from(10, 0, 0, 2))
		servers := []*Conn{l.accept(t), l.accept(t)}
		l.stall(t, from(10, 0, 0, 3))
		synctest.Wait()
		if s := l.Stats(); s.HandshakesOpen != 1 || s.Associations != 2 {
			t.Fatalf("%+v", s)
		}
		// The prefix is full: a new one waits until the stalled one has to go.
		third, waited := l.enter(t, from(10, 0, 0, 4))
		if s := l.Stats(); waited < roster.StallAge || s.PrefixRefused == 0 || s.HandshakesShed != 1 {
			t.Errorf("it waited %v; %+v", waited, s)
		}
		servers = append(servers, l.accept(t))
		// Now all three are established, and stay.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		fourth := Client(&memConn{l.net.listen(from(10, 0, 0, 5)), l.Addr()}, l.client)
		if err := fourth.HandshakeContext(ctx); !errors.Is(err, ErrInterrupted) {
			t.Errorf("one too many: %v", err)
		}
		// Another prefix has its own room.
		other, waited := l.enter(t, from(10, 0, 1, 1))
		if waited != 0 {
			t.Errorf("another prefix waited %v", waited)
		}
		servers = append(servers, l.accept(t))
		// One that restarts takes no more room than it had.
		again, waited := l.enter(t, from(10, 0, 0, 1))
		if waited != 0 {
			t.Errorf("a restart waited %v", waited)
		}
		servers = append(servers, l.accept(t))
		// And one that leaves makes room. A client of 1.3 is done before its server,
		// so which one was accepted when is not certain.
		i := slices.IndexFunc(servers, func(c *Conn) bool { return c.RemoteAddr().String() == second.LocalAddr().String() })
		servers[i].Close()
		if err := fourth.Handshake(); err != nil {
			t.Error(err)
		}
		servers = append(servers, l.accept(t))
		if s := l.Stats(); s.Associations != 4 {
			t.Errorf("%+v", s)
		}
		closeAll(servers...)
		closeAll(first, second, third, fourth, other, again)
		if l.books.crowd.Prefixes() != 0 {
			t.Errorf("%d prefixes are left", l.books.crowd.Prefixes())
		}
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestMaxAssociations: established ones are never displaced, handshakes are.
func TestMaxAssociations(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		l := listen(t, func(c, s *Config) { only(c, s); s.MaxAssociations = 4 })
		var clients, servers []*Conn
		join := func(addr net.Addr) time.Duration {
			c, waited := l.enter(t, addr)
			clients, servers = append(clients, c), append(servers, l.accept(t))
			return waited
		}
		join(from(10, 0, 0, 1))
		join(from(10, 0, 0, 2))
		l.stall(t, from(10, 1, 0, 1))
		l.stall(t, from(10, 1, 0, 2))
		synctest.Wait()
		if waited := join(from(10, 2, 0, 1)); waited != 0 { // the stalled ones are two of a prefix
			t.Errorf("the third waited %v", waited)
		}
		if waited := join(from(10, 3, 0, 1)); waited < roster.StallAge { // now there is one of it
			t.Errorf("the fourth waited %v", waited)
		}
		s := l.Stats()
		if s.HandshakesShed != 2 || s.AssociationsRefused == 0 || s.Associations != 4 || s.HandshakesOpen != 0 {
			t.Errorf("%+v", s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		fifth := Client(&memConn{l.net.listen(from(10, 4, 0, 1)), l.Addr()}, l.client)
		if err := fifth.HandshakeContext(ctx); !errors.Is(err, ErrInterrupted) {
			t.Errorf("one too many: %v", err)
		}
		if waited := join(from(10, 0, 0, 1)); waited != 0 {
			t.Errorf("a restart waited %v", waited)
		}
		for i, c := range clients[1:] {
			mustWrite(t, c, fmt.Sprint("still here ", i))
			mustRead(t, servers[1+i], fmt.Sprint("still here ", i))
		}
		closeAll(servers...)
		if err := fifth.Handshake(); err != nil {
			t.Error(err)
		}
		closeAll(l.accept(t), fifth)
		closeAll(clients...)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestBooksBalance: every hello that the door let in is counted once, whatever
// became of it.
func TestBooksBalance(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		l := listen(t, func(c, s *Config) {
			only(c, s)
			s.MaxHandshakes, s.MaxAssociations, s.MaxPerPrefix = 6, 12, 3
			s.HandshakeTimeout = 20 * time.Second
		})
		var conns []*Conn
		for i := range 200 {
			addr := from(10, 0, i*i%7, 1+i%9)
			switch {
			case i%3 > 0:
				l.stall(t, addr)
			default:
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				c := Client(&memConn{l.net.listen(addr), l.Addr()}, l.client)
				_ = c.HandshakeContext(ctx)
				cancel()
				conns = append(conns, c)
			}
			time.Sleep(time.Duration(i%5) * 100 * time.Millisecond)
			synctest.Wait()
			if i%11 == 0 && l.books.ready.Len() > 0 {
				l.accept(t).Close()
				synctest.Wait()
			}
			s := l.Stats()
			sum := uint64(s.HandshakesOpen) + s.HandshakesDone + s.HandshakesFailed + s.HandshakesShed +
				s.HandshakesRefused + s.AssociationsRefused + s.PrefixRefused
			if proven := l.members.shard.door.Stats().Proven; sum != proven {
				t.Fatalf("step %d: %d of %d hellos in the books: %+v", i, sum, proven, s)
			}
			if s.HandshakesOpen > 6 || s.HandshakesOpen+s.Associations > 12+3 {
				t.Fatalf("step %d: over the limits: %+v", i, s)
			}
		}
		s := l.Stats()
		for name, n := range map[string]uint64{
			"done": s.HandshakesDone, "failed": s.HandshakesFailed, "shed": s.HandshakesShed, "refused": s.HandshakesRefused + s.AssociationsRefused,
			"prefix": s.PrefixRefused,
		} {
			if n == 0 {
				t.Errorf("no handshake was %s", name)
			}
		}
		closeAll(conns...)
		l.Close()
		time.Sleep(30 * time.Second)
		if s := l.Stats(); s.HandshakesOpen != 0 || s.Associations != 0 || l.books.crowd.Prefixes() != 0 || !l.socket.isClosed() {
			t.Errorf("%+v; %d prefixes are left", s, l.books.crowd.Prefixes())
		}
	})
}
