package auth

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

func TestChooseScheme(t *testing.T) {
	cert := func(key crypto.Signer, limits ...Scheme) *tls.Certificate {
		der := issuerCA().issue(key.Public(), nil)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, SupportedSignatureAlgorithms: limits}
	}
	pssOnly := &tls.Certificate{
		Certificate: [][]byte{issuerCA().issuePSS(rsa2048().Public().(*rsa.PublicKey), nil)},
		PrivateKey:  rsa2048(),
	}
	parsed := cert(p256Key())
	parsed.Leaf = must(x509.ParseCertificate(parsed.Certificate[0]))
	parsed.Certificate = nil

	for _, test := range []struct {
		name string
		cert *tls.Certificate
		peer []Scheme
		own  []Scheme // nil: all
		want Scheme   // 0: handshake_failure
	}{
		{
			"the peer's order counts", cert(rsa2048()),
			[]Scheme{tls.PKCS1WithSHA256, tls.PSSWithSHA256},
			nil, tls.PKCS1WithSHA256,
		},
		{
			"schemes for other keys are passed over", cert(p256Key()),
			[]Scheme{tls.PSSWithSHA256, tls.Ed25519, tls.ECDSAWithP384AndSHA384},
			nil, tls.ECDSAWithP384AndSHA384,
		},
		{
			"our own list limits", cert(rsa2048()),
			[]Scheme{tls.PKCS1WithSHA256, tls.PSSWithSHA384},
			[]Scheme{tls.PSSWithSHA384},
			tls.PSSWithSHA384,
		},
		{
			"the certificate's list limits", cert(rsa2048(), tls.PKCS1WithSHA512),
			[]Scheme{tls.PSSWithSHA256, tls.PKCS1WithSHA256, tls.PKCS1WithSHA512},
			nil, tls.PKCS1WithSHA512,
		},
		{
			"a small RSA key has no room for SHA-512 with PSS", cert(rsa1024()),
			[]Scheme{tls.PSSWithSHA512, tls.PSSWithSHA384},
			nil, tls.PSSWithSHA384,
		},
		{
			"a key certified for PSS takes its own schemes", pssOnly,
			[]Scheme{tls.PSSWithSHA256, tls.PKCS1WithSHA256, PSSKeyWithSHA256},
			nil, PSSKeyWithSHA256,
		},
		{
			"an ordinary RSA key does not", cert(rsa2048()),
			[]Scheme{PSSKeyWithSHA256},
			nil, 0,
		},
		{
			"a parsed leaf will do", parsed,
			[]Scheme{tls.ECDSAWithP256AndSHA256},
			nil, tls.ECDSAWithP256AndSHA256,
		},
		{
			"unknown schemes are passed over", cert(edKey()),
			[]Scheme{0, 0xfefe, 0x0a0a, tls.Ed25519},
			nil, tls.Ed25519,
		},
		{
			"SHA-1 is nothing in common", cert(rsa2048()),
			[]Scheme{tls.PKCS1WithSHA1},
			[]Scheme{tls.PKCS1WithSHA1},
			0,
		},
		{"no list is not SHA-1", cert(rsa2048()), nil, nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			own := test.own
			if own == nil {
				own = DefaultSchemes()
			}
			got, err := ChooseScheme(test.cert, test.peer, own)
			if test.want == 0 {
				wants(t, err, alert.HandshakeFailure)
				return
			}
			if err != nil || got != test.want {
				t.Fatalf("got %v, %v, want %v", got, err, test.want)
			}
			sig, err := Sign(nil, test.cert.PrivateKey.(crypto.Signer), got, message)
			if err != nil {
				t.Fatal(err)
			}
			pub, err := publicKeyOf(test.cert)
			if err != nil {
				t.Fatal(err)
			}
			if err := Verify(pub, got, message, sig); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestChooseSchemeWithABrokenCertificateIsOurMistake(t *testing.T) {
	der := issuerCA().issue(p256Key().Public(), nil)
	for name, cert := range map[string]*tls.Certificate{
		"nothing in it":               {},
		"no certificate":              {PrivateKey: p256Key()},
		"no private key":              {Certificate: [][]byte{der}},
		"private key that can't sign": {Certificate: [][]byte{der}, PrivateKey: []byte("key")},
		"private key of another":      {Certificate: [][]byte{der}, PrivateKey: p384Key()},
		"certificate that is none":    {Certificate: [][]byte{{1, 2, 3}}, PrivateKey: p256Key()},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ChooseScheme(cert, DefaultSchemes(), DefaultSchemes())
			wantsOurs(t, err)
		})
	}
}
