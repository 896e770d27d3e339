package auth

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// RFC 5246 and RFC 8446 leave some of the choices below to us; docs of
// ParseChain, Chain.Verify and verifyKeyUsage say which.
func TestChains(t *testing.T) {
	root := issuerCA()
	middle := newAuthority("middle", root, nil)
	leaf := func(edit func(*x509.Certificate)) []byte { return root.issue(p256Key().Public(), edit) }

	const good = alert.Alert(0)
	for _, test := range []struct {
		name   string
		raw    [][]byte
		policy func(*Policy) // nil: root, server.example, now
		want   alert.Alert
	}{
		{"issued by the root", [][]byte{leaf(nil)}, nil, good},
		{"issued by an intermediate that is sent", [][]byte{middle.issue(p256Key().Public(), nil), middle.cert.Raw}, nil, good},
		{"the root is sent, too", [][]byte{leaf(nil), root.cert.Raw}, nil, good},
		{"an RSA key", [][]byte{root.issue(rsa2048().Public(), nil)}, nil, good},
		{"an Ed25519 key", [][]byte{root.issue(edKey().Public(), nil)}, nil, good},
		{"an RSASSA-PSS key", [][]byte{root.issuePSS(rsa2048().Public().(*rsa.PublicKey), nil)}, nil, good},
		{"no key usage extension", [][]byte{leaf(func(c *x509.Certificate) { c.KeyUsage = 0 })}, nil, good},
		{"no extended key usage extension", [][]byte{leaf(func(c *x509.Certificate) { c.ExtKeyUsage = nil })}, nil, good},
		{"a wildcard", [][]byte{leaf(func(c *x509.Certificate) { c.DNSNames = []string{"*.example"} })}, nil, good},
		{"an IPv4 address", [][]byte{leaf(addresses)}, func(p *Policy) { p.ServerName = "192.0.2.1" }, good},
		{"an IPv4 address, mapped", [][]byte{leaf(addresses)}, func(p *Policy) { p.ServerName = "::ffff:192.0.2.1" }, good},
		{"an IPv6 address", [][]byte{leaf(addresses)}, func(p *Policy) { p.ServerName = "fe80:0::1" }, good},
		{"an IPv6 address in brackets", [][]byte{leaf(addresses)}, func(p *Policy) { p.ServerName = "[fe80::1]" }, good},
		{"an IPv6 address with a zone", [][]byte{leaf(addresses)}, func(p *Policy) { p.ServerName = "[fe80::1%eth0]" }, good},
		{"a client", [][]byte{leaf(forClients)}, client, good},

		{"no certificate", nil, nil, alert.DecodeError},
		{"an empty certificate", [][]byte{{}}, nil, alert.BadCertificate},
		{"bytes that are no certificate", [][]byte{{0x30, 0x03, 1, 2, 3}}, nil, alert.BadCertificate},
		{"a byte too many", [][]byte{append(leaf(nil), 0)}, nil, alert.BadCertificate},
		{"a cut certificate", [][]byte{leaf(nil)[:200]}, nil, alert.BadCertificate},
		{"a good leaf and a bad second", [][]byte{leaf(nil), {1}}, nil, alert.BadCertificate},
		{"an RSA key of 1000 bits", [][]byte{root.issue(rsaOfSize(1000), nil)}, nil, alert.BadCertificate},
		{"an RSA key of 8200 bits", [][]byte{root.issue(rsaOfSize(8200), nil)}, nil, alert.BadCertificate},
		{"an RSA key of 8200 bits in an unused second", [][]byte{leaf(nil), root.issue(rsaOfSize(8200), nil)}, nil, alert.BadCertificate},
		{"an RSASSA-PSS key of 8200 bits", [][]byte{root.issuePSS(rsaOfSize(8200), nil)}, nil, alert.BadCertificate},
		{"a P-224 key", [][]byte{root.issue(p224Key().Public(), nil)}, nil, alert.UnsupportedCertificate},

		{"expired", [][]byte{leaf(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) })}, nil, alert.CertificateExpired},
		{"not valid yet", [][]byte{leaf(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) })}, nil, alert.CertificateExpired},
		{"another host", [][]byte{leaf(nil)}, func(p *Policy) { p.ServerName = "other.example" }, alert.BadCertificate},
		{"a host below", [][]byte{leaf(nil)}, func(p *Policy) { p.ServerName = "a.server.example" }, alert.BadCertificate},
		{"the host in the common name only", [][]byte{leaf(func(c *x509.Certificate) {
			c.Subject.CommonName, c.DNSNames = "server.example", nil
		})}, nil, alert.BadCertificate},
		{"another IP address", [][]byte{leaf(addresses)}, func(p *Policy) { p.ServerName = "192.0.2.2" }, alert.BadCertificate},
		{"an IP address as host name", [][]byte{leaf(func(c *x509.Certificate) { c.DNSNames = []string{"192.0.2.1"} })}, func(p *Policy) { p.ServerName = "192.0.2.1" }, alert.BadCertificate},
		{"a client's certificate for a server", [][]byte{leaf(forClients)}, nil, alert.UnsupportedCertificate},
		{"a server's certificate for a client", [][]byte{leaf(nil)}, client, alert.UnsupportedCertificate},
		{"another root", [][]byte{leaf(nil)}, func(p *Policy) { p.Roots = newAuthority("root", nil, nil).pool() }, alert.UnknownCA},
		{"no root at all", [][]byte{leaf(nil)}, func(p *Policy) { p.Roots = x509.NewCertPool() }, alert.UnknownCA},
		{"the intermediate is missing", [][]byte{middle.issue(p256Key().Public(), nil)}, nil, alert.UnknownCA},
		{"the issuer is no authority", notAnAuthority(root), nil, alert.UnknownCA},
		{"a wrong signature", [][]byte{flip(leaf(nil), -1)}, nil, alert.UnknownCA},
		{"an intermediate over its path length", pathTooLong(root), nil, alert.BadCertificate},
		{"a host the intermediate may not name", outsideConstraints(root), nil, alert.BadCertificate},
		{"a critical extension no one knows", [][]byte{leaf(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		})}, nil, alert.UnsupportedCertificate},
		{"a key for encipherment only", [][]byte{leaf(enciphermentOnly)}, nil, alert.UnsupportedCertificate},
		{"a key for encipherment only, with Skip", [][]byte{leaf(enciphermentOnly)}, func(p *Policy) { p.Skip = true }, alert.UnsupportedCertificate},
		{"an empty key usage", [][]byte{leaf(func(c *x509.Certificate) {
			c.KeyUsage = 0
			c.ExtraExtensions = []pkix.Extension{{Id: oidKeyUsage, Critical: true, Value: []byte{3, 1, 0}}}
		})}, nil, alert.UnsupportedCertificate},
		{"the callback refuses", [][]byte{leaf(nil)}, func(p *Policy) {
			p.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return errors.New("no") }
		}, alert.BadCertificate},
		{"the callback refuses, with Skip", [][]byte{leaf(nil)}, func(p *Policy) {
			p.Skip = true
			p.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return errors.New("no") }
		}, alert.BadCertificate},

		{"everything is wrong but Skip is set", [][]byte{leaf(func(c *x509.Certificate) {
			c.NotAfter = now.Add(-time.Second)
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		})}, func(p *Policy) { *p = Policy{Skip: true} }, good},
	} {
		t.Run(test.name, func(t *testing.T) {
			policy := Policy{Roots: root.pool(), ServerName: "server.example", Now: now}
			if test.policy != nil {
				test.policy(&policy)
			}
			chain, err := ParseChain(test.raw)
			if err == nil {
				err = chain.Verify(policy)
			}
			if test.want != good {
				wants(t, err, test.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if verified := len(chain.Verified) > 0; verified == policy.Skip {
				t.Errorf("verified chains: %v", chain.Verified)
			}
			if len(SchemesFor(chain.PublicKey(), DefaultSchemes())) == 0 {
				t.Errorf("no scheme for %T", chain.PublicKey())
			}
		})
	}
}

func client(p *Policy) {
	p.ServerName = ""
	p.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
}

func forClients(c *x509.Certificate) {
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	c.DNSNames = []string{"server.example"}
}

func addresses(c *x509.Certificate) {
	c.IPAddresses = []net.IP{net.ParseIP("192.0.2.1"), net.ParseIP("fe80::1")}
}

func enciphermentOnly(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }

// rsaOfSize returns a modulus that is no key, but takes the place of one.
func rsaOfSize(bits int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
}

func notAnAuthority(root *authority) [][]byte {
	host := newAuthority("host", root, func(c *x509.Certificate) {
		c.IsCA = false
		c.KeyUsage = x509.KeyUsageDigitalSignature
	})
	return [][]byte{host.issue(p256Key().Public(), nil), host.cert.Raw}
}

func pathTooLong(root *authority) [][]byte {
	upper := newAuthority("upper", root, func(c *x509.Certificate) { c.MaxPathLenZero = true })
	lower := newAuthority("lower", upper, nil)
	return [][]byte{lower.issue(p256Key().Public(), nil), lower.cert.Raw, upper.cert.Raw}
}

func outsideConstraints(root *authority) [][]byte {
	limited := newAuthority("limited", root, func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical = true
		c.PermittedDNSDomains = []string{"other.example"}
	})
	return [][]byte{limited.issue(p256Key().Public(), nil), limited.cert.Raw}
}

func TestVerifyPeerCertificateSeesTheFinalChains(t *testing.T) {
	root := issuerCA()
	raw := [][]byte{root.issue(p256Key().Public(), nil)}
	for _, skip := range []bool{false, true} {
		chain := must(ParseChain(raw))
		called := false
		err := chain.Verify(Policy{
			Roots: root.pool(), ServerName: "server.example", Now: now, Skip: skip,
			VerifyPeerCertificate: func(got [][]byte, verified [][]*x509.Certificate) error {
				called = true
				if len(got) != 1 || !bytes.Equal(got[0], raw[0]) {
					t.Errorf("skip %v: raw certificates %x", skip, got)
				}
				if skip && verified != nil || !skip && (len(verified) != 1 || len(verified[0]) != 2) {
					t.Errorf("skip %v: verified chains %v", skip, verified)
				}
				return nil
			},
		})
		if err != nil || !called {
			t.Errorf("skip %v: error %v, called %v", skip, err, called)
		}
	}
}

func TestCallbackIsNotAskedAboutABadChain(t *testing.T) {
	chain := must(ParseChain([][]byte{issuerCA().issue(p256Key().Public(), nil)}))
	wants(t, chain.Verify(Policy{
		Roots: x509.NewCertPool(), ServerName: "server.example", Now: now,
		VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error {
			t.Error("called")
			return nil
		},
	}), alert.UnknownCA)
}

func TestPoliciesThatMakeNoSenseAreOurMistake(t *testing.T) {
	root := issuerCA()
	chain := must(ParseChain([][]byte{root.issue(p256Key().Public(), nil)}))
	wantsOurs(t, chain.Verify(Policy{Roots: root.pool(), Now: now}))
	wantsOurs(t, chain.Verify(Policy{Roots: root.pool(), ServerName: "server.example"}))
	wantsOurs(t, chain.Verify(Policy{}))
}

// Errors of crypto/x509 and of the callback can be matched.
func TestCausesUnwrap(t *testing.T) {
	root := issuerCA()
	chain := must(ParseChain([][]byte{root.issue(p256Key().Public(), nil)}))
	policy := Policy{Roots: root.pool(), ServerName: "other.example", Now: now}
	if err := chain.Verify(policy); !errors.As(err, new(x509.HostnameError)) {
		t.Errorf("error %v, want a HostnameError", err)
	}
	refusal := errors.New("not today")
	policy.ServerName = "server.example"
	policy.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return refusal }
	if err := chain.Verify(policy); !errors.Is(err, refusal) {
		t.Errorf("error %v, want %v", err, refusal)
	}
}

// The message buffer is reused for the next datagram.
func TestParsedChainKeepsItsOwnBytes(t *testing.T) {
	der := issuerCA().issue(p256Key().Public(), nil)
	buffer := bytes.Clone(der)
	chain := must(ParseChain([][]byte{buffer}))
	clear(buffer)
	if !bytes.Equal(chain.Raw[0], der) || !bytes.Equal(chain.Leaf().Raw, der) {
		t.Error("chain changed with the buffer it came from")
	}
}

func TestPSSKeyParameters(t *testing.T) {
	pub := rsa2048().Public().(*rsa.PublicKey)
	sha1 := asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	for _, test := range []struct {
		name   string
		params []byte
		want   []Scheme // nil: bad_certificate
	}{
		{"absent: any hash", nil, []Scheme{PSSKeyWithSHA256, PSSKeyWithSHA384, PSSKeyWithSHA512}},
		{"SHA-256", pssParams(oidSHA256, oidSHA256, 32), []Scheme{PSSKeyWithSHA256}},
		{"SHA-384", pssParams(oidSHA384, oidSHA384, 48), []Scheme{PSSKeyWithSHA384}},
		{"SHA-512, a short salt is a minimum", pssParams(oidSHA512, oidSHA512, 21), []Scheme{PSSKeyWithSHA512}},
		{"a salt that TLS never has", pssParams(oidSHA256, oidSHA256, 33), nil},
		{"two hashes", pssParams(oidSHA256, oidSHA384, 32), nil},
		{"SHA-1", pssParams(sha1, sha1, 20), nil},
		{"SHA-1 by default", []byte{0x30, 0x00}, nil},
		{"NULL", []byte{0x05, 0x00}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			chain, err := ParseChain([][]byte{issuerCA().issuePSS(pub, test.params)})
			if test.want == nil {
				wants(t, err, alert.BadCertificate)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			key, ok := chain.PublicKey().(*PSSPublicKey)
			if !ok || !key.RSA.Equal(pub) {
				t.Fatalf("key %v", chain.PublicKey())
			}
			for _, s := range DefaultSchemes() {
				sig, err := Sign(nil, rsa2048(), s, message)
				if err != nil {
					continue // not for RSA
				}
				want := false
				for _, w := range test.want {
					want = want || s == w
				}
				if err := Verify(key, s, message, sig); (err == nil) != want {
					t.Errorf("%v: %v", s, err)
				}
			}
		})
	}
}

func FuzzParseChain(f *testing.F) {
	f.Add(issuerCA().issue(p256Key().Public(), nil), []byte{})
	f.Add(issuerCA().issuePSS(rsa2048().Public().(*rsa.PublicKey), pssParams(oidSHA256, oidSHA256, 32)), []byte{0x30})
	f.Fuzz(func(t *testing.T, leaf, second []byte) {
		raw := [][]byte{leaf}
		if len(second) > 0 {
			raw = append(raw, second)
		}
		chain, err := ParseChain(raw)
		if err != nil {
			if _, ok := errors.AsType[*alert.Error](err); !ok {
				t.Errorf("error without alert: %v", err)
			}
			return
		}
		if len(SchemesFor(chain.PublicKey(), DefaultSchemes())) == 0 {
			t.Errorf("leaf key %s fits no scheme", describe(chain.PublicKey()))
		}
		for _, s := range []Scheme{tls.PSSWithSHA256, tls.ECDSAWithP256AndSHA256, PSSKeyWithSHA256} {
			if Verify(chain.PublicKey(), s, message, second) == nil {
				t.Error("forged signature")
			}
		}
	})
}
