package dtls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/acks"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// kinds13 are the handshakes of DTLS 1.3 among simKinds.
func kinds13() (list []struct {
	name    string
	configs func() (client, server *Config)
},
) {
	for _, kind := range simKinds {
		if client, _ := kind.configs(); client.MaxVersion == VersionDTLS13 {
			list = append(list, kind)
		}
	}
	return list
}

// TestTransportRefuses13: the transport refuses every datagram over n; no timer is
// spent on finding that out, in no kind of handshake.
func TestTransportRefuses13(t *testing.T) {
	sizes := []int{228, 300, 548, 900, 1232}
	for _, kind := range kinds13() {
		for _, mode := range refusalModes {
			for _, narrow := range narrowSides {
				t.Run(kind.name+", "+mode.name+", "+narrow.name, func(t *testing.T) {
					t.Parallel()
					for _, n := range sizes {
						s := newMTUSim(t, kind.configs, mode.mode)
						s.refuseOver(n, narrow.has, mode.hint(n))
						if !s.run(2*time.Minute, s.established) {
							t.Fatalf("n = %d: %v; %v\n%s", n, s.eng[0], s.eng[1], s.history())
						}
						s.quick(3)
						s.echo("data")
						s.settle()
						if s.timeouts != [2]int{} {
							t.Fatalf("n = %d: timers fired behind the handshake: %v\n%s", n, s.timeouts, s.history())
						}
						s.update(clientSide, true)
						s.settle()
						s.echo("new keys")
						for at, size := range s.largest {
							if narrow.has[at] && size > n {
								t.Fatalf("n = %d: %v delivered %d bytes", n, side(at), size)
							}
						}
					}
				})
			}
		}
	}
}

// TestBlackHole13: a path that loses what is too large: the ladder ends the
// handshake, and what follows it, with bounded delay.
func TestBlackHole13(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds13() {
		for _, n := range []int{228, 300, 548, 600, 1231} {
			for _, narrow := range narrowSides {
				t.Run(fmt.Sprintf("%s, %d, %s", kind.name, n, narrow.name), func(t *testing.T) {
					s := newMTUSim(t, kind.configs, MTUAuto)
					s.blackHole(n, narrow.has)
					if !s.run(2*time.Minute, s.established) {
						t.Fatalf("%v; %v\n%s", s.eng[0], s.eng[1], s.history())
					}
					// Both sides climb down their own ladders, one after the other, with
					// the timers that they have. Where ACKs have a say, each waits for a
					// quarter of one.
					_, server := kind.configs()
					most := 3*simRTT + 3*time.Second/4
					if narrow.has[clientSide] {
						most += max(helloLadder(n), serverLadder(n, true)) // of its second flight, if not learned before
					}
					if narrow.has[serverSide] {
						most += serverLadder(n, server.CookieMode == CookieAlways)
					}
					if took := s.now.Sub(s.start); took > most {
						t.Errorf("took %v, want at most %v\n%s", took, most, s.history())
					}
					s.settle()
					s.echo("data")
				})
			}
		}
	}
}

// helloLadder is how long a client takes to find out that its path carries n
// bytes: its hello is cut for the fallback from the start, and three of these go
// out before it is cut again.
func helloLadder(n int) time.Duration {
	if n >= fallbackMTU4 {
		return 0
	}
	return (1 + 2 + 4 + 3) * time.Second
}

// serverLadder is that of a server, which begins at the full size, and of a client that
// has large flights. The timer is short where a cookie has measured the round trip.
func serverLadder(n int, measured bool) time.Duration {
	full, timer := 2*time.Second, time.Second
	if measured {
		full, timer = (1+2+4)*200*ms, 200*ms
	}
	switch {
	case n >= defaultMTU:
		return 0
	case n >= fallbackMTU4:
		return full
	}
	return full + (1+2+4)*timer
}

// TestEvidenceByACKs: an ACK that covers small datagrams, and none of two large
// ones before them, shows that the path is small. The client, which cannot open the
// records of the server without its ServerHello, repeats its hello, then the server
// goes down, and what stays comes from the ACK in front of the client's flight.
func TestEvidenceByACKs(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 6000)
	server.CookieMode, server.CurvePreferences = CookieAuto, []tls.CurveID{tls.X25519}
	s := newSim(t, client, server)
	s.path = func(from side, n int, d []byte) []time.Duration {
		if from == serverSide && len(d) > fallbackMTU4 {
			return nil // all but the last of its flight
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(time.Minute, s.established)
	if got := s.eng[serverSide].MTU(); got != fallbackMTU4 || s.timeouts != [2]int{1, 1} {
		t.Errorf("the limit is %d, timers %v\n%s", got, s.timeouts, s.history())
	}
	s.settle()
	s.echo("data")
}

// TestACKRefused: the transport does not take an ACK: one with fewer numbers goes
// out at once, and below the floor nothing ends.
func TestACKRefused(t *testing.T) {
	for _, n := range []int{minMTU, 300, 548} {
		for _, hint := range []int{0, n} {
			s := established13(t)
			e := s.eng[clientSide]
			for range acks.MaxNumbers {
				s.inject(clientSide, s.crumb())
			}
			s.refuseOver(n, [2]bool{clientSide: true}, hint)
			s.largest = [2]int{}
			sent := s.sent[clientSide]
			s.flush(clientSide)
			if e.Err() != nil || s.sent[clientSide] == sent || s.largest[clientSide] == 0 || s.largest[clientSide] > n {
				t.Errorf("over %d, hint %d: %v, largest %d\n%s", n, hint, e, s.largest[clientSide], s.history())
			}
		}
	}
	s := established13(t)
	s.inject(clientSide, s.crumb())
	s.refuse = func(side, int, []byte) (bool, int) { return true, 0 }
	s.flush(clientSide)
	s.refuse = nil
	if err := s.eng[clientSide].Err(); err != nil {
		t.Errorf("an ACK that nothing takes: %v", err)
	}
	s.echo("data")
}

// crumb is the next byte of a ticket that never ends, of the server.
func (s *sim) crumb() []byte {
	k := s.eng[serverSide].keys.Sealer()
	h := ticketHeader(s.eng[clientSide].post.in.Awaited(), 3000, uint32(k.Next()%1500)*2)
	return s.authentic(serverSide, 22, append(h, 7)...)
}

func ticketHeader(seq uint16, length, offset uint32) []byte {
	return []byte{
		4, byte(length >> 16), byte(length >> 8), byte(length), byte(seq >> 8), byte(seq),
		byte(offset >> 16), byte(offset >> 8), byte(offset), 0, 0, 1,
	}
}

// TestKeyUpdateRefused: the transport does not take a KeyUpdate, which is smaller
// than every path; in each mode that is the end, and the error says why, unless it
// was a whim.
func TestKeyUpdateRefused(t *testing.T) {
	for _, mode := range []MTUMode{MTUAuto, MTUManual} {
		client, server := simConfigs13(dtlstest.P256, 0)
		client.MTUMode, server.CookieMode = mode, CookieAuto
		s := newSim(t, client, server)
		s.handshake()
		s.settle()
		s.refuse = func(from side, _ int, _ []byte) (bool, int) { return from == clientSide, 0 }
		s.update(clientSide, false)
		var lp *LargePacketError
		if err := s.eng[clientSide].Err(); !errors.As(err, &lp) {
			t.Errorf("%v: %v\n%s", mode, err, s.history())
		}
	}
}

// TestMTUAtRandom13 changes the MTU of both sides at random, under loss and
// KeyUpdates.
func TestMTUAtRandom13(t *testing.T) {
	t.Parallel()
	seeds := uint64(150)
	if brief() {
		seeds = 20
	}
	kinds := kinds13()
	for seed := range seeds {
		kind := kinds[seed%uint64(len(kinds))]
		client, server := kind.configs()
		patient(client)
		patient(server)
		s := newSim(t, client, server)
		randomPath(s, seed)
		path, r := s.path, rand.New(rand.NewPCG(seed, 0x5e713))
		s.path = func(from side, n int, d []byte) []time.Duration {
			if r.IntN(3) == 0 {
				if err := s.eng[from].SetMTU(minMTU + r.IntN(1400)); err != nil {
					t.Fatal(err)
				}
			}
			return path(from, n, d)
		}
		if !s.run(time.Hour, s.established) {
			t.Fatalf("seed %d (%s): %v; %v\n%s", seed, kind.name, s.eng[0], s.eng[1], s.history())
		}
		for i := range 4 {
			s.update(side(i%2), i < 2)
			s.run(30*ms, func() bool { return false })
		}
		s.settle()
		s.echo("data")
	}
}

// TestHelloByTurns: a hello that offers both versions fits one datagram of 548
// bytes. When four were lost it goes out cut and whole by turns, which gets through
// to a server that cannot join it, as to one behind a narrow link. What follows it
// begins at the full size.
func TestHelloByTurns(t *testing.T) {
	for _, test := range []struct {
		name   string
		passes func(n int, d []byte) bool // of the client's datagrams
		limit  int                        // the client's in the end
		most   time.Duration
	}{
		{"three are lost", func(n int, _ []byte) bool { return n >= 3 }, defaultMTU, 7200 * ms},
		{"four are lost", func(n int, _ []byte) bool { return n >= 4 }, defaultMTU, 15200 * ms},
		{"a cut one is lost, too", func(n int, _ []byte) bool { return n >= 6 }, defaultMTU, 18200 * ms},
		{"the server cannot join", func(n int, d []byte) bool { return n >= 4 && !isCutHello(d) }, defaultMTU, 18400 * ms},
		{"nor later", func(n int, d []byte) bool { return n >= 8 && !isCutHello(d) }, defaultMTU, 37000 * ms},
		{"a path of 300 bytes", func(_ int, d []byte) bool { return len(d) <= 300 }, minMTU, 19 * time.Second},
		{"which loses the first cut one", func(n int, d []byte) bool { return n >= 6 && len(d) <= 300 }, minMTU, 37 * time.Second},
	} {
		for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
			t.Run(test.name+", "+VersionName(version), func(t *testing.T) {
				client, server := simConfigs(dtlstest.P256, 3000)
				client.MaxVersion, server.MaxVersion = 0, version
				server.CurvePreferences = []tls.CurveID{tls.X25519} // the second hello fits as well
				client.Certificates, server.ClientAuth = server.Certificates, tls.RequireAndVerifyClientCert
				s := newSim(t, client, server)
				s.path = func(from side, n int, d []byte) []time.Duration {
					if from == clientSide && !test.passes(n, d) {
						return nil
					}
					return []time.Duration{simRTT / 2}
				}
				if s.run(2*time.Minute, s.established); !s.established() {
					t.Fatalf("%v; %v\n%s", s.eng[0], s.eng[1], s.history())
				}
				if took := s.now.Sub(s.start); took > test.most {
					t.Errorf("took %v, want at most %v\n%s", took, test.most, s.history())
				}
				if got := s.eng[clientSide].MTU(); got != test.limit {
					t.Errorf("the limit is %d, want %d\n%s", got, test.limit, s.history())
				}
				s.echo("data")
			})
		}
	}
}

// isCutHello reports whether a datagram has a fragment of a hello.
func isCutHello(d []byte) bool {
	h, payload, _, err := record.Next(d)
	if err != nil || h.Epoch > 0 || h.Type != record.TypeHandshake {
		return false
	}
	m, _, _, err := message.NextFragment(payload)
	return err == nil && m.Type == message.TypeClientHello && m.FragmentLength < m.Length
}
