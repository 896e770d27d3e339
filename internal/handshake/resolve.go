package handshake

import (
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// Settings are what a caller chooses of a handshake, with the defaults still open.
// The fields have the names and the meaning of those of dtls.Config.
type Settings struct {
	MinVersion, MaxVersion      uint16
	RequirePQ                   bool
	DisableExtendedMasterSecret bool
	RequireExtendedMasterSecret *bool
	CipherSuites                []uint16
	CurvePreferences            []tls.CurveID
	SignatureSchemes            []tls.SignatureScheme
	Hello                       HelloSize
	AddressProven               bool // servers join ClientHellos in fragments
}

// HelloSize chooses the key shares of a first ClientHello.
type HelloSize uint8

// Sizes.
const (
	AutoHello  HelloSize = iota // small where DTLS 1.2 is offered and the address not proven: such servers often cannot join fragments
	SmallHello                  // no share of a hybrid group
	FullHello
)

// Resolve checks the settings together with the credentials and callbacks of p, and
// fills in the versions, suites, groups and schemes. The error names the field of
// dtls.Config and what to change.
func (p *Config) Resolve(s *Settings) error {
	for _, check := range []func(*Settings) error{
		p.resolveVersions, p.resolveEMS, p.resolveCrypto, p.resolveGroups, p.resolveCredentials, p.resolveALPN,
	} {
		if err := check(s); err != nil {
			return err
		}
	}
	return nil
}

func (p *Config) resolveVersions(c *Settings) error {
	for _, v := range []uint16{c.MinVersion, c.MaxVersion} {
		if v != 0 && v != message.Version12 && v != message.Version13 {
			return fmt.Errorf("version 0x%04x is unknown; use VersionDTLS12, VersionDTLS13 or 0", v)
		}
	}
	p.MinVersion, p.MaxVersion = c.MinVersion, c.MaxVersion
	switch {
	case c.RequirePQ && (c.MinVersion == message.Version12 || c.MaxVersion == message.Version12):
		return errors.New("RequirePQ needs DTLS 1.3, and MinVersion or MaxVersion ask for 1.2: that has no post-quantum groups")
	case c.RequirePQ:
		p.MinVersion = message.Version13
	case p.MinVersion == 0:
		p.MinVersion = message.Version12
	}
	if p.MaxVersion == 0 {
		p.MaxVersion = message.Version13
	}
	if !message.VersionAtLeast(p.MaxVersion, p.MinVersion) {
		return fmt.Errorf("MinVersion %s is newer than MaxVersion %s", message.VersionName(p.MinVersion), message.VersionName(p.MaxVersion))
	}
	return nil
}

func (p *Config) resolveEMS(c *Settings) error {
	require := !c.DisableExtendedMasterSecret
	if c.RequireExtendedMasterSecret != nil {
		require = *c.RequireExtendedMasterSecret
	}
	switch {
	case c.DisableExtendedMasterSecret && require:
		return errors.New("RequireExtendedMasterSecret contradicts DisableExtendedMasterSecret; set one of them")
	case c.DisableExtendedMasterSecret:
		p.EMS = EMSDisabled
	case !require:
		p.EMS = EMSOffered
	}
	return nil
}

// resolveCrypto chooses suites and signature schemes.
func (p *Config) resolveCrypto(c *Settings) error {
	usesPSK := p.ClientPSKs != nil
	usesCerts := !usesPSK
	if !p.IsClient {
		usesPSK = p.ServerPSK != nil
		usesCerts = len(p.Certificates) > 0 || p.GetCertificate != nil || p.ForClient != nil
	}
	if !usesPSK && !usesCerts {
		return errors.New("a server needs Certificates, GetCertificate, GetConfigForClient or ServerPSK")
	}
	p.Certified = usesCerts
	if c.CipherSuites != nil && len(c.CipherSuites) == 0 {
		return errors.New("CipherSuites is empty; leave it nil for the defaults")
	}
	for _, id := range c.CipherSuites {
		s := suite.Lookup(id)
		switch {
		case s == nil:
			return fmt.Errorf("cipher suite 0x%04x is not spoken here; remove it from CipherSuites", id)
		case !s.Approved():
			return fmt.Errorf("cipher suite %s is not allowed in FIPS 140-only mode; remove it from CipherSuites", s.Name)
		case s.UsesPSK() && !usesPSK && p.IsClient:
			return fmt.Errorf("cipher suite %s needs ClientPSK", s.Name)
		case s.UsesPSK() && !usesPSK:
			return fmt.Errorf("cipher suite %s needs ServerPSK", s.Name)
		case !s.Is13() && !s.UsesPSK() && !usesCerts && !p.IsClient:
			return fmt.Errorf("cipher suite %s needs Certificates or GetCertificate", s.Name)
		case s.Is13():
			p.Suites13 = append(p.Suites13, s)
		default:
			p.Suites = append(p.Suites, s)
		}
	}
	// A version of which the list names no suite keeps its own.
	if p.Suites == nil {
		for _, s := range suite.All() {
			if !s.OnRequest && s.Approved() && (s.UsesPSK() && usesPSK || !s.UsesPSK() && usesCerts) {
				p.Suites = append(p.Suites, s)
			}
		}
	}
	if p.Suites13 == nil {
		for _, s := range suite.All13() {
			if !s.OnRequest && s.Approved() {
				p.Suites13 = append(p.Suites13, s)
			}
		}
	}
	if usesPSK && !usesCerts && p.Offers(message.Version13) && !slices.ContainsFunc(p.Suites13, func(s *suite.Suite) bool { return s.Hash == crypto.SHA256 }) {
		// RFC 8446, Section 4.2.11: SHA-256, where a key is not provisioned with
		// another hash, and PSK has no field for one.
		return errors.New("pre-shared keys are for SHA-256: add TLS_AES_128_GCM_SHA256 to CipherSuites, or set MaxVersion to VersionDTLS12")
	}
	for _, s := range c.SignatureSchemes {
		if !auth.Supported(s) {
			return fmt.Errorf("signature scheme %v is not spoken here; remove it from SignatureSchemes", s)
		}
		p.Schemes = append(p.Schemes, s)
	}
	if p.Schemes == nil {
		p.Schemes = auth.DefaultSchemes()
	}
	return nil
}

// resolveGroups chooses the groups, and what a first hello has shares for.
func (p *Config) resolveGroups(c *Settings) error {
	for _, id := range c.CurvePreferences {
		if !kex.Supported(id) {
			return fmt.Errorf("group %v is not spoken here; remove it from CurvePreferences", id)
		}
		if !kex.Approved(id) {
			return fmt.Errorf("group %v is not allowed in FIPS 140-only mode; remove it from CurvePreferences", id)
		}
		p.Groups13 = append(p.Groups13, id)
	}
	if p.Groups13 == nil {
		p.Groups13 = kex.Default13()
	}
	if c.RequirePQ {
		p.Groups13 = slices.DeleteFunc(p.Groups13, func(g kex.Group) bool { return !kex.IsHybrid(g) })
		if len(p.Groups13) == 0 {
			return errors.New("RequirePQ, and CurvePreferences names no post-quantum group")
		}
	}
	p.Groups = kex.For12(p.Groups13)
	if len(p.Groups) == 0 && !p.Offers(message.Version13) && !slices.ContainsFunc(p.Suites, func(s *suite.Suite) bool { return !s.UsesECDHE() }) {
		return errors.New("CurvePreferences names post-quantum groups alone, and DTLS 1.2 has none: add one such as X25519, or allow DTLS 1.3 with MaxVersion")
	}
	p.SmallHello = c.Hello == SmallHello || c.Hello == AutoHello && p.Offers(message.Version12) && !c.AddressProven
	return nil
}

func (p *Config) resolveCredentials(c *Settings) error {
	for i, cert := range p.Certificates {
		if len(cert.Certificate) == 0 {
			return misuse("Certificates[%d] has no certificate in it", i)
		}
		if _, ok := cert.PrivateKey.(crypto.Signer); !ok {
			return misuse("Certificates[%d]: PrivateKey of type %T cannot sign", i, cert.PrivateKey)
		}
		if err := auth.CheckOwn(&cert); err != nil {
			return misuse("Certificates[%d]: %w", i, err)
		}
	}
	if len(p.PSKHint) > 65535 {
		return fmt.Errorf("PSKHint of %d bytes: RFC 4279 allows 65535", len(p.PSKHint))
	}
	if p.IsClient {
		if p.UsesCertificates() && p.ServerName == "" && !p.SkipVerify {
			return errors.New("a client needs ServerName to verify the server by, or InsecureSkipVerify")
		}
		host := hostName(p.ServerName)
		if why := message.HostNameFault(host); why != "" {
			return misuse("ServerName %q cannot be sent: a name %s (RFC 6066, Section 3)", p.ServerName, why)
		}
		if len(host) > maxHostName {
			return misuse("ServerName of %d bytes cannot be sent: a name has at most %d", len(host), maxHostName)
		}
		return nil
	}
	if p.ClientAuth >= tls.RequestClientCert {
		size := 0
		for _, name := range p.authorities() {
			size += 2 + len(name)
		}
		if size > maxAuthorities {
			return misuse("ClientCAs have names of %d bytes together: a CertificateRequest has room for %d", size, maxAuthorities)
		}
	}
	if !p.UsesCertificates() || p.GetCertificate != nil || p.ForClient != nil {
		return nil
	}
	for i := range p.Certificates {
		cert := &p.Certificates[i]
		if !p.Offers(message.Version12) && len(auth.Schemes13(auth.SchemesFor(PublicKey(cert), p.Schemes))) > 0 {
			return nil
		}
		for _, s := range p.Suites {
			if p.Offers(message.Version12) && !s.UsesPSK() && CertificateFits(cert, s, p.Schemes) {
				return nil
			}
		}
	}
	return errors.New("none of the Certificates has a key that CipherSuites and SignatureSchemes can use: ECDSA and Ed25519 keys need an ECDHE_ECDSA suite, RSA keys an ECDHE_RSA suite")
}

func (p *Config) resolveALPN(c *Settings) error {
	total := 0
	for _, name := range p.ALPN {
		if len(name) == 0 || len(name) > 255 {
			return fmt.Errorf("protocol name %q in NextProtos: RFC 7301 allows 1 to 255 bytes", name)
		}
		total += 1 + len(name)
	}
	if total > 65533 {
		return errors.New("NextProtos are too many for one extension")
	}
	return nil
}

// Sizes in bytes. A DNS name has at most 255 (RFC 1035, Section 2.3.4). The authorities of a
// CertificateRequest share 2^16 with its other extensions (RFC 8446, Section 4.3.2).
const (
	maxHostName    = 255
	maxAuthorities = 1<<16 - 256
)

// misuse is an error whose text begins with the name of a field.
func misuse(format string, args ...any) error { return fmt.Errorf(format, args...) }
