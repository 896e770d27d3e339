package dtls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/record"
)

// When an association ends without a call of Close, it leaves the socket that it
// shares, and its place under the limits of a Listener is free.

// endingsOnSockets are how the association of client and server ends, neither of which calls
// Close for the server. An ending returns the error of the server's Read.
var endingsOnSockets = []struct {
	name string
	end  func(t *testing.T, l *listening, client *Conn, conn *memConn) (want func(error) bool)
}{
	{"close_notify of the peer", func(_ *testing.T, _ *listening, client *Conn, _ *memConn) func(error) bool {
		client.Close()
		return func(err error) bool { return errors.Is(err, io.EOF) }
	}},
	{"fatal alert of the peer", func(_ *testing.T, _ *listening, client *Conn, _ *memConn) func(error) bool {
		client.mu.Lock()
		defer client.mu.Unlock()
		client.failed()
		return isAlert(alert.InternalError, true)
	}},
	{"fatal alert of ours", func(t *testing.T, _ *listening, client *Conn, conn *memConn) func(error) bool {
		client.mu.Lock()
		defer client.mu.Unlock()
		malformed, _, err := client.eng.keys.Sealer().Seal(nil, record.TypeAlert, VersionDTLS12, []byte{1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(malformed); err != nil {
			t.Fatal(err)
		}
		return isAlert(alert.DecodeError, false)
	}},
	{"restart of the peer", func(t *testing.T, l *listening, _ *Conn, conn *memConn) func(error) bool {
		again := Client(l.reuse(conn), l.client)
		mustWrite(t, again, "again")
		mustRead(t, l.accept(t), "again")
		synctest.Wait()
		if s := l.Stats(); s.Associations != 1 || count(l.members) != 1 {
			t.Errorf("beside the new one: %+v", s)
		}
		again.Close()
		return func(err error) bool { return errors.Is(err, ErrPeerRestarted) }
	}},
	{"idle time-out", func(*testing.T, *listening, *Conn, *memConn) func(error) bool {
		time.Sleep(time.Minute)
		return func(err error) bool { return errors.Is(err, ErrIdleTimeout) }
	}},
}

func isAlert(a alert.Alert, remote bool) func(error) bool {
	return func(err error) bool {
		var got *AlertError
		return errors.As(err, &got) && got.Alert == a && got.Remote == remote
	}
}

// TestEndedAssociationsLeave: the table, the limits and the port are free of an
// association that has ended, and what it had received can still be read.
func TestEndedAssociationsLeave(t *testing.T) {
	for _, ending := range endingsOnSockets {
		t.Run(ending.name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
				l := listen(t, func(c, s *Config) { only(c, s); s.MaxAssociations, s.IdleTimeout = 1, time.Minute })
				var clients []*Conn
				for i := range 3 {
					client, waited := l.enter(t, memAddr(1, 1000+i))
					if clients = append(clients, client); waited != 0 {
						t.Errorf("client %d waited %v", i, waited)
					}
					server := l.accept(t)
					mustWrite(t, client, "last")
					mustWrite(t, client, "words")
					synctest.Wait()
					want := ending.end(t, l, client, client.sock.Conn().(*memConn))
					synctest.Wait()
					s, alarm := l.Stats(), server.NextTimeout()
					if s.Associations+s.HandshakesOpen+s.Lingering != 0 || count(l.members) != 0 || l.books.crowd.Prefixes() != 0 || l.members.users != 1 || !alarm.IsZero() {
						t.Errorf("%+v, %d in the table, %d users, time-out %v", s, count(l.members), l.members.users, alarm)
					}
					mustRead(t, server, "last")
					mustRead(t, server, "words")
					for range 2 {
						if _, err := server.Read(make([]byte, 1)); !want(err) || !IsFatal(err) {
							t.Errorf("Read: %v", err)
						}
					}
					if n, err := server.Write([]byte("x")); n != 0 || !IsFatal(err) {
						t.Errorf("Write: %d, %v", n, err)
					}
				}
				if l.Close(); !l.socket.isClosed() {
					t.Error("the socket is left open")
				}
				closeAll(clients...)
				time.Sleep(maxLinger)
			})
		})
	}
}

// TestUnansweredHandshakesLeave does the same for a time-out in the handshake.
func TestUnansweredHandshakesLeave(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		l := listen(t, func(c, s *Config) { only(c, s); s.MaxAssociations, s.HandshakeTimeout = 1, 3*time.Second })
		for i := range 3 {
			l.stall(t, memAddr(1, 1000+i))
			if s := l.Stats(); s.HandshakesOpen != 1 || s.HandshakesFailed != uint64(i) {
				t.Errorf("%+v", s)
			}
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if s := l.Stats(); s.HandshakesOpen != 0 || count(l.members) != 0 || l.members.users != 1 {
				t.Errorf("%+v, %d in the table, %d users", s, count(l.members), l.members.users)
			}
		}
		client, waited := l.enter(t, memAddr(1, 2000))
		if waited != 0 {
			t.Errorf("the last one waited %v", waited)
		}
		closeAll(client, l.accept(t))
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestPeersThatCloseKeepNobodyOut: a server that reads to the end, and
// calls no Close, serves any number of clients, one after the other.
func TestPeersThatCloseKeepNobodyOut(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		l := listen(t, func(c, s *Config) { only(c, s); s.MaxAssociations = 3 })
		for i := range 5 {
			client, waited := l.enter(t, memAddr(1, 1000+i))
			server := l.accept(t)
			mustWrite(t, client, "x")
			mustRead(t, server, "x")
			conn := client.sock.Conn().(*memConn)
			synctest.Wait() // until the tickets are acknowledged
			closing := recordOf(conn, func() { client.Close() })
			if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || waited != 0 {
				t.Errorf("client %d waited %v; Read: %v", i, waited, err)
			}
			synctest.Wait()
			sent := l.socket.sent()
			l.net.inject(conn.addr, l.Addr(), closing)
			synctest.Wait()
			if s := l.Stats(); s.StrangersDropped != uint64(i)+1 || l.socket.sent() != sent {
				t.Errorf("a copy of its close_notify: %+v, %d datagrams sent", s, l.socket.sent()-sent)
			}
		}
		synctest.Wait()
		if s := l.Stats(); s.Associations != 0 || s.AssociationsRefused != 0 {
			t.Errorf("%+v", s)
		}
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestClosedBeforeAccept: a client that sends its data and closes before the
// server's handshake has returned from a callback. Accept returns its association, with the
// data, if there is any.
func TestClosedBeforeAccept(t *testing.T) {
	for _, words := range []int{0, 2} {
		eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
			l := listen(t, func(c, s *Config) {
				only(c, s)
				s.VerifyConnection = func(ConnectionState) error { time.Sleep(time.Second); return nil }
			})
			client, _ := l.dial(t)
			for i := range words {
				mustWrite(t, client, fmt.Sprint("word ", i))
			}
			client.Close()
			time.Sleep(2 * time.Second)
			if s := l.Stats(); s.Associations != 0 || s.HandshakesDone != 1 || count(l.members) != 0 || l.members.users != 1 {
				t.Errorf("%+v, %d users", s, l.members.users)
			}
			server := l.accept(t)
			if s := server.ConnectionState(); !s.HandshakeComplete {
				t.Errorf("%+v", s)
			}
			if err := server.Handshake(); err != nil {
				t.Errorf("Handshake: %v", err)
			}
			for i := range words {
				mustRead(t, server, fmt.Sprint("word ", i))
			}
			if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("Read: %v", err)
			}
			l.Close()
			time.Sleep(time.Second)
		})
	}
}

// TestWriteWhilePeerCloses: a Write that is under way sends the answer to the
// close_notify, and gives back the socket.
func TestWriteWhilePeerCloses(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		l := listen(t, only)
		client, _ := l.dial(t)
		server := l.accept(t)
		synctest.Wait()
		blocks, before := make(chan struct{}), l.socket.sent()
		l.socket.set(func(s *memSocket) {
			s.tap = func(n int, _ []byte, _ net.Addr) {
				if n == before+1 {
					<-blocks
				}
			}
		})
		written := make(chan error, 1)
		go func() { written <- second(server.Write([]byte("under way"))) }()
		synctest.Wait()
		client.Close()
		synctest.Wait()
		l.Close()
		if l.members.users != 1 || l.socket.isClosed() {
			t.Errorf("%d users", l.members.users)
		}
		close(blocks)
		if err := <-written; err != nil {
			t.Errorf("Write: %v", err)
		}
		if n := l.socket.sent() - before; n != 2 || !l.socket.isClosed() {
			t.Errorf("%d datagrams are sent, want the data and a close_notify; closed: %v", n, l.socket.isClosed())
		}
		time.Sleep(maxLinger)
	})
}

// TestUpdateKeysWhilePeerCloses: nothing acknowledges the KeyUpdate of an association that has left.
func TestUpdateKeysWhilePeerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, only13)
		client, _ := l.dial(t)
		server := l.accept(t)
		synctest.Wait()
		l.net.lose(func(from net.Addr, _ []byte) bool { return from.String() == l.Addr().String() })
		updated := make(chan error, 1)
		go func() { updated <- server.UpdateKeys(t.Context(), false) }()
		synctest.Wait()
		began := time.Now()
		client.Close()
		if err := <-updated; !errors.Is(err, net.ErrClosed) || time.Since(began) != 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if at := server.NextTimeout(); !at.IsZero() {
			t.Errorf("a time-out at %v", at)
		}
		l.Close()
		time.Sleep(maxLinger)
	})
}

// TestWriteFailsWhilePeerCloses: a Write whose datagram the transport did not take is no
// success because the peer has closed meanwhile.
func TestWriteFailsWhilePeerCloses(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		l := listen(t, only)
		client, _ := l.dial(t)
		server := l.accept(t)
		synctest.Wait()
		blocks := make(chan struct{})
		l.socket.set(func(s *memSocket) {
			s.refuse = func([]byte, net.Addr) error { <-blocks; return net.ErrClosed }
		})
		written := make(chan error, 1)
		go func() { written <- second(server.Write([]byte("under way"))) }()
		synctest.Wait()
		client.Close()
		synctest.Wait()
		close(blocks)
		if err := <-written; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write: %v", err)
		}
		l.Close()
		time.Sleep(maxLinger)
	})
}

// TestMembersLeave: so it is for an association that an Endpoint has dialed. Calls that
// send nothing go on, and the address can be dialed again.
func TestMembersLeave(t *testing.T) {
	eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
		config := nodeConfig()
		only(config, config)
		config.CurvePreferences = []tls.CurveID{tls.X25519}
		n := newMemNet()
		a, b := newNode(t, n, 1, config), newNode(t, n, 2, config)
		for range 3 {
			dialed := a.dial(t, b.LocalAddr())
			accepted := b.accept(t)
			exchange(t, dialed, accepted, "hello")
			mustWrite(t, accepted, "last words")
			accepted.Close()
			synctest.Wait()
			if count(a.Endpoint.members) != 0 || count(b.Endpoint.members) != 0 || a.Endpoint.members.users != 2 {
				t.Errorf("%d and %d in the tables, %d users", count(a.Endpoint.members), count(b.Endpoint.members), a.Endpoint.members.users)
			}
			mustRead(t, dialed, "last words")
			if _, err := dialed.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("Read: %v", err)
			}
			if _, err := dialed.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write: %v", err)
			}
			if _, err := dialed.ExportKeyingMaterial("EXPORTER-test", nil, 16); err != nil {
				t.Errorf("ExportKeyingMaterial: %v", err)
			}
			if _, err := dialed.Session(); dialed.ConnectionState().Version == VersionDTLS13 && err != nil {
				t.Errorf("Session: %v", err)
			}
			sent := a.socket.sent()
			if err := dialed.SetMTU(600); err != nil || a.socket.sent() != sent {
				t.Errorf("SetMTU: %v, %d datagrams", err, a.socket.sent()-sent)
			}
			closeAll(dialed)
			if a.socket.sent() != sent || a.Endpoint.members.users != 2 {
				t.Errorf("Close: %d datagrams, %d users", a.socket.sent()-sent, a.Endpoint.members.users)
			}
		}
		a.Close()
		b.Close()
		time.Sleep(time.Second)
	})
}
