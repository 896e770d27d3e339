package dtls

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestIdleTimeout: an association whose peer is silent ends, with a close_notify,
// and is forgotten; what it had received can still be read.
func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, func(_, s *Config) { s.IdleTimeout = time.Minute })
		client, _ := l.dial(t)
		server := l.accept(t)
		for range 5 { // every sign of life counts
			time.Sleep(50 * time.Second)
			mustWrite(t, client, "here")
			mustRead(t, server, "here")
		}
		mustWrite(t, client, "last words")
		began := time.Now()
		for range 5 { // our own do not
			time.Sleep(10 * time.Second)
			mustWrite(t, server, "are you there?")
		}
		time.Sleep(9 * time.Second)
		if s := l.Stats(); s.Associations != 1 || s.IdleClosed != 0 {
			t.Errorf("before its time: %+v", s)
		}
		blocked := make(chan error, 1)
		mustRead(t, server, "last words")
		go func() { blocked <- second(server.Read(make([]byte, 1))) }()
		err := <-blocked
		if !errors.Is(err, ErrIdleTimeout) || !IsFatal(err) || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no time-out of a net.Error", err)
		}
		synctest.Wait() // until the close_notify was sent
		if s := l.Stats(); s.Associations != 0 || s.IdleClosed != 1 || count(l.members) != 0 || l.members.users != 1 {
			t.Errorf("%+v, %d users", s, l.members.users)
		}
		for range 5 {
			mustRead(t, client, "are you there?")
		}
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the peer heard %v", err)
		}
		closeAll(client, server)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestIdleTimeoutNeedsAuthenticRecords: what anybody could send keeps nothing
// alive.
func TestIdleTimeoutNeedsAuthenticRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, a, _ := pair(t, func(_, s *Config) { s.IdleTimeout = time.Minute })
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		replay := recordOf(a, func() { mustWrite(t, client, "once") })
		mustRead(t, server, "once")
		began := time.Now()
		for server.Drops().Total() < 9 {
			time.Sleep(10 * time.Second)
			a.net.inject(a.addr, a.to, nil)
			a.net.inject(a.addr, a.to, replay)
			a.net.inject(a.addr, a.to, append([]byte{23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 40}, make([]byte, 40)...))
			synctest.Wait()
			if time.Since(began) > time.Minute {
				break
			}
		}
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, ErrIdleTimeout) || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// TestIdleTimeoutIsCheap: records move no alarm, and many associations share one
// timer and no goroutine.
func TestIdleTimeoutIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		l := listen(t, func(_, s *Config) {
			s.IdleTimeout = time.Minute
			s.MaxVersion = VersionDTLS12 // no acknowledgements with timers of their own
		})
		synctest.Wait()
		before := ourGoroutines()
		var clients, servers []*Conn
		for range n {
			c, _ := l.dial(t)
			clients, servers = append(clients, c), append(servers, l.accept(t))
		}
		synctest.Wait()
		if more := ourGoroutines() - before - n; more > 0 { // one reader for each client
			t.Errorf("%d goroutines more", more)
		}
		rings := func() time.Time {
			return l.members.shard.sock.alarms.At(&servers[0].alarm.Alarm)
		}
		at := rings()
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			mustWrite(t, clients[0], "here")
			mustRead(t, servers[0], "here")
		}
		if !rings().Equal(at) {
			t.Error("a record moved the alarm")
		}
		time.Sleep(time.Until(at) + time.Second)
		if s := l.Stats(); s.Associations != 1 || s.IdleClosed != n-1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		if s := l.Stats(); s.Associations != 0 || s.IdleClosed != n {
			t.Errorf("%+v", s)
		}
		closeAll(clients...)
		closeAll(servers...)
		l.Close()
		time.Sleep(time.Second)
	})
}

// TestIdleClient: the timeout holds for every front.
func TestIdleClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, a, _ := pair(t, func(c, _ *Config) { c.IdleTimeout = time.Minute })
		defer time.Sleep(time.Second)
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, ErrIdleTimeout) {
			t.Errorf("%v", err)
		}
		if _, err := client.Write(nil); !errors.Is(err, ErrIdleTimeout) {
			t.Errorf("%v", err)
		}
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the peer: %v", err)
		}
		if a.isClosed() {
			t.Error("the transport was closed, which is its owner's to do")
		}
		closeAll(client, server)
	})
}
