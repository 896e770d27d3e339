package keys

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"os"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// Two browsers agreed on what this package must arrive at: their records open with
// TrafficKeys13, and what is in them has VerifyData13 at its end.
func TestRecordedHandshake13(t *testing.T) {
	const h = crypto.SHA256
	file, err := os.ReadFile("testdata/browsers13.txt")
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := dtlstest.ReadRecorded(file)
	if err != nil {
		t.Fatal(err)
	}
	one := func(name string) []byte {
		t.Helper()
		b, err := recorded.One(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}

	var tr Transcript
	tr.Add(one("ClientHello"))
	tr.Add(one("ServerHello"))
	finished := 0
	for _, side := range []struct{ records, secret string }{
		{"server handshake record", LabelServerHandshake},
		{"client handshake record", LabelClientHandshake},
	} {
		secret := one(side.secret)
		keys := TrafficKeys13(h, secret, 16)
		for _, record := range recorded[side.records] {
			for _, message := range messages13(t, open13(t, keys, record)) {
				const typeFinished = 20
				if message[0] == typeFinished {
					finished++
					if got := VerifyData13(h, secret, tr.Sum(h)); !bytes.Equal(got, message[4:]) {
						t.Errorf("%s: verify_data %x, want %x", side.records, got, message[4:])
					}
				}
				tr.Add(message)
			}
		}
	}
	if finished != 2 {
		t.Errorf("%d Finished messages, want 2", finished)
	}

	for _, side := range []struct{ record, secret string }{
		{"client application record", LabelClientTraffic0},
		{"server application record", LabelServerTraffic0},
	} {
		data := open13(t, TrafficKeys13(h, one(side.secret), 16), one(side.record))
		if sctpPorts := []byte{0x13, 0x88, 0x13, 0x88}; !bytes.HasPrefix(data, sctpPorts) { // both are 5000 with WebRTC
			t.Errorf("%s holds %x", side.record, data)
		}
	}
}

// open13 decrypts an AES-GCM record with a unified header that has a 16-bit number,
// a length and no connection ID (RFC 9147, Section 4).
func open13(t *testing.T, keys Traffic13, record []byte) []byte {
	t.Helper()
	const headerLen = 5
	header, sealed := bytes.Clone(record[:headerLen]), record[headerLen:]
	if header[0]&^0b11 != 0b00101100 || int(binary.BigEndian.Uint16(header[3:])) != len(sealed) {
		t.Fatalf("record with header %x", header)
	}

	snCipher, err := aes.NewCipher(keys.SN)
	if err != nil {
		t.Fatal(err)
	}
	mask := make([]byte, aes.BlockSize)
	snCipher.Encrypt(mask, sealed[:aes.BlockSize])
	header[1] ^= mask[0]
	header[2] ^= mask[1]

	block, err := aes.NewCipher(keys.Key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := bytes.Clone(keys.IV)
	nonce[10] ^= header[1]
	nonce[11] ^= header[2]
	inner, err := aead.Open(nil, nonce, sealed, header)
	if err != nil {
		t.Fatalf("a record does not open: %v", err)
	}
	inner = bytes.TrimRight(inner, "\x00")
	return inner[:len(inner)-1] // without the content type
}

// messages13 takes apart the whole messages of a record, and their headers of DTLS
// to those of TLS (RFC 9147, Section 5.2).
func messages13(t *testing.T, record []byte) (messages [][]byte) {
	t.Helper()
	for len(record) > 0 {
		length := int(record[1])<<16 | int(record[2])<<8 | int(record[3])
		if fragment := int(record[9])<<16 | int(record[10])<<8 | int(record[11]); fragment != length {
			t.Fatalf("a fragment of %d bytes, want the whole message of %d", fragment, length)
		}
		messages = append(messages, append(bytes.Clone(record[:4]), record[12:12+length]...))
		record = record[12+length:]
	}
	return messages
}
