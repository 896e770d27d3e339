package dtls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/epochs"
)

// In DTLS 1.3 either side may have something outstanding when it closes.

// closer13 is a sim of which one side closes as soon as its handshake is complete.
// The other does, when it hears of that, or never.
type closer13 struct {
	*sim
	by, other side
}

func closing13(t testing.TB, configs func() (client, server *Config), by side, answers bool) closer13 {
	client, server := configs()
	c := closer13{newSim(t, client, server), by, by.other()}
	c.onEvent = func(at side, ev Event) {
		if at == by && ev.Kind == EventEstablished && !c.eng[at].Linger(c.now) {
			t.Error("nothing is acknowledged, and it does not linger")
		}
		if at == by.other() && ev.Kind == EventClosed && answers {
			c.eng[at].Linger(c.now)
		}
	}
	return c
}

// heard reports whether the other side has had its handshake and the end of it.
func (c closer13) heard() bool {
	return slices.Contains(c.events[c.other], EventEstablished) && slices.Contains(c.events[c.other], EventClosed)
}

// ends runs until both sides know; in ten minutes more nobody runs into a time-out.
func (c closer13) ends(what ...any) {
	c.t.Helper()
	if !c.run(5*time.Minute, func() bool { return c.heard() && c.eng[c.by].Err() != nil }) {
		c.t.Fatalf("%v: %v; %v\n%s", what, c.eng[0], c.eng[1], c.history())
	}
	c.run(10*time.Minute, func() bool { return false })
	for at, e := range c.eng {
		if err := e.Err(); err != nil && !errors.Is(err, net.ErrClosed) || err == nil && side(at) == c.by {
			c.t.Fatalf("%v: the %v ended with %v\n%s", what, side(at), err, c.history())
		}
	}
	if err := c.eng[c.by].Err(); c.eng[c.by].keys != (epochs.Epochs{}) || c.eng[c.by].out.flight.msgs != nil {
		c.t.Fatalf("%v: something is left, %v", what, err)
	}
}

func kindsOfEnd13() []struct {
	name    string
	configs func() (client, server *Config)
} {
	list := kinds13()
	return append(list, struct {
		name    string
		configs func() (client, server *Config)
	}{"without tickets", func() (*Config, *Config) {
		client, server := simConfigs13(dtlstest.P256, 0)
		server.SessionTicketsDisabled, server.CookieMode = true, CookieAuto
		return client, server
	}})
}

// TestCloseAtOnce13: whatever one or two datagrams are lost, doubled or delayed, a
// side that closes at once completes the handshake of the other, and tells it that
// this was all. Each way the other closes then, or does not (THREATS 37). A cover
// of the pairs is tried; two losses outside the brief form always.
func TestCloseAtOnce13(t *testing.T) {
	for _, kind := range kindsOfEnd13() {
		for by := range side(2) {
			t.Run(fmt.Sprintf("%s, the %v", kind.name, by), func(t *testing.T) {
				t.Parallel()
				calm := closing13(t, kind.configs, by, true)
				calm.ends()
				var all []victim
				for from := range side(2) {
					for n := range calm.sent[from] + 2 { // those that go out in their place, too
						for f := range fates {
							all = append(all, victim{from, n, f})
						}
					}
				}
				pairs := cover{normal: 13, brief: 47}
				for i, a := range all {
					for _, b := range all[i:] {
						always := a == b || a.fate == lost && b.fate == lost && !brief()
						if !pairs.take() && !always {
							continue
						}
						s := closing13(t, kind.configs, by, pairs.cases%2 == 0)
						s.path = func(from side, n int, _ []byte) []time.Duration {
							for _, v := range [...]victim{a, b} {
								if v.from == from && v.n == n {
									return v.fate.copies()
								}
							}
							return []time.Duration{simRTT / 2}
						}
						s.ends(a, b)
					}
				}
			})
		}
	}
}

// TestCloseOnRandomPaths13: with a third of all datagrams lost, and as much
// patience, the handshake of the other side completes.
func TestCloseOnRandomPaths13(t *testing.T) {
	t.Parallel()
	told := 0
	const count = 200
	for seed := range uint64(count) {
		kinds := kindsOfEnd13()
		kind, by := kinds[seed/2%uint64(len(kinds))], side(seed%2)
		rng := rand.New(rand.NewPCG(seed, 0))
		s := closing13(t, func() (*Config, *Config) {
			client, server := kind.configs()
			// A post-quantum hello seldom gets to a door at that loss.
			client.Hello, server.CurvePreferences = HelloSmall, []tls.CurveID{tls.X25519}
			patient(client)
			patient(server)
			client.Linger, server.Linger = time.Hour, time.Hour
			return client, server
		}, by, false)
		s.path = func(side, int, []byte) []time.Duration {
			if rng.IntN(3) == 0 {
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		if !s.run(2*time.Hour, func() bool { return s.eng[by].Err() != nil }) || !slices.Contains(s.events[s.other], EventEstablished) {
			t.Fatalf("seed %d, %s, the %v: %v; %v\n%s", seed, kind.name, by, s.eng[0], s.eng[1], s.history())
		}
		if s.heard() {
			told++
		}
	}
	if told < count*9/10 { // who has all of the flight is told three times
		t.Errorf("%d of %d heard of the end", told, count)
	}
}

// TestLingerEnds13 where nobody answers: by time, and before that it has given up
// to repeat the flight. With the first sign of a peer that has all, it is over
// within two timers.
func TestLingerEnds13(t *testing.T) {
	configs := func() (*Config, *Config) { return simConfigs13(dtlstest.P256, 0) }
	for by := range side(2) {
		t.Run(fmt.Sprintf("the %v, by time", by), func(t *testing.T) {
			s := closing13(t, configs, by, false)
			sent := 0
			s.path = func(from side, _ int, _ []byte) []time.Duration {
				if s.eng[by].closing.sent {
					if from == by {
						sent++
					}
					return nil
				}
				return []time.Duration{simRTT / 2}
			}
			s.run(time.Minute, func() bool { return s.eng[by].closing.sent })
			began := s.now
			if !s.run(time.Hour, func() bool { return s.eng[by].Err() != nil }) {
				t.Fatalf("it lingers for ever\n%s", s.history())
			}
			if took := s.now.Sub(began); took > 2*time.Minute || !errors.Is(s.eng[by].Err(), net.ErrClosed) {
				t.Errorf("after %v: %v", took, s.eng[by].Err())
			}
			if most := 4 * (RetransmitDefault.MaxTries + 2); sent > most {
				t.Errorf("%d datagrams, want %d at most\n%s", sent, most, s.history())
			}
			s.flush(by)
			if e := s.eng[by]; e.out.flight.msgs != nil || e.keys != (epochs.Epochs{}) || !e.NextTimeout().IsZero() {
				t.Error("something is left")
			}
		})
		t.Run(fmt.Sprintf("the %v, of a peer that is silent behind its ACK", by), func(t *testing.T) {
			s := closing13(t, configs, by, false)
			s.beforeSend = func(from side) {
				if from == s.other && s.eng[from].closing.received {
					s.eng[from].alerts.Clear() // some do not answer a close_notify
				}
			}
			s.run(time.Minute, func() bool { return s.eng[by].closing.sent })
			began := s.now
			if !s.run(time.Hour, func() bool { return s.eng[by].Err() != nil }) || s.now.Sub(began) > time.Second {
				t.Errorf("after %v\n%s", s.now.Sub(began), s.history())
			}
		})
	}
	t.Run("Close", func(t *testing.T) {
		s := closing13(t, configs, clientSide, false)
		s.run(time.Minute, func() bool { return s.eng[clientSide].closing.sent })
		s.eng[clientSide].Close(s.now)
		if err := s.eng[clientSide].Err(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}

// TestNobodyLingersWithoutNeed13: where nothing of ours can be missed, Linger is
// Close; a KeyUpdate is no use to a peer whom nothing is sent any more.
func TestNobodyLingersWithoutNeed13(t *testing.T) {
	for by := range side(2) {
		for name, before := range map[string]func(s *sim){
			"all is acknowledged": func(*sim) {},
			"a key update is out": func(s *sim) {
				s.path = func(side, int, []byte) []time.Duration { return nil }
				s.update(by, true)
			},
			"the peer has closed": func(s *sim) {
				s.eng[by.other()].Close(s.now)
				s.run(simRTT, func() bool { return s.eng[by].closing.received })
			},
		} {
			client, server := simConfigs13(dtlstest.P256, 0)
			s := newSim(t, client, server)
			s.handshake()
			s.settle()
			before(s)
			if e := s.eng[by]; e.Linger(s.now) || e.Err() == nil || !e.NextTimeout().IsZero() {
				t.Errorf("the %v, %s: it lingers: %v", by, name, e)
			}
		}
	}
}

// TestNoSessionWhileLingering: a client that lingers has let go of the server's
// certificates. A session without them would be resumed whomever it is from.
func TestNoSessionWhileLingering(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 0)
	s := newSim(t, client, server)
	e := s.eng[clientSide]
	s.run(time.Minute, e.Established)
	if !e.Linger(s.now) {
		t.Fatal("it does not linger")
	}
	for e.Err() == nil && s.step() {
		if _, err := e.Session(); !errors.Is(err, ErrNoSession) {
			t.Fatalf("a session, %v\n%s", err, s.history())
		}
	}
}
