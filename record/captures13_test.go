package record_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/record"
)

// TestCaptures13 opens every protected record of sessions between foreign
// implementations (testdata/ORIGIN.md says which), counts what is inside, and
// makes the same bytes again.
func TestCaptures13(t *testing.T) {
	for _, c := range []struct {
		capture  string
		sessions []string
	}{
		{"p-c-active", []string{`
AEAD_AES_128_GCM
client epoch 2: 3 handshake
client epoch 3: 1 alert, 7 application_data
server epoch 2: 1 handshake
server epoch 3: 8 application_data, 1 ack`}},
		{"p-c-passive", []string{`
AEAD_AES_128_GCM
client epoch 2: 1 handshake
client epoch 3: 8 application_data
server epoch 2: 6 handshake
server epoch 3: 1 alert, 7 application_data, 1 ack`}},
		{"p-f-active", []string{`
AEAD_AES_128_GCM
client epoch 2: 1 handshake
client epoch 3: 7 application_data
server epoch 2: 6 handshake
server epoch 3: 8 application_data, 1 ack`}},
		{"p-f-passive", []string{`
AEAD_AES_128_GCM
client epoch 2: 3 handshake
client epoch 3: 8 application_data
server epoch 2: 1 handshake
server epoch 3: 7 application_data, 1 ack`}},
		{"nss13", []string{`
AEAD_AES_128_GCM
client epoch 2: 1 handshake
client epoch 3: 1 alert, 1 application_data
server epoch 2: 5 handshake
server epoch 3: 1 alert, 1 handshake, 1 application_data, 1 ack`, `
AEAD_AES_128_GCM
client epoch 2: 2 handshake
client epoch 3: 1 alert, 3 handshake, 1 application_data
server epoch 2: 5 handshake
server epoch 3: 1 alert, 3 handshake, 1 application_data, 2 ack`, `
AEAD_AES_128_GCM
11 records without keys`, `
AEAD_AES_128_GCM
10 records without keys`}},
		{"nss13ku", []string{`
AEAD_AES_128_GCM
client epoch 2: 1 handshake
client epoch 3: 2 handshake, 2 application_data, 2 ack
client epoch 4: 1 handshake, 1 application_data
client epoch 5: 2 handshake, 1 application_data, 1 ack
client epoch 6: 1 handshake, 1 application_data
client epoch 7: 2 handshake, 1 application_data, 1 ack
client epoch 8: 1 handshake, 1 application_data
client epoch 9: 1 alert
server epoch 2: 5 handshake
server epoch 3: 5 handshake, 2 application_data, 2 ack
server epoch 4: 2 handshake, 2 application_data, 2 ack
server epoch 5: 2 handshake, 2 application_data, 2 ack
server epoch 6: 1 alert, 1 application_data, 1 ack`, `
AEAD_AES_256_GCM
client epoch 2: 1 handshake
client epoch 3: 2 handshake, 2 application_data, 2 ack
client epoch 4: 1 handshake, 1 application_data
client epoch 5: 1 alert
server epoch 2: 5 handshake
server epoch 3: 5 handshake, 2 application_data, 2 ack
server epoch 4: 1 alert, 1 application_data, 1 ack`, `
AEAD_CHACHA20_POLY1305
client epoch 2: 1 handshake
client epoch 3: 2 handshake, 2 application_data, 2 ack
client epoch 4: 1 handshake, 1 application_data
client epoch 5: 2 handshake, 1 application_data, 1 ack
client epoch 6: 1 alert
server epoch 2: 5 handshake
server epoch 3: 5 handshake, 2 application_data, 2 ack
server epoch 4: 2 handshake, 2 application_data, 2 ack
server epoch 5: 1 alert`, `
AEAD_AES_128_GCM
client epoch 2: 3 handshake
client epoch 3: 1 alert, 1 application_data
server epoch 2: 5 handshake
server epoch 3: 1 alert, 2 handshake, 1 application_data, 1 ack`, `
AEAD_CHACHA20_POLY1305
client epoch 2: 1 handshake
client epoch 3: 1 alert, 1 application_data
server epoch 2: 5 handshake
server epoch 3: 1 alert, 2 handshake, 1 application_data, 1 ack`, `
AEAD_CHACHA20_POLY1305
client epoch 1: 1 handshake
client epoch 2: 1 handshake
client epoch 3: 1 alert, 2 application_data
server epoch 2: 2 handshake
server epoch 3: 1 alert, 1 handshake, 2 application_data, 1 ack`}},
	} {
		t.Run(c.capture, func(t *testing.T) {
			sessions := readSessions(t, c.capture)
			if len(sessions) != len(c.sessions) {
				t.Fatalf("%d sessions of DTLS 1.3, want %d", len(sessions), len(c.sessions))
			}
			for i, s := range sessions {
				if got, want := s.openAll(t), strings.TrimSpace(c.sessions[i]); got != want {
					t.Errorf("session %d has\n%s\nwant\n%s", i+1, got, want)
				}
			}
		})
	}
}

// session is an association in a capture.
type session struct {
	client  netip.AddrPort
	random  [32]byte // of the ClientHello
	secrets map[string][]byte
	aead    record.AEAD
	hash    func() hash.Hash
	packets []dtlstest.Packet
}

// readSessions cuts a capture into its associations of DTLS 1.3.
func readSessions(t *testing.T, capture string) []*session {
	t.Helper()
	packets, err := dtlstest.ReadPcap(readFile(t, capture+".pcap"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := dtlstest.ReadKeyLog(readFile(t, capture+".keys"))
	if err != nil {
		t.Fatal(err)
	}
	var all []*session
	byClient := map[netip.AddrPort]*session{} // the latest
	for _, p := range packets {
		// RFC 7983, Section 7: what else goes over these ports is STUN.
		if len(p.Payload) == 0 || p.Payload[0] < 20 || p.Payload[0] > 63 {
			continue
		}
		if random, ok := clientRandom(p.Payload); ok && (byClient[p.Src] == nil || byClient[p.Src].random != random) {
			s := &session{client: p.Src, random: random, secrets: log[random]}
			byClient[p.Src] = s
			all = append(all, s)
		}
		s := byClient[p.Src]
		if s == nil {
			s = byClient[p.Dst]
		}
		if s == nil {
			t.Fatalf("a datagram from %v without a ClientHello before", p.Src)
		}
		s.readSuite(p.Payload)
		s.packets = append(s.packets, p)
	}
	return slices.DeleteFunc(all, func(s *session) bool { return s.hash == nil })
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What the test knows of handshake messages: RFC 9147, Section 5.2.
const (
	clientHello = 1
	serverHello = 2
	fragmentAt  = 6  // fragment_offset
	bodyAt      = 12 // of the message, behind type, lengths and numbers
	randomAt    = bodyAt + 2
	sessionIDAt = randomAt + 32
)

// clientRandom is the random of a datagram that begins a ClientHello.
func clientRandom(datagram []byte) (random [32]byte, ok bool) {
	h, fragment, _, err := record.Next(datagram)
	if err != nil || h.Type != record.TypeHandshake || h.Epoch != 0 || fragment[0] != clientHello ||
		!bytes.Equal(fragment[fragmentAt:fragmentAt+3], []byte{0, 0, 0}) {
		return random, false
	}
	return [32]byte(fragment[randomAt:]), true
}

// readSuite looks for a ServerHello that chooses a cipher suite of TLS 1.3.
func (s *session) readSuite(datagram []byte) {
	h, fragment, _, err := record.Next(datagram)
	if err != nil || h.Type != record.TypeHandshake || h.Epoch != 0 || fragment[0] != serverHello {
		return
	}
	switch suite := binary.BigEndian.Uint16(fragment[sessionIDAt+1+int(fragment[sessionIDAt]):]); suite {
	case 0x1301:
		s.aead, s.hash = record.AES128GCM, sha256.New
	case 0x1302:
		s.aead, s.hash = record.AES256GCM, sha512.New384
	case 0x1303:
		s.aead, s.hash = record.ChaCha20Poly1305, sha256.New
	}
}

// openAll opens all protected records and returns what they were.
func (s *session) openAll(t *testing.T) string {
	t.Helper()
	sides := []*side{{session: s, name: "client"}, {session: s, name: "server"}}
	unread := 0
	for _, p := range s.packets {
		from := sides[1]
		if p.Src == s.client {
			from = sides[0]
		}
		for rest := p.Payload; len(rest) > 0; {
			var err error
			if !record.IsUnified(rest[0]) {
				if _, _, rest, err = record.Next(rest); err != nil {
					t.Fatalf("datagram of %v: %v", p.Time, err)
				}
				continue
			}
			var u record.Unified
			whole := rest
			if u, rest, err = record.NextUnified(rest, 0); err != nil {
				t.Fatalf("datagram of %v: %v", p.Time, err)
			}
			if s.secrets == nil {
				unread++
				continue
			}
			if err := from.open(u, bytes.Clone(whole[:len(whole)-len(rest)])); err != nil {
				t.Fatalf("datagram of %v, %s: %v", p.Time, from.name, err)
			}
		}
	}
	report := s.aead.String()
	if s.secrets == nil {
		return fmt.Sprintf("%s\n%d records without keys", report, unread)
	}
	return report + sides[0].report() + sides[1].report()
}

// side is what one end of a session sent.
type side struct {
	*session
	name   string
	epochs []*epoch // by number, nil where there was no record yet
}

// epoch has the keys of one direction twice: to open what was captured, and to
// seal it again.
type epoch struct {
	secret []byte
	opener *record.Opener13
	sealer *record.Sealer13
	tally  map[record.ContentType]int
}

// open opens a captured record, whose bytes are wire.
func (s *side) open(u record.Unified, wire []byte) error {
	n := s.choose(u.EpochBits)
	e, err := s.epoch(n)
	if err != nil {
		return err
	}
	typ, plaintext, number, err := e.opener.Open(u)
	if err != nil {
		return fmt.Errorf("record of epoch %d: %w", n, err)
	}
	if want := (record.Number{Epoch: n, Seq: e.sealer.Next()}); number != want {
		return fmt.Errorf("record %+v follows %d others of its epoch", number, want.Seq)
	}
	e.tally[typ]++
	padding := len(u.Body) - s.aead.TagLen() - 1 - len(plaintext)
	again, _, err := e.sealer.Seal(nil, typ, plaintext, padding)
	if err != nil {
		return fmt.Errorf("record %+v, sealed again: %w", number, err)
	}
	if !bytes.Equal(again, wire) {
		return fmt.Errorf("record %+v, sealed again: %x\ncaptured %x", number, again, wire)
	}
	return nil
}

// choose is RFC 9147, Section 4.2.2: until the handshake is over the bits are
// the epoch. Later they are those of the present, the next, or a past one.
func (s *side) choose(bits uint8) uint64 {
	newest := uint64(max(len(s.epochs), 1) - 1)
	switch next := newest + 1; {
	case newest < 3:
		return uint64(bits)
	case next&3 == uint64(bits):
		return next
	default:
		return newest - (newest-uint64(bits))&3
	}
}

// epoch returns the keys of an epoch, made when they are first needed.
func (s *side) epoch(n uint64) (*epoch, error) {
	for uint64(len(s.epochs)) <= n {
		s.epochs = append(s.epochs, nil)
	}
	if s.epochs[n] != nil {
		return s.epochs[n], nil
	}
	e := &epoch{tally: map[record.ContentType]int{}}
	// RFC 9147, Section 6.1: what the epochs are for.
	switch label := strings.ToUpper(s.name); n {
	case 1:
		e.secret = s.secrets[label+"_EARLY_TRAFFIC_SECRET"]
	case 2:
		e.secret = s.secrets[label+"_HANDSHAKE_TRAFFIC_SECRET"]
	case 3:
		e.secret = s.secrets[label+"_TRAFFIC_SECRET_0"]
	default:
		e.secret = s.expandLabel(s.epochs[n-1].secret, "traffic upd", s.hash().Size())
	}
	if e.secret == nil {
		return nil, fmt.Errorf("no secret for epoch %d", n)
	}
	key := s.expandLabel(e.secret, "key", s.aead.KeyLen())
	iv := s.expandLabel(e.secret, "iv", s.aead.IVLen13())
	sn := s.expandLabel(e.secret, "sn", s.aead.KeyLen())
	var err error
	if e.opener, err = record.NewOpener13(s.aead, key, iv, sn, n, record.MinWindow); err != nil {
		return nil, err
	}
	if e.sealer, err = record.NewSealer13(s.aead, key, iv, sn, n); err != nil {
		return nil, err
	}
	s.epochs[n] = e
	return e, nil
}

// expandLabel is HKDF-Expand-Label of RFC 8446, Section 7.1 without context, and
// with the prefix of RFC 9147, Section 5.9.
func (s *side) expandLabel(secret []byte, label string, n int) []byte {
	label = "dtls13" + label
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(append(info, byte(len(label))), label...)
	out, err := hkdf.Expand(s.hash, secret, string(append(info, 0)), n)
	if err != nil {
		panic(err) // lengths are right
	}
	return out
}

// report has a line for each epoch with records.
func (s *side) report() string {
	var b strings.Builder
	for n, e := range s.epochs {
		if e == nil {
			continue
		}
		var parts []string
		for typ := range record.TypeACK + 1 {
			if e.tally[typ] > 0 {
				parts = append(parts, fmt.Sprintf("%d %v", e.tally[typ], typ))
			}
		}
		fmt.Fprintf(&b, "\n%s epoch %d: %s", s.name, n, strings.Join(parts, ", "))
	}
	return b.String()
}
