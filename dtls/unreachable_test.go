package dtls

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// Servers whose port is closed, and forged ICMP messages.

// closedPort is a client engine, and what the network answers its datagrams with.
type closedPort struct {
	t      *testing.T
	e      *Engine
	now    time.Time
	sent   [][]byte
	answer func(n int, datagram []byte) (quoted []byte, ok bool)
}

func newClosedPort(t *testing.T, client *Config) *closedPort {
	t.Helper()
	e, err := NewClientEngine(client, simStart)
	if err != nil {
		t.Fatal(err)
	}
	return &closedPort{t: t, e: e, now: simStart}
}

// run lets the engine go on for that long, or until it is over. Answers come 20 ms later.
func (p *closedPort) run(d time.Duration) {
	const rtt = 20 * time.Millisecond
	type message struct {
		at     time.Time
		quoted []byte
	}
	var coming []message
	for end := p.now.Add(d); p.e.Err() == nil; {
		for tx, ok := p.e.PollTransmit(p.now, nil); ok; tx, ok = p.e.PollTransmit(p.now, nil) {
			n := len(p.sent)
			p.sent = append(p.sent, bytes.Clone(tx.Data))
			if quoted, ok := p.answer(n, p.sent[n]); ok {
				coming = append(coming, message{p.now.Add(rtt), quoted})
			}
		}
		next := end
		if t := p.e.NextTimeout(); !t.IsZero() && t.Before(next) {
			next = t
		}
		if len(coming) > 0 && !coming[0].at.After(next) {
			p.now = coming[0].at
			p.e.PortUnreachable(p.now, coming[0].quoted, syscall.ECONNREFUSED)
			coming = coming[1:]
			continue
		}
		if p.now = next; !p.now.Before(end) {
			return
		}
		_ = p.e.HandleTimeout(p.now)
	}
}

// elapsed is the time since the engine was made.
func (p *closedPort) elapsed() time.Duration { return p.now.Sub(simStart) }

func whole(_ int, d []byte) ([]byte, bool) { return d, true }

// closedPortClients are clients of both versions, with hellos of one datagram and of
// several.
func closedPortClients() map[string]*Config {
	all := map[string]*Config{}
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		for _, mtu := range []int{0, 228} {
			client, _ := simConfigs(dtlstest.P256, 0)
			client.MinVersion, client.MaxVersion, client.MTU = version, version, mtu
			client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
			all[VersionName(version)+map[int]string{0: "", 228: " in fragments"}[mtu]] = client
		}
	}
	return all
}

// TestPortUnreachable: two messages that quote two transmissions end the client, with the
// cause and after one early repetition.
func TestPortUnreachable(t *testing.T) {
	for name, client := range closedPortClients() {
		for _, first := range []time.Duration{100 * time.Millisecond, time.Second, 9 * time.Second} {
			c := client.Clone()
			c.Retransmit.Initial = first
			p := newClosedPort(t, c)
			p.answer = whole
			p.run(time.Minute)
			if !errors.Is(p.e.Err(), syscall.ECONNREFUSED) || !IsFatal(p.e.Err()) || errors.Is(p.e.Err(), ErrHandshakeTimeout) {
				t.Errorf("%s: %v", name, p.e.Err())
			}
			if !strings.Contains(p.e.Err().Error(), "sent 2 times") {
				t.Errorf("%s: %v", name, p.e.Err())
			}
			if want := min(first, 250*time.Millisecond) + 20*time.Millisecond; p.elapsed() != want {
				t.Errorf("%s, timer %v: it took %v, want %v", name, first, p.elapsed(), want)
			}
		}
	}
}

// TestPortUnreachableTooLittle: less than two messages about two transmissions
// does not end the client. It repeats the ClientHello early, once, if anything. The error
// of the time-out names the cause.
func TestPortUnreachableTooLittle(t *testing.T) {
	var first []byte
	usual := 0 // datagrams without messages
	for _, test := range []struct {
		name   string
		answer func(n int, d []byte) ([]byte, bool)
		early  bool
	}{
		{"no message", func(int, []byte) ([]byte, bool) { return nil, false }, false},
		{"one message", func(n int, d []byte) ([]byte, bool) { return d, n == 0 }, true},
		{"the first transmission, each time", func(n int, d []byte) ([]byte, bool) {
			if n == 0 {
				first = d
			}
			return first, true
		}, true},
		{"quotes of 34 bytes", func(_ int, d []byte) ([]byte, bool) { return d[:34], true }, true},
		{"no quotes", func(int, []byte) ([]byte, bool) { return nil, true }, true},
		{"quotes with another random", func(_ int, d []byte) ([]byte, bool) { return append(bytes.Clone(d[:27]), make([]byte, 100)...), true }, false},
		{"quotes with another record number", func(_ int, d []byte) ([]byte, bool) { return slices.Concat(d[:10], []byte{99}, d[11:]), true }, false},
		{"one quote, and then none", func(n int, d []byte) ([]byte, bool) { return d[:len(d)*(1-min(n, 1))], true }, true},
	} {
		client, _ := simConfigs(dtlstest.P256, 0)
		p := newClosedPort(t, client)
		p.answer = test.answer
		p.run(249 * time.Millisecond)
		if len(p.sent) != 1 {
			t.Errorf("%s: %d datagrams before 250 ms", test.name, len(p.sent))
		}
		p.run(2 * time.Millisecond)
		if early := len(p.sent) == 2; early != test.early {
			t.Errorf("%s: repeated early %v", test.name, early)
		}
		p.run(2 * time.Minute)
		if err := p.e.Err(); !errors.Is(err, ErrHandshakeTimeout) || errors.Is(err, syscall.ECONNREFUSED) != (usual > 0) {
			t.Errorf("%s: %v", test.name, p.e.Err())
		}
		if usual == 0 {
			usual = len(p.sent)
		}
		if n := len(p.sent); n > usual+2 {
			t.Errorf("%s: %d datagrams, %d without messages", test.name, n, usual)
		}
	}
}

// TestPortUnreachableLate: once something has come from the peer, whatever it is, ICMP
// messages change nothing; nor do they after the handshake, nor at a server.
func TestPortUnreachableLate(t *testing.T) {
	client, server := simConfigs(dtlstest.P256, 0)
	p := newClosedPort(t, client)
	p.answer = func(n int, d []byte) ([]byte, bool) {
		if n == 0 {
			return d, true
		}
		_ = p.e.HandleDatagram(p.now, []byte{22, 254, 253}, testAddr)
		return d, true
	}
	p.run(2 * time.Minute)
	if err := p.e.Err(); !errors.Is(err, ErrHandshakeTimeout) {
		t.Errorf("after a datagram of the peer: %v", err)
	}

	s := newSim(t, client, server)
	var sent [2][][]byte
	s.path = func(from side, _ int, d []byte) []time.Duration {
		sent[from] = append(sent[from], bytes.Clone(d))
		for _, old := range sent[from] {
			s.eng[from].PortUnreachable(s.now, old, syscall.ECONNREFUSED)
		}
		return []time.Duration{simRTT / 2}
	}
	if s.run(time.Minute, s.established); !s.established() {
		t.Fatalf("%v, %v", s.eng[0], s.eng[1])
	}
	for at := range s.eng {
		for _, d := range sent[at] {
			s.eng[at].PortUnreachable(s.now, d, syscall.ECONNREFUSED)
		}
	}
	if !s.established() {
		t.Errorf("after the handshake: %v, %v", s.eng[0], s.eng[1])
	}
}

// TestIgnoreUnreachable: the client waits for a server that is started later.
func TestIgnoreUnreachable(t *testing.T) {
	client, _ := simConfigs(dtlstest.P256, 0)
	client.IgnoreUnreachable = true
	p := newClosedPort(t, client)
	p.answer = whole
	if p.run(999 * time.Millisecond); len(p.sent) != 1 {
		t.Errorf("%d datagrams in the first second", len(p.sent))
	}
	p.run(2 * time.Minute)
	if !errors.Is(p.e.Err(), ErrHandshakeTimeout) {
		t.Errorf("%v", p.e.Err())
	}
}

// TestDialedAlone: of the fronts, Dial and Endpoint.Dial end; a Client on a socket of the
// caller's waits, and so does an Endpoint on a transport that is none of UDP.
func TestDialedAlone(t *testing.T) {
	for name, test := range map[string]struct {
		dial func(n *memNet, config *Config) error
		ends bool
	}{
		"Endpoint.Dial": {dialClosed(func(n *memNet) net.PacketConn { return n.refusing(memAddr(2, 7)) }), true},
		"Endpoint.Dial, a host that is unreachable": {dialClosed(func(n *memNet) net.PacketConn {
			s := n.refusing(memAddr(2, 7))
			s.set(func(m *memSocket) {
				m.tap = func(_ int, p []byte, to net.Addr) { s.icmp(syscall.EHOSTUNREACH, to, 0, p) }
			})
			return s
		}), false},
		"Endpoint.Dial, another transport": {dialClosed(func(n *memNet) net.PacketConn {
			s := n.listen(memAddr(2, 7))
			s.set(func(s *memSocket) { s.refuse = func([]byte, net.Addr) error { return syscall.ECONNREFUSED } })
			return s
		}), false},
		"Client": {func(n *memNet, config *Config) error {
			s := n.refusing(memAddr(2, 7))
			c := Client(&kernelConn{s, memAddr(1, 1)}, config)
			defer c.Close()
			return c.Handshake()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _ := quickConfigs()
				began := time.Now()
				err := test.dial(newMemNet(), client)
				cause := syscall.ECONNREFUSED
				if strings.Contains(name, "host") {
					cause = syscall.EHOSTUNREACH
				}
				if !errors.Is(err, cause) || errors.Is(err, ErrHandshakeTimeout) == test.ends {
					t.Errorf("%v", err)
				}
				if took := time.Since(began); test.ends != (took == 250*time.Millisecond) {
					t.Errorf("it took %v", took)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// refusing is a UDP socket to whose datagrams the network answers that the port is closed.
func (n *memNet) refusing(addr net.Addr) *kernelSocket {
	s := n.kernelListen(addr)
	s.set(func(m *memSocket) {
		m.tap = func(_ int, p []byte, to net.Addr) { s.icmp(syscall.ECONNREFUSED, to, 0, p) }
	})
	return s
}

func dialClosed(open func(n *memNet) net.PacketConn) func(n *memNet, config *Config) error {
	return func(n *memNet, config *Config) error {
		e, err := NewEndpoint(open(n), config)
		if err != nil {
			return err
		}
		defer e.Close()
		_, err = e.Dial(context.Background(), memAddr(1, 1), nil)
		return err
	}
}

// TestDialRefused: the kernel's own messages, on the loopback.
func TestDialRefused(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no other system hands on what ICMP messages quote")
	}
	for network, host := range map[string]string{"udp4": "127.0.0.1:0", "udp6": "[::1]:0"} {
		t.Run(network, func(t *testing.T) {
			closed, err := net.ListenPacket(network, host)
			if err != nil {
				t.Skipf("no such loopback: %v", err)
			}
			address := closed.LocalAddr()
			if err := closed.Close(); err != nil {
				t.Fatal(err)
			}
			client, _ := quickConfigs()
			own, err := net.ListenPacket(network, host)
			if err != nil {
				t.Fatal(err)
			}
			e, err := NewEndpoint(own, client)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, dialed := Dial(network, address.String(), client)
			_, shared := e.Dial(t.Context(), address, nil)
			for what, err := range map[string]error{"Dial": dialed, "Endpoint.Dial": shared} {
				if !errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, ErrHandshakeTimeout) || !IsFatal(err) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if took := time.Since(began); took > defaultHandshakeTimeout/2 {
				t.Errorf("it took %v", took)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
