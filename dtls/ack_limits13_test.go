package dtls

import (
	"bytes"
	"crypto/tls"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/reassembly"
	"github.com/flightpath-dtls/flightpath/record"
)

// What an ACK says when its timer fires, and what is taken from the ACKs of others
// before the handshake is complete.

// ackOfTimer lets the ACK timer of a client fire. It returns the numbers in its ACK, nil
// if it sends none.
func (s *sim) ackOfTimer() []record.Number {
	s.t.Helper()
	e := s.eng[clientSide]
	for range 3 {
		if tx, ok := e.PollTransmit(s.now, nil); ok {
			return s.ackedIn(tx.Data)
		}
		due := e.acks.Due
		if due.IsZero() {
			return nil
		}
		if due.After(s.now) {
			s.now = due
		}
		_ = e.HandleTimeout(s.now)
	}
	return nil
}

// part is one byte of a message that is not complete with it.
func part(typ message.Type, seq uint16) []byte {
	return append(message.Header{Type: typ, Length: 9, Seq: seq, FragmentLength: 1}.Append(nil), 7)
}

// TestTimerAcknowledgesWhatWasKept: RFC 9147, Section 7.1: an ACK names records that
// were "processed or buffered", so none with a fragment for which there was no room.
func TestTimerAcknowledgesWhatWasKept(t *testing.T) {
	for name, test := range map[string]struct {
		payload func(awaited uint16) []byte
		named   bool
	}{
		"kept": {func(seq uint16) []byte { return part(message.TypeNewSessionTicket, seq) }, true},
		"no room": {func(seq uint16) []byte {
			return part(message.TypeNewSessionTicket, seq+reassembly.Window)
		}, false},
		"no room beside what is kept": {func(seq uint16) []byte {
			return append(part(message.TypeNewSessionTicket, seq), part(message.TypeNewSessionTicket, seq+reassembly.Window)...)
		}, false},
	} {
		s := established13(t)
		e := s.eng[clientSide]
		before := s.eng[serverSide].keys.Sealer().Next()
		s.inject(clientSide, s.authentic(serverSide, record.TypeHandshake, test.payload(e.post.in.Awaited())...))
		got := s.ackOfTimer()
		if named := slices.Contains(got, record.Number{Epoch: 3, Seq: before}); named != test.named || e.Err() != nil {
			t.Errorf("%s: the ACK has %v, record %d, %v", name, got, before, e.Err())
		}
	}
}

// halfOfTheFlight is a client that has the ServerHello and part of the server's flight
// behind it, and what that ServerHello came in.
func halfOfTheFlight(t *testing.T) (s *sim, hello []byte) {
	client, server := simConfigs13(dtlstest.P256, 6000)
	client.CurvePreferences, server.CookieMode = []tls.CurveID{tls.X25519}, CookieAuto
	s = newSim(t, client, server)
	s.path = func(from side, n int, d []byte) []time.Duration {
		if from == serverSide && n > 0 {
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	s.onDeliver = func(to side, d []byte) []byte {
		if to == clientSide && hello == nil {
			hello = bytes.Clone(records(t, d)[0])
		}
		return d
	}
	if !s.run(time.Second, func() bool { return hello != nil && s.eng[clientSide].keys.Write() == 2 }) {
		t.Fatal(s.history())
	}
	return s, hello
}

// TestTimerAcknowledgesInTheHandshake: likewise before the handshake is complete. A copy
// of a plaintext message may be anybody's, so it is not named either.
func TestTimerAcknowledgesInTheHandshake(t *testing.T) {
	for _, beside := range []bool{false, true} {
		s, hello := halfOfTheFlight(t)
		e := s.eng[clientSide]
		copied := bytes.Clone(hello)
		const forged = 1 << 20
		copy(copied[5:11], []byte{0, 0, 0, 0x10, 0, 0}) // sequence_number
		s.inject(clientSide, copied)
		next := s.eng[serverSide].keys.SealerOf(2).Next()
		payload := part(message.TypeFinished, e.hs.in.Awaited()+1)
		if beside {
			payload = append(payload, part(message.TypeFinished, e.hs.in.Awaited()+reassembly.Window)...)
		}
		s.inject(clientSide, s.authenticIn(serverSide, 2, record.TypeHandshake, payload...))
		got := s.ackOfTimer()
		if len(got) == 0 || e.Err() != nil {
			t.Fatalf("no ACK: %v\n%s", e, s.history())
		}
		if slices.Contains(got, record.Number{Seq: forged}) {
			t.Errorf("a copy of the ServerHello is named: %v", got)
		}
		if named := slices.Contains(got, record.Number{Epoch: 2, Seq: next}); named == beside {
			t.Errorf("no room %v: the ACK has %v, record %d of epoch 2", beside, got, next)
		}
	}

	// A record of which nothing was kept begins no timer: its ACK would be empty.
	s, _ := halfOfTheFlight(t)
	e := s.eng[serverSide]
	s.inject(serverSide, s.authenticIn(clientSide, 2, record.TypeHandshake, part(message.TypeFinished, e.hs.in.Awaited()+reassembly.Window)...))
	if !e.acks.Due.IsZero() || e.acks.Now || e.Err() != nil || e.Drops().Memory+e.Drops().Fragment == 0 {
		t.Errorf("an ACK is due at %v, %+v, %v\n%s", e.acks.Due, e.Drops(), e, s.history())
	}
}

// TestACKOfAnotherEpochInTheHandshake: RFC 9147, Section 7.2: an ACK that names a record
// of a higher epoch than its own is an illegal_parameter.
func TestACKOfAnotherEpochInTheHandshake(t *testing.T) {
	for to := range side(2) {
		for epoch, want := range map[uint64]alert.Alert{2: 0, 3: alert.IllegalParameter} {
			s, _ := halfOfTheFlight(t)
			list := message.AppendACK(nil, []record.Number{{Epoch: epoch, Seq: 1 << 30}})
			s.inject(to, s.authenticIn(to.other(), 2, record.TypeACK, list...))
			e := s.eng[to]
			if want == 0 {
				if e.Err() != nil {
					t.Errorf("to the %v, record of epoch %d: %v", to, epoch, e.Err())
				}
			} else if a, remote := alertOf(t, e); a != want || remote {
				t.Errorf("to the %v, record of epoch %d: %v", to, epoch, e.Err())
			}
		}
	}
}

// TestPlaintextACKIsAHint: one that names part of a ClientHello has the rest sent, and no
// more than that; one that names all of it does not keep the timer from sending all of
// it: it may be forged.
func TestPlaintextACKIsAHint(t *testing.T) {
	for _, all := range []bool{false, true} {
		client, server := simConfigs13(dtlstest.P256, 0)
		client.Hello = HelloFull
		s := newSim(t, client, server)
		e := s.eng[clientSide]
		deaf := true
		var wire []int // datagrams of the second hello
		s.path = func(from side, n int, d []byte) []time.Duration {
			if from == clientSide && e.speaks13() && deaf {
				wire = append(wire, len(d))
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		if !s.run(time.Minute, e.speaks13) {
			t.Fatal(s.history())
		}
		s.flush(clientSide)
		s.now = s.now.Add(e.out.timer.Deadline.Sub(s.now) / 2)
		var list []record.Number
		for _, r := range e.out.ledger.Records {
			list = append(list, r.Number())
		}
		if len(list) < 2 {
			t.Fatalf("the hello is in %d records\n%s", len(list), s.history())
		}
		if !all {
			list = list[1:]
		}
		before := len(wire)
		s.inject(clientSide, forgeRecord(record.TypeACK, message.AppendACK(nil, list)...))
		s.flush(clientSide)
		again := len(wire) - before
		if want := map[bool]int{false: 1, true: 0}[all]; again != want {
			t.Errorf("all %v: %d datagrams are sent again at once, want %d", all, again, want)
		}
		whole := before
		before = len(wire)
		s.run(time.Minute, func() bool { return len(wire) >= before+whole })
		if len(wire) < before+whole {
			t.Errorf("all %v: the timer sends %d datagrams, the hello has %d\n%s", all, len(wire)-before, whole, s.history())
		}
		deaf = false
		s.handshake()
	}
}

// TestEpochsOfHandshakeMessages: RFC 9147, Section 6.1: hellos are in the clear, and all
// else of the handshake in epoch 2; in DTLS 1.2 the Finished alone is in epoch 1.
func TestEpochsOfHandshakeMessages(t *testing.T) {
	s, _ := halfOfTheFlight(t)
	client12, server12 := hostileConfigs()
	before := newSim(t, client12, server12)
	before.run(time.Minute, func() bool { return before.eng[serverSide].handshaking() && before.eng[serverSide].state.Version != 0 })
	for _, typ := range handshakeTypes {
		hello := typ == message.TypeClientHello || typ == message.TypeServerHello || typ == message.TypeHelloVerifyRequest
		for epoch := range uint16(6) {
			for at := range side(2) {
				if got, want := s.eng[at].hs.epochFits(typ, epoch), hello && epoch == 0 || !hello && epoch == 2; got != want {
					t.Errorf("DTLS 1.3, %v: %v in epoch %d fits: %v", at, typ, epoch, got)
				}
			}
			last := typ == message.TypeFinished
			if got, want := before.eng[serverSide].hs.epochFits(typ, epoch), last && epoch == 1 || !last && epoch == 0; got != want {
				t.Errorf("DTLS 1.2: %v in epoch %d fits: %v", typ, epoch, got)
			}
		}
	}
}
