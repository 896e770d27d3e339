package auth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// Policy says which certificates are trusted.
type Policy struct {
	// Roots are the authorities that are trusted. Nil means the system's.
	Roots *x509.CertPool

	// ServerName is whom a client wants to talk to: a host name, or an IP
	// address, bare or in brackets. It must be in the certificate's subject
	// alternative names; the common name does not count (RFC 9525, Section 6).
	// It must be set where KeyUsages hold server authentication, unless Skip is.
	ServerName string

	// KeyUsages are the extended key usages of which the chain must allow one,
	// if it has any. Nil means server authentication.
	KeyUsages []x509.ExtKeyUsage

	// Now is the time at which the certificates must be valid. It must be set,
	// unless Skip is.
	Now time.Time

	// Skip leaves out the judgement of trust: roots, names, times, usages. What
	// the protocol demands of a certificate is still checked. Whoever sets it
	// judges in VerifyPeerCertificate, or compares a fingerprint, as WebRTC does
	// (RFC 8122, Section 5).
	Skip bool

	// VerifyPeerCertificate, if set, has the last word: an error from it is a
	// bad_certificate. It is called after all other checks, with the
	// certificates as sent and the chains found, nil with Skip.
	VerifyPeerCertificate func(raw [][]byte, verified [][]*x509.Certificate) error
}

// Verify judges the chain and keeps the ways to a root in c.Verified. The chain
// comes from [ParseChain].
//
// The alert tells what is wrong:
//
//	unknown_ca               no way to a root, or a signature on it is wrong
//	certificate_expired      expired, or not valid yet
//	unsupported_certificate  issued for another usage, or with a critical
//	                         extension we do not know
//	bad_certificate          another name, a limit set by an authority, or
//	                         VerifyPeerCertificate said so
//
// A policy that makes no sense, or system roots that cannot be loaded, are our
// own errors and come without an alert.
func (c *Chain) Verify(p Policy) error {
	if err := c.verifyKeyUsage(); err != nil {
		return err
	}
	c.Verified = nil
	if !p.Skip {
		if err := c.verifyTrust(p); err != nil {
			return err
		}
	}
	if p.VerifyPeerCertificate != nil {
		if err := p.VerifyPeerCertificate(c.Raw, c.Verified); err != nil {
			return alert.Hook(alert.BadCertificate, "certificate of the peer refused", err)
		}
	}
	return nil
}

// verifyKeyUsage: RFC 8446, Section 4.4.2.2: "The certificate MUST allow the key
// to be used for signing (i.e., the digitalSignature bit MUST be set if the Key
// Usage extension is present)". RFC 5246, Sections 7.4.2 and 7.4.6 demand the
// same of every certificate that goes with an ephemeral key exchange, and there
// is no other here.
//
// No RFC names the alert. It is the one of an extended key usage that does not
// fit: a good certificate, but for something else.
func (c *Chain) verifyKeyUsage() error {
	leaf := c.Leaf()
	present := slices.ContainsFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidKeyUsage) })
	if present && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return alert.Errorf(alert.UnsupportedCertificate, "certificate of the peer may not be used for signatures")
	}
	return nil
}

var oidKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 15} // RFC 5280, Section 4.2.1.3

// verifyTrust looks for ways to a root.
func (c *Chain) verifyTrust(p Policy) error {
	if p.Now.IsZero() {
		return errors.New("certificate policy without a time") // crypto/x509 would ask the clock
	}
	forServer := len(p.KeyUsages) == 0 || slices.Contains(p.KeyUsages, x509.ExtKeyUsageServerAuth)
	if forServer && p.ServerName == "" {
		return errors.New("certificate policy without a server name")
	}
	intermediates := x509.NewCertPool()
	for _, cert := range c.Certificates[1:] {
		intermediates.AddCert(cert)
	}
	verified, err := c.Leaf().Verify(x509.VerifyOptions{
		DNSName:       hostForX509(p.ServerName),
		Intermediates: intermediates,
		Roots:         p.Roots,
		CurrentTime:   p.Now,
		KeyUsages:     p.KeyUsages,
	})
	if err != nil {
		return withAlert(err)
	}
	c.Verified = verified
	return nil
}

// hostForX509 writes an IP address the way crypto/x509 recognises one. A zone
// means something on this host only and is in no certificate.
func hostForX509(name string) string {
	bare := strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if addr, err := netip.ParseAddr(bare); err == nil {
		return addr.Unmap().WithZone("").String()
	}
	return name
}

// withAlert gives an error of crypto/x509 its alert. RFC 5246, Section 7.2.2 and
// RFC 8446, Section 6.2 describe the alerts.
func withAlert(err error) error {
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return err // ours
	}
	return alert.Errorf(alertFor(err), "certificate of the peer: %w", err)
}

func alertFor(err error) alert.Alert {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return alert.UnknownCA
	}
	if _, ok := errors.AsType[x509.UnhandledCriticalExtension](err); ok {
		return alert.UnsupportedCertificate
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		switch invalid.Reason {
		case x509.Expired:
			return alert.CertificateExpired
		case x509.IncompatibleUsage, x509.CANotAuthorizedForExtKeyUsage:
			return alert.UnsupportedCertificate
		default:
			return alert.BadCertificate
		}
	}
	return alert.BadCertificate
}
