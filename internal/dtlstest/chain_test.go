package dtlstest

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
)

func TestChainVerifies(t *testing.T) {
	for _, key := range []Key{P256, P384, P521, Ed25519, RSA2048} {
		for _, size := range []int{0, 6000} {
			c := MustChain(key, size)
			if c != MustChain(key, size) {
				t.Errorf("%v, %d bytes: not cached", key, size)
			}
			intermediates := x509.NewCertPool()
			for _, der := range c.Certificate.Certificate[1:] {
				cert, err := x509.ParseCertificate(der)
				if err != nil {
					t.Fatal(err)
				}
				intermediates.AddCert(cert)
			}
			for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
				for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
					_, err := c.Certificate.Leaf.Verify(x509.VerifyOptions{
						Roots:         c.Pool(),
						Intermediates: intermediates,
						DNSName:       name,
						KeyUsages:     []x509.ExtKeyUsage{usage},
					})
					if err != nil {
						t.Errorf("%v, %d bytes, %s: %v", key, size, name, err)
					}
				}
			}
			if got := c.MessageSize(); size > 0 && (got < size-32 || got > size+32) {
				t.Errorf("%v: Certificate message of %d bytes, want about %d", key, got, size)
			}
		}
	}
}

func TestChainFilesLoad(t *testing.T) {
	f, err := MustChain(P256, 6000).Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(f.Chain, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	if len(pair.Certificate) != 2 {
		t.Errorf("%d certificates in the chain file, want 2", len(pair.Certificate))
	}
	root, err := os.ReadFile(f.Root)
	if err != nil {
		t.Fatal(err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(root) {
		t.Error("the root file holds no certificate")
	}
}
