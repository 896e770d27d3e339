package dtls

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Bad input at every stage. Whatever it is, it is counted under its reason, and
// the handshake completes or the association goes on.

// nuisance is bad input and how it is accounted for.
type nuisance struct {
	name      string
	datagrams [][]byte
	// why picks the counters that must have grown by the time the association
	// stands, later those for input after that (nil: the same).
	why, later func(Drops) uint64
}

func malformed(d Drops) uint64    { return d.Malformed }
func unknownEpoch(d Drops) uint64 { return d.UnknownEpoch }
func badFragment(d Drops) uint64  { return d.Fragment }
func badCCS(d Drops) uint64       { return d.CCS }

func nuisances() []nuisance {
	repeat := func(n int, b []byte) [][]byte { return slices.Repeat([][]byte{b}, n) }
	whole := forgeMessage(message.TypeServerHello, 0, make([]byte, 40)...)
	var prefixes, flood [][]byte
	for n := range whole {
		prefixes = append(prefixes, whole[:n])
	}
	longer := bytes.Clone(whole)
	longer[12]++
	longest := bytes.Clone(whole)
	longest[11], longest[12] = 0xff, 0xff
	for i := range uint32(1000) { // to the last of a message that never comes
		h := message.Header{Type: message.TypeCertificate, Length: 3000, Seq: 9, FragmentOffset: 2 * i, FragmentLength: 1}
		flood = append(flood, forgeFragment(h, 7))
	}
	epoch := func(epoch uint64, n int) []byte {
		return forgeRecordAt(record.TypeHandshake, VersionDTLS12, record.Number{Epoch: epoch, Seq: forgedSeq}, make([]byte, n)...)
	}
	type header = message.Header
	return []nuisance{
		{"an empty datagram", [][]byte{{}}, malformed, nil},
		{"every prefix of a record", prefixes, malformed, nil},
		{"a record that is one byte longer than the datagram", [][]byte{longer}, malformed, nil},
		{"a record of 65535 bytes in a short datagram", [][]byte{longest}, malformed, nil},
		{"a good record before a lying one", [][]byte{append(forgeRecord(99), longer...)}, malformed, nil},
		{"a unified header of DTLS 1.3", [][]byte{bytes.Repeat([]byte{0x2f}, 60)}, malformed, nil},
		{"a record with a connection ID", [][]byte{forgeRecord(record.TypeTLS12CID, make([]byte, 40)...)}, malformed, nil},
		{"STUN", [][]byte{append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...)}, malformed, nil},
		{"a record of DTLS 1.3", [][]byte{forgeRecordAt(22, VersionDTLS13, record.Number{}, 1, 2, 3)}, func(d Drops) uint64 { return d.Version + d.Fragment }, nil},
		{"a record of TLS 1.2", [][]byte{forgeRecordAt(22, 0x0303, record.Number{}, 1, 2, 3)}, func(d Drops) uint64 { return d.Version + d.Fragment }, nil},
		{"an unknown content type", [][]byte{forgeRecord(99, 1, 2, 3)}, func(d Drops) uint64 { return d.UnknownType }, unknownEpoch},
		{"a heartbeat", [][]byte{forgeRecord(record.TypeHeartbeat, 1, 0xff, 0xff, 1)}, func(d Drops) uint64 { return d.UnknownType }, unknownEpoch},
		{"an ACK", [][]byte{forgeRecord(record.TypeACK, make([]byte, 18)...)}, func(d Drops) uint64 { return d.ACK }, unknownEpoch},
		{"epoch 2", [][]byte{epoch(2, 40)}, unknownEpoch, nil},
		{"epoch 65535", [][]byte{epoch(65535, 40)}, unknownEpoch, nil},
		{"forged records of epoch 1", repeat(3, epoch(1, 40)), func(d Drops) uint64 { return d.BadMAC }, nil},
		{"records of epoch 1 that are too short", [][]byte{epoch(1, 0), epoch(1, 8), epoch(1, 23)}, func(d Drops) uint64 { return d.Size }, nil},
		{"a record of epoch 1 that is too long", [][]byte{epoch(1, record.MaxCiphertext12+1)}, func(d Drops) uint64 { return d.Size + d.Memory }, nil},
		{"more of epoch 1 than is held", repeat(50, epoch(1, 1000)), func(d Drops) uint64 { return d.Memory + d.BadMAC }, nil},
		{"a plaintext record that is too long", [][]byte{forgeRecord(22, make([]byte, record.MaxPlaintext+1)...)}, func(d Drops) uint64 { return d.Size }, unknownEpoch},
		{"plaintext application data", repeat(3, forgeRecord(record.TypeApplicationData, 'e', 'v', 'i', 'l')), func(d Drops) uint64 { return d.PlaintextData }, unknownEpoch},
		{"empty plaintext application data", [][]byte{forgeRecord(record.TypeApplicationData)}, func(d Drops) uint64 { return d.PlaintextData }, unknownEpoch},
		{"change_cipher_spec without a body", [][]byte{forgeRecord(record.TypeChangeCipherSpec)}, badCCS, unknownEpoch},
		{"change_cipher_spec with a zero", [][]byte{forgeRecord(record.TypeChangeCipherSpec, 0)}, badCCS, unknownEpoch},
		{"change_cipher_spec of two bytes", [][]byte{forgeRecord(record.TypeChangeCipherSpec, 1, 1)}, badCCS, unknownEpoch},
		{"change_cipher_spec 50 times", repeat(50, forgeRecord(record.TypeChangeCipherSpec, 1)), badCCS, unknownEpoch},
		{"an empty handshake record", [][]byte{forgeRecord(record.TypeHandshake)}, badFragment, unknownEpoch},
		{"half a fragment header", [][]byte{forgeRecord(record.TypeHandshake, 2, 0, 0)}, badFragment, unknownEpoch},
		{"a fragment of 16 MiB", [][]byte{forgeFragment(header{Type: 2, Length: 1<<24 - 1, FragmentLength: 1}, 1)}, badFragment, unknownEpoch},
		{"a fragment past its message", [][]byte{forgeFragment(header{Type: 2, Length: 50, FragmentOffset: 50, FragmentLength: 1}, 1)}, badFragment, unknownEpoch},
		{"a fragment past its record", [][]byte{forgeFragment(header{Type: 2, Length: 50, FragmentLength: 50}, 1)}, badFragment, unknownEpoch},
		{"3000 hollow fragments", repeat(3000, forgeFragment(header{Type: 11, Length: 50})), badFragment, unknownEpoch},
		{"fragments far ahead", [][]byte{forgeMessage(2, 60000, 1), forgeMessage(2, 40, 1)}, func(d Drops) uint64 { return d.Fragment + d.Memory + d.Repeated }, unknownEpoch},
		{"a Finished without keys", [][]byte{forgeMessage(message.TypeFinished, 4, make([]byte, 12)...)}, badFragment, unknownEpoch},
		{"1000 fragments of one byte", flood, func(Drops) uint64 { return 1 }, unknownEpoch},
		{"alerts that are none", [][]byte{forgeRecord(21), forgeRecord(21, 2), forgeRecord(21, 2, 40, 0), forgeRecord(21, 9, 40)}, func(d Drops) uint64 { return d.PlaintextAlert }, unknownEpoch},
	}
}

// hostileConfigs have no door: TestDoorDropsGarbage looks at that.
func hostileConfigs() (client, server *Config) {
	client, server = pskConfigs()
	server.CookieMode = AddressProven
	return client, server
}

// TestNuisances tries all of them before and after every record, on both sides.
func TestNuisances(t *testing.T) {
	all := moments(t, hostileConfigs)
	for _, n := range nuisances() {
		t.Run(n.name, func(t *testing.T) {
			t.Parallel()
			for _, m := range all {
				var done bool
				s := at(t, hostileConfigs, m, func(s *sim) {
					done = s.eng[m.to].Established()
					for _, d := range n.datagrams {
						s.inject(m.to, d)
					}
				})
				if !s.established() {
					t.Fatalf("at %+v: %v; %v\n%s", m, s.eng[0], s.eng[1], s.history())
				}
				if took := s.now.Sub(s.start); took > 2*RetransmitDefault.Initial {
					t.Errorf("at %+v: took %v\n%s", m, took, s.history())
				}
				n.accounted(t, fmt.Sprint(m), s.eng[m.to].Drops(), done)
			}
			client, server := hostileConfigs()
			s := newSim(t, client, server)
			s.handshake()
			for to := range side(2) {
				for _, d := range n.datagrams {
					s.inject(to, d)
				}
				if _, ok := s.eng[to].PollTransmit(s.now, nil); ok {
					t.Errorf("%s answers when established", to)
				}
				n.accounted(t, to.String()+", established", s.eng[to].Drops(), true)
			}
			s.echo("unharmed")
			for at, data := range s.data {
				if len(data) != 2 {
					t.Errorf("%s got %q", side(at), data)
				}
			}
		})
	}
}

func (n *nuisance) accounted(t *testing.T, where string, d Drops, established bool) {
	t.Helper()
	why := n.why
	if established && n.later != nil {
		why = n.later
	}
	if why(d) == 0 {
		t.Errorf("%s: not accounted for: %+v", where, d)
	}
}

// TestReplayedDatagrams: every honest datagram comes five times.
func TestReplayedDatagrams(t *testing.T) {
	client, server := hostileConfigs()
	s := newSim(t, client, server)
	s.onDeliver = func(to side, datagram []byte) []byte {
		for range 4 {
			s.deliver(to, datagram)
		}
		return datagram
	}
	s.handshake()
	for at, data := range s.data {
		if len(data) != 1 {
			t.Errorf("%s: %d records of data, want 1", side(at), len(data))
		}
		if d := s.eng[at].Drops(); d.Replayed == 0 || d.Repeated == 0 {
			t.Errorf("%s: %+v", side(at), d)
		}
	}
}

// TestGoodRecordsAroundABadOne: a bad record is skipped, a lying length ends
// the datagram; the good ones before are kept.
func TestGoodRecordsAroundABadOne(t *testing.T) {
	for _, test := range []struct {
		name string
		bad  []byte
		want []string
	}{
		{"unknown type", forgeRecord(99, 1), []string{"a", "b"}},
		{"other version", forgeRecordAt(23, 0x0303, record.Number{Epoch: 1}, 1), []string{"a", "b"}},
		{"bad tag", forgeRecordAt(23, VersionDTLS12, record.Number{Epoch: 1, Seq: 99}, make([]byte, 30)...), []string{"a", "b"}},
		{"length past the end", forgeRecordAt(23, VersionDTLS12, record.Number{Epoch: 1}, nil...)[:11], []string{"a"}},
		{"other layout", []byte{0x2c, 1, 2, 3}, []string{"a"}},
	} {
		client, server := hostileConfigs()
		s := newSim(t, client, server)
		s.run(time.Minute, s.established)
		seal := func(text string) []byte {
			out, err := s.eng[clientSide].appendData(s.now, nil, []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		s.inject(serverSide, slices.Concat(seal("a"), test.bad, seal("b")))
		var got []string
		for _, d := range s.data[serverSide] {
			got = append(got, string(d))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: delivered %q, want %q", test.name, got, test.want)
		}
	}
}

// TestManyRecords: a datagram of 64 KiB full of tiny records costs little.
func TestManyRecords(t *testing.T) {
	client, server := hostileConfigs()
	s := newSim(t, client, server)
	s.handshake()
	datagram := bytes.Repeat(forgeRecord(99), maxUDPPayload/record.HeaderLen)
	began := time.Now()
	for range 10 {
		s.deliver(serverSide, datagram)
	}
	if took := time.Since(began); took > time.Minute { // 2 ms on an idle machine
		t.Errorf("10 datagrams of 5000 records took %v", took)
	}
	s.echo("unharmed")
}

// TestEarlyData: data that overtakes the Finished waits for it and is delivered
// once; forged early data is not.
func TestEarlyData(t *testing.T) {
	client, server := hostileConfigs()
	s := newSim(t, client, server)
	s.path = func(from side, n int, d []byte) []time.Duration {
		if from == serverSide && n == 1 { // with the Finished
			return []time.Duration{time.Second / 10}
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(time.Minute, s.eng[serverSide].Established)
	for _, text := range []string{"one", "two"} {
		if err := s.eng[serverSide].Write(s.now, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	early := forgeRecordAt(record.TypeApplicationData, VersionDTLS12, record.Number{Epoch: 1, Seq: 77}, make([]byte, 60)...)
	overtook := 0
	s.onDeliver = func(to side, d []byte) []byte {
		if to == clientSide && record.ContentType(d[0]) == record.TypeApplicationData {
			s.inject(to, early)
			s.deliver(to, d)
			if !s.eng[clientSide].Established() {
				overtook++
			}
			if len(s.data[clientSide]) > 0 && !s.eng[clientSide].Established() {
				t.Errorf("delivered before the Finished")
			}
		}
		return d // again: a duplicate must not be delivered twice
	}
	s.run(time.Minute, func() bool { return s.established() && len(s.data[clientSide]) >= 2 })
	s.run(time.Second, func() bool { return false })
	if got := bytes.Join(s.data[clientSide], []byte(" ")); string(got) != "one two" || overtook != 2 {
		t.Errorf("client got %q, %d records overtook the Finished\n%s", got, overtook, s.history())
	}
	if d := s.eng[clientSide].Drops(); d.BadMAC != 2 || d.Replayed != 2 {
		t.Errorf("drops %+v", d)
	}
}

// TestEarlyDataOfClient: the same on the server, for a client that does not
// wait for the server's Finished.
func TestEarlyDataOfClient(t *testing.T) {
	client, server := hostileConfigs()
	s := newSim(t, client, server)
	var finished []byte
	s.onDeliver = func(to side, d []byte) []byte {
		if to == serverSide && finished == nil && s.eng[clientSide].keys.Write() == 1 {
			recs := records(t, d)
			finished = recs[len(recs)-1]
			d = d[:len(d)-len(finished)]
		}
		return d
	}
	s.run(time.Second/10+time.Millisecond, func() bool { return finished != nil })
	data, _, err := s.eng[clientSide].keys.Sealer().Seal(nil, record.TypeApplicationData, VersionDTLS12, []byte("early"))
	if err != nil {
		t.Fatal(err)
	}
	s.deliver(serverSide, data)
	if len(s.data[serverSide]) > 0 {
		t.Fatal("delivered before the Finished")
	}
	s.deliver(serverSide, finished)
	s.drain(serverSide)
	if len(s.data[serverSide]) != 1 || string(s.data[serverSide][0]) != "early" {
		t.Errorf("server got %q", s.data[serverSide])
	}
	s.run(time.Minute, s.established)
	s.echo("later")
}

// TestRepeatedHello: a client that repeats its hello, as it must with DTLS 1.0
// in the record, is answered at once and not when the server's timer fires.
func TestRepeatedHello(t *testing.T) {
	client, server := hostileConfigs()
	server.Retransmit.Initial = 1900 * time.Millisecond
	s := newSim(t, client, server)
	s.path = func(from side, n int, _ []byte) []time.Duration {
		if from == serverSide && n == 0 {
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(time.Minute, s.established)
	if took := s.now.Sub(s.start); took > RetransmitDefault.Initial+3*simRTT {
		t.Errorf("took %v\n%s", took, s.history())
	}
	if d := s.eng[serverSide].Drops(); d.Total() != 0 || d.Repeated == 0 {
		t.Errorf("drops of the server: %+v", d)
	}
}
