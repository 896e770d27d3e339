package dtls

import (
	"bytes"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// What an established association of DTLS 1.3 makes of authentic records that a
// peer has no business to send, and of many that it has.

// authenticIn is a record with the keys of a side in an epoch.
func (s *sim) authenticIn(from side, epoch uint16, typ record.ContentType, payload ...byte) []byte {
	k := s.eng[from].keys.SealerOf(epoch)
	if k == nil {
		s.t.Fatalf("%v has no keys of epoch %d", from, epoch)
	}
	out, _, err := k.Seal(nil, typ, VersionDTLS12, payload)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// nextKeys has a side write with its next keys, as behind a KeyUpdate that it did
// not make itself.
func (s *sim) nextKeys(from side) {
	e := s.eng[from]
	next := keys.NextTraffic13(e.post.suite.Hash, e.post.write)
	e.keys.InstallWrite13(e.post.suite, e.keys.Write()+1, next)
	e.post.write = next
	e.keys.StartWriting(e.keys.Write() + 1)
}

// says13 are the alerts that an engine wants to send, opened by the other one.
func (s *sim) says13(at side) (alerts []alert.Alert) {
	s.t.Helper()
	for {
		tx, ok := s.eng[at].PollTransmit(s.now, nil)
		if !ok {
			return alerts
		}
		u, _, err := record.NextUnified(tx.Data, 0)
		if err != nil {
			s.t.Fatalf("%v sends %s", at, describeDatagram(tx.Data))
		}
		typ, plain, _, err := s.eng[at.other()].keys.OpenerByBits(u.EpochBits).Open(u)
		if err != nil {
			s.t.Fatal(err)
		}
		if typ == record.TypeAlert {
			_, a, err := alert.Parse(plain)
			if err != nil {
				s.t.Fatal(err)
			}
			alerts = append(alerts, a)
		}
	}
}

// TestPostHandshakeMessages13: what each side makes of each message of its peer
// (THREATS 28).
func TestPostHandshakeMessages13(t *testing.T) {
	for _, typ := range handshakeTypes {
		for to := range side(2) {
			s := established13(t)
			e := s.eng[to]
			s.inject(to, s.authenticMessage(to.other(), typ, e.post.in.Awaited(), make([]byte, 12)...))
			want := alert.UnexpectedMessage
			if typ == message.TypeKeyUpdate || typ == message.TypeNewSessionTicket && to == clientSide {
				want = alert.DecodeError // it may come, but not with these bytes
			}
			said := s.says13(to)
			if a, remote := alertOf(t, e); a != want || remote || !slices.Equal(said, []alert.Alert{want}) {
				t.Errorf("%v to the %v: %v, said %v", typ, to, e.Err(), said)
			}
		}
	}
}

// TestAuthenticRecords13: types and contents that are out of place.
func TestAuthenticRecords13(t *testing.T) {
	for _, test := range []struct {
		name    string
		typ     record.ContentType
		payload []byte
		fatal   alert.Alert // 0: none
		why     func(Drops) uint64
	}{
		{"heartbeat", record.TypeHeartbeat, []byte{1, 0xff, 0xff}, 0, func(d Drops) uint64 { return d.UnknownType }},
		{"empty handshake record", record.TypeHandshake, nil, alert.UnexpectedMessage, nil},
		{"empty alert", record.TypeAlert, nil, alert.UnexpectedMessage, nil},
		{"half a handshake header", record.TypeHandshake, []byte{1, 2}, alert.DecodeError, nil},
		{"alert of one byte", record.TypeAlert, []byte{1}, alert.DecodeError, nil},
		{"two alerts", record.TypeAlert, []byte{1, 90, 1, 90}, alert.DecodeError, nil},
		{"empty data", record.TypeApplicationData, nil, 0, func(Drops) uint64 { return 1 }},
		{"ack without a length", record.TypeACK, nil, alert.DecodeError, nil},
	} {
		for to := range side(2) {
			s := established13(t)
			raw, _, err := s.eng[to.other()].keys.Sealer().Seal(nil, test.typ, VersionDTLS12, test.payload)
			if err != nil {
				continue // no sealer makes it: record tests open what others made
			}
			s.inject(to, raw)
			if test.why != nil {
				if err := s.eng[to].Err(); err != nil || test.why(s.eng[to].Drops()) == 0 {
					t.Errorf("%s to the %s: error %v, drops %+v", test.name, to, err, s.eng[to].Drops())
				}
				continue
			}
			if a, remote := alertOf(t, s.eng[to]); a != test.fatal || remote || !slices.Equal(s.says13(to), []alert.Alert{test.fatal}) {
				t.Errorf("%s to the %s: %v", test.name, to, s.eng[to].Err())
			}
		}
	}
}

// TestMessageBehindKeyUpdate: it is the last message of its epoch, in one record
// or in two, in order or not (RFC 9147, Section 8).
func TestMessageBehindKeyUpdate(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}, nil} {
		for to := range side(2) {
			s := established13(t)
			from, seq := to.other(), s.eng[to].post.in.Awaited()
			var both []byte
			var recs [][]byte
			for i := range uint16(2) {
				h := message.Header{Type: message.TypeKeyUpdate, Length: 1, Seq: seq + i, FragmentLength: 1}
				payload := append(h.Append(nil), 0)
				both = append(both, payload...)
				if order != nil {
					recs = append(recs, s.authentic(from, record.TypeHandshake, payload...))
				}
			}
			if order == nil {
				s.inject(to, s.authentic(from, record.TypeHandshake, both...))
			}
			for _, i := range order {
				s.inject(to, recs[i])
			}
			if a, remote := alertOf(t, s.eng[to]); a != alert.UnexpectedMessage || remote {
				t.Errorf("%v to the %v: %v", order, to, s.eng[to].Err())
			}
		}
	}
}

// TestDataUnderHandshakeKeys: application data of epoch 2 is never delivered, and
// ends the association (THREATS 29).
func TestDataUnderHandshakeKeys(t *testing.T) {
	for to := range side(2) {
		for _, complete := range []bool{false, true} {
			client, server := plaintextKinds13[0].configs()
			s := newSim(t, client, server)
			done := func() bool {
				e := s.eng[to.other()]
				return e.keys.SealerOf(epochHandshake) != nil && s.eng[to].keys.OpenerByBits(epochHandshake) != nil &&
					(!complete || s.eng[to].Established())
			}
			if !s.run(time.Minute, done) {
				if to == clientSide && complete {
					continue // the server has no such keys any more
				}
				t.Fatalf("to the %v, complete %v\n%s", to, complete, s.history())
			}
			s.inject(to, s.authenticIn(to.other(), epochHandshake, record.TypeApplicationData, []byte("evil")...))
			if a, remote := alertOf(t, s.eng[to]); a != alert.UnexpectedMessage || remote || len(s.data[to]) > 0 {
				t.Errorf("to the %v, complete %v: %v", to, complete, s.eng[to].Err())
			}
		}
	}
}

// TestDataAfterCloseNotify13: by number, not by arrival, also across epochs
// (THREATS 35).
func TestDataAfterCloseNotify13(t *testing.T) {
	for to := range side(2) {
		s := established13(t)
		from := to.other()
		old := s.authentic(from, record.TypeApplicationData, 'a')
		s.update(from, false)
		s.settle()
		b := s.authentic(from, record.TypeApplicationData, 'b')
		closing := s.authentic(from, record.TypeAlert, byte(alert.Warning), byte(alert.CloseNotify))
		c := s.authentic(from, record.TypeApplicationData, 'c')
		again := s.authentic(from, record.TypeAlert, byte(alert.Warning), byte(alert.CloseNotify))
		s.data = [2][][]byte{}
		for _, d := range [][]byte{b, closing, c, old, again, closing} {
			s.inject(to, d)
		}
		if got := bytes.Join(s.data[to], nil); string(got) != "ba" || s.eng[to].Drops().AfterClose != 1 {
			t.Errorf("%s got %q, drops %+v", to, got, s.eng[to].Drops())
		}
		if said := s.says13(to); !slices.Equal(said, []alert.Alert{alert.CloseNotify}) {
			t.Errorf("%s answers %v", to, said)
		}
		if err := s.eng[to].UpdateKeys(s.now, false); err == nil {
			t.Errorf("%s: UpdateKeys after close_notify", to)
		}
	}
	// data of a newer epoch than the alert's came later
	s := established13(t)
	closing := s.authentic(clientSide, record.TypeAlert, byte(alert.Warning), byte(alert.CloseNotify))
	s.update(clientSide, false)
	s.settle()
	s.inject(serverSide, closing)
	s.data = [2][][]byte{}
	s.inject(serverSide, s.authentic(clientSide, record.TypeApplicationData, 'x'))
	if len(s.data[serverSide]) > 0 || s.eng[serverSide].Drops().AfterClose != 1 {
		t.Errorf("server got %q, %+v", s.data[serverSide], s.eng[serverSide].Drops())
	}
}

// TestPostHandshakeFloods: an authenticated peer may send 2^16 messages at most,
// for their numbers end there; each costs microseconds and leaves nothing behind
// (THREATS 9, 86).
func TestPostHandshakeFloods(t *testing.T) {
	ticket := &message.NewSessionTicket13{Lifetime: 3600, Ticket: bytes.Repeat([]byte{7}, 200), Nonce: []byte{1}}
	ticketBody, err := ticket.AppendBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	most := 3000 // before the numbers end
	if soak() {
		most = 1 << 16
	}
	for _, test := range []struct {
		name string
		to   side
		typ  message.Type
		body []byte
	}{
		{"key_update to the server", serverSide, message.TypeKeyUpdate, []byte{0}},
		{"key_update with a request to the client", clientSide, message.TypeKeyUpdate, []byte{1}},
		{"new_session_ticket", clientSide, message.TypeNewSessionTicket, ticketBody},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := established13(t)
			s.trace = nil
			peer, e := s.eng[test.to.other()], s.eng[test.to]
			if !soak() {
				e.post.in.Await(uint16(1<<16 - most))
			}
			before, began := liveHeap(), time.Now()
			buf, handled, sent := make([]byte, 0, 2048), 0, 0
			for e.Err() == nil && handled <= most {
				h := message.Header{Type: test.typ, Length: uint32(len(test.body)), Seq: e.post.in.Awaited(), FragmentLength: uint32(len(test.body))}
				d, _, err := peer.keys.Sealer().Seal(buf, record.TypeHandshake, VersionDTLS12, append(h.Append(nil), test.body...))
				if err != nil {
					t.Fatal(err)
				}
				handled++
				_ = e.HandleDatagram(s.now, d, s.addr[test.to.other()])
				for {
					tx, ok := e.PollTransmit(s.now, buf)
					if !ok {
						break
					}
					sent++
					if test.body[0] == 1 { // its own key_update has to be acknowledged
						_ = peer.HandleDatagram(s.now, tx.Data, s.addr[test.to])
						peer.acks.Now = false
						for _, ok := peer.PollEvent(); ok; _, ok = peer.PollEvent() {
						}
					}
				}
				for _, ok := e.PollEvent(); ok; _, ok = e.PollEvent() {
				}
				if test.typ == message.TypeKeyUpdate && e.Err() == nil {
					s.nextKeys(test.to.other())
				}
			}
			took, grown := time.Since(began), int64(liveHeap()-before)
			t.Logf("%d messages, %v each, %d datagrams sent, heap %+d bytes; %v", handled, took/time.Duration(handled), sent, grown, e)
			if a, remote := alertOf(t, e); a != alert.UnexpectedMessage || remote {
				t.Errorf("after %d messages: %v", handled, e.Err())
			}
			if grown > 1<<16 {
				t.Errorf("the heap grew by %d bytes", grown)
			}
			if sent > 3*handled {
				t.Errorf("%d datagrams for %d messages", sent, handled)
			}
			runtime.KeepAlive(s)
		})
	}
}

// TestErrorAlerts13: in DTLS 1.3 the level of an alert says nothing: all but close_notify
// and user_canceled end the association, unknown ones too (RFC 9846, Section 6).
func TestErrorAlerts13(t *testing.T) {
	for _, a := range []Alert{alert.HandshakeFailure, alert.NoRenegotiation, 77, alert.UserCanceled} {
		for at := range side(2) {
			s := established13(t)
			s.inject(at, s.authentic(at.other(), record.TypeAlert, byte(alert.Warning), byte(a)))
			if a == alert.UserCanceled {
				s.echo("goes on")
				continue
			}
			if got, remote := alertOf(t, s.eng[at]); got != a || !remote {
				t.Errorf("%v: %v", a, s.eng[at])
			}
		}
	}
}
