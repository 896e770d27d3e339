package dtls

import (
	"bytes"
	"crypto/tls"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// Second hellos of DTLS 1.3 that come in several datagrams: the cookie is what
// lets them in, not the last byte.

// TestCookieLetsTheBeginningIn: the fragment with the cookie is let in when it
// comes, and the engine waits for the others longer than the door would (THREATS
// 17). A fragment that came before, and not too long ago, goes with it.
func TestCookieLetsTheBeginningIn(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 0)
	client.Hello, client.MTU = HelloSmall, 8000
	for _, test := range []struct {
		name  string
		early time.Duration // of the last fragment, before the first one
		rest  []int         // that comes to the engine
	}{
		{"in order", -1, []int{1, 2, 3}},
		{"backwards", -1, []int{3, 2, 1}},
		{"the last one first", time.Millisecond, []int{1, 2}},
		{"and long before", 2 * time.Second, []int{3, 1, 2}},
	} {
		s := newStranger(t, client, server)
		second := cutHello(t, s.proven(), 4, 5)
		if test.early > 0 {
			if reply, hello := s.send(second[3]); reply != nil || hello != nil {
				t.Fatalf("%s: %d bytes, %v for a fragment without a cookie", test.name, len(reply), hello)
			}
			s.now = s.now.Add(test.early)
		}
		_, hello := s.send(second[0])
		if hello == nil || hello.proof.Whole || !hello.proof.Proven || hello.proof.Retry == nil {
			t.Fatalf("%s: %+v", test.name, hello)
		}
		p := bareSim(t)
		p.addr[clientSide], p.eng[clientSide] = testAddr, s.engine
		var err error
		if p.eng[serverSide], err = NewServerEngine(server, hello, s.now); err != nil {
			t.Fatal(err)
		}
		p.now = p.now.Add(test.early + time.Second)
		p.deliver(serverSide, hello.Datagram)
		for _, i := range test.rest {
			p.now = p.now.Add(5 * time.Second)
			p.deliver(serverSide, second[i])
		}
		if st := p.eng[serverSide].ConnectionState(); st.Version != VersionDTLS13 {
			t.Fatalf("%s: the hello is not answered: %v\n%s", test.name, p.eng[serverSide], p.history())
		}
		p.handshake()
	}
}

// TestChangedSecondHelloInPieces: what is let in by its beginning has to repeat the
// first hello in the rest as well (THREATS 21, 24). Before the extensions a change
// shows at once.
func TestChangedSecondHelloInPieces(t *testing.T) {
	_, server := simConfigs13(dtlstest.P256, 0)
	server.PlaintextAlerts = AlertsImmediate
	for _, test := range secondHellos {
		door, honest, _ := secondHello(t, server)
		h := *honest
		test.change(&h)
		pieces := cutHello(t, helloDatagram(t, &h, 1), 4, 1)
		reply, hello := door.Handle(simStart, pieces[0], testAddr, localAddr, nil)
		covered := test.name == "random" || test.name == "session id" || test.name == "suites" || test.name == "more suites"
		if reply != nil || (hello == nil) != covered {
			t.Fatalf("%s: let in %v, reply %x", test.name, hello != nil, reply)
		}
		if covered {
			for _, d := range pieces[1:] {
				reply, hello = door.Handle(simStart, d, testAddr, localAddr, nil)
			}
			refusal := forgeAlert(alert.Fatal, alert.IllegalParameter)
			if hello != nil || len(reply) != len(refusal) || !bytes.Equal(reply[13:], refusal[13:]) {
				t.Errorf("%s: let in %v, answered with %x", test.name, hello != nil, reply)
			}
			continue
		}
		e, err := NewServerEngine(server, hello, simStart)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range append([][]byte{hello.Datagram}, pieces[1:]...) {
			_ = e.HandleDatagram(simStart, d, testAddr)
		}
		var a *AlertError
		if !errors.As(e.Err(), &a) || a.Remote || a.Alert != alert.IllegalParameter {
			t.Errorf("%s: %v", test.name, e.Err())
		}
	}
}

// TestAlteredCookieInPieces: the beginning with a cookie that is not quite ours
// waits like any other, and gets the alert when all of the hello is here.
func TestAlteredCookieInPieces(t *testing.T) {
	_, server := simConfigs13(dtlstest.P256, 0)
	door, honest, _ := secondHello(t, server)
	h := *honest
	for i := range honest.RetryCookie {
		h.RetryCookie = bytes.Clone(honest.RetryCookie)
		h.RetryCookie[i] ^= 1
		pieces := cutHello(t, helloDatagram(t, &h, 1), 4, 1)
		for n, d := range pieces {
			reply, hello := door.Handle(simStart, d, testAddr, localAddr, nil)
			if hello != nil || (reply != nil) != (n == len(pieces)-1) {
				t.Fatalf("byte %d, fragment %d: let in %v, reply %x", i, n, hello != nil, reply)
			}
		}
	}
}

// TestPostQuantumHello: hellos with a post-quantum share, first ones and second
// ones, for paths of 600 to 1500 bytes, with each of their datagrams lost and each
// pair of them (THREATS 17).
func TestPostQuantumHello(t *testing.T) {
	t.Parallel()
	for _, hello := range []HelloMode{HelloFull, HelloSmall} {
		for mtu := 600; mtu <= 1500; mtu += 100 {
			if raceEnabled && mtu%300 > 0 {
				continue
			}
			run := func(lost ...int) (sent int) {
				client, server := simConfigs13(dtlstest.P256, 0)
				client.Hello, client.MTU = hello, mtu
				s := newSim(t, client, server)
				s.path = func(from side, n int, d []byte) []time.Duration {
					if s.eng[serverSide].ConnectionState().Version == 0 && from == clientSide {
						sent = n + 1
					}
					if from == clientSide && slices.Contains(lost, n) {
						return nil
					}
					return []time.Duration{simRTT / 2}
				}
				if s.run(2*time.Minute, s.established); !s.established() {
					t.Fatalf("MTU %d, %v lost: %v; %v\n%s", mtu, lost, s.eng[0], s.eng[1], s.history())
				}
				if g := s.eng[clientSide].ConnectionState().CurveID; g != tls.X25519MLKEM768 {
					t.Fatalf("MTU %d, %v lost: group %v", mtu, lost, g)
				}
				return sent
			}
			calm := run()
			for a := range calm {
				for b := a; b < 2*calm; b++ { // of the repetition, too
					run(a, b)
				}
			}
		}
	}
}
