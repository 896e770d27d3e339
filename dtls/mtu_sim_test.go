package dtls

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// Paths that refuse datagrams, and callers that change their mind about the
// MTU, over whole handshakes. What must hold whatever happens (record numbers
// are unique, message bytes constant, cuts nest, no datagram over the limit) is
// checked by sim at every datagram; the tests add what must come out.

// refusalModes are the three ways to live with a transport that refuses.
var refusalModes = []struct {
	name string
	mode MTUMode
	hint func(n int) int // what the transport says it would take, 0: nothing
}{
	{"the transport says what it would take", MTUAuto, func(n int) int { return n }},
	{"the transport only refuses", MTUAuto, func(int) int { return 0 }},
	{"the caller answers with Suggest", MTUManual, func(n int) int { return n * (n % 2) }},
}

// sides that may have the narrow transport.
var narrowSides = []struct {
	name string
	has  [2]bool
}{
	{"client", [2]bool{clientSide: true}},
	{"server", [2]bool{serverSide: true}},
	{"both", [2]bool{true, true}},
}

// newMTUSim is newSim with the mode on both sides, and a caller that answers
// every ErrLargePacket with the suggested MTU.
func newMTUSim(t testing.TB, configs func() (*Config, *Config), mode MTUMode) *sim {
	t.Helper()
	client, server := configs()
	client.MTUMode, server.MTUMode = mode, mode
	s := newSim(t, client, server)
	s.onEvent = func(at side, ev Event) {
		var lp *LargePacketError
		if ev.Kind == EventLargePacket && errors.As(ev.Err, &lp) && lp.Suggest() > 0 {
			if err := s.eng[at].SetMTU(lp.Suggest()); err != nil {
				t.Fatalf("SetMTU(%d): %v", lp.Suggest(), err)
			}
		}
	}
	return s
}

// refuseOver makes the transports of some sides refuse what is larger than n.
func (s *sim) refuseOver(n int, sides [2]bool, hint int) {
	s.refuse = func(from side, _ int, datagram []byte) (bool, int) {
		return sides[from] && len(datagram) > n, hint
	}
}

// quick fails if the handshake waited for a timer: no retransmission timer
// fired, and apart from the round trips only pauses between bursts passed.
func (s *sim) quick(trips int) {
	s.t.Helper()
	if s.timeouts != [2]int{} {
		s.t.Fatalf("timers fired: %v\n%s", s.timeouts, s.history())
	}
	if took, most := s.now.Sub(s.start), time.Duration(trips)*simRTT+simRTT; took > most {
		s.t.Fatalf("took %v, want at most %v\n%s", took, most, s.history())
	}
}

// sampled reports whether n is one of the values that brief tests try.
func sampled(n, first, last int) bool {
	return !brief() || n == first || n == last || n%37 == 0 || n == fallbackMTU4 || n == fallbackMTU4+1
}

// TestTransportRefuses is what GnuTLS calls the errno EMSGSIZE scenario: the
// transport refuses every datagram over n, for every n from the floor to the
// size that a handshake begins with. It completes in the time a wide path
// takes: no timer is spent on finding the size.
func TestTransportRefuses(t *testing.T) {
	for i, kind := range simKinds[:2] {
		for _, mode := range refusalModes {
			for _, narrow := range narrowSides {
				if i == 0 && narrow.name != "server" {
					continue // no datagram of its client is over the floor
				}
				t.Run(kind.name+", "+mode.name+", "+narrow.name, func(t *testing.T) {
					t.Parallel()
					for n := minMTU; n <= defaultMTU; n++ {
						if !sampled(n, minMTU, defaultMTU) {
							continue
						}
						s := newMTUSim(t, kind.configs, mode.mode)
						s.refuseOver(n, narrow.has, mode.hint(n))
						if !s.run(2*time.Minute, s.established) {
							t.Fatalf("n = %d: %v; %v\n%s", n, s.eng[0], s.eng[1], s.history())
						}
						s.quick(3)
						s.echo("data")
						for at, size := range s.largest {
							if narrow.has[at] && size > n {
								t.Fatalf("n = %d: %v delivered %d bytes", n, side(at), size)
							}
							if mode.hint(n) == n && narrow.has[at] && s.eng[at].MTU() < min(n, s.largest[at]) {
								t.Fatalf("n = %d: %v fell to %d although the size was known", n, side(at), s.eng[at].MTU())
							}
						}
					}
				})
			}
		}
	}
}

// TestRefusedBelowFloor: where not even 228 bytes pass, the handshake ends at
// once, and says so.
func TestRefusedBelowFloor(t *testing.T) {
	const path = 199 // over both hellos, so that the sides differ
	for _, mode := range refusalModes {
		for _, narrow := range narrowSides {
			t.Run(mode.name+", "+narrow.name, func(t *testing.T) {
				s := newMTUSim(t, simKinds[1].configs, mode.mode)
				s.refuseOver(path, narrow.has, mode.hint(path))
				var at side
				s.run(2*time.Minute, func() bool {
					for i, e := range s.eng {
						if e.Err() != nil {
							at = side(i)
							return true
						}
					}
					return s.established()
				})
				var lp *LargePacketError
				if !errors.As(s.eng[at].Err(), &lp) || !narrow.has[at] {
					t.Fatalf("client %v; server %v\n%s", s.eng[0], s.eng[1], s.history())
				}
				if lp.Suggest() != 0 || !errors.Is(lp, ErrLargePacket) {
					t.Errorf("%+v: Suggest %d", lp, lp.Suggest())
				}
				if !strings.Contains(lp.Error(), "the smallest usable MTU is 228") {
					t.Errorf("%q does not name the smallest MTU", lp)
				}
				if s.timeouts[at] != 0 {
					t.Errorf("%d timers fired\n%s", s.timeouts[at], s.history())
				}
			})
		}
	}
}

// TestRefuseOneDatagram refuses exactly the k-th datagram of one side, as a
// kernel does that reports an error twice. At or below the floor there is
// nothing smaller to try; in any other case no timer is spent.
func TestRefuseOneDatagram(t *testing.T) {
	for _, kind := range simKinds {
		for _, mode := range refusalModes {
			t.Run(kind.name+", "+mode.name, func(t *testing.T) {
				t.Parallel()
				whole := newMTUSim(t, kind.configs, mode.mode)
				whole.run(time.Minute, whole.established)
				for from := range side(2) {
					for k := range whole.sent[from] {
						refuseOne(t, kind.configs, mode.mode, mode.hint(1) != 0, from, k)
					}
				}
			})
		}
	}
}

func refuseOne(t *testing.T, configs func() (*Config, *Config), mode MTUMode, hint bool, from side, k int) {
	t.Helper()
	s := newMTUSim(t, configs, mode)
	size := 0
	s.refuse = func(at side, n int, datagram []byte) (bool, int) {
		if at != from || n != k {
			return false, 0
		}
		size = len(datagram)
		if hint {
			return true, max(minMTU, size-1)
		}
		return true, 0
	}
	done := s.run(2*time.Minute, func() bool { return s.established() || s.eng[from].Err() != nil })
	reply := from == serverSide && k == 0 && s.eng[from].p.cookieMode == CookieAlways
	switch lp := (*LargePacketError)(nil); {
	case reply:
		// A HelloVerifyRequest is stateless: the client's timer repeats it.
		if !s.established() {
			t.Fatalf("refused %v #%d, a cookie: %v; %v\n%s", from, k, s.eng[0], s.eng[1], s.history())
		}
	case size <= minMTU:
		if !errors.As(s.eng[from].Err(), &lp) || lp.Suggest() != 0 {
			t.Fatalf("refused %v #%d of %d bytes: want a fatal LargePacketError, got %v\n%s", from, k, size, s.eng[from], s.history())
		}
	case !done || !s.established():
		t.Fatalf("refused %v #%d of %d bytes: %v; %v\n%s", from, k, size, s.eng[0], s.eng[1], s.history())
	default:
		s.quick(3)
		s.echo("data")
	}
}

// TestRefuseAtRandom refuses a third of all datagrams over the floor, with
// hints that may be missing, right or absurdly large.
func TestRefuseAtRandom(t *testing.T) {
	for _, mode := range []MTUMode{MTUAuto, MTUKernel, MTUManual} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			seeds := uint64(300)
			if brief() {
				seeds = 40
			}
			for seed := range seeds {
				configs := simKinds[seed%uint64(len(simKinds))].configs
				s := newMTUSim(t, func() (*Config, *Config) {
					client, server := configs()
					client.Retransmit.MaxTries, server.Retransmit.MaxTries = 1000, 1000
					return client, server
				}, mode)
				r := rand.New(rand.NewPCG(seed, 0x3a11))
				s.logf("seed %d", seed)
				s.refuse = func(_ side, _ int, datagram []byte) (bool, int) {
					if len(datagram) <= minMTU || r.IntN(3) > 0 {
						return false, 0
					}
					return true, [...]int{0, minMTU + r.IntN(len(datagram)-minMTU), len(datagram), 9000}[r.IntN(4)]
				}
				if !s.run(2*time.Minute, s.established) {
					t.Fatalf("seed %d: %v; %v\n%s", seed, s.eng[0], s.eng[1], s.history())
				}
				s.quick(3)
				s.echo("data")
			}
		})
	}
}

// TestSetMTUAtEveryDatagram changes the MTU behind the k-th datagram of each
// side, and again behind the next ones.
func TestSetMTUAtEveryDatagram(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sizes []int
	}{
		{"shrink to the floor", []int{228}},
		{"shrink a little", []int{1100}},
		{"shrink to what no rung has", []int{517}},
		{"grow to Ethernet", []int{1472}},
		{"grow beyond a record", []int{20000}},
		{"shrink step by step", []int{1000, 700, 500, 300, 228}},
		{"shrink, grow, shrink", []int{300, 1472, 400}},
		{"shrink, lift the ceiling, shrink more", []int{600, 0, 250}},
		{"grow, shrink, grow", []int{1472, 228, 9000}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			moments := cover{normal: 1, brief: 5}
			for _, kind := range simKinds {
				for from := range side(2) {
					for k := range 14 {
						if !moments.take() {
							continue
						}
						s := newMTUSim(t, kind.configs, MTUManual)
						s.path = func(at side, n int, _ []byte) []time.Duration {
							if i := n - k; at == from && i >= 0 && i < len(tt.sizes) {
								if err := s.eng[at].SetMTU(tt.sizes[i]); err != nil {
									t.Fatal(err)
								}
								s.logf("%v: SetMTU(%d)", at, tt.sizes[i])
							}
							return []time.Duration{simRTT / 2}
						}
						if !s.run(time.Minute, s.established) {
							t.Fatalf("%s, %v #%d: %v; %v\n%s", kind.name, from, k, s.eng[0], s.eng[1], s.history())
						}
						s.quick(3)
						s.echo("data")
					}
				}
			}
		})
	}
}

// TestSetMTUWhileLossy shrinks and grows at random under loss.
func TestSetMTUWhileLossy(t *testing.T) {
	t.Parallel()
	seeds := uint64(400)
	if brief() {
		seeds = 40
	}
	for seed := range seeds {
		kind := simKinds[seed%uint64(len(simKinds))]
		client, server := kind.configs()
		patient(client)
		patient(server)
		s := newSim(t, client, server)
		randomPath(s, seed)
		path, r := s.path, rand.New(rand.NewPCG(seed, 0x5e7))
		s.path = func(from side, n int, datagram []byte) []time.Duration {
			if r.IntN(4) == 0 {
				size := minMTU + r.IntN(1400)
				if err := s.eng[from].SetMTU(size); err != nil {
					t.Fatal(err)
				}
				s.logf("%v: SetMTU(%d)", from, size)
			}
			return path(from, n, datagram)
		}
		if !s.run(time.Hour, s.established) {
			t.Fatalf("seed %d (%s): %v; %v\n%s", seed, kind.name, s.eng[0], s.eng[1], s.history())
		}
		s.echo("data")
	}
}

// TestSetMTURange: the floor is the floor.
func TestSetMTURange(t *testing.T) {
	client, server := simKinds[0].configs()
	s := newSim(t, client, server)
	for _, tt := range []struct {
		n, want int
		ok      bool
	}{
		{1, 1232, false},
		{-1, 1232, false},
		{227, 1232, false},
		{228, 228, true},
		{227, 228, false},
		{0, 1232, true},
		{1 << 20, 65507, true},
	} {
		t.Run(fmt.Sprint(tt.n), func(t *testing.T) {
			if err := s.eng[0].SetMTU(tt.n); (err == nil) != tt.ok {
				t.Errorf("SetMTU(%d): %v", tt.n, err)
			}
			if got := s.eng[0].MTU(); got != tt.want {
				t.Errorf("MTU is %d after SetMTU(%d), want %d", got, tt.n, tt.want)
			}
		})
	}
}
