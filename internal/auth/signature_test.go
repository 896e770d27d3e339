package auth

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

var message = []byte("client random, server random, key exchange parameters")

// fitting are all the schemes each key can make, and no other.
var fitting = []struct {
	name    string
	key     func() crypto.Signer
	pss     bool // certified for RSASSA-PSS
	schemes []Scheme
}{
	{"P-256", p256Key, false, []Scheme{tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512}},
	{"P-384", p384Key, false, []Scheme{tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512}},
	{"P-521", p521Key, false, []Scheme{tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512}},
	{"P-224", p224Key, false, nil},
	{"Ed25519", edKey, false, []Scheme{tls.Ed25519}},
	{"RSA 2048", rsa2048, false, []Scheme{
		tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512,
		tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512,
	}},
	{"RSA 1024, too small for PSS with SHA-512", rsa1024, false, []Scheme{
		tls.PSSWithSHA256, tls.PSSWithSHA384,
		tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512,
	}},
	{"RSASSA-PSS 2048", rsa2048, true, []Scheme{PSSKeyWithSHA256, PSSKeyWithSHA384, PSSKeyWithSHA512}},
}

func certified(key crypto.Signer, pss bool) crypto.PublicKey {
	if pss {
		return &PSSPublicKey{RSA: key.Public().(*rsa.PublicKey)}
	}
	return key.Public()
}

func TestEverySchemeWithEveryKey(t *testing.T) {
	for _, test := range fitting {
		pub := certified(test.key(), test.pss)
		usable := SchemesFor(pub, DefaultSchemes())
		if fmt.Sprint(usable) != fmt.Sprint(test.schemes) {
			t.Errorf("%s: schemes %v, want %v", test.name, usable, test.schemes)
		}
		for _, s := range usable {
			t.Run(fmt.Sprintf("%s/%v", test.name, s), func(t *testing.T) { signAndVerify(t, test.key(), pub, s) })
		}
	}
}

func signAndVerify(t *testing.T, key crypto.Signer, pub crypto.PublicKey, s Scheme) {
	sig, err := Sign(nil, key, s, message)
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(pub, s, message, sig); err != nil {
		t.Fatal(err)
	}

	for name, bad := range map[string][]byte{
		"empty":         {},
		"cut":           sig[:len(sig)-1],
		"longer":        append(bytes.Clone(sig), 0),
		"first byte":    flip(sig, 0),
		"last byte":     flip(sig, len(sig)-1),
		"in the middle": flip(sig, len(sig)/2),
		"all zero":      make([]byte, len(sig)),
	} {
		if err := Verify(pub, s, message, bad); err == nil {
			t.Errorf("signature accepted: %s", name)
		} else {
			wants(t, err, alert.DecryptError)
		}
	}
	wants(t, Verify(pub, s, flip(message, 3), sig), alert.DecryptError)

	// The signature is good with no other scheme.
	for _, other := range DefaultSchemes() {
		if other == s {
			continue
		}
		want := alert.IllegalParameter
		if fits(pub, other) == nil {
			want = alert.DecryptError
		}
		wants(t, Verify(pub, other, message, sig), want)
	}
}

// flip returns b with one bit of byte i changed; a negative i counts from the end.
func flip(b []byte, i int) []byte {
	out := bytes.Clone(b)
	out[(i+len(b))%len(b)] ^= 0x10
	return out
}

// RFC 8446, Section 4.2.3: "The length of the Salt MUST be equal to the length
// of the digest algorithm." Ours is, and another is refused.
func TestPSSSaltLength(t *testing.T) {
	key := rsa2048().(*rsa.PrivateKey)
	digest := sha256.Sum256(message)
	for salt := range 64 {
		opts := &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA256}
		if salt == 0 {
			opts.SaltLength = rsa.PSSSaltLengthAuto // the longest that fits
		}
		theirs := must(key.Sign(rand.Reader, digest[:], opts))
		if err := Verify(key.Public(), tls.PSSWithSHA256, message, theirs); (err == nil) != (salt == sha256.Size) {
			t.Errorf("salt of %d bytes: %v", salt, err)
		}
	}
	ours := must(Sign(nil, key, tls.PSSWithSHA256, message))
	if err := rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, digest[:], ours, &rsa.PSSOptions{SaltLength: sha256.Size}); err != nil {
		t.Error(err)
	}
}

func TestSchemesThatAreNeverUsed(t *testing.T) {
	for _, s := range []Scheme{tls.PKCS1WithSHA1, tls.ECDSAWithSHA1, 0x0101 /* RSA, MD5 */, 0x0202 /* DSA */, 0x0808 /* Ed448 */, 0} {
		if Supported(s) {
			t.Errorf("%v is supported", s)
		}
		for _, test := range fitting {
			pub := certified(test.key(), test.pss)
			_, err := Sign(nil, test.key(), s, message)
			wantsOurs(t, err)
			wants(t, Verify(pub, s, message, []byte{1}), alert.IllegalParameter)
		}
	}
	for _, s := range DefaultSchemes() {
		if !Supported(s) {
			t.Errorf("%v is a default, but not supported", s)
		}
	}
}

func TestSigningWithAKeyThatDoesNotFitIsOurMistake(t *testing.T) {
	_, err := Sign(nil, p256Key(), tls.Ed25519, message)
	wantsOurs(t, err)
	_, err = Sign(nil, rsa1024(), tls.PSSWithSHA512, message)
	wantsOurs(t, err)
}

func TestVerifyWithOddKeys(t *testing.T) {
	for _, pub := range []crypto.PublicKey{nil, "key", []byte{1, 2, 3}} {
		for _, s := range DefaultSchemes() {
			wants(t, Verify(pub, s, message, []byte{1}), alert.IllegalParameter)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(uint16(tls.ECDSAWithP256AndSHA256), must(Sign(nil, p256Key(), tls.ECDSAWithP256AndSHA256, message)))
	f.Add(uint16(tls.PSSWithSHA256), []byte{0x30, 0x00})
	f.Fuzz(func(t *testing.T, s uint16, sig []byte) {
		for _, test := range fitting {
			if test.name == "P-256" {
				continue // it may have made the signature
			}
			if Verify(certified(test.key(), test.pss), Scheme(s), message, sig) == nil {
				t.Errorf("%s: forged signature", test.name)
			}
		}
	})
}

func ExampleSign() {
	key := p256Key()
	peer := []Scheme{tls.Ed25519, tls.ECDSAWithP256AndSHA256} // its signature_algorithms

	usable := SchemesFor(key.Public(), peer)
	sig, err := Sign(nil, key, usable[0], []byte("what is to be signed"))
	if err != nil {
		panic(err)
	}
	fmt.Println(usable, Verify(key.Public(), usable[0], []byte("what is to be signed"), sig))
	// Output: [ECDSAWithP256AndSHA256] <nil>
}
