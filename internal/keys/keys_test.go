package keys

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"fmt"
	"testing"
)

func TestExporterRefusals(t *testing.T) {
	var random [32]byte
	master := make([]byte, MasterSecretLen)
	for _, test := range []struct {
		name    string
		label   string
		context []byte
		n       int
	}{
		{"label of a Finished message", "client finished", nil, 20},
		{"label of the other Finished message", "server finished", nil, 20},
		{"label of the master secret", "master secret", nil, 20},
		{"label of the extended master secret", "extended master secret", nil, 20},
		{"label of the key block", "key expansion", nil, 20},
		{"context that its length field cannot hold", "EXTRACTOR-dtls_srtp", make([]byte, 65536), 20},
		{"negative length", "EXTRACTOR-dtls_srtp", nil, -1},
	} {
		if out, err := Exporter12(crypto.SHA256, master, random, random, test.label, test.context, test.n); err == nil {
			t.Errorf("%s: exported %x", test.name, out)
		}
	}
	if _, err := Exporter12(crypto.SHA256, master, random, random, "EXTRACTOR-dtls_srtp", make([]byte, 65535), 0); err != nil {
		t.Errorf("longest context: %v", err)
	}
}

func TestWipe(t *testing.T) {
	block := KeyBlock12(crypto.SHA256, []byte("master"), [32]byte{1}, [32]byte{2}, 16, 4)
	parts := [][]byte{block.ClientKey, block.ServerKey, block.ClientIV, block.ServerIV}
	for i, part := range parts {
		if bytes.Equal(part, make([]byte, len(part))) {
			t.Fatalf("part %d is zero before Wipe", i)
		}
	}
	block.Wipe()
	for i, part := range parts {
		if !bytes.Equal(part, make([]byte, len(part))) {
			t.Errorf("part %d is %x after Wipe", i, part)
		}
	}
	if block.ClientKey != nil {
		t.Error("wiped block still holds keys")
	}
}

// The parts of a key block must not reach into each other by append.
func TestKeyBlockPartsAreApart(t *testing.T) {
	block := KeyBlock12(crypto.SHA256, []byte("master"), [32]byte{1}, [32]byte{2}, 16, 4)
	before := bytes.Clone(block.ServerKey)
	_ = append(block.ClientKey, 0xff, 0xff)
	if !bytes.Equal(block.ServerKey, before) {
		t.Error("appending to the client key changed the server key")
	}
}

func TestTranscript(t *testing.T) {
	var tr Transcript
	empty := sha256.Sum256(nil)
	if !bytes.Equal(tr.Sum(crypto.SHA256), empty[:]) {
		t.Error("zero value is not empty")
	}

	message := []byte("client hello")
	tr.Add(message)
	message[0] = 'X' // the transcript keeps a copy
	tr.Add([]byte(", server hello"))
	const both = "client hello, server hello"
	if string(tr.Bytes()) != both {
		t.Errorf("Bytes = %q", tr.Bytes())
	}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA256} {
		want := h.New()
		want.Write([]byte(both))
		if !bytes.Equal(tr.Sum(h), want.Sum(nil)) {
			t.Errorf("Sum(%v) = %x", h, tr.Sum(h))
		}
	}

	for name, empty := range map[string]func(){"Reset": tr.Reset, "Release": tr.Release} {
		tr.Add([]byte("first"))
		empty()
		tr.Add([]byte("second"))
		if string(tr.Bytes()) != "second" {
			t.Errorf("after %s: %q", name, tr.Bytes())
		}
		empty()
	}
}

func ExampleKeyLogLine() {
	fmt.Print(KeyLogLine(LabelClientRandom, [32]byte{0xc0, 0xff, 0xee}, []byte{0x0a, 0xff}))
	// Output:
	// CLIENT_RANDOM c0ffee0000000000000000000000000000000000000000000000000000000000 0aff
}

func ExampleExporter12() {
	master := make([]byte, MasterSecretLen) // the connection's
	var clientRandom, serverRandom [32]byte // the connection's

	// RFC 5764, Section 4.2: keys for SRTP_AES128_CM_HMAC_SHA1_80.
	srtp, err := Exporter12(crypto.SHA256, master, clientRandom, serverRandom, "EXTRACTOR-dtls_srtp", nil, 2*(16+14))
	fmt.Println(len(srtp), err)

	_, err = Exporter12(crypto.SHA256, master, clientRandom, serverRandom, "key expansion", nil, 40)
	fmt.Println(err)
	// Output:
	// 60 <nil>
	// exporter label "key expansion" is reserved
}
