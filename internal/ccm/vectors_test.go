package ccm

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"fmt"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// count returns the bytes from, from+1, ... that most published vectors use.
func count(from, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(from + i)
	}
	return b
}

// checkVector seals and opens one known answer.
func checkVector(t *testing.T, key, nonce, ad, plaintext, want []byte) {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	c := newSized(block, len(nonce), len(want)-len(plaintext))
	if got := c.Seal(nil, nonce, plaintext, ad); !bytes.Equal(got, want) {
		t.Errorf("sealed\n got %x\nwant %x", got, want)
	}
	if got, err := c.Open(nil, nonce, want, ad); err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("opened %x, %v; want %x", got, err, plaintext)
	}
}

// TestRFC3610 checks packet vectors 1 to 12 of RFC 3610, Section 8
// (https://www.rfc-editor.org/rfc/rfc3610#section-8). Key, header and message
// are the bytes counted up, so a row holds only what differs.
func TestRFC3610(t *testing.T) {
	for i, v := range []struct {
		header, size int // bytes of the additional data; bytes of it and the message
		nonce, want  string
	}{
		{8, 31, "00000003020100a0a1a2a3a4a5", "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0"},
		{8, 32, "00000004030201a0a1a2a3a4a5", "72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916"},
		{8, 33, "00000005040302a0a1a2a3a4a5", "51b1e5f44a197d1da46b0f8e2d282ae871e838bb64da8596574adaa76fbd9fb0c5"},
		{12, 31, "00000006050403a0a1a2a3a4a5", "a28c6865939a9a79faaa5c4c2a9d4a91cdac8c96c861b9c9e61ef1"},
		{12, 32, "00000007060504a0a1a2a3a4a5", "dcf1fb7b5d9e23fb9d4e131253658ad86ebdca3e51e83f077d9c2d93"},
		{12, 33, "00000008070605a0a1a2a3a4a5", "6fc1b011f006568b5171a42d953d469b2570a4bd87405a0443ac91cb94"},
		{8, 31, "00000009080706a0a1a2a3a4a5", "0135d1b2c95f41d5d1d4fec185d166b8094e999dfed96c048c56602c97acbb7490"},
		{8, 32, "0000000a090807a0a1a2a3a4a5", "7b75399ac0831dd2f0bbd75879a2fd8f6cae6b6cd9b7db24c17b4433f434963f34b4"},
		{8, 33, "0000000b0a0908a0a1a2a3a4a5", "82531a60cc24945a4b8279181ab5c84df21ce7f9b73f42e197ea9c07e56b5eb17e5f4e"},
		{12, 31, "0000000c0b0a09a0a1a2a3a4a5", "07342594157785152b074098330abb141b947b566aa9406b4d999988dd"},
		{12, 32, "0000000d0c0b0aa0a1a2a3a4a5", "676bb20380b0e301e8ab79590a396da78b834934f53aa2e9107a8b6c022c"},
		{12, 33, "0000000e0d0c0ba0a1a2a3a4a5", "c0ffa0d6f05bdb67f24d43a4338d2aa4bed7b20e43cd1aa31662e7ad65d6db"},
	} {
		t.Run(fmt.Sprintf("packet vector %d", i+1), func(t *testing.T) {
			packet := count(0, v.size)
			checkVector(t, count(0xc0, 16), unhex(t, v.nonce), packet[:v.header], packet[v.header:], unhex(t, v.want))
		})
	}
}

// TestSP80038C checks the four examples of NIST SP 800-38C, Appendix C
// (https://doi.org/10.6028/NIST.SP.800-38C). The fourth has 2^16 bytes of
// additional data and so the longer encoding of their length.
func TestSP80038C(t *testing.T) {
	for i, v := range []struct {
		nonceSize, adSize, size int
		want                    string
	}{
		{7, 8, 4, "7162015b4dac255d"},
		{8, 16, 16, "d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd"},
		{12, 20, 24, "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951"},
		{13, 1 << 16, 32, "69915dad1e84c6376a68c2967e4dab615ae0fd1faec44cc484828529463ccf72b4ac6bec93e8598e7f0dadbcea5b"},
	} {
		t.Run(fmt.Sprintf("example %d", i+1), func(t *testing.T) {
			checkVector(t, count(0x40, 16), count(0x10, v.nonceSize), count(0, v.adSize), count(0x20, v.size), unhex(t, v.want))
		})
	}
}

// TestRecordSizes checks the shape a record has: a 12-byte nonce, 13 bytes of
// additional data, both key and both tag lengths, plaintexts about the block
// edges. No RFC publishes such vectors; these come from an independent
// implementation that agrees with the two tables above.
func TestRecordSizes(t *testing.T) {
	for _, v := range []struct {
		keySize, size int
		want          string
	}{
		{16, 0, "21d72fce92b1c714"},
		{16, 1, "1e1e685b4ac193be35"},
		{16, 15, "1ec9d3632f1ea01c2a6697886cf82310aedf99be3794db"},
		{16, 16, "1ec9d3632f1ea01c2a6697886cf823fe4a826320cf71b397"},
		{16, 17, "1ec9d3632f1ea01c2a6697886cf823fee7c26214f61c7efbfa"},
		{16, 0, "89df62f18d8dd287276917be8b255f32"},
		{16, 1, "1eda248f80765ed9a97d831218213c5ce6"},
		{16, 16, "1ec9d3632f1ea01c2a6697886cf823fee2bc7e7ec308dfb75994742686e58473"},
		{16, 17, "1ec9d3632f1ea01c2a6697886cf823fee7f17bba0074e40cdc5d6cf2486463df18"},
		{32, 0, "9efa6f2f79562f65"},
		{32, 15, "bd0a108be5c158d7e6115ee969ad8c5b232ca7d136899a"},
		{32, 17, "bd0a108be5c158d7e6115ee969ad8c19368d00278e98d64632"},
		{32, 0, "f6f251d8c0bd279b2a141cf4adca843f"},
		{32, 15, "bd0a108be5c158d7e6115ee969ad8cdab57ebbbb720a45480b67085ca658ed"},
		{32, 64, "bd0a108be5c158d7e6115ee969ad8c19369ed68584ff596f072bde13de51efcbf005ca5c2f5d7ee67ea91fa445e762260e918681bbab30814c7b3fe4d36e93b3ad7c86be43ad3b7b7ba4d6a8f67285c5"},
	} {
		t.Run(fmt.Sprintf("AES-%d, %d bytes, tag of %d", 8*v.keySize, v.size, len(v.want)/2-v.size), func(t *testing.T) {
			checkVector(t, count(0, v.keySize), count(0x50, NonceSize), count(0x80, 13), count(0, v.size), unhex(t, v.want))
		})
	}
}
