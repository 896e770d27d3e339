package dtls

import (
	"bytes"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/door"
)

// TestListenerStats: what happened is in the counters, once. The limits have
// tests of their own, see TestBooksBalance.
func TestListenerStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, func(_, s *Config) { s.MaxVersion, s.IdleTimeout = VersionDTLS12, time.Minute })
		var bytesIn, bytesOut uint64
		l.socket.set(func(s *memSocket) {
			s.tap = func(_ int, p []byte, _ net.Addr) { bytesOut += uint64(len(p)) }
		})
		l.net.path = func(_, to net.Addr, p []byte) bool {
			if to.String() == l.Addr().String() {
				bytesIn += uint64(len(p))
			}
			return true
		}
		inject := func(from net.Addr, p []byte) {
			bytesIn += uint64(len(p))
			l.socket.put(from, p)
		}
		check := func(when string, want ListenerStats) {
			t.Helper()
			synctest.Wait()
			got := l.Stats()
			if got.BytesIn != bytesIn || got.BytesOut != bytesOut || got.DatagramsOut != uint64(l.socket.sent()) {
				t.Errorf("%s: traffic %+v; %d bytes came, %d in %d datagrams went", when, got, bytesIn, bytesOut, l.socket.sent())
			}
			want.DatagramsIn, want.DatagramsOut = got.DatagramsIn, got.DatagramsOut
			want.BytesIn, want.BytesOut = got.BytesIn, got.BytesOut
			if got != want {
				t.Errorf("%s:\n%+v, want\n%+v", when, got, want)
			}
		}

		inject(memAddr(9, 1), []byte("GET / HTTP/1.1"))
		inject(memAddr(9, 1), nil)
		check("garbage", ListenerStats{StrangersDropped: 2})

		conn := l.net.dial(l.Addr())
		var hello []byte
		conn.tap = func(_ int, p []byte, _ net.Addr) {
			if door.Mark(p) != 0 {
				hello = bytes.Clone(p)
			}
		}
		client := Client(conn, l.client)
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		check("established", ListenerStats{StrangersDropped: 2, CookiesSent: 1, HandshakesDone: 1, Associations: 1})

		inject(memAddr(9, 2), hello) // its cookie is another address's
		check("a stolen cookie", ListenerStats{StrangersDropped: 2, CookiesSent: 2, CookiesRefused: 1, HandshakesDone: 1, Associations: 1})

		server := l.accept(t)
		record := recordOf(conn, func() { mustWrite(t, client, "once") })
		mustRead(t, server, "once")
		inject(conn.addr, record)
		record[len(record)-1] ^= 1
		record[10]++
		inject(conn.addr, record)
		want := ListenerStats{
			StrangersDropped: 2, CookiesSent: 2, CookiesRefused: 1, HandshakesDone: 1, Associations: 1,
			Drops: Drops{Replayed: 1, BadMAC: 1},
		}
		check("records that nobody wants", want)

		other := l.client.Clone()
		other.CipherSuites, other.PlaintextAlerts = []uint16{0xc0a8}, AlertsImmediate
		refused := Client(l.net.dial(l.Addr()), other)
		if err := refused.Handshake(); err == nil {
			t.Error("a suite that nobody speaks was agreed on")
		}
		want.CookiesSent, want.HandshakesFailed = 3, 1
		check("refused", want)

		stalled := l.net.dial(l.Addr())
		l.net.drop(stalled.addr)
		l.stall(t, stalled.addr)
		want.CookiesSent, want.HandshakesOpen = 4, 1
		check("stalled", want)

		time.Sleep(time.Minute)
		want.HandshakesOpen, want.HandshakesFailed = 0, 2
		want.Associations, want.IdleClosed = 0, 1
		want.StrangersDropped = 3 // the client's answer to our close_notify
		check("a minute later", want)

		short, _ := l.dial(t)
		l.accept(t).Close()
		want.CookiesSent, want.HandshakesDone = 5, 2
		check("closed at once", want)

		closeAll(client, refused, short, server)
		check("the end", want)
		l.Close()
		time.Sleep(time.Second)
	})
}
