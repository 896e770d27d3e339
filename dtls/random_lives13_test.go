package dtls

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// TestRandomLives13: what comes after the handshake, all at once and at random: data,
// new keys, other limits, suspected restarts, an end that lingers, over paths that
// lose up to a tenth. Nobody is given up who is there, nothing spins, and when all is
// quiet nothing is due any more.
func TestRandomLives13(t *testing.T) {
	t.Parallel()
	first, count := seeds(t)
	for seed := first; seed < first+min(count, 500); seed++ {
		rng := rand.New(rand.NewPCG(seed, 0))
		client, server := simConfigs13(dtlstest.P256, 0)
		client.Linger, server.Linger = time.Minute, time.Minute
		if rng.IntN(3) == 0 {
			client.Retransmit, server.Retransmit = RetransmitRealtime, RetransmitRealtime
		}
		s := newSim(t, client, server)
		s.handshake()
		loss, closed := rng.Float64()/10, false
		s.path = func(side, int, []byte) []time.Duration {
			if rng.Float64() < loss {
				return nil
			}
			return []time.Duration{simRTT/2 + time.Duration(rng.IntN(20))*ms}
		}
		steps, last := 0, s.now
		live := func(d time.Duration) {
			s.run(d, func() bool {
				if steps++; s.now.After(last) {
					steps, last = 0, s.now
				}
				if steps > 300 {
					t.Fatalf("seed %d: %v and %v are busy with nothing\n%s", seed, s.eng[0], s.eng[1], s.history())
				}
				return false
			})
		}
		for range 60 {
			e := s.eng[rng.IntN(2)]
			switch rng.IntN(6) {
			case 0:
				_ = e.UpdateKeys(s.now, rng.IntN(2) == 0)
			case 1:
				if e := s.eng[serverSide]; !closed && e.Err() == nil {
					e.tick(s.now)
					e.suspectRestart()
				}
			case 2:
				if len(e.data) == 0 && e.Err() == nil {
					_ = e.SetMTU(300 + rng.IntN(1000))
				}
			case 3:
				if rng.IntN(20) == 0 {
					closed = true
					e.Linger(s.now)
				}
			default:
				_ = e.Write(s.now, []byte("data"))
			}
			live(time.Duration(rng.IntN(3000)) * ms)
		}
		if !closed && !s.established() {
			t.Fatalf("seed %d: %v; %v\n%s", seed, s.eng[0], s.eng[1], s.history())
		}
		live(10 * time.Minute)
		for at, e := range s.eng {
			if !closed && !e.NextTimeout().IsZero() {
				t.Fatalf("seed %d: %v is due in %v\n%s", seed, side(at), e.NextTimeout().Sub(s.now), s.history())
			}
		}
	}
}
