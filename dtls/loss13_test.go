package dtls

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// lossyPath draws loss of up to 30 %, duplicates and reordering from a seed.
func lossyPath(s *sim, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0x10551))
	loss, dup, reorder := r.Float64()*0.3, r.Float64()*0.2, r.IntN(30)
	s.logf("seed %d: loss %.2f, duplicates %.2f, reorder %d ms", seed, loss, dup, reorder)
	one := func() time.Duration { return simRTT/2 + time.Duration(r.IntN(reorder+1))*time.Millisecond }
	s.path = func(side, int, []byte) (copies []time.Duration) {
		if r.Float64() < loss {
			return nil
		}
		if r.Float64() < dup {
			copies = append(copies, one())
		}
		return append(copies, one())
	}
}

// TestRandomPaths13: KeyUpdates of both sides are under way from the first moment
// on, and data; in the end all of it has arrived and nothing is outstanding. A
// failing seed is repeated with FLIGHTPATH_SIM_SEED.
func TestRandomPaths13(t *testing.T) {
	first, count := seeds(t)
	if count > 1 && !soak() {
		count = min(count, 1000)
	}
	kinds := kinds13()
	const workers = 2
	for w := range uint64(workers) {
		t.Run(fmt.Sprintf("worker %d", w), func(t *testing.T) {
			t.Parallel()
			for seed := first + w; seed < first+count; seed += workers {
				kind := kinds[seed%uint64(len(kinds))]
				client, server := kind.configs()
				patient(client)
				patient(server)
				if server.CookieMode == CookieAlways {
					// All datagrams of a first hello must get to the door within a second;
					// at 30 % loss and 228 bytes a post-quantum one never ends. The second
					// one needs only its first in that second.
					client.Hello = HelloSmall
				}
				s := newSim(t, client, server)
				lossyPath(s, seed)
				r := rand.New(rand.NewPCG(seed, 0x4e1))
				updates := [2]int{2 + r.IntN(4), 2 + r.IntN(4)}
				for updates != [2]int{} {
					s.run(time.Duration(r.IntN(120))*ms, func() bool { return s.over() })
					if s.over() || s.now.Sub(s.start) > time.Hour {
						break
					}
					for at, e := range s.eng {
						if !e.Established() || r.IntN(2) == 0 {
							continue
						}
						if updates[at] > 0 {
							updates[at]--
							s.update(side(at), r.IntN(2) == 0)
						}
						_ = e.Write(s.now, []byte("under way"))
					}
				}
				if !s.run(time.Hour, func() bool { return s.established() && s.outstanding() == "" || s.over() }) || s.over() {
					t.Fatalf("seed %d (%s): %v; %v; %s\n%s", seed, kind.name, s.eng[0], s.eng[1], s.outstanding(), s.history())
				}
				s.echoLast("data")
				for at, e := range s.eng {
					if e.keys.Write() < 4 {
						t.Fatalf("seed %d: %v writes in epoch %d\n%s", seed, side(at), e.keys.Write(), s.history())
					}
				}
			}
		})
	}
}

// echoLast is echo where older data may still arrive.
func (s *sim) echoLast(text string) {
	s.t.Helper()
	for from := range side(2) {
		got := func() bool {
			return slices.ContainsFunc(s.data[from.other()], func(d []byte) bool { return string(d) == text })
		}
		for try := 0; !got(); try++ {
			if try == 200 {
				s.t.Fatalf("data of the %s never arrives\n%s", from, s.history())
			}
			if err := s.eng[from].Write(s.now, []byte(text)); err != nil {
				s.t.Fatalf("%s: %v\n%s", from, err, s.history())
			}
			s.run(time.Second, got)
		}
	}
}

// permutations of 0 … n−1.
func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, p := range permutations(n - 1) {
		for i := 0; i <= len(p); i++ {
			all = append(all, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return all
}

// TestPermutations13: every order of the server's flight and of the client's, with
// each datagram lost or doubled (THREATS 46).
func TestPermutations13(t *testing.T) {
	t.Parallel()
	configs := func() (*Config, *Config) {
		client, server := simKinds[5].configs()
		client.MTU, server.MTU = 700, 700 // five datagrams of the server, three or so of the client
		return client, server
	}
	client, server := configs()
	calm := newSim(t, client, server)
	var flights [2][]int
	calm.path = func(from side, n int, d []byte) []time.Duration {
		if from == serverSide || n >= 3 { // behind the hello
			flights[from] = append(flights[from], n)
		}
		return []time.Duration{simRTT / 2}
	}
	calm.run(time.Minute, calm.established)
	orders, runs := 0, 0
	for from := range side(2) {
		n := min(len(flights[from]), 5)
		for _, order := range permutations(n) {
			for victim := -1; victim < n; victim++ {
				for f := range delayed {
					if victim < 0 && f > 0 {
						continue
					}
					if orders++; brief() && orders%7 != 0 {
						continue
					}
					runs++
					client, server := configs()
					s := newSim(t, client, server)
					s.path = func(at side, k int, _ []byte) []time.Duration {
						i := slices.Index(flights[from], k)
						if at != from || i < 0 || i >= n {
							return []time.Duration{simRTT / 2}
						}
						after := simRTT/2 + time.Duration(order[i])*ms
						switch {
						case i == victim && f == lost:
							return nil
						case i == victim:
							return []time.Duration{after, after + 10*ms}
						}
						return []time.Duration{after}
					}
					if !s.run(2*time.Minute, s.established) {
						t.Fatalf("%v %v, %d is %v: %v; %v\n%s", from, order, victim, f, s.eng[0], s.eng[1], s.history())
					}
					s.settle()
					s.echo("data")
				}
			}
		}
	}
	t.Logf("%d of %d orders", runs, orders)
}

// TestAmplification13: a server that asks for no cookie sends three times what it
// got to an address that proved nothing, and whatever datagram is lost, the
// handshake completes (RFC 9147, Section 5.1).
func TestAmplification13(t *testing.T) {
	configs := []struct {
		name    string
		configs func() (*Config, *Config)
	}{
		{"large chain", func() (*Config, *Config) { return simConfigs13(dtlstest.P256, 12000) }},
		{"small hello", func() (*Config, *Config) {
			client, server := simConfigs13(dtlstest.P256, 6000)
			client.Hello = HelloSmall
			return client, server
		}},
		{"mutual", simKinds[5].configs},
		{"psk", simKinds[6].configs},
	}
	for _, mode := range []CookieMode{CookieNever, CookieUnderLoad} {
		for _, kind := range configs {
			t.Run(fmt.Sprintf("%v, mode %d", kind.name, mode), func(t *testing.T) {
				t.Parallel()
				run := func(list ...victim) [2]int {
					client, server := kind.configs()
					server.CookieMode = mode
					s := newSim(t, client, server)
					received, sent := 0, 0
					s.onDeliver = func(to side, d []byte) []byte {
						if to == serverSide {
							received += len(d)
						}
						return d
					}
					s.path = func(from side, n int, d []byte) []time.Duration {
						if e := s.eng[serverSide]; from == serverSide && !e.path.credit.unlimited {
							if sent += len(d); sent > 3*received {
								t.Fatalf("%v: %d bytes for %d\n%s", list, sent, received, s.history())
							}
						}
						for _, v := range list {
							if v.from == from && v.n == n {
								return v.fate.copies()
							}
						}
						return []time.Duration{simRTT / 2}
					}
					if !s.run(2*time.Minute, s.established) {
						t.Fatalf("%v: %v; %v\n%s", list, s.eng[0], s.eng[1], s.history())
					}
					s.settle()
					s.echo("data")
					return s.sent
				}
				sent := run()
				for from := range side(2) {
					for n := range sent[from] {
						run(victim{from, n, lost})
						run(victim{from, n, lost}, victim{from, n + 1, lost})
						run(victim{from, n, lost}, victim{from.other(), n, lost})
					}
				}
			})
		}
	}
}
