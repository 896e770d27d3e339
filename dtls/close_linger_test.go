package dtls

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/epochs"
)

// lingering is a sim whose server closes as soon as its handshake is complete.
func lingering(t testing.TB, configs func() (client, server *Config)) *sim {
	client, server := configs()
	s := newSim(t, client, server)
	s.onEvent = func(at side, ev Event) {
		if at == serverSide && ev.Kind == EventEstablished && !s.eng[at].Linger(s.now) {
			t.Error("the last flight is unconfirmed, and the server does not linger")
		}
	}
	return s
}

// finished: the client has its handshake and knows that it is over, and so does
// the server.
func (s *sim) finished() bool {
	return s.eng[clientSide].closing.received && s.eng[serverSide].Err() != nil
}

// TestLingerThroughLoss: whatever one or two datagrams are lost, doubled or
// delayed, a server that closes at once completes the client's handshake. Each
// datagram is tried together with the close_notify that follows; of the other
// pairs the brief form tries a cover.
func TestLingerThroughLoss(t *testing.T) {
	for _, kind := range simKinds[:kinds12] {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			all := victims(t, kind.configs)
			extra := victim{serverSide, all[len(all)-1].n + 1, lost} // the close_notify
			pairs := cover{normal: 1, brief: 7}
			for i, a := range all {
				for _, b := range append(all[i+1:], extra) {
					if !pairs.take() && b != extra {
						continue
					}
					s := lingering(t, kind.configs)
					s.path = func(from side, n int, _ []byte) []time.Duration {
						for _, v := range [...]victim{a, b} {
							if v.from == from && v.n == n {
								return v.fate.copies()
							}
						}
						return []time.Duration{simRTT / 2}
					}
					if !s.run(time.Minute, s.eng[clientSide].Established) {
						t.Fatalf("%v, %v: client %v\n%s", a, b, s.eng[clientSide], s.history())
					}
				}
			}
		})
	}
}

// TestLingerOnRandomPaths: with a third of all datagrams lost, the client gets
// its handshake, and a word about the end once it speaks.
func TestLingerOnRandomPaths(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		kind := simKinds[seed%kinds12]
		rng := rand.New(rand.NewPCG(seed, 0))
		s := lingering(t, func() (*Config, *Config) {
			client, server := kind.configs()
			client.HandshakeTimeout, server.HandshakeTimeout = time.Hour, time.Hour
			client.Retransmit.MaxTries, server.Retransmit.MaxTries = 100, 100
			server.Linger = time.Hour
			return client, server
		})
		s.path = func(side, int, []byte) []time.Duration {
			if rng.IntN(3) == 0 {
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		client, server := s.eng[clientSide], s.eng[serverSide]
		if !s.run(time.Hour, client.Established) {
			t.Fatalf("seed %d: client %v; server %v\n%s", seed, client, server, s.history())
		}
		for try := 0; server.Err() == nil; try++ {
			if try > 50 {
				t.Fatalf("seed %d: the server lingers on\n%s", seed, s.history())
			}
			if err := client.Write(s.now, []byte("hello?")); err != nil && !client.closing.received {
				t.Fatal(err)
			}
			s.run(time.Second, s.finished)
		}
		if err := server.Err(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("seed %d: the server ended with %v", seed, err)
		}
		if len(s.data[serverSide]) > 0 {
			t.Errorf("seed %d: data was delivered after Close", seed)
		}
	}
}

// TestLingerOfClient12: the last flight of an abbreviated handshake is the client's. One
// that closes at once completes the handshake of the server, whatever datagram is lost.
func TestLingerOfClient12(t *testing.T) {
	for _, v := range victims(t, resumable12) {
		client, server := resumable12()
		s := newSim(t, client, server)
		s.onEvent = func(at side, ev Event) {
			if at == clientSide && ev.Kind == EventEstablished && !s.eng[at].Linger(s.now) {
				t.Error("the last flight is unconfirmed, and the client does not linger")
			}
		}
		s.path = func(from side, n int, _ []byte) []time.Duration {
			if v.from == from && v.n == n {
				return v.fate.copies()
			}
			return []time.Duration{simRTT / 2}
		}
		if !s.run(time.Minute, s.eng[serverSide].Established) {
			t.Fatalf("%v: server %v\n%s", v, s.eng[serverSide], s.history())
		}
	}
}

// TestLingerEnds by the first sign of a peer that has the last flight, and by
// time.
func TestLingerEnds(t *testing.T) {
	configs := func() (*Config, *Config) { return simConfigs(dtlstest.P256, 0) }
	t.Run("close_notify", func(t *testing.T) {
		s := lingering(t, configs)
		if !s.run(time.Second, s.finished) {
			t.Errorf("client %v; server %v\n%s", s.eng[0], s.eng[1], s.history())
		}
	})
	t.Run("data", func(t *testing.T) {
		s := lingering(t, configs)
		closing := 0
		s.path = func(from side, n int, d []byte) []time.Duration {
			if from == serverSide && s.eng[serverSide].closing.sent && s.eng[clientSide].Established() {
				closing++ // the first one is lost
			}
			if from == serverSide && s.eng[serverSide].closing.sent && len(d) < 50 && closing == 0 {
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		if !s.run(time.Second, s.eng[clientSide].Established) {
			t.Fatal(s.history())
		}
		if err := s.eng[clientSide].Write(s.now, []byte("hello?")); err != nil {
			t.Fatal(err)
		}
		if !s.run(time.Second, s.finished) {
			t.Errorf("client %v; server %v\n%s", s.eng[0], s.eng[1], s.history())
		}
	})
	t.Run("time", func(t *testing.T) {
		s := lingering(t, configs)
		s.path = func(from side, n int, d []byte) []time.Duration {
			if from == serverSide && s.eng[serverSide].closing.sent {
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		if !s.run(time.Hour, func() bool { return s.eng[serverSide].Err() != nil }) {
			t.Fatalf("it lingers for ever\n%s", s.history())
		}
		if e := s.eng[serverSide]; e.out.flight.msgs != nil || e.keys != (epochs.Epochs{}) || !e.NextTimeout().IsZero() {
			t.Error("something is left")
		}
		if lasted := s.now.Sub(s.start); lasted < 2*time.Minute || lasted > 2*time.Minute+time.Second {
			t.Errorf("it took %v", lasted)
		}
	})
	t.Run("Close", func(t *testing.T) {
		s := lingering(t, configs)
		s.run(time.Minute, func() bool { return s.eng[serverSide].closing.sent })
		s.eng[serverSide].Close(s.now)
		if err := s.eng[serverSide].Err(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}

// TestLingerIsBounded: a peer that never stops asking gets so many last flights
// and no more.
func TestLingerIsBounded(t *testing.T) {
	var finished []byte
	s := lingering(t, func() (*Config, *Config) { return simConfigs(dtlstest.P256, 0) })
	last := 0
	s.path = func(from side, n int, d []byte) []time.Duration {
		if from == clientSide {
			finished = append(finished[:0], d...)
		}
		if from == serverSide && s.eng[serverSide].closing.sent {
			last++
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(30*time.Second, func() bool { return s.eng[clientSide].Err() != nil })
	if last < 8 || last > 3*(maxLastFlights+1) {
		t.Errorf("%d datagrams in answer", last)
	}
	if d := s.eng[serverSide].Drops(); d.Repeated == 0 || d.AfterClose != 0 {
		t.Errorf("%v", d)
	}
}

// TestNobodyLingersWithoutNeed: where nothing of ours can be missed, Linger is
// Close.
func TestNobodyLingersWithoutNeed(t *testing.T) {
	for _, test := range []struct {
		name   string
		engine func(t *testing.T) (*sim, *Engine)
	}{
		{"in a handshake", func(t *testing.T) (*sim, *Engine) {
			client, server := simConfigs(dtlstest.P256, 0)
			s := newSim(t, client, server)
			return s, s.eng[serverSide]
		}},
		{"the client", func(t *testing.T) (*sim, *Engine) {
			s := established(t)
			return s, s.eng[clientSide]
		}},
		{"a server that has heard from its client", func(t *testing.T) (*sim, *Engine) {
			s := established(t)
			return s, s.eng[serverSide]
		}},
		{"switched off", func(t *testing.T) (*sim, *Engine) {
			client, server := simConfigs(dtlstest.P256, 0)
			server.Linger = -1
			s := newSim(t, client, server)
			s.run(time.Minute, s.established)
			return s, s.eng[serverSide]
		}},
		{"over already", func(t *testing.T) (*sim, *Engine) {
			s := established(t)
			s.eng[serverSide].Close(s.now)
			return s, s.eng[serverSide]
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, e := test.engine(t)
			if e.Linger(s.now) || e.Err() == nil || !e.NextTimeout().IsZero() {
				t.Errorf("it lingers: %v", e)
			}
		})
	}
}

func TestLingerDefault(t *testing.T) {
	for _, test := range []struct {
		config *Config
		want   time.Duration
	}{
		{&Config{}, 2 * time.Minute},
		{&Config{Retransmit: RetransmitPolicy{Max: 10 * time.Second}}, 20 * time.Second},
		{&Config{Retransmit: RetransmitPolicy{Max: time.Hour}}, 4 * time.Minute},
		{&Config{Linger: time.Second}, time.Second},
		{&Config{Linger: -1}, 0},
	} {
		p, err := resolve(withName(test.config), true)
		if err != nil || p.linger != test.want {
			t.Errorf("%v, want %v (%v)", fmt.Sprint(p.linger), test.want, err)
		}
	}
}
