package keys

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// A handshake of crypto/tls over a recorded pipe tells everything: with RSA key
// transport and the test's own key the premaster secret can be read off the
// wire, and from there each function of this package must arrive at what
// crypto/tls computed.
func TestAgainstCryptoTLS(t *testing.T) {
	for _, test := range []struct {
		suite  uint16
		hash   crypto.Hash
		keyLen int
	}{
		{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, crypto.SHA256, 16},
		{tls.TLS_RSA_WITH_AES_256_GCM_SHA384, crypto.SHA384, 32},
	} {
		t.Run(tls.CipherSuiteName(test.suite), func(t *testing.T) {
			w := recordHandshake(t, test.suite)

			premaster, err := rsa.DecryptPKCS1v15(nil, w.serverKey, w.clientKeyExchange[2:]) //nolint:staticcheck // the premaster of a test's own handshake
			if err != nil {
				t.Fatal(err)
			}
			master := ExtendedMasterSecret12(test.hash, premaster, w.transcript.Sum(test.hash))
			if line := KeyLogLine(LabelClientRandom, w.clientRandom, master); line != w.keyLog {
				t.Fatalf("key log\n got %s\nwant %s", line, w.keyLog)
			}

			block := KeyBlock12(test.hash, master, w.clientRandom, w.serverRandom, test.keyLen, 4)
			clientFinished := open(t, block.ClientKey, block.ClientIV, w.clientFinished)
			if got := VerifyData12(test.hash, master, true, w.transcript.Sum(test.hash)); !bytes.Equal(got, clientFinished[4:]) {
				t.Errorf("client verify_data %x, want %x", got, clientFinished[4:])
			}
			w.transcript.Add(clientFinished)
			serverFinished := open(t, block.ServerKey, block.ServerIV, w.serverFinished)
			if got := VerifyData12(test.hash, master, false, w.transcript.Sum(test.hash)); !bytes.Equal(got, serverFinished[4:]) {
				t.Errorf("server verify_data %x, want %x", got, serverFinished[4:])
			}

			for name, context := range map[string][]byte{
				"absent context": nil, "empty context": {}, "some context": []byte("context"),
			} {
				got, err := Exporter12(test.hash, master, w.clientRandom, w.serverRandom, "EXPERIMENTAL test", context, 77)
				if err != nil {
					t.Fatal(err)
				}
				want, err := w.state.ExportKeyingMaterial("EXPERIMENTAL test", context, 77)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s:\n got %x\nwant %x", name, got, want)
				}
			}
		})
	}
}

// wire is what was seen of a handshake. Its transcript goes up to and including
// the ClientKeyExchange; its messages have TLS headers, 4 bytes long.
type wire struct {
	clientRandom, serverRandom     [32]byte
	clientKeyExchange              []byte // without header
	clientFinished, serverFinished []byte // records, sealed
	transcript                     Transcript
	keyLog                         string
	serverKey                      *rsa.PrivateKey
	state                          tls.ConnectionState
}

func recordHandshake(t *testing.T, suite uint16) wire {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}

	var keyLog bytes.Buffer
	clientPipe, serverPipe := net.Pipe()
	fromClient, fromServer := &tap{Conn: clientPipe}, &tap{Conn: serverPipe}
	client := tls.Client(fromClient, &tls.Config{
		InsecureSkipVerify: true,
		MaxVersion:         tls.VersionTLS12,
		CipherSuites:       []uint16{suite},
		KeyLogWriter:       &keyLog,
	})
	server := tls.Server(fromServer, &tls.Config{
		Certificates:           []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MaxVersion:             tls.VersionTLS12,
		CipherSuites:           []uint16{suite},
		SessionTicketsDisabled: true,
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := server.Handshake(); err != nil {
			t.Errorf("server: %v", err)
			serverPipe.Close()
		}
	})
	if err := client.Handshake(); err != nil {
		t.Errorf("client: %v", err)
		clientPipe.Close()
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}

	w := wire{serverKey: key, keyLog: keyLog.String(), state: client.ConnectionState()}
	clientMessages, clientFinished := split(t, fromClient.sent.Bytes())
	serverMessages, serverFinished := split(t, fromServer.sent.Bytes())
	w.clientFinished, w.serverFinished = clientFinished, serverFinished
	clientHello, clientKeyExchange := clientMessages[0], clientMessages[1]
	w.clientRandom = [32]byte(clientHello[4+2:])
	w.serverRandom = [32]byte(serverMessages[0][4+2:])
	w.clientKeyExchange = clientKeyExchange[4:]
	w.transcript.Add(clientHello)
	for _, m := range serverMessages {
		w.transcript.Add(m)
	}
	w.transcript.Add(clientKeyExchange)
	return w
}

// tap records what is written to a connection.
type tap struct {
	net.Conn
	sent bytes.Buffer
}

func (c *tap) Write(b []byte) (int, error) {
	c.sent.Write(b)
	return c.Conn.Write(b)
}

// split takes apart what one side sent: its handshake messages in the clear,
// and the record that follows its ChangeCipherSpec.
func split(t *testing.T, stream []byte) (messages [][]byte, finished []byte) {
	t.Helper()
	const handshake, changeCipherSpec = 22, 20
	var clear []byte
	for sealed := false; len(stream) > 0; {
		length := 5 + int(binary.BigEndian.Uint16(stream[3:]))
		record := stream[:length]
		stream = stream[length:]
		switch {
		case sealed:
			finished, stream = record, nil
		case record[0] == changeCipherSpec:
			sealed = true
		case record[0] == handshake:
			clear = append(clear, record[5:]...)
		default:
			t.Fatalf("record of type %d", record[0])
		}
	}
	for len(clear) > 0 {
		length := 4 + int(clear[1])<<16 + int(clear[2])<<8 + int(clear[3])
		messages = append(messages, clear[:length])
		clear = clear[length:]
	}
	return messages, finished
}

// open decrypts the first AES-GCM record of an epoch (RFC 5288, Section 3).
func open(t *testing.T, key, iv, record []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	header, explicit, sealed := record[:5], record[5:13], record[13:]
	aad := make([]byte, 8) // the sequence number, 0
	aad = append(aad, header[:3]...)
	aad = binary.BigEndian.AppendUint16(aad, uint16(len(sealed)-aead.Overhead()))
	nonce := append(bytes.Clone(iv), explicit...)
	plain, err := aead.Open(nil, nonce, sealed, aad)
	if err != nil {
		t.Fatalf("a record does not open: %v", err)
	}
	return plain
}
