package dtls

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/epochs"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// established13 is a pair of DTLS 1.3 with nothing outstanding.
func established13(t testing.TB) *sim {
	client, server := simConfigs13(dtlstest.P256, 0)
	server.CookieMode = CookieAuto
	s := newSim(t, client, server)
	s.handshake()
	s.settle()
	return s
}

// settle runs until neither side waits for an acknowledgement.
func (s *sim) settle() {
	s.t.Helper()
	if !s.run(2*time.Minute, func() bool { return s.outstanding() == "" }) {
		s.t.Fatalf("%s\n%s", s.outstanding(), s.history())
	}
}

func (s *sim) outstanding() string {
	for i, e := range s.eng {
		if len(e.out.flight.msgs) > 0 || e.acks.Now || e.post != nil && e.post.update.out {
			return fmt.Sprintf("%v waits for the acknowledgement of %s", side(i), e.out.flight.names())
		}
	}
	return ""
}

// sealer13 has the keys under which an engine writes.
func sealer13(t testing.TB, e *Engine) *record.Sealer13 {
	t.Helper()
	k, err := e.keys.Sealer().(*epochs.Sealer13).Keys()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (s *sim) update(from side, request bool) {
	s.t.Helper()
	if err := s.eng[from].UpdateKeys(s.now, request); err != nil {
		s.t.Fatal(err)
	}
	s.flush(from)
}

// TestKeyUpdate: new keys in one direction, in both, and from both sides at once;
// data flows before, while and after.
func TestKeyUpdate(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*sim)
		want [2]uint16 // write epochs
	}{
		{"client alone", func(s *sim) { s.update(clientSide, false) }, [2]uint16{4, 3}},
		{"server alone", func(s *sim) { s.update(serverSide, false) }, [2]uint16{3, 4}},
		{"client asks", func(s *sim) { s.update(clientSide, true) }, [2]uint16{4, 4}},
		{"server asks", func(s *sim) { s.update(serverSide, true) }, [2]uint16{4, 4}},
		{"both at once", func(s *sim) { s.update(clientSide, false); s.update(serverSide, false) }, [2]uint16{4, 4}},
		{"both ask at once", func(s *sim) { s.update(clientSide, true); s.update(serverSide, true) }, [2]uint16{5, 5}},
		{"server asks while the client changes", func(s *sim) { s.update(clientSide, false); s.update(serverSide, true) }, [2]uint16{5, 4}},
		{"twice in a row", func(s *sim) { s.update(clientSide, false); s.update(clientSide, false) }, [2]uint16{5, 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := established13(t)
			test.do(s)
			s.echo("under way")
			s.settle()
			s.echo("done")
			for i, e := range s.eng {
				if e.keys.Write() != test.want[i] {
					t.Errorf("%v writes in epoch %d, want %d\n%s", side(i), e.keys.Write(), test.want[i], s.history())
				}
				if d := e.Drops(); d.Total() != 0 {
					t.Errorf("%v dropped %v", side(i), d)
				}
			}
		})
	}
}

// TestKeyUpdateLoss loses, doubles and delays every datagram of updates that
// cross each other, and pairs of them, in the brief form a cover; the last ACK,
// too.
func TestKeyUpdateLoss(t *testing.T) {
	t.Parallel()
	run := func(list ...victim) (sent [2]int) {
		s := established13(t)
		first := s.sent
		s.path = func(from side, n int, _ []byte) []time.Duration {
			for _, v := range list {
				if v.from == from && v.n == n-first[from] {
					return v.fate.copies()
				}
			}
			return []time.Duration{simRTT / 2}
		}
		s.update(clientSide, true)
		s.run(simRTT/4, func() bool { return false })
		s.update(serverSide, true)
		s.settle()
		s.echo("after it all")
		for i, e := range s.eng {
			if e.keys.Write() < 4 {
				t.Fatalf("%v: %v still writes in epoch %d\n%s", list, side(i), e.keys.Write(), s.history())
			}
		}
		return [2]int{s.sent[0] - first[0], s.sent[1] - first[1]}
	}
	sent := run()
	var all []victim
	for from := range side(2) {
		for n := range sent[from] {
			for f := range fates {
				all = append(all, victim{from, n, f})
			}
		}
	}
	pairs := cover{normal: 1, brief: 5}
	for i, a := range all {
		run(a)
		for _, b := range all[i+1:] {
			if pairs.take() {
				run(a, b)
			}
		}
	}
	t.Logf("%d single faults, %d of %d pairs", len(all), pairs.taken, pairs.cases)
}

// TestManyKeyUpdates: a thousand updates leave no more keys than one.
func TestManyKeyUpdates(t *testing.T) {
	t.Parallel()
	s := established13(t)
	for i := range 1000 {
		s.update(side(i%2), i%3 == 0)
		s.settle()
	}
	s.echo("after a thousand")
	for i, e := range s.eng {
		live := len(e.keys.Readable())
		if live > epochs.Max {
			t.Errorf("%v keeps %d epochs", side(i), live)
		}
	}
	s.run(keepHandshake, func() bool { return false })
	for i, e := range s.eng {
		if !e.NextTimeout().IsZero() {
			t.Errorf("%v still has a time-out", side(i))
		}
		live := len(e.keys.Readable())
		if live != 1 {
			t.Errorf("%v keeps %d read epochs for ever", side(i), live)
		}
	}
	s.echo("hours later")
}

// TestRekey: new keys come before the limit of the old ones, and nobody asks.
func TestRekey(t *testing.T) {
	s := established13(t)
	e := s.eng[clientSide]
	sealer13(t, e).SetLimit(e.keys.Sealer().Next() + rekeyBefore + 10)
	for range 20 {
		s.echo("one of many")
	}
	s.settle()
	if e.keys.Write() != 4 {
		t.Errorf("client writes in epoch %d", e.keys.Write())
	}
}

// TestForgeriesAskForKeys: when half of the forgeries that the keys in use may
// refuse have come, the peer is asked for new ones, once.
func TestForgeriesAskForKeys(t *testing.T) {
	s := established13(t)
	e := s.eng[serverSide]
	e.keys.OpenerByBits(epochData).SetLimit(100)
	forged := bytes.Repeat([]byte{0x2f}, 60)
	forged[3], forged[4] = 0, 55
	for i := range 99 {
		if i == 49 {
			s.flush(serverSide)
			if s.settle(); e.post.peerEpoch != epochData {
				t.Errorf("client writes in epoch %d after 49 forgeries of 100", e.post.peerEpoch)
			}
		}
		if err := e.HandleDatagram(s.now, bytes.Clone(forged), s.addr[clientSide]); err != nil {
			t.Fatal(err)
		}
	}
	s.flush(serverSide)
	s.settle()
	s.echo("with new keys")
	if e.post.peerEpoch != 4 || s.eng[serverSide].Drops().BadMAC != 99 {
		t.Errorf("client writes in epoch %d, drops %v", e.post.peerEpoch, e.Drops())
	}
}

// TestExporter13: both sides export the same, and another label or context
// another.
func TestExporter13(t *testing.T) {
	s := established13(t)
	seen := map[string]bool{}
	for _, label := range []string{"EXPORTER-a", "EXPORTER-b"} {
		for _, context := range [][]byte{nil, {1}} {
			a, err := s.eng[clientSide].ExportKeyingMaterial(label, context, 32)
			if err != nil {
				t.Fatal(err)
			}
			b, err := s.eng[serverSide].ExportKeyingMaterial(label, context, 32)
			if err != nil || !bytes.Equal(a, b) || seen[string(a)] {
				t.Errorf("%s %x: %x and %x, %v", label, context, a, b, err)
			}
			seen[string(a)] = true
		}
	}
}

// TestForgeriesOfOldKeys: the limit of forged records ends keys that the peer has
// replaced, or needed for its handshake only, and not the association (RFC 9147,
// Section 4.5.3).
func TestForgeriesOfOldKeys(t *testing.T) {
	forge := func(epoch uint8) []byte {
		d := slices.Repeat([]byte{0x2c | epoch&3}, 60)
		d[3], d[4] = 0, 55
		return d
	}
	for _, test := range []struct {
		name  string
		at    side
		epoch uint8
		ends  bool
		make  func(s *sim)
	}{
		{"epoch 2 of a server", serverSide, epochHandshake, false, func(*sim) {}},
		{"replaced keys", clientSide, epochData, false, func(s *sim) {
			if err := s.eng[serverSide].UpdateKeys(s.now, false); err != nil {
				t.Fatal(err)
			}
			s.settle()
		}},
		{"the newest keys", clientSide, epochData, true, func(*sim) {}},
	} {
		s := established13(t)
		test.make(s)
		e := s.eng[test.at]
		o := e.keys.OpenerByBits(test.epoch & 3)
		if o == nil || o.Epoch() != uint64(test.epoch) {
			t.Fatalf("%s: no keys of epoch %d", test.name, test.epoch)
		}
		o.SetLimit(20)
		for range 40 {
			_ = e.HandleDatagram(s.now, forge(test.epoch), netip.AddrPort{})
		}
		if test.ends != (e.Err() != nil) {
			t.Errorf("%s: %v", test.name, e)
		}
		if !test.ends {
			s.echo("goes on")
			if e.keys.OpenerByBits(test.epoch&3) != nil {
				t.Errorf("%s: the keys are still there", test.name)
			}
		}
	}
}

// TestOneRequestAtATime: RFC 9846, Section 4.6.3: until a KeyUpdate of the peer comes,
// no second one of ours has update_requested. The peer's answers would change its keys
// once for each.
func TestOneRequestAtATime(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*sim)
		want [2]uint16 // write epochs
	}{
		{"behind each other", func(s *sim) { s.update(clientSide, true); s.update(clientSide, true) }, [2]uint16{5, 4}},
		{"five in a row", func(s *sim) {
			for range 5 {
				s.update(clientSide, true)
			}
		}, [2]uint16{5, 4}},
		{"after the ACK, before the answer", func(s *sim) {
			s.onDeliver = func(to side, d []byte) []byte {
				if to == serverSide {
					return d
				}
				s.onDeliver = nil
				_, rest, err := record.NextUnified(d, 0) // the ACK; the KeyUpdate is lost
				if err != nil || len(rest) == 0 {
					t.Fatalf("%v, %d bytes behind the ACK", err, len(rest))
				}
				return d[:len(d)-len(rest)]
			}
			s.update(clientSide, true)
			s.run(simRTT*3/2, func() bool { return false })
			if s.eng[clientSide].keys.Write() != 4 || s.eng[clientSide].post.peerEpoch != 3 {
				t.Fatalf("the answer is there, or the ACK is not\n%s", s.history())
			}
			s.update(clientSide, true)
		}, [2]uint16{5, 4}},
		{"one after the answer", func(s *sim) { s.update(clientSide, true); s.settle(); s.update(clientSide, true) }, [2]uint16{5, 5}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := established13(t)
			test.do(s)
			s.settle()
			s.echo("done")
			for i, e := range s.eng {
				if e.keys.Write() != test.want[i] {
					t.Errorf("%v writes in epoch %d, want %d\n%s", side(i), e.keys.Write(), test.want[i], s.history())
				}
			}
		})
	}
}

// TestLastMessageSeq: message_seq 65535 is used and taken, and no number follows it
// (RFC 9147, Section 5.2).
func TestLastMessageSeq(t *testing.T) {
	for from := range side(2) {
		s := established13(t)
		e, peer := s.eng[from], s.eng[from.other()]
		e.setMessageSeq(1<<16 - 1)
		peer.post.in.Await(1<<16 - 1)
		s.update(from, false)
		s.settle()
		s.echo("under the last keys")
		if e.keys.Write() != 4 || peer.Err() != nil {
			t.Errorf("%v writes in epoch %d, the peer: %v\n%s", from, e.keys.Write(), peer.Err(), s.history())
		}
		if err := e.UpdateKeys(s.now, false); err == nil || IsFatal(err) {
			t.Errorf("%v: a message behind the last: %v", from, err)
		}
		s.inject(from.other(), s.authenticMessage(from, message.TypeKeyUpdate, 0, 0))
		if a, remote := alertOf(t, peer); a != alert.UnexpectedMessage || remote {
			t.Errorf("%v: message_seq 0 behind 65535: %v", from, peer.Err())
		}
	}
}
