package dtls

import (
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// TestPeerKeepsOnlyWhatAdjoins: a client that throws away each fragment which
// does not touch the bytes it has, as some do, and that misses many fragments
// at the front of the certificate. In order, each repetition would give it one
// fragment more; backwards, one gives it all.
func TestPeerKeepsOnlyWhatAdjoins(t *testing.T) {
	client, server := simConfigs(dtlstest.P256, 6000)
	server.MTU = 300
	s := newSim(t, client, server)
	s.path = func(from side, n int, _ []byte) []time.Duration {
		if from == serverSide && n >= 1 && n <= 12 { // after the HelloVerifyRequest
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	var lo, hi uint32 // what the client has of the certificate
	s.onDeliver = func(to side, datagram []byte) []byte {
		if to != clientSide {
			return datagram
		}
		var kept []byte
		for rest := datagram; len(rest) > 0; {
			whole := rest
			h, payload, more, err := record.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			rest = more
			if h.Epoch == 0 && h.Type == record.TypeHandshake {
				m, _, _, err := message.NextFragment(payload)
				if err != nil {
					t.Fatal(err)
				}
				if m.Type == message.TypeCertificate {
					from, end := m.FragmentOffset, m.FragmentOffset+m.FragmentLength
					switch {
					case hi == 0:
						lo, hi = from, end
					case from <= hi && end >= lo:
						lo, hi = min(lo, from), max(hi, end)
					default:
						continue
					}
				}
			}
			kept = append(kept, whole[:len(whole)-len(more)]...)
		}
		return kept
	}
	s.handshake()
	if n := s.sent[serverSide]; n > 120 {
		t.Errorf("%d datagrams of the server", n)
	}
	if took := s.now.Sub(s.start); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}
