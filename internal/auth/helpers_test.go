package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// now is when the tests take place.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// wants checks that err is a fault of the peer with this alert.
func wants(t *testing.T, err error, want alert.Alert) {
	t.Helper()
	if e, ok := errors.AsType[*alert.Error](err); !ok || e.Alert != want {
		t.Errorf("error %v, want alert %v", err, want)
	}
}

// wantsOurs checks that err is not blamed on the peer.
func wantsOurs(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
	} else if _, ok := errors.AsType[*alert.Error](err); ok {
		t.Errorf("error with an alert: %v", err)
	}
}

// Keys of every type, made once.
var (
	p224Key  = sync.OnceValue(func() crypto.Signer { return ecKey(elliptic.P224()) })
	p256Key  = sync.OnceValue(func() crypto.Signer { return ecKey(elliptic.P256()) })
	p384Key  = sync.OnceValue(func() crypto.Signer { return ecKey(elliptic.P384()) })
	p521Key  = sync.OnceValue(func() crypto.Signer { return ecKey(elliptic.P521()) })
	edKey    = sync.OnceValue(func() crypto.Signer { _, key, err := ed25519.GenerateKey(nil); return must(key, err) })
	rsa1024  = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 1024)) })
	rsa2048  = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	issuerCA = sync.OnceValue(func() *authority { return newAuthority("root", nil, nil) })
)

func ecKey(c elliptic.Curve) crypto.Signer { return must(ecdsa.GenerateKey(c, rand.Reader)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// newAuthority makes a root, or an intermediate of parent. edit changes the
// template.
func newAuthority(name string, parent *authority, edit func(*x509.Certificate)) *authority {
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.AddDate(-1, 0, 0),
		NotAfter:              now.AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if edit != nil {
		edit(template)
	}
	a := &authority{key: ecKey(elliptic.P256())}
	if parent == nil {
		parent = &authority{template, a.key}
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent.cert, a.key.Public(), parent.key))
	a.cert = must(x509.ParseCertificate(der))
	return a
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue makes a server certificate; edit changes the template.
func (a *authority) issue(pub crypto.PublicKey, edit func(*x509.Certificate)) []byte {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "leaf"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"server.example"},
	}
	if edit != nil {
		edit(template)
	}
	return must(x509.CreateCertificate(rand.Reader, template, a.cert, pub, a.key))
}

// issuePSS issues a certificate whose key is marked id-RSASSA-PSS, which
// crypto/x509 cannot: it exchanges the algorithm of an ordinary one and signs
// again. params is the DER of the parameters, nil for none.
func (a *authority) issuePSS(pub *rsa.PublicKey, params []byte) []byte {
	type signed struct {
		TBS       asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	type spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	var cert signed
	must(asn1.Unmarshal(a.issue(pub, nil), &cert))

	var parts []asn1.RawValue
	must(asn1.Unmarshal(cert.TBS.FullBytes, &parts))
	const spkiIndex = 6 // version, serial, algorithm, issuer, validity, subject, key
	var key spki
	must(asn1.Unmarshal(parts[spkiIndex].FullBytes, &key))
	key.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oidPSS}
	if params != nil {
		key.Algorithm.Parameters = asn1.RawValue{FullBytes: params}
	}
	parts[spkiIndex] = asn1.RawValue{FullBytes: must(asn1.Marshal(key))}
	raw := must(asn1.Marshal(parts))
	cert.TBS = asn1.RawValue{FullBytes: raw}

	digest := crypto.SHA256.New()
	digest.Write(raw)
	sig := must(a.key.Sign(rand.Reader, digest.Sum(nil), crypto.SHA256))
	cert.Signature = asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}
	return must(asn1.Marshal(cert))
}

// pssParams encodes RSASSA-PSS-params.
func pssParams(hash, maskHash asn1.ObjectIdentifier, saltLength int) []byte {
	type params struct {
		Hash       pkix.AlgorithmIdentifier `asn1:"tag:0,explicit"`
		Mask       pkix.AlgorithmIdentifier `asn1:"tag:1,explicit"`
		SaltLength int                      `asn1:"tag:2,explicit"`
	}
	null := asn1.RawValue{FullBytes: []byte{5, 0}}
	inner := must(asn1.Marshal(pkix.AlgorithmIdentifier{Algorithm: maskHash, Parameters: null}))
	return must(asn1.Marshal(params{
		Hash:       pkix.AlgorithmIdentifier{Algorithm: hash, Parameters: null},
		Mask:       pkix.AlgorithmIdentifier{Algorithm: oidMGF1, Parameters: asn1.RawValue{FullBytes: inner}},
		SaltLength: saltLength,
	}))
}
