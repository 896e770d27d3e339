package dtlstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Key names the key of every certificate in a chain.
type Key uint8

const (
	P256 Key = iota
	P384
	P521
	Ed25519
	RSA2048
)

func (k Key) String() string {
	switch k {
	case P256:
		return "P-256"
	case P384:
		return "P-384"
	case P521:
		return "P-521"
	case Ed25519:
		return "Ed25519"
	case RSA2048:
		return "RSA-2048"
	}
	return fmt.Sprintf("Key(%d)", uint8(k))
}

// Chain is a leaf for "localhost", 127.0.0.1 and ::1, good for servers and
// clients, with the certificate authority it leads to.
type Chain struct {
	Key         Key
	Certificate tls.Certificate // leaf first, then intermediates; without the root
	Root        *x509.Certificate
}

type chainID struct {
	key  Key
	size int
}

// chains are made once per process: RSA keys are slow, and tests want many.
var chains sync.Map // chainID → func() (*Chain, error)

// NewChain returns a chain whose Certificate message (RFC 5246, Section 7.4.2)
// has about size bytes without its handshake header; the intermediate is
// padded with an extension nobody knows. Size 0 means a leaf signed by the
// root, and nothing else. Equal arguments return the same chain.
func NewChain(key Key, size int) (*Chain, error) {
	once, _ := chains.LoadOrStore(chainID{key, size}, sync.OnceValues(func() (*Chain, error) {
		c, err := makeChain(key, size)
		if err != nil {
			return nil, fmt.Errorf("chain of %v, %d bytes: %w", key, size, err)
		}
		return c, nil
	}))
	return once.(func() (*Chain, error))()
}

// MustChain is NewChain for tests, where a failure means a broken machine.
func MustChain(key Key, size int) *Chain {
	c, err := NewChain(key, size)
	if err != nil {
		panic(err)
	}
	return c
}

// Pool returns a pool that holds the root alone.
func (c *Chain) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.Root)
	return pool
}

// MessageSize is the size of the Certificate message in bytes, without its
// handshake header.
func (c *Chain) MessageSize() int {
	size := 3
	for _, der := range c.Certificate.Certificate {
		size += 3 + len(der)
	}
	return size
}

// Files are the PEM files of a chain, as command lines want them.
type Files struct {
	Chain         string // leaf, then intermediates
	Leaf          string
	Intermediates string // "" when there is none
	Key           string // PKCS #8
	Root          string
}

// Write puts the chain into dir.
func (c *Chain) Write(dir string) (Files, error) {
	keyDER, err := x509.MarshalPKCS8PrivateKey(c.Certificate.PrivateKey)
	if err != nil {
		return Files{}, err
	}
	f := Files{
		Chain: filepath.Join(dir, "chain.pem"),
		Leaf:  filepath.Join(dir, "leaf.pem"),
		Key:   filepath.Join(dir, "key.pem"),
		Root:  filepath.Join(dir, "root.pem"),
	}
	ders := c.Certificate.Certificate
	contents := map[string][]byte{
		f.Chain: encodeCertificates(ders),
		f.Leaf:  encodeCertificates(ders[:1]),
		f.Key:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		f.Root:  encodeCertificates([][]byte{c.Root.Raw}),
	}
	if len(ders) > 1 {
		f.Intermediates = filepath.Join(dir, "intermediates.pem")
		contents[f.Intermediates] = encodeCertificates(ders[1:])
	}
	for name, content := range contents {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return Files{}, err
		}
	}
	return f, nil
}

func encodeCertificates(ders [][]byte) []byte {
	var out []byte
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out
}

func makeChain(key Key, size int) (*Chain, error) {
	root, err := makeAuthority(key, nil, "Flightpath test root", 0)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return makeLeaf(key, root)
	}
	// The first round measures everything but the padding, the second pads.
	// Signatures and lengths vary by a few bytes, hence "about".
	var padding int
	for range 2 {
		intermediate, err := makeAuthority(key, root, "Flightpath test intermediate", padding)
		if err != nil {
			return nil, err
		}
		chain, err := makeLeaf(key, root, intermediate)
		if err != nil {
			return nil, err
		}
		missing := size - chain.MessageSize()
		if padding > 0 || missing <= 0 {
			return chain, nil
		}
		padding = max(1, missing-extensionOverhead)
	}
	// The second round always returned.
	return nil, fmt.Errorf("padding did not settle")
}

// extensionOverhead is what an extension of a few kilobytes adds around its
// value: two headers, the identifier, and longer lengths further out.
const extensionOverhead = 24

// paddingOID lies under the enterprise number reserved for documentation, RFC
// 5612, Section 2.
var paddingOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 1}

// Certificates are valid from before 2000, where the clock of a
// testing/synctest bubble starts, to the last year of UTCTime.
var (
	notBefore = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC)
)

type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// makeAuthority makes a certificate authority signed by parent, or by itself
// when parent is nil.
func makeAuthority(key Key, parent *authority, name string, padding int) (*authority, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if padding > 0 {
		template.ExtraExtensions = []pkix.Extension{{Id: paddingOID, Value: make([]byte, padding)}}
	}
	return issue(key, parent, template)
}

func makeLeaf(key Key, root *authority, intermediates ...*authority) (*Chain, error) {
	issuer := root
	if len(intermediates) > 0 {
		issuer = intermediates[len(intermediates)-1]
	}
	usage := x509.KeyUsageDigitalSignature
	if key == RSA2048 {
		usage |= x509.KeyUsageKeyEncipherment // which NSS asks for even where RSA only signs
	}
	leaf, err := issue(key, issuer, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "localhost"},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage:    usage,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	c := &Chain{
		Key:  key,
		Root: root.cert,
		Certificate: tls.Certificate{
			Certificate: [][]byte{leaf.cert.Raw},
			PrivateKey:  leaf.key,
			Leaf:        leaf.cert,
		},
	}
	for i := len(intermediates) - 1; i >= 0; i-- {
		c.Certificate.Certificate = append(c.Certificate.Certificate, intermediates[i].cert.Raw)
	}
	return c, nil
}

func issue(key Key, parent *authority, template *x509.Certificate) (*authority, error) {
	signer, err := generate(key)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = notBefore, notAfter
	issuerCert, issuerKey := template, signer
	if parent != nil {
		issuerCert, issuerKey = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuerCert, signer.Public(), issuerKey)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert, signer}, nil
}

func generate(key Key) (crypto.Signer, error) {
	switch key {
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case P521:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case Ed25519:
		_, signer, err := ed25519.GenerateKey(rand.Reader)
		return signer, err
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, fmt.Errorf("unknown key %v", key)
}
