package dtls

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// userCode is every function of a Config that an association calls, and the methods of
// its transport, by a name that begins with that of the field or has it behind "a
// client's". TestUserCodeIsWhole compares it with the fields.
var userCode = map[string]usersFunction{
	"ClientPSK 1.2": {version: VersionDTLS12, install: installClientPSK},
	"ClientPSK 1.3": {install: installClientPSK},
	"ServerPSK 1.2": {server: true, version: VersionDTLS12, install: installServerPSK},
	"ServerPSK 1.3": {server: true, install: installServerPSK},
	"GetCertificate": {server: true, install: func(c *Config, _ *hookedConn, f func()) {
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { f(); return nil, nil }
	}},
	"GetConfigForClient": {server: true, install: func(c *Config, _ *hookedConn, f func()) {
		c.GetConfigForClient = func(*tls.ClientHelloInfo) (*Config, error) { f(); return nil, nil }
	}},
	"GetClientCertificate": {install: func(c *Config, _ *hookedConn, f func()) {
		cert := c.Certificates[0]
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { f(); return &cert, nil }
	}},
	"VerifyPeerCertificate of a client":     {install: installVerifyPeer},
	"VerifyPeerCertificate of a server":     {server: true, install: installVerifyPeer},
	"VerifyConnection of a client":          {install: installVerifyConnection},
	"VerifyConnection of a server, DTLS1.2": {server: true, version: VersionDTLS12, install: installVerifyConnection},
	"a client's signer":                     {install: installSigner},
	"a server's signer":                     {server: true, install: installSigner},
	"a client's KeyLogWriter":               {install: installKeyLog},
	"a server's KeyLogWriter":               {server: true, version: VersionDTLS12, install: installKeyLog},
	"a client's Logger":                     {install: installLogger},
	"a server's Logger":                     {server: true, install: installLogger},
	"Trace.Peer": {install: func(c *Config, _ *hookedConn, f func()) {
		c.Trace = &Trace{Peer: func(PeerInfo) *Trace { f(); return nil }}
	}},
	"Trace.Message": {server: true, install: func(c *Config, _ *hookedConn, f func()) {
		c.Trace = &Trace{Message: func(MessageInfo, error) { f() }}
	}},
	"Trace.Flight": {install: func(c *Config, _ *hookedConn, f func()) { c.Trace = &Trace{Flight: func(FlightInfo) { f() }} }},
	"Trace.Established": {install: func(c *Config, _ *hookedConn, f func()) {
		c.Trace = &Trace{Established: func(ConnectionState) { f() }}
	}},
	"Trace.Keys": {install: func(c *Config, _ *hookedConn, f func()) { c.Trace = &Trace{Keys: func(uint16, uint16) { f() }} }},
	"Trace.Retransmission": {install: func(c *Config, conn *hookedConn, f func()) {
		conn.lose.Store(1)
		c.Trace = &Trace{Retransmission: func(RetransmissionInfo) { f() }}
	}},
	"Trace.Suspended": {
		server: true, wait: time.Minute, // of tickets
		install: func(c *Config, conn *hookedConn, f func()) {
			conn.lost = func(p []byte) bool { return epochByte(p, epochData) } // their ACKs
			c.Trace = &Trace{Suspended: func(string) { f() }}
		},
		then: func(*Conn, *hookedConn) {},
	},
	"Trace.Dropped": {
		install: func(c *Config, _ *hookedConn, f func()) { c.Trace = &Trace{Dropped: func(Drops, int) { f() }} },
		prepare: func(l *listening, conn *hookedConn) { conn.put(l.Addr(), []byte{22, 254, 253, 0}) },
	},
	"Trace.Refused": {install: func(c *Config, conn *hookedConn, f func()) {
		conn.limit = 250
		c.Trace = &Trace{Refused: func(int, int) { f() }}
	}},
	"Trace.MTU": {install: func(c *Config, conn *hookedConn, f func()) {
		conn.limit = 250
		c.Trace = &Trace{MTU: func(PathInfo) { f() }}
	}},
	"Trace.Alert": {
		install: func(c *Config, _ *hookedConn, f func()) { c.Trace = &Trace{Alert: func(AlertError) { f() }} },
		then:    func(c *Conn, _ *hookedConn) { c.Close() },
	},
	"Trace.Ended": {
		install: func(c *Config, _ *hookedConn, f func()) { c.Trace = &Trace{Ended: func(error) { f() }} },
		then:    func(c *Conn, _ *hookedConn) { c.close(false) }, // Close lingers
	},
	"OnMTU": {install: func(c *Config, conn *hookedConn, f func()) {
		conn.limit = 250
		c.OnMTU = func(PathInfo) { f() }
	}},
	"OnLargePacket": {
		install: func(c *Config, conn *hookedConn, f func()) {
			conn.limit, c.MTUMode = 250, MTUManual
			c.OnLargePacket = func(*LargePacketError) (int, bool) { f(); return 228, true }
		},
		begin: func(c *Conn) error { return second(c.Write(nil)) }, // Handshake returns the refusal
	},
	"NonDTLS of a client": {
		later: true, lives: true,
		install: installNonDTLS,
		then:    func(c *Conn, conn *hookedConn) { conn.put(conn.to, []byte{0}) },
	},
	"NonDTLS of a server": {
		server: true, lives: true,
		install: installNonDTLS,
		then:    func(_ *Conn, conn *hookedConn) { _, _ = conn.Write([]byte{0}) },
	},
	"Rand": {install: func(c *Config, _ *hookedConn, f func()) {
		c.Rand = readerFunc(func(p []byte) (int, error) { f(); return rand.Read(p) })
	}},
	"Time": {install: func(c *Config, _ *hookedConn, f func()) { c.Time = func() time.Time { f(); return time.Now() } }},
	"ClientSessionCache.Take": {install: func(c *Config, _ *hookedConn, f func()) {
		c.ClientSessionCache = &hookedCache{take: f, put: func() {}}
	}},
	"ClientSessionCache.Put": {later: true, install: func(c *Config, _ *hookedConn, f func()) {
		c.ClientSessionCache = &hookedCache{take: func() {}, put: f}
	}},
	"OnSession":           {later: true, install: func(c *Config, _ *hookedConn, f func()) { c.OnSession = func(*Conn, []byte) { f() } }},
	"a transport's Write": {install: func(_ *Config, conn *hookedConn, f func()) { conn.write = f }},
}

// usersFunction is where a function of the user is called.
type usersFunction struct {
	server  bool
	version uint16                                      // 0: 1.3
	install func(c *Config, conn *hookedConn, f func()) // has f called inside it
	prepare func(l *listening, conn *hookedConn)        // before the handshake
	begin   func(c *Conn) error                         // that runs the handshake; nil: Handshake
	then    func(c *Conn, conn *hookedConn)             // after it
	wait    time.Duration                               // until it is called
	later   bool                                        // after the handshake, on a goroutine of the library
	lives   bool                                        // it is called for no association, so that none ends
}

// drive does what has the function of a client called, and waits in Read for what is
// called later.
func (u usersFunction) drive(c *Conn, conn *hookedConn) (err error) {
	if u.begin == nil {
		u.begin = (*Conn).Handshake
	}
	if err = u.begin(c); err != nil {
		return err
	}
	if u.then != nil {
		u.then(c, conn)
	}
	if u.later {
		if u.lives {
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
		}
		_, err = c.Read(make([]byte, 1))
	}
	return err
}

func installNonDTLS(c *Config, _ *hookedConn, f func()) { c.NonDTLS = func([]byte, net.Addr) { f() } }

func installClientPSK(c *Config, _ *hookedConn, f func()) {
	c.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) {
		f()
		return []PSK{{Identity: []byte("device"), Key: []byte("key")}}, nil
	}
}

func installServerPSK(c *Config, _ *hookedConn, f func()) {
	c.ServerPSK = func(context.Context, ServerPSKInfo) (*PSK, error) { f(); return &PSK{Key: []byte("key")}, nil }
}

func installVerifyPeer(c *Config, _ *hookedConn, f func()) {
	c.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { f(); return nil }
}

func installVerifyConnection(c *Config, _ *hookedConn, f func()) {
	c.VerifyConnection = func(ConnectionState) error { f(); return nil }
}

func installSigner(c *Config, _ *hookedConn, f func()) {
	cert := c.Certificates[0]
	cert.PrivateKey = hookedSigner{cert.PrivateKey.(crypto.Signer), f}
	c.Certificates = []tls.Certificate{cert}
}

func installKeyLog(c *Config, _ *hookedConn, f func()) {
	c.KeyLogWriter = writerFunc(func(p []byte) (int, error) { f(); return len(p), nil })
}

func installLogger(c *Config, _ *hookedConn, f func()) {
	c.Logger = slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) { f(); return len(p), nil }), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type (
	readerFunc   func([]byte) (int, error)
	writerFunc   func([]byte) (int, error)
	hookedSigner struct {
		crypto.Signer
		f func()
	}
	hookedCache struct{ take, put func() }
	hookedConn  struct {
		*memConn
		write func()       // may be nil
		limit int          // larger datagrams are refused; 0: none
		lose  atomic.Int64 // as many are lost
		lost  func(p []byte) bool
	}
)

func (f readerFunc) Read(p []byte) (int, error)  { return f(p) }
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
func (s hookedSigner) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.f()
	return s.Signer.Sign(r, digest, opts)
}
func (c *hookedCache) Take(string) []byte { c.take(); return nil }
func (c *hookedCache) Put(string, []byte) { c.put() }
func (c *hookedConn) Write(p []byte) (int, error) {
	if c.write != nil {
		c.write()
	}
	if c.limit > 0 && len(p) > c.limit {
		return 0, opError(syscall.EMSGSIZE)
	}
	if c.lost != nil && c.lost(p) {
		return len(p), nil
	}
	if c.lose.Load() > 0 {
		c.lose.Add(-1)
		return len(p), nil
	}
	return c.memConn.Write(p)
}

// TestUserCode: what each function of the user may do wrong, in either role. Its own
// association fails, the panic reaches the caller that waits, and nothing else does.
func TestUserCode(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(userCode)) {
		u := userCode[name]
		for misuse, act := range map[string]func(){"panics": func() { panic("boom") }, "ends its goroutine": runtime.Goexit} {
			t.Run(name+" "+misuse, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var once sync.Once
					called := false
					f := func() {
						once.Do(func() {
							called = true
							act()
						})
					}
					var log syncBuffer
					l, conn := newUserCode(t, u.version, func(client, server *Config, conn *hookedConn) {
						server.Logger = slog.New(slog.NewTextHandler(&log, nil))
						client.Logger = server.Logger
						side := client
						if u.server {
							side = server
						}
						u.install(side, conn, f)
						if strings.Contains(name, "PSK") {
							client.Certificates, server.Certificates, server.ClientAuth = nil, nil, tls.NoClientCert
							installOther(client, server, u.server)
						}
					})
					if u.prepare != nil {
						u.prepare(l, conn)
					}
					c := Client(conn, l.client)
					var value any
					var err error
					ended, returned := make(chan struct{}), false
					go func() {
						defer close(ended)
						defer func() { value = recover() }()
						err = u.drive(c, conn)
						returned = true
					}()
					<-ended
					time.Sleep(u.wait)
					synctest.Wait()
					if !called {
						t.Errorf("it was not called: %v", err)
					}
					logged := misuse != "panics" || name == "a server's Logger" || strings.Contains(log.String(), "boom")
					switch {
					case (u.server || u.lives) && !logged:
						t.Errorf("not logged: %s", log.String())
					case u.lives:
						if _, err := c.Write([]byte("x")); err != nil {
							t.Errorf("Write: %v", err)
						}
					case u.server:
					case u.later:
						if !errors.Is(err, errPanicked) || !IsFatal(err) {
							t.Errorf("Read: %v", err)
						}
					default:
						if returned || misuse == "panics" && value != "boom" {
							t.Errorf("Handshake returned: %v, %v; recovered %v", returned, err, value)
						}
						for what, err := range map[string]error{"Handshake": c.Handshake(), "Read": second(c.Read(nil)), "Write": second(c.Write(nil))} {
							closed := u.then != nil && errors.Is(err, net.ErrClosed)
							if !errors.Is(err, errPanicked) && !closed || !IsFatal(err) {
								t.Errorf("%s: %v", what, err)
							}
						}
					}
					c.MTU()
					c.ConnectionState()
					c.Close()

					next := Client(l.net.dial(l.Addr()), l.client)
					if err := next.Handshake(); err != nil {
						t.Errorf("the next association: %v", err)
					}
					next.Close()
					if err := l.Shutdown(t.Context()); err != nil {
						t.Errorf("Shutdown: %v", err)
					}
					time.Sleep(maxLinger)
				})
			})
		}
	}
}

// TestUserCodeIsWhole: every function of a Config and its Trace, and every method of an
// interface that it has, is in userCode.
func TestUserCodeIsWhole(t *testing.T) {
	methods := map[string][]string{ // of interfaces with several
		"ClientSessionCache": {"ClientSessionCache.Take", "ClientSessionCache.Put"},
	}
	var names []string
	for f := range reflect.TypeFor[Config]().Fields() {
		switch {
		case f.Type.Kind() == reflect.Interface && f.Type.NumMethod() > 1:
			if len(methods[f.Name]) != f.Type.NumMethod() {
				t.Errorf("%s has %d methods; say here which", f.Name, f.Type.NumMethod())
			}
			names = append(names, methods[f.Name]...)
		case f.Type.Kind() == reflect.Func, f.Type.Kind() == reflect.Interface, f.Type == reflect.TypeFor[*slog.Logger]():
			names = append(names, f.Name)
		}
	}
	for f := range reflect.TypeFor[Trace]().Fields() {
		names = append(names, "Trace."+f.Name)
	}
	if len(names) < 25 {
		t.Fatalf("only %q were found", names)
	}
	keys := slices.Collect(maps.Keys(userCode))
	for _, name := range names {
		if !slices.ContainsFunc(keys, func(key string) bool {
			return key == name || strings.HasPrefix(key, name+" ") || strings.HasSuffix(key, "'s "+name)
		}) {
			t.Errorf("userCode has no row for %s", name)
		}
	}
}

// newUserCode is a Listener and the transport of a client; both authenticate.
func newUserCode(t *testing.T, version uint16, change func(client, server *Config, conn *hookedConn)) (*listening, *hookedConn) {
	conn := &hookedConn{}
	chain := dtlstest.MustChain(dtlstest.P256, 0)
	l := listen(t, func(client, server *Config) {
		c, s := certConfigs(dtlstest.P256)
		*client, *server = *c, *s
		if version == 0 {
			version = VersionDTLS13
		}
		client.MinVersion, client.MaxVersion = version, version
		server.MinVersion, server.MaxVersion = version, version
		client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
		client.Certificates = []tls.Certificate{chain.Certificate}
		server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, chain.Pool()
		change(client, server, conn)
	})
	conn.memConn = l.net.dial(l.Addr())
	return l, conn
}

// installOther gives the other side the pre-shared key.
func installOther(client, server *Config, servers bool) {
	nothing := func() {}
	if servers {
		installClientPSK(client, nil, nothing)
	} else {
		installServerPSK(server, nil, nothing)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestUserCodeCallsBack: a function that blocks delays no method of its Conn, and may
// call any of them, but for hooks of Trace, Logger and KeyLogWriter.
func TestUserCodeCallsBack(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(userCode)) {
		u := userCode[name]
		if u.server || strings.HasPrefix(name, "Trace") || strings.Contains(name, "Log") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c *Conn
				var once sync.Once
				l, conn := newUserCode(t, u.version, func(client, server *Config, conn *hookedConn) {
					u.install(client, conn, func() {
						once.Do(func() {
							c.ConnectionState()
							c.MTU()
							c.PathMTU()
							c.NextTimeout()
							c.Direction()
							c.Drops()
							c.SetValue(c.Value())
							c.SetDeadline(time.Now().Add(time.Minute))
							_, _ = c.Session()
							c.Close()
						})
					})
					if strings.Contains(name, "PSK") {
						client.Certificates, server.Certificates, server.ClientAuth = nil, nil, tls.NoClientCert
						installOther(client, server, false)
					}
				})
				c = Client(conn, l.client)
				if err := u.drive(c, conn); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%v", err)
				}
				if !conn.isClosed() {
					time.Sleep(maxLinger)
				}
				if !conn.isClosed() {
					t.Error("the transport is left open")
				}
				l.Shutdown(t.Context())
				time.Sleep(maxLinger)
			})
		})
	}
}

// TestEngineAfterPanic: the panic goes on, and later calls return the fatal error.
func TestEngineAfterPanic(t *testing.T) {
	for name, misuse := range map[string]func(*Config){
		"VerifyConnection": func(c *Config) { c.VerifyConnection = func(ConnectionState) error { panic("boom") } },
		"Trace":            func(c *Config) { c.Trace = &Trace{Message: func(MessageInfo, error) { panic("boom") }} },
		"KeyLogWriter": func(c *Config) {
			c.KeyLogWriter = writerFunc(func([]byte) (int, error) { panic("boom") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := certConfigs(dtlstest.P256)
			misuse(client)
			s := newSim(t, client, server)
			func() {
				defer func() {
					if v := recover(); v != "boom" {
						t.Errorf("recovered %v", v)
					}
				}()
				s.handshake()
			}()
			e := s.eng[clientSide]
			for what, err := range map[string]error{
				"HandleDatagram": e.HandleDatagram(s.now, []byte{22}, s.addr[serverSide]), "HandleTimeout": e.HandleTimeout(s.now),
				"Write": e.Write(s.now, nil), "Err": e.Err(),
			} {
				var a *AlertError
				if !errors.Is(err, errPanicked) || !IsFatal(err) || !errors.As(err, &a) || a.Alert != alert.InternalError {
					t.Errorf("%s: %v", what, err)
				}
			}
			if _, ok := e.PollTransmit(s.now, nil); !ok {
				t.Error("no alert")
			}
		})
	}
}

// TestCallbackContext: the context of the call is the parent of those of callbacks, and
// ends with the Conn; DialContext does not succeed after its end.
func TestCallbackContext(t *testing.T) {
	type key struct{}
	for name, version := range map[string]uint16{"1.2": VersionDTLS12, "1.3": VersionDTLS13} {
		for _, by := range []string{"its end", "Close"} {
			t.Run(name+" "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					inside := make(chan context.Context, 1)
					l, conn := newUserCode(t, version, func(client, server *Config, _ *hookedConn) {
						client.Certificates, server.Certificates, server.ClientAuth = nil, nil, tls.NoClientCert
						installOther(client, server, false)
						client.ClientPSK = func(ctx context.Context, _ ClientPSKInfo) ([]PSK, error) {
							inside <- ctx
							<-ctx.Done()
							return nil, ctx.Err()
						}
					})
					c := Client(conn, l.client)
					ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, 7), 500*time.Millisecond)
					defer cancel()
					began := time.Now()
					if by == "Close" {
						go func() {
							<-inside
							c.Close()
						}()
					}
					if err := c.HandshakeContext(ctx); err == nil {
						t.Error("it succeeded")
					}
					if took := time.Since(began); took > 500*time.Millisecond || by == "Close" && took > 0 {
						t.Errorf("it took %v", took)
					}
					if by != "Close" {
						if ctx := <-inside; ctx.Value(key{}) != 7 {
							t.Error("the context is not that of the call")
						}
					}
					c.Close()
					l.Close()
					time.Sleep(maxLinger)
				})
			})
		}
	}
}

// TestDialContextIsNotLate: the callback knows no context.
func TestDialContextIsNotLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		a, b := newNode(t, n, 1, nodeConfig()), newNode(t, n, 2, nodeConfig())
		config := nodeConfig()
		config.VerifyConnection = func(ConnectionState) error { time.Sleep(3 * time.Second); return nil }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Dial(ctx, b.LocalAddr(), config); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		a.Close()
		b.Close()
		time.Sleep(maxLinger)
	})
}

// TestLookingMakesNothing: methods that describe a Conn before its handshake make no
// engine and call nobody; the session is spent by the handshake.
func TestLookingMakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, peers := 0, 0
		l := listen(t, func(client, server *Config) {
			server.MinVersion = VersionDTLS13
			lookup := client.ClientPSK
			client.ClientPSK = func(ctx context.Context, info ClientPSKInfo) ([]PSK, error) {
				calls++
				return lookup(ctx, info)
			}
			client.Trace = &Trace{Peer: func(PeerInfo) *Trace { peers++; return nil }}
		})
		first, _ := l.dial(t)
		synctest.Wait()
		session, err := first.Session()
		if err != nil {
			t.Fatal(err)
		}
		calls, peers = 0, 0
		config := l.client.Clone()
		config.Session = session
		c := Client(l.net.dial(l.Addr()), config)
		if c.MTU() != c.PathMTU().MTU || c.MTU() == 0 || c.Direction() != Writing || !c.NextTimeout().IsZero() {
			t.Errorf("MTU %d, %+v, %v, %v", c.MTU(), c.PathMTU(), c.Direction(), c.NextTimeout())
		}
		if err := c.SetMTU(700); err != nil || c.MTU() != 700 {
			t.Errorf("SetMTU: %v, MTU %d", err, c.MTU())
		}
		c.ConnectionState()
		c.Drops()
		if calls+peers != 0 || c.eng != nil {
			t.Errorf("ClientPSK was called %d times, Trace.Peer %d times", calls, peers)
		}
		if err := c.Handshake(); err != nil || !c.ConnectionState().DidResume || c.MTU() != 700 {
			t.Errorf("%v, resumed %v, MTU %d", err, c.ConnectionState().DidResume, c.MTU())
		}
		if calls != 1 || peers != 1 {
			t.Errorf("ClientPSK was called %d times, Trace.Peer %d times", calls, peers)
		}
		closeAll(first, c)
		l.Shutdown(t.Context())
		time.Sleep(maxLinger)
	})
}

// TestBlockingCallbacksAreCounted: a handshake whose callback blocks is displaced by
// nobody, so no more of them run than MaxHandshakes.
func TestBlockingCallbacksAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 4
		var mu sync.Mutex
		running, most := 0, 0
		release := make(chan struct{})
		l := listen(t, func(_, server *Config) {
			server.MaxHandshakes = limit
			lookup := server.ServerPSK
			server.ServerPSK = func(ctx context.Context, info ServerPSKInfo) (*PSK, error) {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				<-release
				mu.Lock()
				running--
				mu.Unlock()
				return lookup(ctx, info)
			}
		})
		var clients []*Conn
		for i := range 3 * limit {
			c := Client(&memConn{l.net.listen(from(10, i, 0, 1)), l.Addr()}, l.client)
			clients = append(clients, c)
			go c.Handshake()
			time.Sleep(6 * time.Second) // older ones have stalled
		}
		mu.Lock()
		if most != limit {
			t.Errorf("%d callbacks at once, MaxHandshakes is %d", most, limit)
		}
		mu.Unlock()
		close(release)
		closeAll(clients...)
		l.Shutdown(t.Context())
		time.Sleep(maxLinger)
	})
}

// TestUselessAnswers: OnLargePacket answers with sizes that are refused, too.
func TestUselessAnswers(t *testing.T) {
	for name, mtu := range map[string]int{"too large": 1400, "0": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				config, _ := quickConfigs()
				config.MTUMode = MTUManual
				config.OnLargePacket = func(*LargePacketError) (int, bool) { asked++; return mtu, true }
				a, _ := newMemNet().pair()
				client := Client(a, config)
				a.set(func(s *memSocket) { s.refuse = func([]byte, net.Addr) error { return syscall.EMSGSIZE } })
				_, err := client.Read(nil)
				if !errors.Is(err, ErrHandshakeTimeout) || asked > RetransmitDefault.MaxTries {
					t.Errorf("asked %d times: %v", asked, err)
				}
				client.Close()
				time.Sleep(maxLinger)
			})
		})
	}
}

// TestExporterMistakes are the caller's: the association goes on.
func TestExporterMistakes(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		client, server := quickConfigs()
		client.MinVersion, client.MaxVersion = version, version
		s := newSim(t, client, server)
		s.handshake()
		for _, label := range []string{"key expansion", strings.Repeat("x", 300)} {
			if _, err := s.eng[clientSide].ExportKeyingMaterial(label, nil, -1); err == nil || IsFatal(err) {
				t.Errorf("%v: fatal %v", err, IsFatal(err))
			}
		}
	}
}
