package dtls

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/acks"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// TestSlowPeerKeepsTheLimit: a callback that takes longer than the timers of the other
// end leaves that end's limit as it was, and has few datagrams repeated.
func TestSlowPeerKeepsTheLimit(t *testing.T) {
	const think = 1500 * time.Millisecond
	for name, change := range map[string]func(client, server *Config){
		"client verifies": func(client, _ *Config) {
			client.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { time.Sleep(think); return nil }
		},
		"server chooses": func(_, server *Config) {
			chain := server.Certificates[0]
			server.Certificates, server.GetCertificate = nil, func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				time.Sleep(think)
				return &chain, nil
			}
		},
		"server verifies": func(client, server *Config) {
			client.Certificates, server.ClientAuth = server.Certificates, tls.RequireAnyClientCert
			server.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { time.Sleep(think); return nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, only func(client, server *Config)) {
				l := listen(t, func(client, server *Config) {
					c, s := simConfigs(dtlstest.P256, 0)
					client.RootCAs, client.ServerName, client.Time, client.ClientPSK = c.RootCAs, c.ServerName, c.Time, nil
					client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
					server.Certificates, server.Time, server.ServerPSK = s.Certificates, s.Time, nil
					only(client, server)
					change(client, server)
				})
				client, _ := l.dial(t)
				server := l.accept(t)
				for end, c := range map[string]*Conn{"client": client, "server": server} {
					if got := c.MTU(); got != defaultMTU {
						t.Errorf("the limit of the %s is %d", end, got)
					}
				}
				if s := l.Stats(); s.DatagramsIn+s.DatagramsOut > 14 {
					t.Errorf("%d datagrams in, %d out", s.DatagramsIn, s.DatagramsOut)
				}
				closeAll(client, server)
				l.Close()
				time.Sleep(time.Second)
			})
		})
	}
}

// TestACKBeforeCallback: the server's flight is acknowledged before a callback of the
// client looks at it (RFC 9147, Section 7.1), and not if there is none.
func TestACKBeforeCallback(t *testing.T) {
	for _, asks := range []bool{false, true} {
		client, server := simConfigs13(dtlstest.P256, 3000)
		called := false
		if asks {
			client.VerifyConnection = func(ConnectionState) error { called = true; return nil }
		}
		s := newSim(t, client, server)
		e, acked := s.eng[clientSide], false
		s.path = func(from side, _ int, _ []byte) []time.Duration {
			acked = acked || from == clientSide && !called && e.handshaking() && e.keys.Write() > 0
			return []time.Duration{simRTT / 2}
		}
		s.handshake()
		if acked != asks || called != asks {
			t.Errorf("callback %v: acknowledged before %v, called %v\n%s", asks, acked, called, s.history())
		}
	}
}

// TestACKOfNothing: a client of DTLS 1.3 whose server stops in the middle of its
// flight repeats its ACK MaxTries times, also without a HandshakeTimeout.
func TestACKOfNothing(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 6000)
	client.HandshakeTimeout = -1
	s := newSim(t, client, server)
	fromServer := 0
	s.path = func(from side, _ int, _ []byte) []time.Duration {
		if from == serverSide {
			if fromServer++; fromServer > 3 {
				return nil
			}
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(time.Hour, func() bool { return s.eng[clientSide].Err() != nil })
	if s.eng[clientSide].Err() == nil || s.sent[clientSide] > 20 {
		t.Errorf("%v, %d datagrams", s.eng[clientSide], s.sent[clientSide])
	}
}

// TestRTTOfEachRecord: an ACK of an earlier message gives the round trip of that one.
func TestRTTOfEachRecord(t *testing.T) {
	s := established13(t)
	e := s.eng[clientSide]
	e.out.timer.RTO = time.Second
	now := s.now
	e.out.ledger.Enable(true)
	e.out.load([]outMessage{{typ: message.TypeKeyUpdate, epoch: 3, body: []byte{0}}, {typ: message.TypeKeyUpdate, epoch: 3, body: []byte{0}}}, false)
	first, second := recordNumber{Epoch: 3, Seq: 1000}, recordNumber{Epoch: 3, Seq: 1001}
	e.out.ledger.Note(now, 1, 40, []acks.Record{acks.Of(first, acks.Part{Msg: 0, Hi: 1})})
	e.out.ledger.Note(now.Add(400*ms), 2, 40, []acks.Record{acks.Of(second, acks.Part{Msg: 1, Hi: 1})})
	e.tick(now.Add(500 * ms))
	e.handleAuthenticACK(parsedACK(t, []recordNumber{first}))
	if got := e.out.timer.RTO; got != 750*ms {
		t.Errorf("the timer is %v for a round trip of 500 ms", got)
	}
}

// TestPauses: a repetition is paced more thinly than a first transmission.
func TestPauses(t *testing.T) {
	client, server := simConfigs(dtlstest.P256, 12000)
	s := newMTUSim(t, func() (*Config, *Config) { return client, server }, MTUKernel)
	var bursts [2][]int // datagrams of the server sent together: at first, and repeated
	last := time.Time{}
	s.path = func(from side, _ int, d []byte) []time.Duration {
		e := s.eng[serverSide]
		if from == clientSide || e.out.sent.number == 0 {
			return []time.Duration{simRTT / 2}
		}
		list := &bursts[min(e.out.sent.number, 2)-1]
		if len(*list) == 0 || !s.now.Equal(last) {
			*list = append(*list, 0)
		}
		(*list)[len(*list)-1]++
		last = s.now
		if e.out.sent.number == 1 {
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(time.Minute, s.established)
	if b := bursts[1]; len(b) < 3 || b[0] != 5 || b[1] != 2 || b[2] != 2 || bursts[0][0] < 9 {
		t.Errorf("bursts of %v\n%s", bursts, s.history())
	}
}

// TestForgedEmptyACK: an ACK without keys has the flight at hand cut, and the limit
// that stays is not touched.
func TestForgedEmptyACK(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 6000)
	s := newSim(t, client, server)
	e := s.eng[serverSide]
	forged := false
	s.onDeliver = func(to side, d []byte) []byte {
		if to == clientSide && !forged && e.out.flight.state == flightWaiting && len(e.out.flight.msgs) > 1 {
			forged = true
			e.tick(s.now.Add(e.out.timer.Timeout / 3))
			e.handlePlaintextACK(parsedACK(t, nil))
			if e.path.flightLimit() != fallbackMTU4 {
				t.Errorf("%d", e.path.flightLimit())
			}
		}
		return d
	}
	s.handshake()
	if got := e.MTU(); !forged || got != defaultMTU {
		t.Errorf("forged %v, the limit is %d\n%s", forged, got, s.history())
	}
}

// TestBurstsOfRecords: RFC 9147, Section 5.8.3: at most 10 records in one go, however
// small they are.
func TestBurstsOfRecords(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 6000)
	client.RecordSizeLimit = 64 // of the server's records
	s := newSim(t, client, server)
	records := map[time.Time]int{}
	s.path = func(from side, _ int, d []byte) []time.Duration {
		if from == serverSide && s.eng[serverSide].out.sent.number == 1 {
			records[s.now] += countRecords(t, d)
		}
		return []time.Duration{simRTT / 2}
	}
	s.handshake()
	most, all := 0, 0
	for _, n := range records {
		most, all = max(most, n), all+n
	}
	if most > 10 || all < 100 {
		t.Errorf("up to %d of %d records at a time", most, all)
	}
}

func countRecords(t *testing.T, d []byte) (n int) {
	for ; len(d) > 0; n++ {
		var err error
		if record.IsUnified(d[0]) {
			_, d, err = record.NextUnified(d, 0)
		} else {
			_, _, d, err = record.Next(d)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestSilentPathIsBounded: what both ends send into a path that loses all of the server's
// large datagrams and whatever they are cut into: 200 KB at most in a minute.
func TestSilentPathIsBounded(t *testing.T) {
	for name, configs := range map[string]func(dtlstest.Key, int) (client, server *Config){"DTLS 1.2": simConfigs, "DTLS 1.3": simConfigs13} {
		t.Run(name, func(t *testing.T) {
			client, server := configs(dtlstest.P256, 6000)
			s := newSim(t, client, server)
			bytes := 0
			s.path = func(from side, n int, d []byte) []time.Duration {
				bytes += len(d)
				if from == serverSide && n > 0 {
					return nil
				}
				return []time.Duration{simRTT / 2}
			}
			s.run(time.Hour, func() bool { return s.eng[0].Err() != nil && s.eng[1].Err() != nil })
			if bytes > 200_000 || s.eng[serverSide].Err() == nil {
				t.Errorf("%d bytes, %v", bytes, s.eng[serverSide])
			}
		})
	}
}
