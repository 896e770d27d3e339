package dtls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// story is what the hooks told of one association.
type story struct {
	PeerInfo
	messages    int
	established bool
	ended       error
}

// library collects stories by the name of the peer.
type library struct {
	mu      sync.Mutex
	stories map[string]*story
	doubled bool
}

func (l *library) trace() *Trace {
	l.stories = map[string]*story{}
	return &Trace{Peer: func(p PeerInfo) *Trace {
		s := &story{PeerInfo: p}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.doubled = l.doubled || l.stories[p.Name] != nil
		l.stories[p.Name] = s
		return &Trace{
			Message:     func(MessageInfo, error) { l.note(func() { s.messages++ }) },
			Established: func(ConnectionState) { l.note(func() { s.established = true }) },
			Ended:       func(err error) { l.note(func() { s.ended = err }) },
		}
	}}
}

func (l *library) note(what func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what()
}

// TestTraceTellsWhoFailed: of many handshakes with one listener, each failure has
// a name and a reason, whether or not anybody drove it.
func TestTraceTellsWhoFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lib library
		var all int
		l := driven(t, func(_, s *Config) {
			s.MaxVersion = VersionDTLS12
			s.Trace = lib.trace()
			s.Trace.Ended = func(error) { lib.note(func() { all++ }) } // of everybody
			s.MaxHandshakes = 4
			s.HandshakeTimeout = 30 * time.Second
		})
		var conns []*Conn
		join := func(addr net.Addr, change func(*Config)) *Conn {
			config := l.client.Clone()
			change(config)
			c := Client(&memConn{l.net.listen(addr), l.Addr()}, config)
			done := make(chan error, 1)
			go func() { done <- c.Handshake() }()
			server := l.acceptHandshake(t)
			conns = append(conns, c, server)
			_ = server.Handshake()
			c.Close()
			<-done
			return server
		}
		good := join(from(10, 0, 0, 1), func(*Config) {})
		join(from(10, 0, 0, 2), func(c *Config) { c.CipherSuites = []uint16{0xc0a8} })
		join(from(10, 0, 0, 3), func(c *Config) {
			c.ClientPSK = func(context.Context, ClientPSKInfo) ([]PSK, error) {
				return []PSK{{Identity: []byte("nobody"), Key: []byte("key")}}, nil
			}
		})
		good.Close()
		for i := range 4 { // the first one is driven, and has to go for the one below
			l.stall(t, from(10, 1, 0, 1+i))
			synctest.Wait()
			if i == 0 {
				c := l.acceptHandshake(t)
				conns = append(conns, c)
				go c.Handshake()
			}
		}
		l.stall(t, from(10, 2, 0, 1))
		synctest.Wait()
		time.Sleep(time.Minute)
		lib.mu.Lock()
		for name, want := range map[string]string{
			"10.0.0.1:1": "closed", "10.0.0.1:2": "no cipher suite in common", "10.0.0.1:3": "another pre-shared key",
			"10.1.0.1:1": "to make room", "10.1.0.1:2": "timed out", "10.2.0.1:1": "timed out",
		} {
			s := lib.stories[name]
			if s == nil {
				t.Errorf("nothing was told of %s", name)
				continue
			}
			if s.ended == nil || !strings.Contains(s.ended.Error(), want) || s.Client || s.Addr.String() != name {
				t.Errorf("%+v: %v, want %q", s.PeerInfo, s.ended, want)
			}
			if s.established != (name == "10.0.0.1:1") || s.established && s.messages < 3 {
				t.Errorf("%s: established %v, %d messages", name, s.established, s.messages)
			}
		}
		if lib.doubled || all != len(lib.stories) {
			t.Errorf("%d associations ended, %d were named; one twice: %v", all, len(lib.stories), lib.doubled)
		}
		lib.mu.Unlock()
		closeAll(conns...)
		l.Close()
		time.Sleep(maxLinger)
	})
}

// TestTraceNames: what each front knows of its peer.
func TestTraceNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		for _, server := range []net.Addr{memAddr(2, 4433), memName("server")} {
			var ours, theirs library
			clientConfig, serverConfig := quickConfigs()
			clientConfig.Trace, serverConfig.Trace = ours.trace(), theirs.trace()
			socket := n.listen(server)
			l, err := NewListener(socket, serverConfig)
			if err != nil {
				t.Fatal(err)
			}
			conn := n.dial(server)
			c := Client(conn, clientConfig)
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if s := ours.stories[server.String()]; s == nil || !s.Client || s.Addr != addrOf(server) {
				t.Errorf("the client's: %+v", ours.stories)
			}
			if s := theirs.stories[conn.addr.String()]; s == nil || s.Client || s.Addr != addrOf(conn.addr) {
				t.Errorf("the server's: %+v", theirs.stories)
			}
			c.Close()
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Second)
	})
}

// TestLogLinesSayWho.
func TestLogLinesSayWho(t *testing.T) {
	client, server := quickConfigs()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	client.Logger, server.Trace = logger, NewLogTrace(logger, "site", "here")
	server.CookieMode = CookieNever
	hello := &ProvenHello{From: testAddr}
	s := bareSim(t)
	var err error
	if s.eng[clientSide], err = NewClientEngine(withName(client), s.now); err != nil {
		t.Fatal(err)
	}
	if s.eng[serverSide], err = NewServerEngine(server, hello, s.now); err != nil {
		t.Fatal(err)
	}
	s.handshake()
	s.eng[serverSide].end(errors.New("had enough"))
	for _, line := range strings.Split(strings.TrimSpace(log.String()), "\n") {
		ours := strings.Contains(line, `role=client remote=""`)
		theirs := strings.Contains(line, fmt.Sprintf("site=here role=server remote=%v", testAddr))
		if ours == theirs {
			t.Errorf("the line does not name its association: %s", line)
		}
	}
	if !strings.Contains(log.String(), "level=WARN msg=\"association ended\"") {
		t.Errorf("the end is missing:\n%s", log.String())
	}
}

// TestTracesAdd: any of two traces may lack any hook.
func TestTracesAdd(t *testing.T) {
	count := 0
	one := &Trace{Ended: func(error) { count++ }, Refused: func(int, int) { count++ }}
	other := &Trace{Ended: func(error) { count++ }, Keys: func(uint16, uint16) { count++ }, Peer: func(PeerInfo) *Trace { count++; return nil }}
	for _, pair := range [][2]*Trace{{one, other}, {other, one}} {
		count = 0
		both := &tracer{nil, pair[0], &tracer{nil, pair[1], nil}}
		list := both.forPeer(&Engine{p: &params{}}, PeerInfo{})
		list.ended(nil)
		list.refused(0, 0)
		list.keys(0, 0)
		list.alert(AlertError{})
		if count != 5 {
			t.Errorf("%d hooks were called", count)
		}
	}
}
