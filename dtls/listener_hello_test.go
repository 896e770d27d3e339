package dtls

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// GetConfigForClient before the cookie and after it.

// certified gives a Listener's pair of Configs a certificate instead of a key.
func certified(client, server *Config) {
	_, c := simConfigs(dtlstest.P256, 0)
	server.Certificates, server.ServerPSK = c.Certificates, nil
	client.ClientPSK, client.InsecureSkipVerify, client.CurvePreferences = nil, true, nil
}

// otherConfigs are what GetConfigForClient may return, and what must come of it.
var otherConfigs = []struct {
	name   string
	change func(c *Config)
	is     func(st ConnectionState) bool
	only12 bool
}{
	{"another suite", func(c *Config) { c.CipherSuites = []uint16{0x1302} }, func(st ConnectionState) bool { return st.CipherSuite == 0x1302 }, false},
	{"DTLS 1.2", func(c *Config) { c.MaxVersion = VersionDTLS12 }, func(st ConnectionState) bool { return st.Version == VersionDTLS12 }, true},
	{"P-256", func(c *Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} }, func(st ConnectionState) bool { return st.CurveID == tls.CurveP256 }, false},
	{"RequirePQ", func(c *Config) { c.RequirePQ = true }, func(st ConnectionState) bool { return st.CurveID == tls.X25519MLKEM768 }, false},
	{"DTLS 1.3", func(c *Config) { c.MinVersion = VersionDTLS13 }, func(st ConnectionState) bool { return st.Version == VersionDTLS13 }, false},
}

// TestConfigForClientIsTheConfig: on a Listener with defaults, whatever Config the
// callback returns decides, for clients of both versions and of one, with hellos
// in one datagram and in two.
func TestConfigForClientIsTheConfig(t *testing.T) {
	for _, row := range otherConfigs {
		for _, hello := range []HelloMode{HelloSmall, HelloFull} {
			for _, only13 := range []bool{false, true} {
				name := row.name
				if only13 {
					name += ", client of DTLS 1.3"
				}
				if hello == HelloFull {
					name += ", large hello"
				}
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						l := listen(t, func(client, server *Config) {
							certified(client, server)
							client.Hello = hello
							if only13 {
								client.MinVersion = VersionDTLS13
							}
							other := server.Clone()
							row.change(other)
							server.GetConfigForClient = func(*tls.ClientHelloInfo) (*Config, error) { return other, nil }
						})
						defer l.Close()
						c := Client(l.net.dial(l.Addr()), l.client)
						defer c.Close()
						err := c.Handshake()
						if row.only12 && only13 {
							if a, ok := errors.AsType[*AlertError](err); !ok || a.Alert != alert.ProtocolVersion {
								t.Errorf("%v, want protocol_version", err)
							}
							return
						}
						if st := c.ConnectionState(); err != nil || !row.is(st) {
							t.Fatalf("%v, %+v", err, st)
						}
						if s := l.Stats(); s.CookiesSent != 1 || s.HellosInline != 0 {
							t.Errorf("%+v", s)
						}
						_ = l.accept(t).Close()
					})
				})
			}
		}
	}
}

// TestConfigForClientContradicts: a Config that does not allow what was chosen
// before the cookie ends the handshake at both ends, and the text says why.
func TestConfigForClientContradicts(t *testing.T) {
	for _, row := range []struct {
		name          string
		first, second func(c *Config)
		text          string
	}{
		{"suite", nil, func(c *Config) { c.CipherSuites = []uint16{0x1302} }, "cipher suite TLS_AES_128_GCM_SHA256 was chosen before the cookie"},
		{"version", nil, func(c *Config) { c.MaxVersion = VersionDTLS12 }, "DTLS 1.3 was chosen before the cookie, and the Config now allows DTLS 1.2"},
		{"version back", func(c *Config) { c.MaxVersion = VersionDTLS12 }, nil, "DTLS 1.2 was chosen before the cookie"},
		{
			"group", func(c *Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP384} },
			func(c *Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} }, "group CurveP384 was chosen before the cookie",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := driven(t, func(client, server *Config) {
					certified(client, server)
					client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384, tls.CurveP256}
					first, second := server.Clone(), server.Clone()
					if row.first != nil {
						row.first(first)
					}
					if row.second != nil {
						row.second(second)
					}
					server.GetConfigForClient = func(info *tls.ClientHelloInfo) (*Config, error) {
						if AddressIsProven(info.Context()) {
							return second, nil
						}
						return first, nil
					}
				})
				defer l.Close()
				c, _, done := l.dialing(t)
				defer c.Close()
				ctx, cancel := context.WithCancel(t.Context())
				var errServer error
				var serving sync.WaitGroup
				serving.Go(func() { // twice, since the client begins anew once
					for {
						server, err := l.AcceptHandshake(ctx)
						if err != nil {
							return
						}
						errServer = server.Handshake()
						_ = server.Close()
					}
				})
				errClient := <-done
				cancel()
				serving.Wait()
				for who, err := range map[string]error{"client": errClient, "server": errServer} {
					if a, ok := errors.AsType[*AlertError](err); !ok || a.Alert != alert.HandshakeFailure || a.Remote != (who == "client") {
						t.Errorf("%s: %v", who, err)
					}
				}
				if errServer == nil || !strings.Contains(errServer.Error(), row.text) {
					t.Errorf("%v, want %q in it", errServer, row.text)
				}
			})
		})
	}
}

// TestDoorCallsGetConfigForClient before Handle returns, and answers by its Config.
func TestDoorCallsGetConfigForClient(t *testing.T) {
	for _, row := range otherConfigs {
		t.Run(row.name, func(t *testing.T) {
			client, server := certConfigs(dtlstest.P256)
			client.MTU, client.Hello, server.CookieMode = 1232, HelloFull, CookieAlways
			client.MinVersion, client.MaxVersion, server.MinVersion, server.MaxVersion = 0, 0, 0, 0
			other := server.Clone()
			row.change(other)
			calls := 0
			server.GetConfigForClient = func(info *tls.ClientHelloInfo) (*Config, error) {
				if calls++; AddressIsProven(info.Context()) != (calls == 2) {
					t.Errorf("call %d: proven %v", calls, calls != 2)
				}
				return other, nil
			}
			s := newStranger(t, client, server)
			reply, _ := s.send(s.first)
			for tx, ok := s.engine.PollTransmit(s.now, nil); ok; tx, ok = s.engine.PollTransmit(s.now, nil) {
				reply, _ = s.send(tx.Data)
			}
			if reply == nil || calls != 1 || s.door.Stats().Asked != 1 {
				t.Fatalf("%d bytes, %d calls, %+v", len(reply), calls, s.door.Stats())
			}
			_, hello := s.send(s.second(reply))
			var rest [][]byte
			for tx, ok := s.engine.PollTransmit(s.now, nil); ok; tx, ok = s.engine.PollTransmit(s.now, nil) {
				if hello != nil {
					rest = append(rest, tx.Data)
					continue
				}
				_, hello = s.send(tx.Data)
			}
			if hello == nil {
				t.Fatal("not let in")
			}
			s.completes(hello, rest...)
			if st := s.engine.ConnectionState(); !row.is(st) || calls != 2 {
				t.Errorf("%d calls, %+v", calls, st)
			}
		})
	}
}

// TestHelloWithBothVersionsNeedsItsCookie: the cookie of a hello of DTLS 1.2 lets
// none in that offers DTLS 1.3, unless that version was chosen for it.
func TestHelloWithBothVersionsNeedsItsCookie(t *testing.T) {
	client, server := certConfigs(dtlstest.P256)
	client.Hello, server.CookieMode = HelloSmall, CookieAlways
	client.MinVersion, client.MaxVersion, server.MinVersion, server.MaxVersion = 0, 0, 0, 0
	other := server.Clone()
	other.MaxVersion = VersionDTLS12
	server.GetConfigForClient = func(*tls.ClientHelloInfo) (*Config, error) { return other, nil }
	s := newStranger(t, client, server)
	second := s.proven()
	forged := changedHello(t, bytes.Clone(second), func(m clientHello) { m.Cookie[len(m.Cookie)-1] ^= 1 })
	if reply, hello := s.send(forged); hello != nil || reply[len(reply)-1] != byte(alert.IllegalParameter) {
		t.Errorf("%x is let in or answered with %x", forged, reply)
	}
	without := changedHello(t, second, func(m clientHello) { m.SupportedVersions = nil })
	if _, hello := s.send(without); hello != nil {
		t.Error("the cookie is good for a hello of DTLS 1.2 alone, whose version nothing had to choose")
	}
	if _, hello := s.send(second); hello == nil {
		t.Error("the hello is not let in")
	}
}

// TestHelloInfo: what callbacks get besides the hello. The context has the time-out
// of callbacks; the Conn has addresses.
func TestHelloInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var proven []bool
		var remotes, locals []string
		certificates := 0
		check := func(ctx context.Context) {
			if ctx == nil {
				t.Error("no context: crypto/tls has moved the field of ClientHelloInfo")
				return
			}
			if end, ok := ctx.Deadline(); !ok || time.Until(end) != 3*time.Second {
				t.Errorf("the context ends in %v, %v", time.Until(end), ok)
			}
		}
		l := listen(t, func(client, server *Config) {
			certified(client, server)
			server.CallbackTimeout = 3 * time.Second
			chain := &server.Certificates[0]
			server.Certificates = nil // else they come first, without server_name
			server.GetConfigForClient = func(info *tls.ClientHelloInfo) (*Config, error) {
				check(info.Context())
				mu.Lock()
				defer mu.Unlock()
				proven = append(proven, AddressIsProven(info.Context()))
				remotes, locals = append(remotes, info.Conn.RemoteAddr().String()), append(locals, info.Conn.LocalAddr().String())
				if _, err := info.Conn.Read(make([]byte, 1)); err == nil {
					t.Error("the Conn can be read")
				}
				return nil, nil
			}
			server.GetCertificate = func(info *tls.ClientHelloInfo) (*tls.Certificate, error) {
				check(info.Context())
				certificates++
				return chain, nil
			}
		})
		defer l.Close()
		c, conn := l.dial(t)
		defer c.Close()
		_ = l.accept(t).Close()
		mu.Lock()
		defer mu.Unlock()
		remote, local := conn.addr.String(), l.Addr().String()
		if !reflect.DeepEqual(proven, []bool{false, true}) || !reflect.DeepEqual(remotes, []string{remote, remote}) ||
			!reflect.DeepEqual(locals, []string{local, local}) || certificates != 1 {
			t.Errorf("proven %v, from %v to %v, %d certificates", proven, remotes, locals, certificates)
		}
	})
}

// TestBlockedConfigForClient: with a flood of first hellos from addresses of all
// networks, and a callback that takes 100 ms, honest clients get through and the
// reader never waits: data of an established association flows without delay.
func TestBlockedConfigForClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most, now atomic.Int64
		l := listen(t, func(_, server *Config) {
			server.GetConfigForClient = func(info *tls.ClientHelloInfo) (*Config, error) {
				if !AddressIsProven(info.Context()) {
					n := now.Add(1)
					defer now.Add(-1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
				}
				time.Sleep(100 * time.Millisecond)
				return nil, nil
			}
		})
		old, _ := l.dial(t)
		server := l.accept(t)
		defer old.Close()
		defer server.Close()

		e, err := NewClientEngine(l.client, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		tx, _ := e.PollTransmit(time.Now(), nil)
		var floods, honest sync.WaitGroup
		over := make(chan struct{})
		floods.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-over:
					return
				case <-time.After(time.Millisecond):
				}
				l.socket.put(net.UDPAddrFromAddrPort(strangerAddr(i)), tx.Data)
				l.socket.put(memAddr(77, 1000+i%50_000), tx.Data) // one network more often
			}
		})
		floods.Go(func() {
			buf := make([]byte, 16)
			for {
				select {
				case <-over:
					return
				case <-time.After(10 * time.Millisecond):
				}
				sent := time.Now()
				if _, err := old.Write([]byte("data")); err != nil {
					t.Error(err)
					return
				}
				if _, err := server.Read(buf); err != nil || time.Since(sent) != 0 {
					t.Errorf("data took %v: %v", time.Since(sent), err)
					return
				}
			}
		})
		var through atomic.Int64
		const clients = 40
		for i := range clients {
			honest.Go(func() {
				time.Sleep(time.Duration(i) * 50 * time.Millisecond)
				for range 3 {
					conn := l.net.dial(l.Addr())
					c := Client(conn, l.client)
					ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
					err := c.HandshakeContext(ctx)
					cancel()
					_ = c.Close()
					_ = conn.Close()
					if err == nil {
						through.Add(1)
						return
					}
				}
			})
		}
		honest.Wait()
		close(over)
		floods.Wait()
		s := l.Stats()
		if n := through.Load(); n < clients*95/100 || s.HellosInline == 0 {
			t.Errorf("%d of %d clients got through; %+v", n, clients, s)
		}
		if most.Load() > door.Workers {
			t.Errorf("%d callbacks at once", most.Load())
		}
		_ = l.Close()
		time.Sleep(10 * time.Second) // the callbacks return, and handshakes end
	})
}

// TestDoorOfBothVersionsDoesNotAllocate without GetConfigForClient, for hellos that
// offer DTLS 1.3: those it answers with a HelloRetryRequest, and those it refuses.
func TestDoorOfBothVersionsDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, change := range map[string]func(client *Config){
		"asked":             func(*Config) {},
		"another group":     func(c *Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP384, tls.CurveP256} },
		"no suite":          func(c *Config) { c.CipherSuites = []uint16{0x1305} },
		"no group":          func(c *Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP521} },
		"DTLS 1.2 excluded": func(c *Config) { c.MinVersion = VersionDTLS13 },
	} {
		client, server := certConfigs(dtlstest.P256)
		client.Hello, server.CookieMode = HelloSmall, CookieAlways
		client.MinVersion, client.MaxVersion, server.MinVersion, server.MaxVersion = 0, 0, 0, 0
		server.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
		change(client)
		s := newStranger(t, client, server)
		if reply, _ := s.send(s.first); reply == nil {
			t.Fatalf("%s: no answer", name)
		}
		buf := make([]byte, 0, door.MaxReply)
		if n := testing.AllocsPerRun(1000, func() { s.door.Handle(simStart, s.first, testAddr, localAddr, buf) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
