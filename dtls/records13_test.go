package dtls

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/acks"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/record"
)

// TestFragmentsHaveTheirOwnRecords: nothing new stands in a record behind
// something that the peer may have already. A peer that skips the rest of a
// record then, as NSS does, still gets everything.
func TestFragmentsHaveTheirOwnRecords(t *testing.T) {
	shared := 0
	for seed := range uint64(20) {
		client, server := simConfigs13(dtlstest.P256, 3000)
		s := newSim(t, client, server)
		rng := rand.New(rand.NewPCG(seed, 0))
		seen := [2]map[recordNumber]bool{{}, {}}
		s.path = func(from side, _ int, d []byte) []time.Duration {
			o := &s.eng[from].out
			parts := map[recordNumber][]acks.Part{}
			for _, r := range o.ledger.Records {
				parts[r.Number()] = append(parts[r.Number()], r.Part())
			}
			for n, list := range parts {
				if seen[from][n] || len(list) < 2 {
					continue
				}
				seen[from][n] = true
				shared++
				for _, p := range list {
					if p.Lo != 0 || int(p.Hi) != len(o.flight.msgs[p.Msg].body) {
						t.Fatalf("seed %d: %v sent bytes %d…%d of %v in a record with others\n%s",
							seed, from, p.Lo, p.Hi, o.flight.msgs[p.Msg].typ, s.history())
					}
				}
				if o.sent.number > 1 {
					t.Fatalf("seed %d: %v repeated %d messages in one record\n%s", seed, from, len(list), s.history())
				}
			}
			if hello := from == clientSide && record.ContentType(d[0]) == record.TypeHandshake; !hello && rng.IntN(4) == 0 {
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		s.handshake()
	}
	if shared == 0 {
		t.Error("no messages shared a record")
	}
}
