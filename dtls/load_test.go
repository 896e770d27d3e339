package dtls

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/door"
)

// CookieUnderLoad.

// hellos sends hellos of as many strangers to a door, evenly over a span, and
// counts those who are asked for a cookie.
func hellos(d *Door, datagram []byte, now *time.Time, n int, span time.Duration) (asked int) {
	for i := range n {
		*now = now.Add(span / time.Duration(n))
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 7)
		if reply, _ := d.Handle(*now, datagram, from, localAddr, nil); reply != nil {
			asked++
		}
	}
	return asked
}

// TestLoadByHellos: 200 in a second are calm. What is more is asked, as long as
// it goes on and not much longer.
func TestLoadByHellos(t *testing.T) {
	_, datagram := firstFlight(t)
	for _, test := range []struct {
		name  string
		n     int
		span  time.Duration
		least int
		most  int
	}{
		{"a few", 100, time.Second, 0, 0},
		{"for a while", 1900, 10 * time.Second, 0, 0},
		{"at once", 200, time.Microsecond, 0, 0},
		{"one more", 201, time.Microsecond, 1, 1},
		{"a flood", 50_000, 10 * time.Second, 50_000 - door.CalmHellos, 50_000 - door.CalmHellos},
		{"a little too many", 2500, 10 * time.Second, 1000, 2500 - door.CalmHellos},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newTestDoor(t, CookieUnderLoad)
			now := simStart
			if asked := hellos(d, datagram, &now, test.n, test.span); asked < test.least || asked > test.most {
				t.Errorf("%d of %d are asked, want %d to %d", asked, test.n, test.least, test.most)
			}
			now = now.Add(2 * time.Second)
			if asked := hellos(d, datagram, &now, 10, time.Second); asked != 0 {
				t.Errorf("two seconds later %d of 10 are asked", asked)
			}
			now = now.Add(-time.Hour) // the clock is set back
			if asked := hellos(d, datagram, &now, 10, time.Second); asked != 0 {
				t.Errorf("an hour before %d of 10 are asked", asked)
			}
		})
	}
}

// TestLoadByHandshakes: a quarter of what may be under way is calm.
func TestLoadByHandshakes(t *testing.T) {
	d := newTestDoor(t, CookieUnderLoad)
	for _, test := range []struct {
		open int
		asks bool
	}{{0, false}, {defaultMaxHandshakes / 4, false}, {defaultMaxHandshakes/4 + 1, true}, {defaultMaxHandshakes, true}, {5, false}} {
		e, datagram := firstFlight(t)
		d.SetLoad(test.open)
		reply, hello := d.Handle(simStart, datagram, testAddr, localAddr, nil)
		if (reply != nil) != test.asks || (hello != nil) == test.asks || hello != nil && hello.proof.Proven {
			t.Errorf("%d handshakes: reply %v, hello %+v", test.open, reply != nil, hello)
		}
		if !test.asks {
			continue
		}
		second := withCookie(t, e, reply)
		for _, later := range []int{0, defaultMaxHandshakes} { // a cookie is good whatever the load is when it comes
			d.SetLoad(later)
			if _, hello := d.Handle(simStart, second, testAddr, localAddr, nil); hello == nil || !hello.proof.Proven {
				t.Errorf("with %d handshakes a cookie lets in %+v", later, hello)
			}
		}
	}
}

// TestWrongCookieWithoutLoad is no worse than none.
func TestWrongCookieWithoutLoad(t *testing.T) {
	e, datagram := firstFlight(t)
	other := newTestDoor(t, CookieAlways)
	reply, _ := other.Handle(simStart, datagram, testAddr, localAddr, nil)
	d := newTestDoor(t, CookieUnderLoad)
	_, hello := d.Handle(simStart, withCookie(t, e, reply), testAddr, localAddr, nil)
	if hello == nil || hello.proof.Proven || hello.proof.Cookie != nil || d.Stats().Refused != 1 {
		t.Errorf("%+v, %+v", hello, d.Stats())
	}
}

// TestListenerUnderLoad: while too many handshakes are under way a client needs
// a cookie, and none before and after. Those without get at most three times
// their bytes.
func TestListenerUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, func(_, s *Config) {
			s.CookieMode, s.MaxHandshakes, s.HandshakeTimeout = CookieUnderLoad, 8, 20*time.Second
		})
		cookies := func() uint64 {
			before := l.Stats().CookiesSent
			c, _ := l.dial(t)
			closeAll(c, l.accept(t))
			synctest.Wait()
			return l.Stats().CookiesSent - before
		}
		if n := cookies(); n != 0 {
			t.Errorf("%d cookies when it is quiet", n)
		}
		var in, out atomic.Int64
		l.net.path = func(from, _ net.Addr, p []byte) bool {
			if from == l.Addr() {
				out.Add(int64(len(p)))
			} else {
				in.Add(int64(len(p)))
			}
			return true
		}
		for range 3 {
			conn := l.net.dial(l.Addr())
			c := Client(conn, l.client)
			ctx, cancel := context.WithCancel(t.Context())
			conn.tap = func(int, []byte, net.Addr) { cancel() }
			if err := c.HandshakeContext(ctx); !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			conn.Close() // it says hello, and is never heard of again
			c.Close()
		}
		synctest.Wait()
		l.net.mu.Lock()
		l.net.path = nil
		l.net.mu.Unlock()
		if n := cookies(); n != 1 {
			t.Errorf("%d cookies with %d handshakes under way", n, l.Stats().HandshakesOpen)
		}
		if in, out := in.Load(), out.Load(); out == 0 || out > 3*in {
			t.Errorf("%d bytes out for %d", out, in)
		}
		time.Sleep(25 * time.Second)
		if n := cookies(); n != 0 {
			t.Errorf("%d cookies when it is quiet again", n)
		}
		l.Close()
		time.Sleep(time.Second)
	})
}
