package dtls

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/record"
)

// muteACKs has a side acknowledge nothing, until it is called again with false.
func (s *sim) muteACKs(at side, mute bool) {
	s.beforeSend = nil
	if mute {
		s.beforeSend = func(from side) {
			if from == at {
				s.eng[at].acks.Clear()
			}
		}
	}
}

func (s *sim) count(at side, kind EventKind) (n int) {
	for _, k := range s.events[at] {
		if k == kind {
			n++
		}
	}
	return n
}

// keysKept13 is a pair of which one side has suspended a KeyUpdate that the other has
// and does not acknowledge.
func keysKept13(t testing.TB, from side, request bool) *sim {
	s := established13(t)
	s.muteACKs(from.other(), true)
	s.update(from, request)
	for !s.eng[from].keysKept() {
		s.echo("meanwhile")
		s.run(10*time.Second, func() bool { return false })
		if s.now.Sub(s.start) > time.Hour {
			t.Fatalf("%v tries for ever\n%s", s.eng[from], s.history())
		}
	}
	return s
}

// TestKeyUpdateNotAcknowledged: data goes on both ways with the keys before, for
// as long as it likes, and costs no timer.
func TestKeyUpdateNotAcknowledged(t *testing.T) {
	s := keysKept13(t, clientSide, false)
	for range 60 {
		s.echo("hours later")
		s.run(time.Minute, func() bool { return false })
	}
	e := s.eng[clientSide]
	if e.Err() != nil || e.keys.Write() != 3 || s.eng[serverSide].post.peerEpoch != 4 || !e.keysKept() || !e.NextTimeout().IsZero() {
		t.Errorf("%v writes in epoch %d, next time-out %v\n%s", e, e.keys.Write(), e.NextTimeout(), s.history())
	}
	if n := e.out.sent.number; n != 8 {
		t.Errorf("sent %d times", n)
	}

	// Another try finds a peer that acknowledges what it has already.
	s.muteACKs(serverSide, false)
	s.update(clientSide, false)
	s.settle()
	s.echo("with new keys")
	if e.keys.Write() != 4 || s.count(clientSide, EventKeysUpdated) != 1 {
		t.Errorf("%v writes in epoch %d\n%s", e, e.keys.Write(), s.history())
	}
}

// TestKeyUpdateAcknowledgedLate: an ACK for any of the transmissions, whenever it
// comes, is as good as one in time.
func TestKeyUpdateAcknowledgedLate(t *testing.T) {
	s := keysKept13(t, clientSide, false)
	e := s.eng[clientSide]
	first := e.out.ledger.Records[0].Number()
	for range 5 {
		s.echo("hours later")
		s.run(time.Hour, func() bool { return false })
	}
	s.muteACKs(serverSide, false)
	s.eng[serverSide].acks.Note(first)
	s.eng[serverSide].acks.Now = true
	s.flush(serverSide)
	s.settle()
	s.echo("with new keys")
	if e.keys.Write() != 4 {
		t.Errorf("%v writes in epoch %d\n%s", e, e.keys.Write(), s.history())
	}
}

// TestAnswerIsNoACK: RFC 9147, Section 7: the peer's KeyUpdate does not
// acknowledge ours, though it was asked for.
func TestAnswerIsNoACK(t *testing.T) {
	s := keysKept13(t, clientSide, true)
	e := s.eng[clientSide]
	if e.keys.Write() != 3 || e.post.peerEpoch != 4 {
		t.Errorf("client writes in epoch %d and reads in %d", e.keys.Write(), e.post.peerEpoch)
	}
	// Nor may another one go out, though the peer asks for it (Section 5.8.4).
	s.muteACKs(serverSide, false)
	if err := s.eng[serverSide].UpdateKeys(s.now, true); err != nil {
		t.Fatal(err)
	}
	s.settle()
	s.echo("with new keys")
	if e.keys.Write() != 5 || s.eng[serverSide].keys.Write() != 5 {
		t.Errorf("epochs %d and %d\n%s", e.keys.Write(), s.eng[serverSide].keys.Write(), s.history())
	}
}

// TestKeyUpdateAtTheLimit: near the limit of the keys the KeyUpdate goes out
// again; there the association ends, and says why.
func TestKeyUpdateAtTheLimit(t *testing.T) {
	s := keysKept13(t, clientSide, false)
	e := s.eng[clientSide]
	tries := e.out.sent.number
	k := sealer13(t, e)
	k.SetLimit(k.Next() + rekeyBefore + 10)
	for range 10 {
		s.echo("one of many")
	}
	if s.run(time.Second, func() bool { return false }); e.out.sent.number != tries {
		t.Errorf("sent again %d times too early", e.out.sent.number-tries)
	}
	for range 3 {
		s.echo("the next ones")
	}
	if s.run(time.Second, func() bool { return false }); e.out.sent.number == tries {
		t.Error("not sent again near the limit")
	}
	k.SetLimit(k.Next() + 100)
	var err error
	for n := 0; err == nil && n < 200; n++ {
		if err = e.Write(s.now, []byte("one of the last")); err == nil {
			s.flush(clientSide)
			err = e.Err()
		}
	}
	if !errors.Is(err, errKeysExhausted) || !IsFatal(err) || !strings.Contains(err.Error(), "has not acknowledged key_update, sent ") {
		t.Errorf("%v", err)
	}
}

// TestRestartCannotBeAsked: a peer that does not acknowledge what it has already
// gives no sign of life when it is sent again, and has the longer time.
func TestRestartCannotBeAsked(t *testing.T) {
	s := keysKept13(t, serverSide, false)
	e := s.eng[serverSide]
	e.suspectRestart()
	if wait := e.restart.until.Sub(s.now); wait != silence12 || !e.out.suspended() {
		t.Errorf("it has %v", wait)
	}
	s = established13(t)
	e = s.eng[serverSide]
	e.suspectRestart()
	if wait := e.restart.until.Sub(s.now); wait != silence13 || !e.post.update.out {
		t.Errorf("it has %v", wait)
	}
}

// TestRestartAsksInTime: a peer that is well is asked for its sign of life when a
// restart is suspected, with time for more than one loss, whatever is outstanding
// and however long its timer has become.
func TestRestartAsksInTime(t *testing.T) {
	for name, before := range map[string]func(s *sim){
		"nothing": func(*sim) {},
		"a key update, the timer doubled": func(s *sim) {
			s.path = func(side, int, []byte) []time.Duration { return nil }
			s.update(serverSide, false)
			for s.eng[serverSide].out.timer.Timeout < 16*time.Second {
				s.step()
			}
			s.flush(serverSide)
		},
	} {
		for policy, r := range map[string]RetransmitPolicy{"default": RetransmitDefault, "constrained": RetransmitConstrained} {
			client, server := simConfigs13(dtlstest.P256, 0)
			client.Retransmit, server.Retransmit = r, r
			s := newSim(t, client, server)
			s.handshake()
			s.settle()
			before(s)
			lose := 1
			s.path = func(side, int, []byte) []time.Duration {
				if lose > 0 {
					lose--
					return nil
				}
				return []time.Duration{simRTT / 2}
			}
			e := s.eng[serverSide]
			e.tick(s.now)
			e.suspectRestart()
			s.run(time.Minute, func() bool { return false })
			if e.Err() != nil || e.keys.Write() != 4 {
				t.Errorf("%s, %s timers: %v\n%s", name, policy, e, s.history())
			}
		}
	}
}

// TestRestartWithHastyTimers: whatever the timers are, the error is that of a
// restart, and not before its time.
func TestRestartWithHastyTimers(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 0)
	server.Retransmit = RetransmitPolicy{Initial: 100 * time.Millisecond, Min: 50 * time.Millisecond, Max: time.Second, MaxTries: 4}
	s := newSim(t, client, server)
	s.handshake()
	s.settle()
	e, began := s.eng[serverSide], s.now
	s.path = func(side, int, []byte) []time.Duration { return nil }
	e.tick(s.now)
	e.suspectRestart()
	s.run(time.Hour, func() bool { return e.Err() != nil })
	if took := s.now.Sub(began); !errors.Is(e.Err(), ErrPeerRestarted) || took != silence13 {
		t.Errorf("%v after %v\n%s", e, took, s.history())
	}
}

// TestSilenceLater: that a peer was heard long ago does not say that it is there.
// Whatever is asked of it once more, or behind tickets that it did not
// acknowledge, ends the association if nothing comes since.
func TestSilenceLater(t *testing.T) {
	for name, test := range map[string]func() *sim{
		"asked once more": func() *sim { return keysKept13(t, serverSide, false) },
		"behind tickets": func() *sim {
			client, server := simConfigs13(dtlstest.P256, 0)
			s := newSim(t, client, server)
			s.run(time.Minute, s.established)
			s.muteACKs(clientSide, true)
			s.run(10*time.Minute, func() bool { return false })
			if !s.eng[serverSide].out.suspended() {
				t.Fatalf("the tickets are still repeated\n%s", s.history())
			}
			return s
		},
	} {
		s := test()
		e := s.eng[serverSide]
		s.echo("hours later")
		s.path = func(side, int, []byte) []time.Duration { return nil }
		s.update(serverSide, false)
		s.run(time.Hour, func() bool { return e.Err() != nil })
		if !errors.Is(e.Err(), ErrHandshakeTimeout) {
			t.Errorf("%s: %v\n%s", name, e, s.history())
		}
	}
}

// TestKeyUpdateBehindTickets: a KeyUpdate gets all the tries, also behind tickets
// that have used up theirs, and the timer begins anew.
func TestKeyUpdateBehindTickets(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 0)
	s := newSim(t, client, server)
	s.run(time.Minute, s.established)
	e := s.eng[serverSide]
	s.muteACKs(clientSide, true)
	s.run(10*time.Minute, func() bool { return e.out.timer.Tries == RetransmitDefault.MaxTries })
	s.flush(serverSide)
	for len(s.queue) > 0 {
		s.step()
	}
	s.flush(clientSide)
	s.muteACKs(clientSide, false)
	lose := 3
	s.path = func(from side, _ int, _ []byte) []time.Duration {
		if from == serverSide && lose > 0 {
			lose--
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	began := s.now
	s.update(serverSide, false)
	s.run(time.Hour, func() bool { return e.keys.Write() == 4 || e.Err() != nil })
	if took := s.now.Sub(began); e.Err() != nil || took > 4*time.Second {
		t.Errorf("%v after %v\n%s", e, took, s.history())
	}
}

// TestSilenceAfterTheHandshake: a peer that is not there any more ends the
// association, whose error says what was sent, how often and for how long.
func TestSilenceAfterTheHandshake(t *testing.T) {
	s := awaitingACK(t)
	e := s.eng[clientSide]
	s.path = func(side, int, []byte) []time.Duration { return nil }
	began := s.now
	s.run(time.Hour, func() bool { return e.Err() != nil })
	var timeout net.Error
	err := e.Err()
	if !errors.Is(err, ErrHandshakeTimeout) || !errors.As(err, &timeout) || !timeout.Timeout() || !IsFatal(err) {
		t.Fatalf("%v\n%s", err, s.history())
	}
	took := s.now.Sub(began).Round(time.Millisecond).String()
	if want := "dtls: peer has not acknowledged key_update, sent 8 times in " + took + " (last with MTU "; !strings.HasPrefix(err.Error(), want) ||
		!strings.HasSuffix(err.Error(), "; nothing was received meanwhile") {
		t.Errorf("%q, want %q", err, want)
	}
}

// TestLastFlightNotAcknowledged: data of the server does not prove that it has the
// client's last flight, so there an update is no reason to go on.
func TestLastFlightNotAcknowledged(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 0)
	server.CookieMode = CookieAuto
	s := newSim(t, client, server)
	e := s.eng[clientSide]
	s.path = func(from side, _ int, _ []byte) []time.Duration {
		if from == clientSide && e.Established() {
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(time.Minute, e.Established)
	s.update(clientSide, false)
	var data [][]byte
	for range 100 {
		data = append(data, s.authentic(serverSide, record.TypeApplicationData, 'x'))
	}
	for _, d := range data {
		if e.Err() == nil {
			s.inject(clientSide, d)
			s.run(time.Second, func() bool { return e.Err() != nil })
		}
	}
	if err := e.Err(); !errors.Is(err, ErrHandshakeTimeout) || !strings.Contains(err.Error(), "finished, key_update, sent ") || !strings.Contains(err.Error(), "the last record came ") {
		t.Errorf("%v", err)
	}
}

// TestUpdateKeysNotAcknowledged: UpdateKeys says so, and may be called again; its
// context ends the wait, not the update.
func TestUpdateKeysNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, _, b := pair(t, func(client, server *Config) {
			client.MinVersion, server.SessionTicketsDisabled = VersionDTLS13, true
			client.Retransmit = RetransmitPolicy{Initial: time.Second, Max: 2 * time.Second, MaxTries: 4}
		})
		time.Sleep(time.Second)
		acks := 0
		b.set(func(m *memSocket) {
			m.refuse = func(p []byte, _ net.Addr) error {
				if len(p) > 100 { // what the test says is longer than an ACK
					return nil
				}
				acks++
				return errors.New("lost")
			}
		})
		words := strings.Repeat("words ", 20)
		talk := func() {
			t.Helper()
			mustWrite(t, client, words)
			mustRead(t, server, words)
			mustWrite(t, server, words)
			mustRead(t, client, words)
		}
		go func() {
			for range 100 {
				_, _ = server.Write([]byte(words))
				time.Sleep(100 * time.Millisecond)
			}
		}()
		began := time.Now()
		err := client.UpdateKeys(context.Background(), false)
		var timeout net.Error
		if err == nil || IsFatal(err) || !errors.As(err, &timeout) || !timeout.Timeout() || errors.Is(err, ErrAgain) || acks < 5 {
			t.Fatalf("%v after %d ACKs", err, acks)
		}
		if took := time.Since(began); took < 5*time.Second || took > 15*time.Second {
			t.Errorf("it took %v", took)
		}
		time.Sleep(10 * time.Second)
		for range 100 {
			mustRead(t, client, words)
		}
		talk()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := client.UpdateKeys(ctx, true); !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.DeadlineExceeded) || IsFatal(err) {
			t.Errorf("%v", err)
		}
		talk()
		b.set(func(m *memSocket) { m.refuse = nil })
		if err := client.UpdateKeys(context.Background(), true); err != nil {
			t.Errorf("%v", err)
		}
		talk()
		closeAll(client, server)
		time.Sleep(time.Minute)
	})
}
