package dtls

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

// choice is what a ServerHello or HelloRetryRequest states.
type choice struct {
	version uint16
	suite   *suite.Suite // nil in DTLS 1.2, where it depends on the certificate: choose12
	group   kex.Group    // of DTLS 1.3; 0: no key exchange, a pre-shared key alone (psk_ke)
	share   []byte       // of the client for group; nil: a HelloRetryRequest has to ask for it
}

// needsRetry reports whether the group is one that the hello has no share for
// (RFC 8446, Section 4.1.4).
func (c *choice) needsRetry() bool { return c.group != 0 && c.share == nil }

// refusal is why a hello has no choice.
type refusal uint8

const (
	accepted refusal = iota
	noVersion
	noSuite
	noShares    // supported_groups or key_share is missing
	noGroup     // none in common
	noShareLeft // none in common that has a share, and no further HelloRetryRequest is allowed
	noShareSent // the second hello has no share for the group that was asked for

	// The Config does not allow what the cookie says was chosen.
	otherVersion
	otherSuite
	otherGroup
)

// alert is what a refusal is answered with.
func (r refusal) alert() alert.Alert {
	switch r {
	case noVersion:
		return alert.ProtocolVersion
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
func (r refusal) explain(p *config, v *message.HelloScan, before *choice) error {
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
		text = fmt.Sprintf("no share for group %v, which was asked for", before.group)
	case otherVersion:
		text = fmt.Sprintf("%s was chosen before the cookie, and the Config now allows %s", message.VersionName(before.version), p.versions())
	case otherSuite:
		text = fmt.Sprintf("cipher suite %s was chosen before the cookie, and the Config does not allow it now", before.suite.Name)
	case otherGroup:
		text = fmt.Sprintf("group %v was chosen before the cookie, and the Config does not allow it now", before.group)
	default:
	}
	return alert.Errorf(r.alert(), "%s", text)
}

// choose answers a hello out of params. before is what a HelloRetryRequest or
// HelloVerifyRequest has chosen, nil if there was none. It stands: RFC 8446,
// Section 4.1.4 has the ServerHello repeat version and suite, and the client
// refuse another group.
func (p *config) choose(v *message.HelloScan, before *choice) (c choice, why refusal) {
	c.version = p.chooseVersion(v)
	switch {
	case before != nil && c.version != before.version:
		return c, otherVersion
	case c.version == 0:
		return c, noVersion
	case c.version == message.Version12:
		return c, accepted
	}
	if before == nil {
		c.suite = firstSuite(p.suites13, v.CipherSuites)
		if c.suite == nil {
			return c, noSuite
		}
	} else if c.suite = before.suite; !p.usesSuite13(c.suite.ID) {
		return c, otherSuite
	}
	why = c.chooseGroup(p.groups13, v, before)
	if c.group == 0 && p.pskAlone && v.PSK != nil {
		return c, accepted // if the key is known and psk_ke is among its modes: choose13
	}
	return c, why
}

// chooseGroup picks the group of DTLS 1.3. Our order counts more than a round
// trip where the preferred group is a post-quantum one (RFC 8446, Section 4.2.8
// lets a server ask for it); between the others a share that is there is taken.
func (c *choice) chooseGroup(groups []kex.Group, v *message.HelloScan, before *choice) refusal {
	if v.SupportedGroups == nil || !v.HasKeyShares {
		return noShares
	}
	if before != nil && before.group != 0 {
		return c.askedGroup(groups, v, before.group)
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
		if c.group == 0 || c.share == nil && share != nil && !kex.IsHybrid(c.group) {
			c.group, c.share = g, share
		}
	}
	switch {
	case c.group != 0:
		return accepted
	case again:
		return noGroup
	}
	return noShareLeft
}

// askedGroup takes the group that a HelloRetryRequest asked for.
func (c *choice) askedGroup(groups []kex.Group, v *message.HelloScan, asked kex.Group) refusal {
	for _, g := range groups {
		if g != asked {
			continue
		}
		if c.group, c.share = asked, v.Share(uint16(asked)); c.share == nil {
			return noShareSent
		}
		return accepted
	}
	return otherGroup
}

// chooseVersion is the newest one that both sides speak, 0 if there is none.
func (p *config) chooseVersion(v *message.HelloScan) uint16 {
	switch {
	case p.offers(message.Version13) && v.Offers(message.Version13):
		return message.Version13
	case p.offers(message.Version12) && speaks12(v):
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

// firstSuite is the first of ours among theirs, two bytes each.
func firstSuite(ours []*suite.Suite, theirs []byte) *suite.Suite {
	for _, s := range ours {
		for i := 0; i+1 < len(theirs); i += 2 {
			if binary.BigEndian.Uint16(theirs[i:]) == s.ID {
				return s
			}
		}
	}
	return nil
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
