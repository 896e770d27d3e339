package handshake

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// The server's choice of version, cipher suite and group. The door chooses by
// these functions before it sends a HelloRetryRequest, which states all three,
// and the handshake chooses by them again. They allocate nothing.

// Choice is what a ServerHello or HelloRetryRequest states.
type Choice struct {
	Version uint16
	Suite   *suite.Suite // nil in DTLS 1.2, where it depends on the certificate: choose12
	Group   kex.Group    // of DTLS 1.3; 0: no key exchange, a pre-shared key alone (psk_ke)
	share   []byte       // of the client for group; nil: a HelloRetryRequest has to ask for it
}

// NeedsRetry reports whether the group is one that the hello has no share for
// (RFC 8446, Section 4.1.4).
func (c *Choice) NeedsRetry() bool { return c.Group != 0 && c.share == nil }

// Refusal is why a hello has no choice.
type Refusal uint8

const (
	Accepted Refusal = iota
	noVersion
	noSuite
	noShares    // supported_groups or key_share is missing
	noGroup     // none in common
	noShareLeft // none in common that has a share, and no further HelloRetryRequest is allowed
	noShareSent // the second hello has no share for the group of the HelloRetryRequest, or others too
	wrongLegacy // legacy_version of a hello of DTLS 1.3
	fallback    // TLS_FALLBACK_SCSV

	// The Config does not allow what the cookie has as chosen.
	otherVersion
	otherSuite
	otherGroup
)

// Alert is what a refusal is answered with.
func (r Refusal) Alert() alert.Alert {
	switch r {
	case noVersion, wrongLegacy:
		return alert.ProtocolVersion
	case fallback:
		return alert.InappropriateFallback // RFC 7507, Section 3
	case noShares:
		return alert.MissingExtension // RFC 8446, Section 9.2
	case noShareSent:
		return alert.IllegalParameter // RFC 8446, Section 4.2.8
	default:
		return alert.HandshakeFailure
	}
}

// explain is the error of a refusal. before is the choice of the HelloRetryRequest
// or HelloVerifyRequest, if there was one.
func (r Refusal) explain(p *Config, v *message.HelloScan, before *Choice) error {
	text := ""
	switch r {
	case noVersion:
		text = fmt.Sprintf("client offers %s, %s is spoken here", describeVersions(v), p.versions())
	case noSuite:
		text = "no cipher suite in common: " + describeSuites(numbers16(v.CipherSuites))
	case noShares:
		text = "client hello without supported_groups or key_share"
	case noGroup:
		text = "no group in common for the key exchange"
	case noShareLeft:
		text = "no share for a group in common"
	case noShareSent:
		text = fmt.Sprintf("no share for group %v alone, which was asked for", before.Group)
	case wrongLegacy:
		text = fmt.Sprintf("a hello of DTLS 1.3 with legacy_version %s", message.VersionName(v.Version))
	case fallback:
		text = fmt.Sprintf("client falls back to DTLS 1.2 (TLS_FALLBACK_SCSV), %s is spoken here", p.versions())
	case otherVersion:
		text = fmt.Sprintf("%s was chosen before the cookie, and the Config now allows %s", message.VersionName(before.Version), p.versions())
	case otherSuite:
		text = fmt.Sprintf("cipher suite %s was chosen before the cookie, and the Config does not allow it now", before.Suite.Name)
	case otherGroup:
		text = fmt.Sprintf("group %v was chosen before the cookie, and the Config does not allow it now", before.Group)
	default:
	}
	return alert.Errorf(r.Alert(), "%s", text)
}

// Choose answers a hello out of params. before is what a HelloRetryRequest or
// HelloVerifyRequest has chosen, nil if there was none. It stands: RFC 8446,
// Section 4.1.4 has the ServerHello repeat version and suite, and the client
// refuse another group.
func (p *Config) Choose(v *message.HelloScan, before *Choice) (c Choice, why Refusal) {
	c.Version = p.chooseVersion(v)
	switch {
	case before != nil && c.Version != before.Version:
		return c, otherVersion
	case c.Version == 0:
		return c, noVersion
	case c.Version == message.Version12 && p.Offers(message.Version13) && listed(scsvFallback, v.CipherSuites):
		// RFC 7507, Section 3: "If TLS_FALLBACK_SCSV appears in ClientHello.cipher_suites
		// and the highest protocol version supported by the server is higher than the
		// version indicated in ClientHello.client_version, the server MUST respond with a
		// fatal inappropriate_fallback alert".
		return c, fallback
	case c.Version == message.Version12:
		return c, Accepted
	case v.Version != message.Version12:
		return c, wrongLegacy // RFC 9147, Section 5.3: it "MUST be set to {254, 253}"
	}
	if before == nil {
		c.Suite = p.chooseSuite13(v)
		if c.Suite == nil {
			return c, noSuite
		}
	} else if c.Suite = before.Suite; !p.usesSuite13(c.Suite.ID) {
		return c, otherSuite
	}
	if v.HasKeyShares != (v.SupportedGroups != nil) {
		return c, noShares // RFC 8446, Section 9.2: neither is there without the other
	}
	why = c.chooseGroup(p.Groups13, v, before)
	if c.Group == 0 && p.PSKAlone && v.PSK != nil {
		return c, Accepted // if the key is known and psk_ke is among its modes: choose13
	}
	return c, why
}

// chooseGroup picks the group of DTLS 1.3. Our order counts more than a round
// trip where the preferred group is a post-quantum one (RFC 8446, Section 4.2.8
// lets a server ask for it); between the others a share that is there is taken.
func (c *Choice) chooseGroup(groups []kex.Group, v *message.HelloScan, before *Choice) Refusal {
	if v.SupportedGroups == nil || !v.HasKeyShares {
		return noShares
	}
	if before != nil && before.Group != 0 {
		return c.askedGroup(groups, v, before.Group)
	}
	again := before == nil // a HelloRetryRequest may be sent
	for _, g := range groups {
		if !v.OffersGroup(uint16(g)) {
			continue
		}
		share := v.Share(uint16(g))
		if share == nil && !again {
			continue
		}
		if c.Group == 0 || c.share == nil && share != nil && !kex.IsHybrid(c.Group) {
			c.Group, c.share = g, share
		}
	}
	switch {
	case c.Group != 0:
		return Accepted
	case again:
		return noGroup
	}
	return noShareLeft
}

// askedGroup takes the group that a HelloRetryRequest asked for.
func (c *Choice) askedGroup(groups []kex.Group, v *message.HelloScan, asked kex.Group) Refusal {
	for _, g := range groups {
		if g != asked {
			continue
		}
		// RFC 8446, Section 4.1.2: key_share is replaced "with a list containing a single
		// KeyShareEntry from the indicated group".
		if c.Group, c.share = asked, v.Share(uint16(asked)); c.share == nil || len(v.KeyShares) != 4+len(c.share) {
			return noShareSent
		}
		return Accepted
	}
	return otherGroup
}

// chooseVersion is the newest version that both sides offer, 0 if there is none.
func (p *Config) chooseVersion(v *message.HelloScan) uint16 {
	switch {
	case p.Offers(message.Version13) && v.Offers(message.Version13):
		return message.Version13
	case p.Offers(message.Version12) && speaks12(v):
		return message.Version12
	}
	return 0
}

// speaks12 reports whether a hello offers DTLS 1.2. RFC 8446, Section 4.2.1:
// supported_versions, if there, decides alone, and unknown ones are ignored.
// RFC 6347, Section 4.1: minor versions count down within major version 254.
func speaks12(v *message.HelloScan) bool {
	if v.SupportedVersions != nil {
		return v.Offers(message.Version12)
	}
	return isLegacy12(v.Version)
}

// isLegacy12 reports whether client_version, without supported_versions, offers
// DTLS 1.2.
func isLegacy12(version uint16) bool {
	return version>>8 == message.Version12>>8 && message.VersionAtLeast(version, message.Version12)
}

// chooseSuite13 is our first suite that the hello offers. A pre-shared key belongs to one
// hash (RFC 8446, Section 4.2.11): a server without certificates prefers suites of
// externalHash, another one those of a hash that a binder of the hello has the length
// of, if it may know a key.
func (p *Config) chooseSuite13(v *message.HelloScan) (first *suite.Suite) {
	mayKnow := v.PSK != nil && (p.ServerPSK != nil || p.Tickets != nil)
	for _, s := range p.Suites13 {
		switch {
		case !listed(s.ID, v.CipherSuites):
		case p.Certified && (!mayKnow || v.HasBinder(s.Hash.Size())), !p.Certified && s.Hash == externalHash:
			return s
		case first == nil:
			first = s
		}
	}
	return first
}

// listed reports whether a list of two bytes each has a number.
func listed(id uint16, list []byte) bool {
	for ; len(list) >= 2; list = list[2:] {
		if binary.BigEndian.Uint16(list) == id {
			return true
		}
	}
	return false
}

// describeVersions names what a hello offers.
func describeVersions(v *message.HelloScan) string {
	if v.SupportedVersions == nil {
		return message.VersionName(v.Version)
	}
	var names []string
	for _, version := range numbers16(v.SupportedVersions) {
		names = append(names, message.VersionName(version))
	}
	return strings.Join(names, ", ")
}

// numbers16 reads a list of two bytes each.
func numbers16(list []byte) (numbers []uint16) {
	for ; len(list) >= 2; list = list[2:] {
		numbers = append(numbers, binary.BigEndian.Uint16(list))
	}
	return numbers
}
