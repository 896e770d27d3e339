package dtls

import (
	"testing"
	"time"
)

// TestUnacknowledgedTickets: a client that falls silent before it has
// acknowledged its tickets, or never acknowledges them, loses nothing. What the
// server sends later brings them along.
func TestUnacknowledgedTickets(t *testing.T) {
	client, server := simConfigs13(0, 0)
	s := newSim(t, client, server)
	awake := s.now.Add(24 * time.Hour)
	s.path = func(from side, _ int, _ []byte) []time.Duration {
		if from == clientSide && s.eng[serverSide].post != nil && s.now.Before(awake) {
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(time.Hour, func() bool { return false })
	if err := s.eng[serverSide].Err(); err != nil {
		t.Fatalf("%v\n%s", err, s.history())
	}
	if at := s.eng[serverSide].NextTimeout(); !at.IsZero() {
		t.Errorf("the server wants to go on in %v", at.Sub(s.now))
	}
	if s.outstanding() == "" {
		t.Fatal("the tickets were acknowledged")
	}
	s.now = awake
	s.echo("awake")
	s.update(serverSide, true)
	s.settle()
	s.echo("with new keys")
	if n := s.eng[serverSide].keys.write; n != epochData+1 {
		t.Errorf("the server writes in epoch %d", n)
	}
}
