package dtls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
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
	for _, kind := range kinds13() {
		for _, n := range []int{228, 300, 548, 600, 1231} {
			for _, narrow := range narrowSides {
				t.Run(fmt.Sprintf("%s, %d, %s", kind.name, n, narrow.name), func(t *testing.T) {
					s := newMTUSim(t, kind.configs, MTUAuto)
					s.blackHole(n, narrow.has)
					if !s.run(2*time.Minute, s.established) {
						t.Fatalf("%v; %v\n%s", s.eng[0], s.eng[1], s.history())
					}
					// Both sides climb down their own ladders: the client's hello at
					// the first path MTU, then the server's flight, then the client's.
					if took := s.now.Sub(s.start); took > 11*time.Second {
						t.Errorf("took %v\n%s", took, s.history())
					}
					s.settle()
					s.echo("data")
				})
			}
		}
	}
}

// TestEvidenceByACKs: an ACK that covers small datagrams, and none of two large
// ones before them, says that the path is small: no timer is waited for.
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
	if got := s.eng[serverSide].MTU(); got != fallbackMTU4 || s.timeouts[serverSide] != 0 {
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
			for range maxACK {
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
	k := s.eng[serverSide].keys.sealer()
	h := ticketHeader(s.eng[clientSide].post.in.next, 3000, uint32(k.Next()%1500)*2)
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
