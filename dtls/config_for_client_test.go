package dtls

import (
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// TestRestartCallsNoConfigForClient: a ClientHello after the handshake, which may be
// forged, is answered with a cookie, and nothing of the application is called.
func TestRestartCallsNoConfigForClient(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		client, server := certConfigs(dtlstest.P256)
		client.Hello = HelloSmall
		client.MinVersion, client.MaxVersion, server.MinVersion, server.MaxVersion = version, version, 0, 0
		calls := 0
		server.GetConfigForClient = func(*tls.ClientHelloInfo) (*Config, error) { calls++; return nil, nil }
		s := newSim(t, client, server)
		s.handshake()
		if calls == 0 {
			t.Fatal("the handshake has not called it")
		}
		calls = 0
		stranger := client.Clone()
		stranger.MinVersion, stranger.MaxVersion = 0, 0
		e, err := NewClientEngine(stranger, s.now)
		if err != nil {
			t.Fatal(err)
		}
		tx, _ := e.PollTransmit(s.now, nil)
		server1 := s.eng[serverSide]
		if err := server1.HandleDatagram(s.now, tx.Data, s.addr[clientSide]); err != nil {
			t.Fatal(err)
		}
		if reply, ok := server1.PollTransmit(s.now, nil); calls != 0 || !ok || len(reply.Data) > 3*len(tx.Data) {
			t.Errorf("%s: %d calls, answered %v", VersionName(version), calls, ok)
		}
	}
}

// TestConfigForClientOverConn: before the cookie and behind it, GetConfigForClient of
// a Server over a net.Conn is told the addresses of that.
func TestConfigForClientOverConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := quickConfigs()
		server.CookieMode = CookieAlways
		a, b := newMemNet().pair()
		var mu sync.Mutex
		var told []string
		var proven []bool
		server.GetConfigForClient = func(info *tls.ClientHelloInfo) (*Config, error) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, info.Conn.LocalAddr().String()+" "+info.Conn.RemoteAddr().String())
			proven = append(proven, AddressIsProven(info.Context()))
			return nil, nil
		}
		c, s := Client(a, client), Server(b, server)
		defer closeAll(c, s)
		if err := shake(c, s); err != nil {
			t.Fatal(err)
		}
		want := b.LocalAddr().String() + " " + b.RemoteAddr().String()
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(told, []string{want, want}) || !slices.Equal(proven, []bool{false, true}) {
			t.Errorf("proven %v, told %q, want %q", proven, told, want)
		}
	})
}

// TestShutdownAwaitsConfigForClient before the cookie, too.
func TestShutdownAwaitsConfigForClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const long = 5 * time.Second
		over := make(chan struct{})
		l := listen(t, func(_, server *Config) {
			server.GetConfigForClient = func(*tls.ClientHelloInfo) (*Config, error) {
				time.Sleep(long)
				close(over)
				return nil, nil
			}
		})
		e, err := NewClientEngine(l.client, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		tx, _ := e.PollTransmit(time.Now(), nil)
		l.socket.put(memAddr(7, 7), tx.Data)
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Shutdown(short); err == nil {
			t.Error("Shutdown has not waited")
		}
		if !l.socket.isClosed() {
			t.Error("the socket waits for a callback")
		}
		l.socket.put(memAddr(7, 8), tx.Data)
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		select {
		case <-over:
		default:
			t.Error("Shutdown has returned before the callback")
		}
	})
}

// TestLongHelloWithConfigForClient: a ClientHello of DTLS 1.2 that is longer than the
// door keeps is let in by its first fragment, which has the cookie.
func TestLongHelloWithConfigForClient(t *testing.T) {
	client, server := longHello(t, 6000)
	client.MaxVersion, server.MinVersion, server.MaxVersion = VersionDTLS12, VersionDTLS12, VersionDTLS12
	server.GetConfigForClient = func(*tls.ClientHelloInfo) (*Config, error) { return nil, nil }
	s := newStranger(t, client, server)
	pieces := cutHello(t, s.proven(), 8, 1)
	_, hello := s.send(pieces[0])
	if hello == nil {
		t.Fatal("not let in")
	}
	s.completes(hello, pieces[1:]...)
}
