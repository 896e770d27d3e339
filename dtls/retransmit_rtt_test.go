package dtls

import (
	"testing"
	"time"
)

// samples are what timers learn from a round trip.
var samples = []struct {
	name     string
	rtt      time.Duration
	policy   RetransmitPolicy
	rto      time.Duration
	measured bool
}{
	{"one and a half round trips", 400 * ms, RetransmitPolicy{}, 600 * ms, true},
	{"not below the minimum", 50 * ms, RetransmitPolicy{}, 200 * ms, true},
	{"the minimum of media", 50 * ms, RetransmitRealtime, 75 * ms, true},
	{"a sample only lowers", 800 * ms, RetransmitPolicy{}, time.Second, true},
	{"no sample of what may have been a repetition", 1200 * ms, RetransmitPolicy{}, time.Second, false},
	{"not for constrained devices", 2 * time.Second, RetransmitConstrained, 9 * time.Second, true},
	{"not if not wanted", 400 * ms, RetransmitPolicy{NoRTT: true}, time.Second, false},
}

// TestClientLearnsRTT: from the HelloVerifyRequest.
func TestClientLearnsRTT(t *testing.T) {
	for _, tt := range samples {
		t.Run(tt.name, func(t *testing.T) {
			client, server := simKinds[0].configs()
			client.Retransmit = tt.policy
			s := newSim(t, client, server)
			s.path = func(side, int, []byte) []time.Duration { return []time.Duration{tt.rtt / 2} }
			e := s.eng[clientSide]
			s.run(time.Minute, func() bool { return len(helloOf(e).Cookie) > 0 })
			if e.out.timer.RTO != tt.rto || e.out.timer.Measured() != tt.measured || e.out.timer.Timeout != tt.rto {
				t.Errorf("timer %v, begins with %v, measured %v", e.out.timer.Timeout, e.out.timer.RTO, e.out.timer.Measured())
			}
		})
	}
	t.Run("Karn: a hello that was sent twice gives no sample", func(t *testing.T) {
		client, server := simKinds[0].configs()
		s := newSim(t, client, server)
		s.path = func(from side, n int, _ []byte) []time.Duration {
			if from == clientSide && n == 0 {
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		e := s.eng[clientSide]
		s.run(time.Minute, func() bool { return len(helloOf(e).Cookie) > 0 })
		if e.out.timer.RTO != time.Second || e.out.timer.Measured() {
			t.Errorf("timer begins with %v, measured %v", e.out.timer.RTO, e.out.timer.Measured())
		}
	})
}

// provenHello passes a door with a round trip of rtt.
func provenHello(t *testing.T, client, server *Config, rtt time.Duration) *ProvenHello {
	t.Helper()
	door, err := NewDoor(server, simStart)
	if err != nil {
		t.Fatal(err)
	}
	s := bareSim(t)
	from, to := s.addr[clientSide], s.addr[serverSide]
	e, err := NewClientEngine(client, simStart)
	if err != nil {
		t.Fatal(err)
	}
	tx, _ := e.PollTransmit(simStart, nil)
	reply, _ := door.Handle(simStart, tx.Data, from, to, nil)
	if err := e.HandleDatagram(simStart, reply, to); err != nil {
		t.Fatal(err)
	}
	tx, _ = e.PollTransmit(simStart, nil)
	_, hello := door.Handle(simStart.Add(rtt), tx.Data, from, to, nil)
	if hello == nil {
		t.Fatal("the cookie is not accepted")
	}
	return hello
}

// TestServerLearnsRTT: from its cookie, before it keeps any state.
func TestServerLearnsRTT(t *testing.T) {
	for _, tt := range samples {
		t.Run(tt.name, func(t *testing.T) {
			client, server := simKinds[0].configs()
			server.Retransmit, server.CookieMode = tt.policy, CookieAuto
			hello := provenHello(t, client, server, tt.rtt)
			now := simStart.Add(tt.rtt)
			e, err := NewServerEngine(server, hello, now)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.HandleDatagram(now, hello.Datagram, hello.From); err != nil {
				t.Fatal(err)
			}
			if e.out.timer.RTO != tt.rto || e.out.timer.Measured() != tt.measured || e.out.timer.Timeout != tt.rto {
				t.Errorf("timer %v, begins with %v, measured %v", e.out.timer.Timeout, e.out.timer.RTO, e.out.timer.Measured())
			}
		})
	}
}
