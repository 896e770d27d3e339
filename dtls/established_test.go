package dtls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// What an established association makes of forged records, and of authentic
// ones that a peer has no business to send.

// established is an association at rest.
func established(t testing.TB) *sim {
	client, server := pskConfigs()
	s := newSim(t, client, server)
	s.handshake()
	s.data = [2][][]byte{}
	return s
}

// authentic is a record with the keys of a side.
func (s *sim) authentic(from side, typ record.ContentType, payload ...byte) []byte {
	out, _, err := s.eng[from].keys.Sealer().Seal(nil, typ, VersionDTLS12, payload)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// authenticMessage is a handshake message with the keys of a side.
func (s *sim) authenticMessage(from side, typ message.Type, seq uint16, body ...byte) []byte {
	n := uint32(len(body))
	h := message.Header{Type: typ, Length: n, Seq: seq, FragmentLength: n}
	return s.authentic(from, record.TypeHandshake, append(h.Append(nil), body...)...)
}

// says is what an engine wants to send, opened by the other one; the alerts.
func (s *sim) says(at side) (alerts []alert.Alert) {
	for {
		tx, ok := s.eng[at].PollTransmit(s.now, nil)
		if !ok {
			return alerts
		}
		h, fragment, _, err := record.Next(tx.Data)
		if err != nil || h.Type != record.TypeAlert || h.Epoch != 1 {
			s.t.Fatalf("%s sends %s", at, describeDatagram(tx.Data))
		}
		plain, err := s.eng[at.other()].keys.Opener(1).Open(h, fragment)
		if err != nil {
			s.t.Fatal(err)
		}
		_, a, err := alert.Parse(plain)
		if err != nil {
			s.t.Fatal(err)
		}
		alerts = append(alerts, a)
	}
}

// TestPostHandshakeMessages: what each side makes of each message of its peer.
func TestPostHandshakeMessages(t *testing.T) {
	for _, typ := range handshakeTypes {
		for to := range side(2) {
			s := established(t)
			seq := uint16(9)
			if typ == message.TypeFinished {
				seq = s.eng[to].lastSeq12 // see TestSecondFinished
			}
			s.inject(to, s.authenticMessage(to.other(), typ, seq, make([]byte, 12)...))
			said, err := s.says(to), s.eng[to].Err()
			asks := typ == message.TypeHelloRequest && to == clientSide || typ == message.TypeClientHello && to == serverSide
			switch {
			case asks:
				if err != nil || !slices.Equal(said, []alert.Alert{alert.NoRenegotiation}) || s.eng[to].Drops().Refused != 1 {
					t.Errorf("%v to the %s: said %v, error %v", typ, to, said, err)
				}
				s.echo("refused")
			case typ == message.TypeFinished:
				if err != nil || len(said) > 0 {
					t.Errorf("%v to the %s: said %v, error %v", typ, to, said, err)
				}
				s.echo("repeated")
			default:
				a, remote := alertOf(t, s.eng[to])
				if a != alert.UnexpectedMessage || remote || !slices.Equal(said, []alert.Alert{alert.UnexpectedMessage}) {
					t.Errorf("%v to the %s: said %v, error %v", typ, to, said, err)
				}
			}
		}
	}
}

// TestRenegotiationFlood: requests are refused once, then silently, and cost
// little; nothing begins.
func TestRenegotiationFlood(t *testing.T) {
	for to, typ := range []message.Type{message.TypeHelloRequest, message.TypeClientHello} {
		to := side(to)
		s := established(t)
		began := time.Now()
		var said []alert.Alert
		for i := range uint16(10000) {
			s.deliver(to, s.authenticMessage(to.other(), typ, i))
			said = append(said, s.says(to)...)
		}
		if took := time.Since(began); took > time.Minute { // a second under the race detector
			t.Errorf("%v: %v", typ, took)
		}
		if !slices.Equal(said, []alert.Alert{alert.NoRenegotiation}) || s.eng[to].Drops().Refused != 10000 {
			t.Errorf("%v: said %v, drops %+v", typ, said, s.eng[to].Drops())
		}
		s.echo("unharmed")
	}
}

// TestFinishedFlood: a repeated Finished is answered with the last flight, a
// bounded number of times.
func TestFinishedFlood(t *testing.T) {
	client, server := pskConfigs()
	s := newSim(t, client, server)
	if !s.run(time.Minute, s.established) {
		t.Fatal("no handshake")
	}
	sent := 0
	for range 1000 {
		s.now = s.now.Add(time.Second)
		s.deliver(serverSide, s.authenticMessage(clientSide, message.TypeFinished, s.eng[serverSide].lastSeq12, make([]byte, 12)...))
		for {
			if _, ok := s.eng[serverSide].PollTransmit(s.now, nil); !ok {
				break
			}
			sent++
		}
	}
	if sent == 0 || sent > maxLastFlights {
		t.Errorf("last flight sent %d times, want at most %d", sent, maxLastFlights)
	}
	s.echo("unharmed")
}

// TestAuthenticRecords of types and contents that are out of place.
func TestAuthenticRecords(t *testing.T) {
	for _, test := range []struct {
		name    string
		typ     record.ContentType
		payload []byte
		fatal   alert.Alert // 0: none
		why     func(Drops) uint64
	}{
		{"unknown type", 99, []byte{1}, 0, func(d Drops) uint64 { return d.UnknownType }},
		{"ack", record.TypeACK, make([]byte, 18), 0, func(d Drops) uint64 { return d.ACK }},
		{"heartbeat", record.TypeHeartbeat, []byte{1, 0xff, 0xff}, 0, func(d Drops) uint64 { return d.UnknownType }},
		{"change_cipher_spec", record.TypeChangeCipherSpec, []byte{1}, 0, func(d Drops) uint64 { return d.CCS }},
		{"empty handshake record", record.TypeHandshake, nil, 0, func(d Drops) uint64 { return d.Fragment }},
		{"half a handshake header", record.TypeHandshake, []byte{1, 2}, alert.DecodeError, nil},
		{"alert of one byte", record.TypeAlert, []byte{1}, alert.DecodeError, nil},
		{"two alerts", record.TypeAlert, []byte{1, 90, 1, 90}, alert.DecodeError, nil},
		{"alert of level 3", record.TypeAlert, []byte{3, 90}, alert.IllegalParameter, nil},
	} {
		for to := range side(2) {
			s := established(t)
			s.inject(to, s.authentic(to.other(), test.typ, test.payload...))
			if test.why != nil {
				if err := s.eng[to].Err(); err != nil || test.why(s.eng[to].Drops()) == 0 {
					t.Errorf("%s to the %s: error %v, drops %+v", test.name, to, err, s.eng[to].Drops())
				} else {
					s.echo("unharmed")
				}
				continue
			}
			if a, remote := alertOf(t, s.eng[to]); a != test.fatal || remote || !slices.Equal(s.says(to), []alert.Alert{test.fatal}) {
				t.Errorf("%s to the %s: %v", test.name, to, s.eng[to].Err())
			}
		}
	}
}

// TestRecordOverflow: authentic records of 2^14 bytes are delivered, longer
// ones are fatal, and forged long ones are nothing.
func TestRecordOverflow(t *testing.T) {
	for _, test := range []struct {
		size   int
		forged bool
	}{{record.MaxPlaintext, false}, {record.MaxPlaintext + 1, false}, {record.MaxPlaintext + 1, true}, {record.MaxCiphertext12 + 1, true}} {
		s := established(t)
		d := overlong(t, s.eng[clientSide], test.size)
		if test.forged {
			d[len(d)-1] ^= 1
		}
		s.deliver(serverSide, d)
		switch {
		case test.forged:
			s.echo("unharmed")
		case test.size <= record.MaxPlaintext:
			if len(s.data[serverSide]) != 1 || len(s.data[serverSide][0]) != test.size {
				t.Errorf("%d bytes are not delivered: %v", test.size, s.eng[serverSide].Err())
			}
		default:
			if a, _ := alertOf(t, s.eng[serverSide]); a != alert.RecordOverflow {
				t.Errorf("%d bytes: %v", test.size, a)
			}
		}
	}
}

// overlong is an authentic record of a client that no Sealer12 would make.
func overlong(t *testing.T, e *Engine, size int) []byte {
	block := keys.KeyBlock12(e.secrets.Suite.Hash, e.secrets.Master, e.secrets.ClientRandom, e.secrets.ServerRandom, 16, 4)
	b, err := aes.NewCipher(block.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(b)
	if err != nil {
		t.Fatal(err)
	}
	const number = 1<<48 | 1000
	variable := binary.BigEndian.AppendUint64(nil, number)
	h := record.Header{Type: record.TypeApplicationData, Version: VersionDTLS12, Number: record.Number{Epoch: 1, Seq: 1000}}
	aad := append(bytes.Clone(variable), byte(h.Type), 0xfe, 0xfd, byte(size>>8), byte(size))
	sealed := gcm.Seal(variable, slices.Concat(block.ClientIV, variable), make([]byte, size), aad)
	h.Length = len(sealed)
	return append(record.AppendHeader(nil, h), sealed...)
}

// TestWindowMovesOnlyForAuthentic: forged records with far numbers do not make
// honest ones stale.
func TestWindowMovesOnlyForAuthentic(t *testing.T) {
	s := established(t)
	for _, seq := range []uint64{record.MaxSeq, 1 << 40, 1000} {
		for _, epoch := range []uint64{0, 1, 2} {
			n := record.Number{Epoch: epoch, Seq: seq}
			s.deliver(serverSide, forgeRecordAt(record.TypeApplicationData, VersionDTLS12, n, make([]byte, 40)...))
		}
	}
	for range 100 {
		s.deliver(serverSide, s.authentic(clientSide, record.TypeApplicationData, 'x'))
	}
	if n := len(s.data[serverSide]); n != 100 {
		t.Errorf("%d of 100 records delivered", n)
	}
	old := s.authentic(clientSide, record.TypeApplicationData, 'y')
	for range 100 {
		s.deliver(serverSide, old)
	}
	if n := len(s.data[serverSide]); n != 101 || s.eng[serverSide].Drops().Replayed != 99 {
		t.Errorf("100 copies: %d deliveries, %+v", n-100, s.eng[serverSide].Drops())
	}
}

// TestDataAfterCloseNotify: by number, not by arrival.
func TestDataAfterCloseNotify(t *testing.T) {
	for to := range side(2) {
		s := established(t)
		from := to.other()
		a := s.authentic(from, record.TypeApplicationData, 'a')
		b := s.authentic(from, record.TypeApplicationData, 'b')
		closing := s.authentic(from, record.TypeAlert, byte(alert.Warning), byte(alert.CloseNotify))
		c := s.authentic(from, record.TypeApplicationData, 'c')
		again := s.authentic(from, record.TypeAlert, byte(alert.Warning), byte(alert.CloseNotify))
		for _, d := range [][]byte{b, closing, c, a, again, closing} {
			s.inject(to, d)
		}
		if got := bytes.Join(s.data[to], nil); string(got) != "ba" || s.eng[to].Drops().AfterClose != 1 {
			t.Errorf("%s got %q, drops %+v", to, got, s.eng[to].Drops())
		}
		if said := s.says(to); !slices.Equal(said, []alert.Alert{alert.CloseNotify}) {
			t.Errorf("%s answers %v", to, said)
		}
		if n := len(slices.DeleteFunc(s.events[to], func(k EventKind) bool { return k != EventClosed })); n != 1 {
			t.Errorf("%s: %d closed events", to, n)
		}
		if err := s.eng[to].Write(s.now, []byte("x")); err == nil {
			t.Errorf("%s: Write after close_notify", to)
		}
	}
}

// TestBadMACs: forged records get no answer, cost no allocation and do not end
// anything.
func TestBadMACs(t *testing.T) {
	for to := range side(2) {
		s := established(t)
		e := s.eng[to]
		d := forgeRecordAt(record.TypeApplicationData, VersionDTLS12, record.Number{Epoch: 1, Seq: 5000}, make([]byte, 100)...)
		template := bytes.Clone(d)
		handle := func() {
			copy(d, template)
			if err := e.HandleDatagram(s.now, d, s.addr[to.other()]); err != nil {
				t.Fatal(err)
			}
			if _, ok := e.PollTransmit(s.now, nil); ok {
				t.Fatal("a bad record is answered")
			}
			if _, ok := e.PollEvent(); ok {
				t.Fatal("a bad record is an event")
			}
		}
		if allocs := testing.AllocsPerRun(10000, handle); allocs != 0 && !raceEnabled {
			t.Errorf("%s: %v allocations for a bad record", to, allocs)
		}
		if n := e.Drops().BadMAC; n != 10001 {
			t.Errorf("%s: %d counted", to, n)
		}
		s.echo("unharmed")
	}
}

// TestForgeryLimit: a suite with tags of 8 bytes ends after 128 forgeries, as
// the RFC demands; see docs/security.md.
func TestForgeryLimit(t *testing.T) {
	client, server := pskConfigs()
	client.CipherSuites, server.CipherSuites = []uint16{0xc0a8}, []uint16{0xc0a8}
	s := newSim(t, client, server)
	s.handshake()
	d := forgeRecordAt(record.TypeApplicationData, VersionDTLS12, record.Number{Epoch: 1, Seq: 5000}, make([]byte, 100)...)
	n := 0
	for ; s.eng[serverSide].Err() == nil && n < 1000; n++ {
		s.deliver(serverSide, d)
	}
	if uint64(n) != record.AES128CCM8.IntegrityLimit() {
		t.Errorf("ended after %d forgeries", n)
	}
}

// TestErrorsStay: after the end every call says the same, and nothing is sent
// but the one alert.
func TestErrorsStay(t *testing.T) {
	s := established(t)
	e := s.eng[serverSide]
	s.inject(serverSide, s.authenticMessage(clientSide, message.TypeKeyUpdate, 9, 0))
	want := e.Err()
	if said := s.says(serverSide); len(said) != 1 {
		t.Errorf("said %v", said)
	}
	for _, err := range []error{
		e.HandleDatagram(s.now, forgeRecord(99), s.addr[0]), e.HandleTimeout(s.now), e.Write(s.now, nil), e.SetMaxData(5),
	} {
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if !e.NextTimeout().IsZero() || e.Established() || errors.Is(want, io.EOF) {
		t.Error("still alive")
	}
	if _, err := e.ExportKeyingMaterial("EXPORTER-x", nil, 10); err == nil {
		t.Error("exporter after the end")
	}
}
