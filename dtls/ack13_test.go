package dtls

import (
	"bytes"
	"crypto/tls"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/acks"
	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/interval"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/reassembly"
	"github.com/flightpath-dtls/flightpath/record"
)

// awaitingACK is a pair of which the client has a KeyUpdate outstanding that
// never arrived.
func awaitingACK(t testing.TB) *sim {
	s := established13(t)
	path := s.path
	s.path = func(side, int, []byte) []time.Duration { return nil }
	s.update(clientSide, false)
	s.path = path
	s.drain(clientSide)
	return s
}

// TestLyingACKs: what lists name, and what that does (THREATS 39).
func TestLyingACKs(t *testing.T) {
	list := func(n ...record.Number) []byte { return message.AppendACK(nil, n) }
	mine := func(s *sim) record.Number { return s.eng[clientSide].out.ledger.Records[0].Number() }
	for _, test := range []struct {
		name string
		body func(s *sim) []byte
		want alert.Alert // 0: none
		done bool        // the KeyUpdate counts as acknowledged
	}{
		{"the record", func(s *sim) []byte { return list(mine(s)) }, 0, true},
		{"twice", func(s *sim) []byte { return list(mine(s), mine(s), mine(s)) }, 0, true},
		{"unsorted, between others", func(s *sim) []byte {
			return list(record.Number{Epoch: 3, Seq: 1 << 40}, mine(s), record.Number{Epoch: 2, Seq: 7}, record.Number{})
		}, 0, true},
		{"never sent", func(*sim) []byte { return list(record.Number{Epoch: 3, Seq: 1000}) }, 0, false},
		{"the largest number", func(*sim) []byte { return list(record.Number{Epoch: 3, Seq: 1<<64 - 1}) }, 0, false},
		{"another epoch with the number", func(s *sim) []byte { return list(record.Number{Epoch: 2, Seq: mine(s).Seq}) }, 0, false},
		{"nothing", func(*sim) []byte { return list() }, 0, false},
		{"the next epoch", func(*sim) []byte { return list(record.Number{Epoch: 4}) }, alert.IllegalParameter, false},
		{"the record, and an epoch to come", func(s *sim) []byte { return list(mine(s), record.Number{Epoch: 1<<64 - 1, Seq: 1<<64 - 1}) }, alert.IllegalParameter, false},
		{"half a number", func(s *sim) []byte { return list(mine(s))[:10] }, alert.DecodeError, false},
		{"an odd length", func(s *sim) []byte { return append([]byte{0, 17}, append(list(mine(s))[2:], 0)...) }, alert.DecodeError, false},
		{"a length over the record", func(s *sim) []byte { b := list(mine(s)); b[1] += 16; return b }, alert.DecodeError, false},
		{"a length under the record", func(s *sim) []byte { b := list(mine(s), mine(s)); b[1] -= 16; return b }, alert.DecodeError, false},
		{"no length", func(*sim) []byte { return []byte{0} }, alert.DecodeError, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := awaitingACK(t)
			e := s.eng[clientSide]
			s.inject(clientSide, s.authentic(serverSide, record.TypeACK, test.body(s)...))
			if test.want != 0 {
				if a, remote := alertOf(t, e); a != test.want || remote {
					t.Errorf("%v, want %v", e.Err(), test.want)
				}
				return
			}
			if e.Err() != nil || (len(e.out.flight.msgs) == 0) != test.done || (e.keys.Write() == 4) != test.done {
				t.Errorf("%v, %d outstanding, epoch %d", e, len(e.out.flight.msgs), e.keys.Write())
			}
			if test.done {
				return
			}
			s.settle() // it is sent again, and arrives
			s.echo("data")
		})
	}
}

// TestPlaintextACKs: they act on nothing once there are keys, and do not end
// anything.
func TestPlaintextACKs(t *testing.T) {
	s := awaitingACK(t)
	e := s.eng[clientSide]
	before := e.Drops()
	for _, n := range []record.Number{{}, e.out.ledger.Records[0].Number(), {Epoch: 1<<64 - 1}} {
		s.inject(clientSide, forgeRecord(record.TypeACK, message.AppendACK(nil, []record.Number{n})...))
	}
	if e.Err() != nil || len(e.out.flight.msgs) != 1 || e.Drops().Total() != before.Total()+3 {
		t.Errorf("%v, %d outstanding, drops %+v", e, len(e.out.flight.msgs), e.Drops())
	}
	s.settle()
}

// TestACKBombs: 2000 ACKs of 1000 numbers each (THREATS 40).
func TestACKBombs(t *testing.T) {
	for _, full := range []bool{false, true} {
		s := awaitingACK(t)
		e := s.eng[clientSide]
		if full { // as after a long flight, sent often
			for len(e.out.ledger.Records) < acks.MaxRecords {
				i := len(e.out.ledger.Records)
				n := e.out.ledger.Records[i-1].Number()
				n.Seq += 2
				e.out.ledger.Note(simStart, uint64(i), 100, []acks.Record{acks.Of(n, acks.Part{Lo: uint32(i), Hi: uint32(i + 1)})})
			}
			e.out.flight.msgs[0].body = make([]byte, 2) // never arrived
		}
		var list []record.Number
		for i := range uint64(1000) {
			list = append(list, record.Number{Epoch: 3, Seq: 1 + 2*i})
		}
		body := message.AppendACK(nil, list)
		var acks [][]byte
		for range 2000 {
			acks = append(acks, s.authentic(serverSide, record.TypeACK, body...))
		}
		before, began := liveHeap(), time.Now()
		for _, d := range acks {
			if err := e.HandleDatagram(s.now, d, s.addr[serverSide]); err != nil {
				t.Fatal(err)
			}
		}
		took, grown := time.Since(began), int64(liveHeap()-before)
		t.Logf("full ledger %v: %v each", full, took/2000)
		if took > time.Minute { // milliseconds on an idle machine
			t.Errorf("full ledger %v: 2000 ACKs took %v", full, took)
		}
		if grown > 1<<14 || e.out.flight.state != flightWaiting {
			t.Errorf("full ledger %v: grew by %d bytes", full, grown)
		}
		runtime.KeepAlive(acks)
	}
}

// TestACKIsBounded: however much a peer sends out of order, an ACK names the 32
// newest records, in order (RFC 9147, Section 7).
func TestACKIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var a acks.Owed
	seen := map[uint64]bool{}
	for range 5000 {
		n := r.Uint64N(4000)
		seen[n] = true
		a.Note(record.Number{Epoch: 2 + n/2000, Seq: n % 2000})
	}
	var want []record.Number
	for n := uint64(3999); len(want) < acks.MaxNumbers; n-- {
		if seen[n] {
			want = append(want, record.Number{Epoch: 2 + n/2000, Seq: n % 2000})
		}
	}
	slices.Reverse(want)
	if !slices.Equal(a.Numbers, want) {
		t.Errorf("kept %v, want %v", a.Numbers, want)
	}

	s := established13(t)
	for i := range 200 {
		h := message.Header{Type: message.TypeNewSessionTicket, Length: 1000, Seq: s.eng[clientSide].post.in.Awaited(), FragmentOffset: uint32(2 * i), FragmentLength: 1}
		s.deliver(clientSide, s.authentic(serverSide, record.TypeHandshake, append(h.Append(nil), 7)...))
	}
	tx, ok := s.eng[clientSide].PollTransmit(s.now, nil)
	if !ok || len(tx.Data) > minMTU+32*ackEntryLen+40 || len(s.ackedIn(tx.Data)) != acks.MaxNumbers {
		t.Errorf("%d bytes name %d records", len(tx.Data), len(s.ackedIn(tx.Data)))
	}
}

// ackedIn are the record numbers in an ACK of the client.
func (s *sim) ackedIn(datagram []byte) (list []record.Number) {
	s.t.Helper()
	u, _, err := record.NextUnified(bytes.Clone(datagram), 0)
	if err != nil {
		s.t.Fatalf("no ACK but %s", describeDatagram(datagram))
	}
	typ, plain, _, err := s.eng[serverSide].keys.OpenerByBits(u.EpochBits).Open(u)
	if err != nil || typ != record.TypeACK {
		s.t.Fatalf("no ACK but %v, %v", typ, err)
	}
	acked, err := message.ParseACK(plain)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range acked.Len() {
		list = append(list, acked.At(i))
	}
	return list
}

// TestNotAcknowledged: what is not kept is not acknowledged: fragments beyond the
// window, also next to good ones. One of a message that is too long ends it.
func TestNotAcknowledged(t *testing.T) {
	for _, test := range []struct {
		name string
		h    message.Header
	}{
		{"beyond the window", message.Header{Type: message.TypeNewSessionTicket, Length: 9, Seq: reassembly.Window, FragmentLength: 1}},
		{"over the size limit", message.Header{Type: message.TypeNewSessionTicket, Length: 1<<24 - 1, FragmentLength: 1}},
	} {
		for _, beside := range []bool{false, true} {
			s := established13(t)
			e := s.eng[clientSide]
			test.h.Seq += e.post.in.Awaited()
			payload := append(test.h.Append(nil), 7)
			test.h.Seq -= e.post.in.Awaited()
			if beside {
				good := message.Header{Type: message.TypeNewSessionTicket, Length: 9, Seq: e.post.in.Awaited(), FragmentLength: 1}
				payload = append(append(good.Append(nil), 7), payload...)
			}
			s.inject(clientSide, s.authentic(serverSide, record.TypeHandshake, payload...))
			if test.h.Length == 1<<24-1 {
				if a, remote := alertOf(t, e); a != alert.IllegalParameter || remote {
					t.Errorf("%s: %v", test.name, e)
				}
				continue
			}
			if tx, ok := e.PollTransmit(s.now, nil); ok || e.Err() != nil {
				t.Errorf("%s, beside %v: %v says %v", test.name, beside, e, s.ackedIn(tx.Data))
			}
		}
	}
}

// TestQuarterTimer: an ACK for part of a flight goes out a quarter of the timer
// after it began, and the rest alone is sent at once (RFC 9147, Section 7.1).
func TestQuarterTimer(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 6000)
	server.CookieMode = CookieAuto
	s := newSim(t, client, server)
	var lostSize, resent int
	s.path = func(from side, n int, d []byte) []time.Duration {
		if from == serverSide && n == 3 {
			lostSize = len(d)
			return nil
		}
		if from == serverSide && n >= 7 && !s.eng[clientSide].Established() {
			resent += len(d)
		}
		return []time.Duration{simRTT / 2}
	}
	s.handshake()
	if took := s.now.Sub(s.start); s.timeouts != [2]int{} || took > RetransmitDefault.Initial/4+4*simRTT {
		t.Errorf("took %v, timers %v\n%s", took, s.timeouts, s.history())
	}
	if resent == 0 || resent > lostSize+100 {
		t.Errorf("%d bytes sent again for a datagram of %d\n%s", resent, lostSize, s.history())
	}
}

// TestPartialACKs: random subsets of a flight are acknowledged while the MTU
// changes; exactly the bytes that are not acknowledged are sent again, and in
// the end the peer has all (THREATS 41).
func TestPartialACKs(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0xacc))
		client, server := simConfigs13(dtlstest.P256, 2000+r.IntN(8000))
		server.CookieMode, server.MTUMode = CookieAuto, MTUManual
		patient(server)
		s := newSim(t, client, server)
		e := s.eng[serverSide]
		s.path = func(from side, _ int, _ []byte) []time.Duration {
			if from == serverSide {
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		s.run(30*ms, func() bool { return e.out.flight.state == flightWaiting })
		s.bursts(serverSide)
		if e.out.flight.state != flightWaiting {
			t.Fatalf("seed %d: no flight is out\n%s", seed, s.history())
		}
		want := make([]interval.Set, len(e.out.flight.msgs)) // acknowledged
		for round := 0; len(e.out.flight.msgs) > 0 && e.out.flight.awaitsACK(); round++ {
			if round == 60 {
				t.Fatalf("seed %d: never done\n%s", seed, s.history())
			}
			if r.IntN(2) == 0 {
				if err := e.SetMTU(minMTU + r.IntN(1200)); err != nil {
					t.Fatal(err)
				}
			}
			s.bursts(serverSide)
			var list []record.Number
			for i := range e.out.ledger.Records {
				if rec := &e.out.ledger.Records[i]; r.IntN(3) == 0 {
					list = append(list, rec.Number())
				}
			}
			for _, rec := range e.out.ledger.Records {
				if p := rec.Part(); slices.Contains(list, rec.Number()) {
					want[p.Msg].Add(p.Lo, p.Hi)
				}
			}
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			e.handleAuthenticACK(parsedACK(t, list))
			known := e.nextID
			s.now = s.now.Add(time.Second)
			_ = e.HandleTimeout(s.now)
			s.bursts(serverSide)
			sent := make([]interval.Set, len(want))
			again := false
			for _, rec := range e.out.ledger.Records {
				if rec.ID <= known {
					continue
				}
				again = true
				p := rec.Part()
				if n := sent[p.Msg].Add(p.Lo, p.Hi); n != p.Hi-p.Lo {
					t.Fatalf("seed %d: bytes [%d:%d) of message %d are sent twice\n%s", seed, p.Lo, p.Hi, p.Msg, s.history())
				}
			}
			for i := range want {
				n := uint32(len(e.out.flight.msgs[i].body))
				if again {
					for lo, hi := range sent[i].Ranges() {
						for b := lo; b < hi; b++ {
							if want[i].Contains(b, b+1) {
								t.Fatalf("seed %d: byte %d of message %d is sent although it is there\n%s", seed, b, i, s.history())
							}
						}
					}
					if sent[i].Bytes()+want[i].Bytes() != n {
						t.Fatalf("seed %d: message %d: %d bytes are there, %d are sent, of %d\n%s", seed, i, want[i].Bytes(), sent[i].Bytes(), n, s.history())
					}
				}
			}
		}
	}
}

// bursts sends all of a flight.
func (s *sim) bursts(from side) {
	for s.flush(from); s.eng[from].out.flight.state == flightSending; s.flush(from) {
		s.now = s.now.Add(time.Millisecond)
	}
}

func parsedACK(t testing.TB, list []record.Number) message.ACKList {
	t.Helper()
	acked, err := message.ParseACK(message.AppendACK(nil, list))
	if err != nil {
		t.Fatal(err)
	}
	return acked
}

// TestLastACKLost: the server's ACK of the client's last flight is lost, again
// and again; the client repeats its flight and the server its ACK (RFC 9147,
// Section 5.8.1).
func TestLastACKLost(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 500)
	server.CookieMode, server.SessionTicketsDisabled = CookieAuto, true
	s := newSim(t, client, server)
	lost := 0
	s.path = func(from side, _ int, _ []byte) []time.Duration {
		if from == serverSide && s.eng[serverSide].Established() && lost < 4 {
			lost++
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(time.Minute, s.established)
	s.settle()
	s.echo("data")
	if lost != 4 || s.eng[serverSide].Drops().Repeated != 4 {
		t.Errorf("%d ACKs lost, %+v\n%s", lost, s.eng[serverSide].Drops(), s.history())
	}
}

// TestACKWaitsForTheRest: a message after the handshake that comes in many
// fragments is acknowledged when it is complete, or a quarter of the timer later if
// something is missing, and not fragment by fragment: an ACK for a part asks for
// the rest (RFC 9147, Section 7.2), which is under way.
func TestACKWaitsForTheRest(t *testing.T) {
	for _, loss := range []int{-1, 1, 4, 8} { // of the server's datagrams; 0 is an ACK
		client, server := simConfigs13(dtlstest.P256, 2000)
		client.Certificates, server.ClientAuth = server.Certificates, tls.RequireAndVerifyClientCert // their chain is in the tickets
		server.CookieMode = CookieAuto
		s := newSim(t, client, server)
		first := [2]int{}
		s.path = func(from side, n int, _ []byte) []time.Duration {
			if first[serverSide] > 0 && from == serverSide && n == first[serverSide]+loss {
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		s.run(time.Minute, s.established)
		if err := s.eng[serverSide].SetMTU(300); err != nil {
			t.Fatal(err)
		}
		first = s.sent
		s.settle()
		tickets, acks := s.sent[serverSide]-first[serverSide], s.sent[clientSide]-first[clientSide]
		if tickets < 16 || acks > 4 {
			t.Errorf("%d lost: %d datagrams with tickets, and %d that acknowledge them\n%s", loss, tickets, acks, s.history())
		}
		if loss >= 0 && tickets > 25 {
			t.Errorf("%d lost: %d datagrams with tickets: more than what was lost came again\n%s", loss, tickets, s.history())
		}
	}
}

// TestFinishedAgainAfterData: a client whose Finished is not acknowledged for some
// time, and which sends data meanwhile, gets the ACK when it repeats the Finished
// (RFC 9147, Section 5.8.1).
func TestFinishedAgainAfterData(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 0)
	s := newSim(t, client, server)
	var deaf time.Time // the end of it
	s.path = func(from side, _ int, _ []byte) []time.Duration {
		if from == serverSide && s.eng[serverSide].Established() {
			if deaf.IsZero() {
				deaf = s.now.Add(20 * time.Second)
			}
			if s.now.Before(deaf) {
				return nil
			}
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(time.Minute, s.established)
	s.run(4*time.Second, func() bool { return false }) // the server has seen epoch 2 again
	if err := s.eng[clientSide].Write(s.now, []byte("data")); err != nil {
		t.Fatal(err)
	}
	s.settle()
	if len(s.data[serverSide]) != 1 || !s.now.After(deaf) || !s.established() {
		t.Errorf("%d records of data, %v after %v\n%s", len(s.data[serverSide]), s.eng[clientSide], s.now.Sub(s.start), s.history())
	}
}
