package dtls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// One forged datagram, of every kind we could think of, ends nothing: neither an
// association nor a handshake, whenever it comes.

// blow is a kind of forged datagram. honest is the last datagram that the
// victim got from its peer: the forger has seen it. nil: this kind needs one
// that there is not yet.
type blow struct {
	name string
	make func(honest []byte) []byte
}

func blows() (list []blow) {
	add := func(name string, datagram []byte) {
		list = append(list, blow{name, func([]byte) []byte { return datagram }})
	}
	forgedAlerts(add)
	forgedHellos(add)
	forgedFragments(add)
	forgedRecords(add)
	otherProtocols(add)
	return append(list, alteredHonest()...)
}

// forgedAlerts in plaintext, RFC 5246, Section 7.2.
func forgedAlerts(add func(string, []byte)) {
	for a := range alert.Alert(255) {
		if a == alert.CloseNotify || a.String()[:5] == "alert" {
			continue
		}
		add("fatal "+a.String(), forgeAlert(alert.Fatal, a))
	}
	add("fatal alert that has no name", forgeAlert(alert.Fatal, 255))
	for _, a := range []alert.Alert{alert.CloseNotify, alert.UserCanceled, alert.NoRenegotiation, alert.UnrecognizedName, 255} {
		add("warning "+a.String(), forgeAlert(alert.Warning, a))
	}
	add("fatal close_notify", forgeAlert(alert.Fatal, alert.CloseNotify))
	add("alert of level 0", forgeAlert(0, alert.InternalError))
	add("alert of level 3", forgeAlert(3, alert.InternalError))
	add("empty alert", forgeRecord(record.TypeAlert))
	add("alert of one byte", forgeRecord(record.TypeAlert, 2))
	add("two alerts in a record", forgeRecord(record.TypeAlert, 1, 90, 2, 40))
	add("alert in the version of the hello", forgeRecordAt(record.TypeAlert, message.Version10, record.Number{Seq: forgedSeq}, 2, 40))
	add("alert in number 0", forgeRecordAt(record.TypeAlert, VersionDTLS12, record.Number{}, 2, 40))
	add("alert in the last number", forgeRecordAt(record.TypeAlert, VersionDTLS12, record.Number{Seq: record.MaxSeq}, 2, 40))
}

// forgedHellos: cookies and hellos, RFC 6347, Sections 4.2.1 and 4.2.8.
func forgedHellos(add func(string, []byte)) {
	cookie := func(seq uint16, body ...byte) []byte {
		return forgeMessage(message.TypeHelloVerifyRequest, seq, body...)
	}
	add("hello_verify_request", cookie(0, 0xfe, 0xff, 4, 'e', 'v', 'i', 'l'))
	add("hello_verify_request, number 1", cookie(1, 0xfe, 0xff, 4, 'e', 'v', 'i', 'l'))
	add("hello_verify_request of DTLS 1.2", cookie(0, 0xfe, 0xfd, 4, 'e', 'v', 'i', 'l'))
	add("hello_verify_request of no version", cookie(0, 0, 0, 4, 'e', 'v', 'i', 'l'))
	add("hello_verify_request without a cookie", cookie(0, 0xfe, 0xff, 0))
	add("hello_verify_request with the longest cookie", cookie(0, append([]byte{0xfe, 0xff, 255}, make([]byte, 255)...)...))
	add("hello_verify_request whose cookie is too short", cookie(0, 0xfe, 0xff, 9, 1))
	add("hello_verify_request with more behind it", cookie(0, 0xfe, 0xff, 1, 1, 2, 3))
	add("half a hello_verify_request", forgeFragment(message.Header{Type: message.TypeHelloVerifyRequest, Length: 7, FragmentLength: 3}, 0xfe, 0xff, 4))
	random := bytes.Repeat([]byte{7}, 32)
	hello := slices.Concat([]byte{0xfe, 0xfd}, random, []byte{0, 0, 0, 2, 0xd0, 0x01, 1, 0})
	add("client_hello", forgeMessage(message.TypeClientHello, 0, hello...))
	add("client_hello, number 1", forgeMessage(message.TypeClientHello, 1, hello...))
	add("client_hello without suites", forgeMessage(message.TypeClientHello, 1, slices.Concat([]byte{0xfe, 0xfd}, random, []byte{0, 0, 0, 0, 1, 0})...))
	add("client_hello of DTLS 1.0", forgeMessage(message.TypeClientHello, 1, slices.Concat([]byte{0xfe, 0xff}, hello[2:])...))
	retry := []byte{
		0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
		0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
	}
	for seq := range uint16(2) {
		of := fmt.Sprintf(", number %d", seq)
		add("hello_retry_request"+of, forgeMessage(message.TypeServerHello, seq, slices.Concat([]byte{0xfe, 0xfd}, retry, []byte{0, 0x13, 0x01, 0})...))
		add("server_hello of DTLS 1.0"+of, forgeMessage(message.TypeServerHello, seq, slices.Concat([]byte{0xfe, 0xff}, random, []byte{0, 0xc0, 0x2b, 0})...))
		add("server_hello with a suite that nobody offered"+of, forgeMessage(message.TypeServerHello, seq, slices.Concat([]byte{0xfe, 0xfd}, random, []byte{0, 0, 0, 0})...))
		add("server_hello of three bytes"+of, forgeMessage(message.TypeServerHello, seq, 0xfe, 0xfd, 1))
	}
}

// forgedFragments of handshake messages, RFC 6347, Section 4.2.2.
func forgedFragments(add func(string, []byte)) {
	for _, typ := range []message.Type{message.TypeServerHello, message.TypeCertificate, message.TypeClientKeyExchange} {
		add(fmt.Sprintf("first byte of a long %v", typ), forgeFragment(message.Header{Type: typ, Length: 9000, Seq: 2, FragmentLength: 1}, 1))
		add(fmt.Sprintf("last byte of a long %v", typ), forgeFragment(message.Header{Type: typ, Length: 9000, Seq: 2, FragmentOffset: 8999, FragmentLength: 1}, 1))
		add(fmt.Sprintf("%v without a byte", typ), forgeFragment(message.Header{Type: typ, Length: 50, Seq: 2}))
	}
	add("fragment of the longest message", forgeFragment(message.Header{Type: 11, Length: 1<<24 - 1, Seq: 2, FragmentLength: 1}, 1))
	add("fragment past its message", forgeFragment(message.Header{Type: 11, Length: 50, Seq: 2, FragmentOffset: 50, FragmentLength: 1}, 1))
	add("fragment past its record", forgeFragment(message.Header{Type: 11, Length: 50, Seq: 2, FragmentLength: 50}, 1))
	add("fragment at the highest offset", forgeFragment(message.Header{Type: 11, Length: 1<<24 - 1, Seq: 2, FragmentOffset: 1<<24 - 2, FragmentLength: 1}, 1))
	add("fragment with the highest number", forgeFragment(message.Header{Type: 11, Length: 1, Seq: 65535, FragmentLength: 1}, 1))
	add("eleven bytes of a fragment header", forgeRecord(record.TypeHandshake, make([]byte, 11)...))
	add("empty handshake record", forgeRecord(record.TypeHandshake))
	add("finished in the clear", forgeMessage(message.TypeFinished, 2, make([]byte, 12)...))
	add("hello_request", forgeMessage(message.TypeHelloRequest, 0))
	add("key_update", forgeMessage(message.TypeKeyUpdate, 2, 1))
	add("message of an unknown type", forgeMessage(200, 2, 1, 2, 3))
	add("two messages, the second a lie", append(forgeMessage(11, 3, 0, 0, 0), forgeFragment(message.Header{Type: 12, Length: 9, Seq: 4, FragmentOffset: 9, FragmentLength: 9}, 1)...))
}

// forgedRecords: headers, types and epochs, RFC 6347, Section 4.1.
func forgedRecords(add func(string, []byte)) {
	for _, body := range [][]byte{{}, {0}, {1}, {2}, {1, 1}, make([]byte, 200)} {
		add(fmt.Sprintf("change_cipher_spec of %d bytes, %x", len(body), body[:min(1, len(body))]), forgeRecord(record.TypeChangeCipherSpec, body...))
	}
	ack := []byte{0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	add("empty ack", forgeRecord(record.TypeACK, 0, 0))
	add("ack of one record", forgeRecord(record.TypeACK, ack...))
	add("ack that is longer than its record", forgeRecord(record.TypeACK, 0xff, 0xff, 1))
	add("ack of no bytes", forgeRecord(record.TypeACK))
	add("heartbeat that asks for 16 KiB", forgeRecord(record.TypeHeartbeat, 1, 0x40, 0, 1))
	add("heartbeat that answers", forgeRecord(record.TypeHeartbeat, 2, 0, 1, 1))
	add("application data in the clear", forgeRecord(record.TypeApplicationData, 'e', 'v', 'i', 'l'))
	add("empty application data in the clear", forgeRecord(record.TypeApplicationData))
	for _, typ := range []record.ContentType{
		0, 19, record.TypeChangeCipherSpec, record.TypeAlert, record.TypeHandshake,
		record.TypeApplicationData, record.TypeHeartbeat, record.TypeACK, 27, 63, 64, 255,
	} {
		for _, epoch := range []uint64{1, 2, 3, 65535} {
			n := record.Number{Epoch: epoch, Seq: forgedSeq}
			add(fmt.Sprintf("%v of epoch %d", typ, epoch), forgeRecordAt(typ, VersionDTLS12, n, bytes.Repeat([]byte{1}, 40)...))
		}
	}
	add("record of epoch 1 without a tag", forgeRecordAt(record.TypeApplicationData, VersionDTLS12, record.Number{Epoch: 1, Seq: 9}, 1))
	add("empty record of epoch 1", forgeRecordAt(record.TypeApplicationData, VersionDTLS12, record.Number{Epoch: 1, Seq: 9}))
	add("record of epoch 1 in the last number", forgeRecordAt(23, VersionDTLS12, record.Number{Epoch: 1, Seq: record.MaxSeq}, make([]byte, 40)...))
	add("record of epoch 1 that is too long", forgeRecordAt(23, VersionDTLS12, record.Number{Epoch: 1, Seq: 9}, make([]byte, record.MaxCiphertext12+1)...))
	add("record that is too long", forgeRecord(22, make([]byte, record.MaxPlaintext+1)...))
	for _, version := range []uint16{0, 0x0100, 0x0301, 0x0303, 0x0304, VersionDTLS13, 0xfefe, 0xfefb, 0xffff} {
		add(fmt.Sprintf("alert of version %#04x", version), forgeRecordAt(record.TypeAlert, version, record.Number{Seq: forgedSeq}, 2, 40))
	}
	whole := forgeAlert(alert.Fatal, alert.InternalError)
	add("empty datagram", nil)
	add("first byte of a record", whole[:1])
	add("record header but for a byte", whole[:record.HeaderLen-1])
	add("record header", whole[:record.HeaderLen])
	longer := bytes.Clone(whole)
	binary.BigEndian.PutUint16(longer[record.HeaderLen-2:], 3)
	add("record that is one byte longer than the datagram", longer)
	longest := bytes.Clone(whole)
	binary.BigEndian.PutUint16(longest[record.HeaderLen-2:], 65535)
	add("record of 65535 bytes", longest)
	add("record with connection ID", forgeRecord(record.TypeTLS12CID, make([]byte, 40)...))
	add("record with connection ID and alert", forgeRecord(record.TypeTLS12CID, 2, 40, byte(record.TypeAlert)))
}

// otherProtocols share the port, or have lost their way: RFC 7983, Section 7.
func otherProtocols(add func(string, []byte)) {
	for _, first := range []byte{0x20, 0x2c, 0x2d, 0x2f, 0x30, 0x3f} { // RFC 9147, Section 4
		add(fmt.Sprintf("unified header %#x", first), append([]byte{first}, make([]byte, 60)...))
	}
	add("unified header alone", []byte{0x2f})
	add("STUN", append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...))
	add("ZRTP", append([]byte{0x10, 0, 0, 1, 'Z', 'R', 'T', 'P'}, make([]byte, 20)...))
	add("TURN channel", append([]byte{0x40, 0, 0, 8}, make([]byte, 8)...))
	add("RTP", append([]byte{0x80, 0x60, 0, 1}, make([]byte, 40)...))
	add("QUIC", append([]byte{0xc3, 0, 0, 0, 1}, make([]byte, 1195)...))
	add("CoAP", []byte{0x40, 1, 0, 1, 0xb1, 'x'})
	add("zeros", make([]byte, maxUDPPayload))
	add("ones", bytes.Repeat([]byte{0xff}, maxUDPPayload))
}

// alteredHonest is what the peer sent last, again or with a change.
func alteredHonest() (list []blow) {
	add := func(name string, change func(d []byte) []byte) {
		list = append(list, blow{name, func(honest []byte) []byte {
			if honest == nil {
				return nil
			}
			return change(bytes.Clone(honest))
		}})
	}
	set := func(at int, values ...byte) func(d []byte) []byte {
		return func(d []byte) []byte {
			copy(d[at:], values)
			return d
		}
	}
	const epochAt, seqAt, lengthAt = 3, 5, 11
	add("replay", func(d []byte) []byte { return d })
	add("replay, twice in a datagram", func(d []byte) []byte { return append(d, d...) })
	add("replay that lacks a byte", func(d []byte) []byte { return d[:len(d)-1] })
	add("replay with a byte more", func(d []byte) []byte { return append(d, 0) })
	add("replay as an alert", set(0, byte(record.TypeAlert)))
	add("replay as change_cipher_spec", set(0, byte(record.TypeChangeCipherSpec)))
	add("replay as application data", set(0, byte(record.TypeApplicationData)))
	add("replay as an ack", set(0, byte(record.TypeACK)))
	add("replay in another version", set(1, 0xfe, 0xfc))
	add("replay in epoch 1", set(epochAt, 0, 1))
	add("replay in epoch 2", set(epochAt, 0, 2))
	add("replay in epoch 65535", set(epochAt, 0xff, 0xff))
	add("replay with length 0", set(lengthAt, 0, 0))
	add("replay with length 65535", set(lengthAt, 0xff, 0xff))
	add("replay with another number", func(d []byte) []byte {
		if d[epochAt+1] == 0 {
			return d // in the clear that is a retransmission
		}
		return set(seqAt, 0, 1)(d)
	})
	add("replay with another last bit", func(d []byte) []byte {
		if d[epochAt+1] > 0 {
			d[len(d)-1] ^= 1 // in the clear it would be legal: TestForgedButLegal
		}
		return d
	})
	add("replay cut in the middle", func(d []byte) []byte { return d[:len(d)/2] })
	add("replay behind garbage", func(d []byte) []byte { return append(forgeRecord(99, 1, 2), d...) })
	return list
}

// rememberHonest returns what each side got last.
func (s *sim) rememberHonest() *[2][]byte {
	var honest [2][]byte
	before := s.onDeliver
	s.onDeliver = func(to side, d []byte) []byte {
		honest[to] = bytes.Clone(d)
		if before != nil {
			return before(to, d)
		}
		return d
	}
	return &honest
}

// TestForgedOnceNames: there are as many kinds as threats.md says, no two alike.
func TestForgedOnceNames(t *testing.T) {
	names, datagrams := map[string]bool{}, map[string]string{}
	for _, b := range blows() {
		if names[b.name] {
			t.Errorf("%q twice", b.name)
		}
		names[b.name] = true
		if d := string(b.make(nil)); d != "" {
			if other := datagrams[d]; other != "" {
				t.Errorf("%q is the same as %q", b.name, other)
			}
			datagrams[d] = b.name
		}
	}
	if len(names) < 85 {
		t.Errorf("%d kinds, want 85", len(names))
	}
	t.Logf("%d kinds", len(names))
}

// TestForgedOnceEstablished: an association that is established counts it,
// answers nothing but a hello, with a cookie, delivers nothing, and goes on.
func TestForgedOnceEstablished(t *testing.T) {
	t.Parallel()
	for _, b := range blows() {
		client, server := pskConfigs()
		s := newSim(t, client, server)
		honest := s.rememberHonest()
		s.handshake()
		for to := range side(2) {
			before, data, events := s.eng[to].Drops(), len(s.data[to]), len(s.events[to])
			forged := b.make(honest[to])
			s.inject(to, forged)
			if s.eng[to].Drops() == before {
				t.Errorf("%s, %s: not counted", b.name, to)
			}
			if tx, ok := s.eng[to].PollTransmit(s.now, nil); ok {
				cookie := to == serverSide && door.Mark(forged) != 0 && len(tx.Data) <= len(forged) && stateless(tx.Data[record.HeaderLen:])
				if !cookie {
					t.Errorf("%s, %s: answered with %s", b.name, to, describeDatagram(tx.Data))
				}
			}
			if len(s.data[to]) > data || len(s.events[to]) > events {
				t.Errorf("%s, %s: %d events, data %q", b.name, to, len(s.events[to])-events, s.data[to][data:])
			}
			if err := s.eng[to].Err(); err != nil {
				t.Fatalf("%s, %s: ends with %v", b.name, to, err)
			}
		}
		s.echo("unharmed")
	}
}

// TestForgedOnceInHandshake: whatever comes before or after whichever record,
// the handshake completes, at worst a timer later.
func TestForgedOnceInHandshake(t *testing.T) {
	t.Parallel()
	calm := at(t, pskConfigs, moment{serverSide, 0, false}, func(*sim) {})
	patience := calm.now.Sub(calm.start) + RetransmitDefault.Initial + 2*simRTT
	races := 0
	for i, m := range moments(t, pskConfigs) {
		for j, b := range blows() {
			if brief() && (i+j)%5 > 0 {
				continue
			}
			races++
			client, server := pskConfigs()
			s := newSim(t, client, server)
			done := false
			var honest *[2][]byte
			s.perRecord(func(to side, n int, after bool) {
				if (moment{to, n, after}) != m || done {
					return
				}
				done = true
				if d := b.make(honest[to]); d != nil {
					s.inject(to, d)
				}
			})
			honest = s.rememberHonest()
			s.run(2*time.Minute, s.established)
			took := s.now.Sub(s.start)
			if !s.established() || took > patience {
				t.Fatalf("%s at %+v: after %v: %v; %v\n%s", b.name, m, took, s.eng[0], s.eng[1], s.history())
			}
			if len(s.data[0])+len(s.data[1]) > 0 {
				t.Errorf("%s at %+v: delivered %q", b.name, m, s.data)
			}
			s.echo("still here")
		}
	}
	t.Logf("%d races", races)
}
