package keys

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"strings"
	"testing"
)

// unhex reads a vector; blanks and line breaks in it are for the reader.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vectors were posted to the TLS working group for want of any in the RFC:
// https://mailarchive.ietf.org/arch/msg/tls/fzVCzk-z3FShgGJ6DOXqM1ydxms/
func TestPRF12Vectors(t *testing.T) {
	for _, v := range []struct {
		hash               crypto.Hash
		secret, seed, want string
	}{
		{
			crypto.SHA256,
			"9bbe436ba940f017b17652849a71db35",
			"a0ba9f936cda311827a6f796ffd5198c",
			`e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a
			 6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab
			 4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701
			 87347b66`,
		},
		{
			crypto.SHA384,
			"b80b733d6ceefcdc71566ea48e5567df",
			"cd665cf6a8447dd6ff8b27555edb7465",
			`7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cd
			 e9ca0faa60be9fe34f82b1233c9146a0e534cb400fed2700884f9dc236f80edd
			 8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d918425
			 9b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee6
			 91c8f3a26854308d5eaa3be85e0990703d73e56f`,
		},
		{
			crypto.SHA512,
			"b0323523c1853599584d88568bbb05eb",
			"d4640e12e4bcdbfb437f03e6ae418ee5",
			`1261f588c798c5c201ff036e7a9cb5edcd7fe3f94c669a122a4638d7d508b283
			 042df6789875c7147e906d868bc75c45e20eb40c1cf4a1713b27371f68432592
			 f7dc8ea8ef223e12ea8507841311bf68653d0cfc4056d811f025c45ddfa6e6fe
			 c702f054b409d6f28dd0a3233e498da41a3e75c5630eedbe22fe254e33a1b0e9
			 f6b9826675bec7d01a845658dc9c397545401d40b9f46c7a400ee1b8f81ca0a6
			 0d1a397a1028bff5d2ef5066126842fb8da4197632bdb54ff6633f86bbc836e6
			 40d4d898`,
		},
	} {
		want := unhex(t, v.want)
		// Every length, so that ends within, at and after a hash block are met.
		for n := range len(want) + 1 {
			got := PRF12(v.hash, unhex(t, v.secret), "test label", unhex(t, v.seed), n)
			if !bytes.Equal(got, want[:n]) {
				t.Fatalf("%v, %d bytes:\n got %x\nwant %x", v.hash, n, got, want[:n])
			}
		}
	}
}

// From NIST's CAVP vectors for the TLS 1.2 key derivation, SHA-256:
// https://csrc.nist.gov/projects/cryptographic-algorithm-validation-program/component-testing
//
// Their key block has no names for its parts; the sizes here are those of
// AES-256-GCM.
func TestMasterSecretAndKeyBlockVector(t *testing.T) {
	premaster := unhex(t, `f8938ecc9edebc5030c0c6a441e213cd24e6f770a50dda07876f8d55da062bca
		db386b411fd4fe4313a604fce6c17fbc`)
	master := MasterSecret12(crypto.SHA256, premaster,
		[32]byte(unhex(t, "36c129d01a3200894b9179faac589d9835d58775f9b5ea3587cb8fd0364cae8c")),
		[32]byte(unhex(t, "f6c9575ed7ddd73e1f7d16eca115415812a43c2b747daaaae043abfb50053fce")))
	want := unhex(t, `202c88c00f84a17a20027079604787461176455539e705be730890602c289a50
		01e34eeb3a043e5d52a65e66125188bf`)
	if !bytes.Equal(master, want) {
		t.Fatalf("master secret\n got %x\nwant %x", master, want)
	}

	block := KeyBlock12(crypto.SHA256, master,
		[32]byte(unhex(t, "62e1fd91f23f558a605f28478c58cf72637b89784d959df7e946d3f07bd1b616")),
		[32]byte(unhex(t, "ae6c806f8ad4d80784549dff28a4b58fd837681a51d928c3e30ee5ff14f39868")),
		32, 4)
	stream := unhex(t, `d06139889fffac1e3a71865f504aa5d0d2a2e89506c6f2279b670c3e1b74f531
		016a2530c51a3a0f7e1d6590d0f0566b2f387f8d11fd4f731cdd572d2eae927f
		6f2f81410b25e6960be68985add6c38445ad9f8c64bf8068bf9a6679485d966f
		1ad6f68b43495b10a683755ea2b858d70ccac7ec8b053c6bd41ca299d4e51928`)
	for _, part := range []struct {
		name      string
		got, want []byte
	}{
		{"client key", block.ClientKey, stream[0:32]},
		{"server key", block.ServerKey, stream[32:64]},
		{"client IV", block.ClientIV, stream[64:68]},
		{"server IV", block.ServerIV, stream[68:72]},
	} {
		if !bytes.Equal(part.got, part.want) {
			t.Errorf("%s\n got %x\nwant %x", part.name, part.got, part.want)
		}
	}
}

func TestPSKPremaster(t *testing.T) {
	for _, v := range []struct {
		name             string
		other, psk, want string
	}{
		{"plain PSK: zeros as long as the PSK (RFC 4279, Section 2)", "", "a1b2c3", "0003 000000 0003 a1b2c3"},
		{"ECDHE_PSK: the shared secret (RFC 5489, Section 2)", "0102", "a1b2c3", "0002 0102 0003 a1b2c3"},
	} {
		var other []byte
		if v.other != "" {
			other = unhex(t, v.other)
		}
		if got := PSKPremaster(other, unhex(t, v.psk)); !bytes.Equal(got, unhex(t, v.want)) {
			t.Errorf("%s: %x", v.name, got)
		}
	}
}
