package dtls

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Honest bytes in the wrong place: under other keys, to their own sender, or
// behind the end.

// beforeFinished is a client that awaits the server's Finished, the server
// being done.
func beforeFinished(t *testing.T) *sim {
	client, server := hostileConfigs()
	s := newSim(t, client, server)
	s.path = func(from side, n int, _ []byte) []time.Duration {
		if from == serverSide && n == 1 {
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	if !s.run(time.Second, s.eng[serverSide].Established) {
		t.Fatal(s.history())
	}
	s.flush(serverSide)
	return s
}

// TestMessageAfterFinished: the Finished is the last message of the handshake;
// whatever shares its record is out of place.
func TestMessageAfterFinished(t *testing.T) {
	s := beforeFinished(t)
	msgs := s.eng[serverSide].out.flight.msgs
	finished := msgs[len(msgs)-1]
	if finished.typ != message.TypeFinished {
		t.Fatalf("last message is %v", finished.typ)
	}
	h := message.Header{Type: message.TypeNewSessionTicket, Length: 6, Seq: finished.seq + 1, FragmentLength: 6}
	payload := append(h.Append(finished.appendRaw(nil)), make([]byte, 6)...)
	s.inject(clientSide, s.authentic(serverSide, record.TypeHandshake, payload...))
	if !slices.Contains(s.events[clientSide], EventEstablished) {
		t.Fatalf("the Finished was not taken\n%s", s.history())
	}
	if a, remote := alertOf(t, s.eng[clientSide]); a != alert.UnexpectedMessage || remote {
		t.Errorf("%v", s.eng[clientSide].Err())
	}
}

// TestMessagesUnderWrongKeys: while the Finished is awaited nothing else is
// taken from its epoch, and the Finished from no other. What is authentic ends the
// handshake with unexpected_message, but a HelloRequest (RFC 5246, Section 7.4.1.1).
func TestMessagesUnderWrongKeys(t *testing.T) {
	for _, typ := range handshakeTypes {
		s := beforeFinished(t)
		e := s.eng[clientSide]
		before := e.Drops().Fragment
		if typ == message.TypeFinished {
			s.inject(clientSide, forgeMessage(typ, e.hs.in.Awaited(), make([]byte, 12)...))
		} else {
			s.inject(clientSide, s.authenticMessage(serverSide, typ, e.hs.in.Awaited(), make([]byte, 12)...))
		}
		if typ != message.TypeFinished && typ != message.TypeHelloRequest {
			if a, remote := alertOf(t, e); a != alert.UnexpectedMessage || remote {
				t.Errorf("%v: %v", typ, e)
			}
			continue
		}
		if e.Err() != nil || e.Established() || e.Drops().Fragment != before+1 {
			t.Errorf("%v: %v, drops %+v", typ, e, e.Drops())
		}
		s.handshake()
	}
}

// TestWrongFinished: an authentic Finished with other bytes ends the handshake
// with decrypt_error.
func TestWrongFinished(t *testing.T) {
	s := beforeFinished(t)
	e := s.eng[clientSide]
	s.inject(clientSide, s.authenticMessage(serverSide, message.TypeFinished, e.hs.in.Awaited(), make([]byte, 12)...))
	if a, remote := alertOf(t, e); a != alert.DecryptError || remote {
		t.Errorf("%v", e.Err())
	}
}

// TestReflection: every datagram also comes back to its sender; that changes
// nothing. What comes from nobody else never makes an association.
func TestReflection(t *testing.T) {
	for _, alone := range []bool{false, true} {
		client, server := pskConfigs()
		s := newSim(t, client, server)
		s.onDeliver = func(to side, datagram []byte) []byte {
			s.deliver(to.other(), datagram)
			if alone {
				return nil
			}
			return datagram
		}
		if s.run(2*time.Minute, s.established) == alone {
			t.Fatalf("alone %v: %v; %v", alone, s.eng[0], s.eng[1])
		}
		if alone {
			continue
		}
		s.echo("not mine")
		for at, data := range s.data {
			if len(data) != 1 {
				t.Errorf("%s got %q", side(at), data)
			}
		}
	}
}

// TestRandomMutations runs the fuzzers' mutations on seeded random scripts. A
// failing seed is repeated with FLIGHTPATH_SEED.
func TestRandomMutations(t *testing.T) {
	t.Parallel()
	first, count := seeds(t)
	if count > 1 && !soak() {
		count = max(count/10, 100)
	}
	for seed := first; seed < first+count; seed++ {
		r := rand.New(rand.NewPCG(seed, 0xbad))
		input := make([]byte, 20+r.IntN(120))
		for i := range input {
			input[i] = byte(r.Uint32())
		}
		victim := side(seed % 2)
		for i, configs := range []fuzzConfigs{fuzzConfigs12, fuzzConfigs13} {
			if !t.Run(fmt.Sprintf("1.%d, seed %d", 2+i, seed), func(t *testing.T) { fuzzEngine(t, input, victim, configs) }) {
				return
			}
		}
	}
}

// appendRaw appends the message as the transcript sees it: one fragment
// (RFC 6347, Section 4.2.6).
func (m *outMessage) appendRaw(dst []byte) []byte {
	return append(m.header(0, uint32(len(m.body))).Append(dst), m.body...)
}

// TestSecondFinished: the peer's Finished of DTLS 1.2 is repeated under its message_seq.
// Another one has no place.
func TestSecondFinished(t *testing.T) {
	for at := range side(2) {
		for _, again := range []bool{true, false} {
			s := established(t)
			e := s.eng[at]
			seq := e.lastSeq12
			if !again {
				seq++
			}
			s.inject(at, s.authenticMessage(at.other(), message.TypeFinished, seq, make([]byte, 12)...))
			if again {
				if e.Err() != nil {
					t.Errorf("%v, repeated: %v", at, e)
				}
				continue
			}
			if a, remote := alertOf(t, e); a != alert.UnexpectedMessage || remote {
				t.Errorf("%v: %v", at, e)
			}
		}
	}
}

// TestStrangerSendsFirst: where an engine answers to is the address of a ClientHello or
// of an authentic record, whoever sends the first byte.
func TestStrangerSendsFirst(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		client, server := certConfigs(dtlstest.P256)
		for _, c := range []*Config{client, server} {
			c.MinVersion, c.MaxVersion, c.PlaintextAlerts = version, version, AlertsDelayed
		}
		s := newSim(t, client, server)
		for at, e := range s.eng {
			for _, d := range [][]byte{{0}, forgeAlert(alert.Fatal, alert.InternalError), forgeRecord(record.TypeACK), forgeMessage(message.TypeClientHello, 0, 1, 2, 3)} {
				if err := e.HandleDatagram(s.now, d, testAddr); err != nil {
					t.Fatal(err)
				}
			}
			if side(at) == clientSide && e.path.addr.IsValid() {
				t.Errorf("the client sends to %v", e.path.addr)
			}
		}
		s.handshake()
		for at, e := range s.eng {
			if want := s.addr[side(at).other()]; e.path.addr != want {
				t.Errorf("%s: the %v sends to %v, want %v", VersionName(version), side(at), e.path.addr, want)
			}
		}
	}
}
