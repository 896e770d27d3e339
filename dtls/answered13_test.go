package dtls

import (
	"bytes"
	"crypto/tls"
	"math/rand/v2"
	"testing"
	"time"

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
	s.wire[serverSide].misled = true // two second hellos may reach one door
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

// retriesOf is how many HelloRetryRequests the client has followed.
func (s *sim) retriesOf() int {
	if st, ok := stepOf(s.eng[clientSide]).(awaitServerHello); ok {
		return st.retries
	}
	return 0
}

// TestEitherSecondHello: three copies of the first hello bring two different
// HelloRetryRequests, so late that the client follows both. The server answers the
// second hello that comes first, and the client understands that it did (THREATS
// 24).
func TestEitherSecondHello(t *testing.T) {
	for _, group := range retryGroups {
		for answered := range 2 {
			for _, forged := range []bool{false, true} {
				s := impatient(t, group, 100*ms)
				followed := 0
				s.path = func(from side, n int, d []byte) []time.Duration {
					followed = max(followed, s.retriesOf())
					switch {
					case from == clientSide && isHello(d, 0): // sent at 0, 100 and 300 ms
						return []time.Duration{[]time.Duration{250 * ms, 300 * ms, 100 * ms}[n]}
					case from == clientSide && isHello(d, 1) && s.retriesOf() == 1+answered:
						return []time.Duration{250 * ms}
					case from == clientSide && isHello(d, 1):
						return []time.Duration{time.Second}
					case from == serverSide && n == 0: // the first HelloRetryRequest
						return []time.Duration{250 * ms}
					case from == serverSide && n <= 2: // the other, twice
						return []time.Duration{210 * ms}
					}
					return []time.Duration{simRTT / 2}
				}
				s.onDeliver = func(to side, d []byte) []byte {
					if forged && to == clientSide && record.IsUnified(d[0]) && !s.eng[clientSide].Established() {
						bad := append([]byte(nil), d...)
						bad[len(bad)-1] ^= 1
						_ = s.eng[clientSide].HandleDatagram(s.now, bad, s.addr[serverSide])
					}
					return d
				}
				if !s.run(1500*ms, s.established) || followed != 2 {
					t.Fatalf("%v, second hello %d is answered: %d followed; %v; %v\n%s", group, answered, followed, s.eng[0], s.eng[1], s.history())
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
}

// TestNoRoundTripOfTwoHellos: a ServerHello that may answer the second hello before
// the last one says nothing of the round trip.
func TestNoRoundTripOfTwoHellos(t *testing.T) {
	s := impatient(t, tls.X25519, time.Second)
	s.wire[clientSide].misled = true
	const far = 300 * ms
	s.path = func(side, int, []byte) []time.Duration { return []time.Duration{far} }
	again := forgedRetry(t, 0, 0, 'o', 't', 'h', 'e', 'r')
	s.run(time.Minute, func() bool { return s.retriesOf() == 1 })
	s.flush(clientSide)
	s.inject(clientSide, again)
	s.run(time.Minute, func() bool { return s.eng[serverSide].ConnectionState().Version != 0 })
	s.flush(serverSide)
	s.now = s.now.Add(far - 10*ms)
	d := bytes.Clone(again)
	d[10]++ // another record
	s.inject(clientSide, d)
	if s.retriesOf() != 2 {
		t.Fatalf("%d followed\n%s", s.retriesOf(), s.history())
	}
	s.handshake()
	if rto := s.eng[clientSide].out.rto; rto < 2*far {
		t.Errorf("the timer is %v, the round trip %v\n%s", rto, 2*far, s.history())
	}
}

// TestForgedRetryRepeated: one that comes again makes the client change its mind,
// as one of a server with a timer would. The handshake completes all the same, by
// the answer to the hello before; also if all that are followed are forged but one.
func TestForgedRetryRepeated(t *testing.T) {
	for _, group := range retryGroups {
		for forged := range byte(maxHelloVerifies) {
			s := impatient(t, group, time.Second)
			s.wire[clientSide].misled = true
			s.path = func(from side, _ int, d []byte) []time.Duration {
				if from == clientSide && isHello(d, 1) {
					return []time.Duration{700 * ms}
				}
				return []time.Duration{simRTT / 2}
			}
			s.run(time.Second, func() bool { return s.retriesOf() == 1 })
			for i := range forged {
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
			if got := s.retriesOf(); got != 1+int(forged) {
				t.Fatalf("%v, %d forged: %d followed\n%s", group, forged, got, s.history())
			}
			if !s.run(3*time.Second, s.established) {
				t.Fatalf("%v, %d forged: %v; %v\n%s", group, forged, s.eng[0], s.eng[1], s.history())
			}
			s.echo("data")
		}
	}
}

// TestSecondHellosAreBounded: however often a forger has the handshake begin anew,
// so many second hellos are remembered and no more.
func TestSecondHellosAreBounded(t *testing.T) {
	s := awaitServerHello{}
	for i := range 10 {
		s.sent = s.allSent()
		s.retry = &message.ServerHello{SelectedGroup: uint16(i)}
		if n := len(s.sent); n > maxHelloVerifies {
			t.Fatalf("%d", n)
		}
		for _, old := range s.sent {
			if old.sent != nil {
				t.Fatal("a hello keeps those before it")
			}
		}
	}
	if got := s.sent[0].retry.SelectedGroup; got != 10-1-maxHelloVerifies {
		t.Errorf("the oldest one is %d", got)
	}
}

// TestRetryPaths: hellos and what answers them are doubled, lost, and delayed by up
// to a second, with a timer that is much shorter; the path lets go of some at once,
// as after a stall, so that the door gives copies of a hello the same cookie. The
// handshake completes. Some seeds make the client change its mind; a failing one is
// repeated with FLIGHTPATH_SIM_SEED.
func TestRetryPaths(t *testing.T) {
	first, count := seeds(t)
	count = min(count, 2000)
	changed := 0
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
		most := 0
		if !s.run(time.Minute, func() bool { most = max(most, s.retriesOf()); return s.established() }) {
			t.Fatalf("seed %d, %v, up to %d ms, %d followed: %v; %v\n%s", seed, group, spread, most, s.eng[0], s.eng[1], s.history())
		}
		s.echo("data")
		if most > 1 {
			changed++
		}
	}
	t.Logf("%d of %d changed their mind", changed, count)
	if changed == 0 && count >= 1000 {
		t.Error("no path made a client change its mind")
	}
}
