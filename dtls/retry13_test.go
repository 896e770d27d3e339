package dtls

import (
	"bytes"
	"crypto/tls"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// retryGroups are what a HelloRetryRequest may ask for besides a cookie: no share,
// one, and one with which the second hello takes several datagrams.
var retryGroups = []tls.CurveID{tls.X25519, tls.CurveP384, tls.X25519MLKEM768}

// impatient is a client with a small hello and a short timer before a door, and a
// server that wants that group.
func impatient(t testing.TB, group tls.CurveID, initial time.Duration) *sim {
	client, server := simConfigs13(dtlstest.P256, 0)
	client.Hello, server.CurvePreferences = HelloSmall, []tls.CurveID{group}
	client.Retransmit = RetransmitDefault
	client.Retransmit.Initial, client.Retransmit.Min = initial, 50*ms
	server.Retransmit = client.Retransmit
	s := newSim(t, client, server)
	return s
}

// isHello reports whether a datagram begins with a hello of that number.
func isHello(d []byte, seq uint16) bool {
	h, payload, _, err := record.Next(d)
	if err != nil || h.Type != record.TypeHandshake || h.Epoch > 0 {
		return false
	}
	m, _, _, err := message.NextFragment(payload)
	return err == nil && m.Type == message.TypeClientHello && m.Seq == seq
}

// hellosOf counts the different hellos that the client of a simulation sends.
func hellosOf(s *sim) (count func() int) {
	seen := map[*message.ClientHello]bool{}
	s.beforeSend = func(side) {
		if h := helloOf(s.eng[clientSide]); h != nil {
			seen[h] = true
		}
	}
	return func() int { return len(seen) }
}

// TestOneOfSeveralRetries: three copies of the first hello bring two different
// HelloRetryRequests. The client follows the first and no other, and the handshake
// completes (THREATS 24).
func TestOneOfSeveralRetries(t *testing.T) {
	for _, group := range retryGroups {
		for _, again := range []time.Duration{25 * ms, 250 * ms, time.Second} {
			s := impatient(t, group, 100*ms)
			hellos := hellosOf(s)
			s.path = func(from side, n int, d []byte) []time.Duration {
				switch {
				case from == clientSide && isHello(d, 0): // sent at 0, 100 and 300 ms
					return []time.Duration{[]time.Duration{250 * ms, 300 * ms, 100 * ms}[n]}
				case from == clientSide && isHello(d, 1):
					return []time.Duration{again}
				case from == serverSide && n == 0: // the first HelloRetryRequest
					return []time.Duration{250 * ms}
				case from == serverSide && n <= 2: // the other, twice
					return []time.Duration{210 * ms}
				}
				return []time.Duration{simRTT / 2}
			}
			if !s.run(3*time.Second, s.established) || hellos() != 2 {
				t.Fatalf("%v, %v: %d hellos; %v; %v\n%s", group, again, hellos(), s.eng[0], s.eng[1], s.history())
			}
			s.settle()
			s.echo("data")
			s.update(clientSide, true)
			s.settle()
			s.echo("more data")
			if got := s.eng[clientSide].ConnectionState().CurveID; got != group {
				t.Errorf("%v, want %v", got, group)
			}
		}
	}
}

// forgedFirst is a client that has followed a forged HelloRetryRequest before the
// server's.
func forgedFirst(t testing.TB, group tls.CurveID, initial time.Duration) *sim {
	s := impatient(t, group, initial)
	s.wire[serverSide].refuses = true
	s.flush(clientSide)
	s.inject(clientSide, forgedRetry(t, 0, 0, 'e', 'v', 'i', 'l'))
	if h := helloOf(s.eng[clientSide]); string(h.RetryCookie) != "evil" {
		t.Fatalf("the cookie is %q", h.RetryCookie)
	}
	return s
}

// TestClientRestart: a client whose second hello is refused sends the first one again,
// byte for byte, once (RFC 9147, Section 5.1).
func TestClientRestart(t *testing.T) {
	for _, group := range retryGroups {
		s := forgedFirst(t, group, time.Second)
		hellos := hellosOf(s)
		var first [][]byte
		s.path = func(from side, _ int, d []byte) []time.Duration {
			if from == clientSide && isHello(d, 0) {
				first = append(first, bytes.Clone(d[record.HeaderLen:]))
			}
			return []time.Duration{simRTT / 2}
		}
		s.handshake()
		s.echo("data")
		if hellos() != 3 || len(first) != 1 || len(s.wire[clientSide].body[0]) != len(first[0])-message.HeaderLen {
			t.Errorf("%v: %d hellos, the first one %d times more\n%s", group, hellos(), len(first), s.history())
		}
		if took := s.now.Sub(s.start); took > time.Second+5*simRTT {
			t.Errorf("%v: took %v\n%s", group, took, s.history())
		}
	}
}

// TestOneClientRestart: the second restart is none: the alert ends the handshake.
func TestOneClientRestart(t *testing.T) {
	s := forgedFirst(t, tls.X25519, time.Second)
	hellos := hellosOf(s)
	s.wire[clientSide].misled = true
	s.onDeliver = func(to side, d []byte) []byte {
		if to == clientSide && stateless(d[record.HeaderLen:]) {
			return forgedRetry(t, 0, 0, 'e', 'v', 'i', 'l', '2')
		}
		return d
	}
	s.run(time.Minute, s.over)
	a, remote := alertOf(t, s.eng[clientSide])
	if a != alert.IllegalParameter || !remote || hellos() != 3 {
		t.Errorf("%d hellos; %v\n%s", hellos(), s.eng[clientSide], s.history())
	}
}

// TestNoRoundTripOfRestart: a HelloRetryRequest after a restart may answer the first
// hello as it was sent before the restart, so it is no sample of the round trip.
func TestNoRoundTripOfRestart(t *testing.T) {
	s := forgedFirst(t, tls.X25519, time.Second)
	s.path = func(side, int, []byte) []time.Duration { return []time.Duration{300 * ms} }
	s.run(time.Minute, func() bool {
		return s.eng[clientSide].hs.m.Restarted()
	})
	s.flush(clientSide)
	s.now = s.now.Add(200 * ms)
	before := s.eng[clientSide].out.timer.RTO
	s.wire[clientSide].misled = true
	s.inject(clientSide, forgedRetry(t, 0, 0, 'l', 'a', 't', 'e'))
	if rto := s.eng[clientSide].out.timer.RTO; rto != before || helloOf(s.eng[clientSide]).RetryCookie == nil {
		t.Errorf("the timer was %v and is %v\n%s", before, rto, s.history())
	}
}

// TestForgedRetryRepeated: forged HelloRetryRequests after the server's change
// nothing, however often they come.
func TestForgedRetryRepeated(t *testing.T) {
	for _, group := range retryGroups {
		s := impatient(t, group, time.Second)
		hellos := hellosOf(s)
		s.path = func(from side, _ int, d []byte) []time.Duration {
			if from == clientSide && isHello(d, 1) {
				return []time.Duration{700 * ms}
			}
			return []time.Duration{simRTT / 2}
		}
		s.run(time.Second, func() bool { h := helloOf(s.eng[clientSide]); return h != nil && len(h.RetryCookie) > 0 })
		for i := range byte(3) {
			s.run(150*ms, func() bool { return false })
			for seq := range uint64(2) {
				d := forgedRetry(t, 0, 0, i)
				h, payload, _, err := record.Next(d)
				if err != nil {
					t.Fatal(err)
				}
				s.inject(clientSide, forgeRecordAt(h.Type, VersionDTLS12, record.Number{Seq: forgedSeq + seq}, payload...))
			}
		}
		if !s.run(3*time.Second, s.established) || hellos() != 2 {
			t.Fatalf("%v: %d hellos; %v; %v\n%s", group, hellos(), s.eng[0], s.eng[1], s.history())
		}
		s.echo("data")
	}
}

// TestRetryPaths: hellos and what answers them are doubled, lost, and delayed by up
// to a second, with a timer that is much shorter; the path lets go of some at once,
// as after a stall, so that the door gives copies of a hello the same cookie. The
// handshake completes. A failing seed is repeated with FLIGHTPATH_SIM_SEED.
func TestRetryPaths(t *testing.T) {
	t.Parallel()
	first, count := seeds(t)
	count = min(count, 2000)
	for seed := first; seed < first+count; seed++ {
		r := rand.New(rand.NewPCG(seed, 0x12e7))
		group := retryGroups[r.IntN(len(retryGroups))]
		spread := 100 + r.IntN(900)
		s := impatient(t, group, time.Duration(50+50*r.IntN(3))*ms)
		stall := []int{1, 50, 100}[r.IntN(3)]
		one := func() time.Duration { return simRTT/2 + time.Duration(r.IntN(spread)/stall*stall)*ms }
		s.path = func(_ side, _ int, d []byte) (copies []time.Duration) {
			switch {
			case record.IsUnified(d[0]):
				return []time.Duration{simRTT / 2}
			case r.IntN(10) == 0:
				return nil
			case r.IntN(3) == 0:
				copies = append(copies, one())
			}
			return append(copies, one())
		}
		if !s.run(time.Minute, s.established) {
			t.Fatalf("seed %d, %v, up to %d ms: %v; %v\n%s", seed, group, spread, s.eng[0], s.eng[1], s.history())
		}
		s.echo("data")
	}
}
