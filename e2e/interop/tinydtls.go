package interop

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/pion/dtls/v3/pkg/crypto/ccm"
	"github.com/pion/dtls/v3/pkg/crypto/prf"
)

// TinyDTLS is a server with the rules of tinydtls as devices have it (2020), in the
// test process: DTLS 1.2, TLS_PSK_WITH_AES_128_CCM_8, no extension of its own, no
// fragment of a message. The cookie of its HelloVerifyRequest is an HMAC over all of
// the ClientHello but the cookie, extensions included; a hello that differs is answered
// for another one. It returns the data that it receives.
type TinyDTLS struct{}

// Name returns what the cases are called.
func (TinyDTLS) Name() string { return "tinydtls" }

// Limits are those of tinydtls.
func (TinyDTLS) Limits() Limits { return Limits{NoEMS: true} }

const pskCCM8 = 0xc0a8

// Serve starts the server, for one client.
func (TinyDTLS) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	if o.Suite != pskCCM8 || o.PSK == nil {
		t.Fatalf("tinydtls has no suite %#04x, or has no key", o.Suite)
	}
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &tinyServer{psk: o.PSK, secret: make([]byte, 16)}
	if _, err := rand.Read(s.secret); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.serve(pc)
	}()
	t.Cleanup(func() {
		pc.Close()
		<-ended
	})
	return s, pc.LocalAddr().String()
}

// tinyServer is the server of one association.
type tinyServer struct {
	psk    *PSK
	secret []byte // of the cookies

	mu          sync.Mutex
	established bool
	asked       int      // HelloVerifyRequests sent
	refused     int      // those to a hello with a cookie
	hellos      [][]byte // bodies of the ClientHellos
	heard       []string
	err         error
	log         strings.Builder

	randoms        [2][]byte // of client and server
	transcript     []byte    // RFC 6347, Section 4.2.6: with headers, as if not fragmented
	master         []byte
	seal, open     cipher.AEAD
	sealIV, openIV []byte
	seq            [2]uint64 // of the next record, by epoch
	messageSeq     uint16
	flight         []tinyRecord // is repeated with each message of the peer's flight before
	answers        uint16       // message_seq of the last message of that
}

type tinyRecord struct {
	typ   byte
	epoch uint16
	body  []byte
}

func (s *tinyServer) serve(pc *net.UDPConn) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := pc.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		s.mu.Lock()
		out, err := s.handle(from.String(), bytes.Clone(buf[:n]))
		if err != nil {
			s.err = err
		}
		s.mu.Unlock()
		for _, d := range out {
			if _, err := pc.WriteToUDPAddrPort(d, from); err != nil {
				return
			}
		}
	}
}

// handle takes a datagram and returns those that answer it, a record in each.
func (s *tinyServer) handle(from string, d []byte) (out [][]byte, err error) {
	for len(d) >= recordHeader && s.err == nil {
		n := int(binary.BigEndian.Uint16(d[11:]))
		if len(d) < recordHeader+n {
			break
		}
		typ, epoch, header, body := d[0], binary.BigEndian.Uint16(d[3:]), d[:11], d[recordHeader:recordHeader+n]
		d = d[recordHeader+n:]
		if epoch == 1 {
			if body = s.opened(header, body); body == nil {
				continue
			}
		}
		var records []tinyRecord
		switch {
		case typ == typeHandshake:
			records, err = s.message(from, epoch, body)
		case typ == typeData && epoch == 1 && s.established:
			s.heard = append(s.heard, string(body))
			records = []tinyRecord{{typeData, 1, body}}
		case typ == typeAlert:
			err = fmt.Errorf("alert % x", body)
		}
		for _, r := range records {
			out = append(out, s.record(r))
		}
		if err != nil {
			break
		}
	}
	return out, err
}

// opened returns the plaintext of a record, nil if it does not open.
func (s *tinyServer) opened(header, body []byte) []byte {
	if s.open == nil || len(body) < 8+8 {
		return nil
	}
	nonce := append(bytes.Clone(s.openIV), body[:8]...)
	plain, err := s.open.Open(nil, nonce, body[8:], additional(header, len(body)-8-8))
	if err != nil {
		fmt.Fprintln(&s.log, "a record does not open")
		return nil
	}
	return plain
}

// record makes a record, sealed in epoch 1.
func (s *tinyServer) record(r tinyRecord) []byte {
	out := []byte{r.typ, 0xfe, 0xfd}
	out = binary.BigEndian.AppendUint64(out, uint64(r.epoch)<<48|s.seq[r.epoch])
	s.seq[r.epoch]++
	body := r.body
	if r.epoch == 1 {
		explicit := out[3:11]
		nonce := append(bytes.Clone(s.sealIV), explicit...)
		body = s.seal.Seal(bytes.Clone(explicit), nonce, r.body, additional(out, len(r.body)))
	}
	return append(binary.BigEndian.AppendUint16(out, uint16(len(body))), body...)
}

// additional is what the AEAD authenticates (RFC 5246, Section 6.2.3.3): the number,
// the type, the version and the length.
func additional(header []byte, n int) []byte {
	aad := append(bytes.Clone(header[3:11]), header[:3]...)
	return binary.BigEndian.AppendUint16(aad, uint16(n))
}

// message takes a record of the handshake, which has one message.
func (s *tinyServer) message(from string, epoch uint16, b []byte) ([]tinyRecord, error) {
	if len(b) < handshakeHeader {
		return nil, errors.New("a message without a header")
	}
	length := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if length != len(b)-handshakeHeader {
		return nil, fmt.Errorf("%s of %d bytes is in a fragment, or shares a record", messageNames[b[0]], length)
	}
	seq := binary.BigEndian.Uint16(b[4:])
	switch {
	case b[0] == 1 && epoch == 0 && s.flight == nil:
		return s.clientHello(from, seq, b)
	case b[0] == 16 && epoch == 0 && s.master == nil && s.flight != nil:
		return nil, s.clientKeyExchange(b)
	case b[0] == 20 && epoch == 1 && !s.established:
		return s.finished(seq, b)
	case s.flight != nil && seq == s.answers:
		return s.flight, nil
	}
	return nil, nil
}

// cookieOf is the cookie of a hello: its parts before and behind the cookie, and the
// address.
func (s *tinyServer) cookieOf(from string, before, behind []byte) []byte {
	mac := hmac.New(sha256.New, s.secret)
	for _, part := range [][]byte{[]byte(from), before, behind} {
		mac.Write(part)
	}
	return mac.Sum(nil)[:16]
}

func (s *tinyServer) clientHello(from string, seq uint16, b []byte) ([]tinyRecord, error) {
	body := b[handshakeHeader:]
	s.hellos = append(s.hellos, body)
	if len(body) < 2+32+1 || len(body) < 2+32+1+int(body[34])+1 {
		return nil, errors.New("a short hello")
	}
	at := 2 + 32 + 1 + int(body[34]) // of the cookie
	end := at + 1 + int(body[at])
	if len(body) < end+2 || len(body) < end+2+int(binary.BigEndian.Uint16(body[end:])) {
		return nil, errors.New("a short hello")
	}
	if cookie := s.cookieOf(from, body[:at], body[end:]); !hmac.Equal(cookie, body[at+1:end]) {
		s.asked++
		if end > at+1 {
			s.refused++
		}
		fmt.Fprintf(&s.log, "asks for a cookie, the hello has one of %d bytes\n", end-at-1)
		verify := append([]byte{0xfe, 0xfd, byte(len(cookie))}, cookie...)
		return []tinyRecord{s.next(3, verify)}, nil
	}
	suites := body[end+2:][:binary.BigEndian.Uint16(body[end:])]
	if !bytes.Contains(suites, binary.BigEndian.AppendUint16(nil, pskCCM8)) {
		return nil, fmt.Errorf("suites % x", suites)
	}
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	s.randoms = [2][]byte{bytes.Clone(body[2:34]), random}
	s.transcript = bytes.Clone(b)
	hello := append([]byte{0xfe, 0xfd}, random...)
	hello = append(hello, 0, pskCCM8>>8, pskCCM8&0xff, 0) // no session, no compression
	s.flight, s.answers = []tinyRecord{s.next(2, hello), s.next(14, nil)}, seq
	for _, r := range s.flight {
		s.transcript = append(s.transcript, r.body...)
	}
	return s.flight, nil
}

// next is a message with its header.
func (s *tinyServer) next(typ byte, body []byte) tinyRecord {
	n := len(body)
	b := []byte{typ, byte(n >> 16), byte(n >> 8), byte(n), byte(s.messageSeq >> 8), byte(s.messageSeq), 0, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)}
	s.messageSeq++
	return tinyRecord{typeHandshake, 0, append(b, body...)}
}

// clientKeyExchange makes the keys (RFC 4279, Section 2).
func (s *tinyServer) clientKeyExchange(b []byte) error {
	body := b[handshakeHeader:]
	if want := append(binary.BigEndian.AppendUint16(nil, uint16(len(s.psk.Identity))), s.psk.Identity...); !bytes.Equal(body, want) {
		return fmt.Errorf("identity %q", body)
	}
	s.transcript = append(s.transcript, b...)
	var err error
	s.master, err = prf.MasterSecret(prf.PSKPreMasterSecret(s.psk.Key), s.randoms[0], s.randoms[1], sha256.New)
	if err != nil {
		return err
	}
	k, err := prf.GenerateEncryptionKeys(s.master, s.randoms[0], s.randoms[1], 0, 16, 4, sha256.New)
	if err != nil {
		return err
	}
	s.openIV, s.sealIV = k.ClientWriteIV, k.ServerWriteIV
	if s.open, err = ccm8(k.ClientWriteKey); err == nil {
		s.seal, err = ccm8(k.ServerWriteKey)
	}
	return err
}

func ccm8(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return ccm.NewCCM(block, 8, 12)
}

func (s *tinyServer) finished(seq uint16, b []byte) ([]tinyRecord, error) {
	want, err := prf.VerifyDataClient(s.master, s.transcript, sha256.New)
	if err == nil && !hmac.Equal(want, b[handshakeHeader:]) {
		err = errors.New("a wrong Finished")
	}
	if err != nil {
		return nil, err
	}
	s.transcript = append(s.transcript, b...)
	ours, err := prf.VerifyDataServer(s.master, s.transcript, sha256.New)
	if err != nil {
		return nil, err
	}
	finished := s.next(20, ours)
	finished.epoch = 1
	s.flight, s.answers = []tinyRecord{{typeCCS, 0, []byte{1}}, finished}, seq
	s.established = true
	return s.flight, nil
}

// Established reports whether the Finished of the client was right.
func (s *tinyServer) Established() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.established
}

// Say is an error: the server only answers.
func (s *tinyServer) Say(string) error { return errors.New("tinydtls: it only answers") }

// Failed returns what ended the server.
func (s *tinyServer) Failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Echoes is true.
func (s *tinyServer) Echoes() bool { return true }

// Heard reports whether the line came.
func (s *tinyServer) Heard(line string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(strings.Join(s.heard, ""), line)
}

// Agrees returns what Failed does: the server has one suite, and no extension.
func (s *tinyServer) Agrees() error { return s.Failed() }

// Log says what came.
func (s *tinyServer) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%s%d hellos, %d HelloVerifyRequests, established %v, heard %q, ended with %v",
		s.log.String(), len(s.hellos), s.asked, s.established, s.heard, s.err)
}
