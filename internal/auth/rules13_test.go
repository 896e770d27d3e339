package auth

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// RFC 8446, Section 4.4.3 has the example: a server, and a hash of 32 times 01.
func TestSigned13(t *testing.T) {
	const example = "2020202020202020202020202020202020202020202020202020202020202020" +
		"2020202020202020202020202020202020202020202020202020202020202020" +
		"544c5320312e332c207365727665722043657274696669636174655665726966" +
		"79" +
		"00" +
		"0101010101010101010101010101010101010101010101010101010101010101"
	hash := bytes.Repeat([]byte{1}, 32)
	if got := hex.EncodeToString(Signed13(true, hash)); got != example {
		t.Errorf("server signs\n%s, want\n%s", got, example)
	}
	want := strings.Replace(example, hex.EncodeToString([]byte("server")), hex.EncodeToString([]byte("client")), 1)
	if got := hex.EncodeToString(Signed13(false, hash)); got != want {
		t.Errorf("client signs\n%s, want\n%s", got, want)
	}
}

func TestSchemes13(t *testing.T) {
	const want = "[ECDSAWithP256AndSHA256 ECDSAWithP384AndSHA384 ECDSAWithP521AndSHA512 Ed25519 " +
		"PSSWithSHA256 PSSWithSHA384 PSSWithSHA512 SignatureScheme(2057) SignatureScheme(2058) SignatureScheme(2059)]"
	if got := fmt.Sprint(Schemes13(DefaultSchemes())); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	configured := []Scheme{tls.PKCS1WithSHA256, tls.PSSWithSHA512, tls.PKCS1WithSHA1, 0x0a0a, tls.Ed25519}
	before := slices.Clone(configured)
	if got := Schemes13(configured); !slices.Equal(got, []Scheme{tls.PSSWithSHA512, tls.Ed25519}) {
		t.Errorf("got %v", got)
	}
	if !slices.Equal(configured, before) {
		t.Errorf("argument is %v afterwards", configured)
	}
}

// fitting13 are all the schemes each key can make in DTLS 1.3, and no other.
var fitting13 = []struct {
	name    string
	key     func() crypto.Signer
	pss     bool // certified for RSASSA-PSS
	schemes []Scheme
}{
	{"P-256", p256Key, false, []Scheme{tls.ECDSAWithP256AndSHA256}},
	{"P-384", p384Key, false, []Scheme{tls.ECDSAWithP384AndSHA384}},
	{"P-521", p521Key, false, []Scheme{tls.ECDSAWithP521AndSHA512}},
	{"P-224", p224Key, false, nil},
	{"Ed25519", edKey, false, []Scheme{tls.Ed25519}},
	{"RSA 2048", rsa2048, false, []Scheme{tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512}},
	{"RSA 1024, too small for PSS with SHA-512", rsa1024, false, []Scheme{tls.PSSWithSHA256, tls.PSSWithSHA384}},
	{"RSASSA-PSS 2048", rsa2048, true, []Scheme{PSSKeyWithSHA256, PSSKeyWithSHA384, PSSKeyWithSHA512}},
}

// Every scheme with every key: those that fit verify, and the others are the
// peer's illegal_parameter, even where the signature is good in DTLS 1.2.
func TestEverySchemeWithEveryKey13(t *testing.T) {
	others := []Scheme{tls.PKCS1WithSHA1, tls.ECDSAWithSHA1, 0x0808 /* Ed448 */, 0x0a0a, 0}
	content := Signed13(true, bytes.Repeat([]byte{7}, 48))
	for _, test := range fitting13 {
		pub := certified(test.key(), test.pss)
		for _, s := range append(DefaultSchemes(), others...) {
			t.Run(fmt.Sprintf("%s/%v", test.name, s), func(t *testing.T) {
				if !slices.Contains(test.schemes, s) {
					sig, err := Sign(nil, test.key(), s, content) // may well succeed: it keeps the rules of DTLS 1.2
					if err != nil {
						sig = []byte{1}
					}
					wants(t, Verify13(pub, s, content, sig), alert.IllegalParameter)
					return
				}
				sig, err := Sign(nil, test.key(), s, content)
				if err != nil {
					t.Fatal(err)
				}
				if err := Verify13(pub, s, content, sig); err != nil {
					t.Error(err)
				}
				wants(t, Verify13(pub, s, content, flip(sig, -1)), alert.DecryptError)
				wants(t, Verify13(pub, s, content, nil), alert.DecryptError)
				wants(t, Verify13(pub, s, flip(content, -1), sig), alert.DecryptError)
				// A server's signature is no client's (RFC 8446, Section 4.4.3).
				wants(t, Verify13(pub, s, Signed13(false, bytes.Repeat([]byte{7}, 48)), sig), alert.DecryptError)
			})
		}
	}
}

func TestVerify13WithOddKeys(t *testing.T) {
	for _, pub := range []crypto.PublicKey{nil, "key", []byte{1, 2, 3}} {
		for _, s := range DefaultSchemes() {
			wants(t, Verify13(pub, s, message, []byte{1}), alert.IllegalParameter)
		}
	}
}

func TestChooseScheme13(t *testing.T) {
	cert := func(key crypto.Signer, limits ...Scheme) *tls.Certificate {
		der := issuerCA().issue(key.Public(), nil)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, SupportedSignatureAlgorithms: limits}
	}
	pssOnly := &tls.Certificate{
		Certificate: [][]byte{issuerCA().issuePSS(rsa2048().Public().(*rsa.PublicKey), nil)},
		PrivateKey:  rsa2048(),
	}
	for _, test := range []struct {
		name string
		cert *tls.Certificate
		peer []Scheme
		own  []Scheme
		want Scheme // 0: handshake_failure
	}{
		{
			"the peer's order counts", cert(rsa2048()),
			[]Scheme{tls.PSSWithSHA384, tls.PSSWithSHA256},
			DefaultSchemes(), tls.PSSWithSHA384,
		},
		{
			"PKCS #1 v1.5 is passed over, first as it may be", cert(rsa2048()),
			[]Scheme{tls.PKCS1WithSHA256, tls.PSSWithSHA512},
			DefaultSchemes(), tls.PSSWithSHA512,
		},
		{
			"PKCS #1 v1.5 alone is nothing in common", cert(rsa2048()),
			[]Scheme{tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512},
			DefaultSchemes(), 0,
		},
		{
			"an ECDSA scheme of another curve is passed over", cert(p256Key()),
			[]Scheme{tls.ECDSAWithP521AndSHA512, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP256AndSHA256},
			DefaultSchemes(), tls.ECDSAWithP256AndSHA256,
		},
		{
			"a P-384 key with SHA-256 alone is nothing in common", cert(p384Key()),
			[]Scheme{tls.ECDSAWithP256AndSHA256},
			DefaultSchemes(), 0,
		},
		{
			"the certificate's list limits", cert(rsa2048(), tls.PKCS1WithSHA256, tls.PSSWithSHA512),
			[]Scheme{tls.PKCS1WithSHA256, tls.PSSWithSHA256, tls.PSSWithSHA512},
			DefaultSchemes(), tls.PSSWithSHA512,
		},
		{
			"our own list limits", cert(rsa2048()),
			[]Scheme{tls.PSSWithSHA256, tls.PSSWithSHA384},
			[]Scheme{tls.PSSWithSHA384},
			tls.PSSWithSHA384,
		},
		{
			"a key certified for PSS takes its own schemes", pssOnly,
			[]Scheme{tls.PSSWithSHA256, PSSKeyWithSHA384},
			DefaultSchemes(), PSSKeyWithSHA384,
		},
		{
			"unknown schemes are passed over", cert(edKey()),
			[]Scheme{0, 0xfefe, 0x0a0a, tls.Ed25519},
			DefaultSchemes(), tls.Ed25519,
		},
		{"no list is nothing in common", cert(p256Key()), nil, DefaultSchemes(), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ChooseScheme13(test.cert, test.peer, test.own)
			if test.want == 0 {
				wants(t, err, alert.HandshakeFailure)
				return
			}
			if err != nil || got != test.want {
				t.Fatalf("got %v, %v, want %v", got, err, test.want)
			}
			content := Signed13(false, make([]byte, 32))
			sig := must(Sign(nil, test.cert.PrivateKey.(crypto.Signer), got, content))
			if err := Verify13(must(publicKeyOf(test.cert)), got, content, sig); err != nil {
				t.Error(err)
			}
		})
	}
	_, err := ChooseScheme13(&tls.Certificate{PrivateKey: p256Key()}, DefaultSchemes(), DefaultSchemes())
	wantsOurs(t, err)
}

// The signatures of two browsers.
func TestRecordedCertificateVerify13(t *testing.T) {
	recorded := must(dtlstest.ReadRecorded(must(os.ReadFile("testdata/browsers13.txt"))))
	for _, side := range []string{"server", "client"} {
		chain, err := ParseChain([][]byte{must(recorded.One(side + " certificate"))})
		if err != nil {
			t.Fatal(err)
		}
		hash, signature := must(recorded.One(side+" transcript hash")), must(recorded.One(side+" signature"))
		content := Signed13(side == "server", hash)
		if err := Verify13(chain.PublicKey(), tls.ECDSAWithP256AndSHA256, content, signature); err != nil {
			t.Errorf("%s: %v", side, err)
		}
		asOther := Signed13(side != "server", hash)
		wants(t, Verify13(chain.PublicKey(), tls.ECDSAWithP256AndSHA256, asOther, signature), alert.DecryptError)
	}
}

func ExampleChooseScheme13() {
	key := p384Key()
	cert := &tls.Certificate{Certificate: [][]byte{issuerCA().issue(key.Public(), nil)}, PrivateKey: key}
	peer := []Scheme{tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384} // its signature_algorithms
	transcriptHash := make([]byte, 32)                                       // up to our Certificate

	scheme, err := ChooseScheme13(cert, peer, DefaultSchemes())
	if err != nil {
		panic(err)
	}
	content := Signed13(true, transcriptHash)
	sig, err := Sign(nil, key, scheme, content)
	if err != nil {
		panic(err)
	}
	leaf := must(x509.ParseCertificate(cert.Certificate[0]))
	fmt.Println(scheme, Verify13(leaf.PublicKey, scheme, content, sig))
	// Output: ECDSAWithP384AndSHA384 <nil>
}
