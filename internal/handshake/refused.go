package handshake

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// RefusedGroups is the possible reason of an alert against a ClientHello that leaves out
// groups of the default: a server that lacks a group ends the handshake with
// handshake_failure, and so does one of DTLS 1.2 whose certificate is on a curve that the
// hello does not name (RFC 8422, Section 5.1.1). Other causes have the same
// alert. It is nil after another alert, and in every other state.
func (hs *Handshake) RefusedGroups(a alert.Alert) error {
	h := hs.Hello()
	if h == nil || h.SupportedGroups == nil || a != alert.HandshakeFailure {
		return nil
	}
	usual := kex.Default13()
	is12 := h.SupportedVersions == nil || slices.Contains(h.SupportedVersions, message.Version12)
	if !slices.Contains(h.SupportedVersions, message.Version13) {
		usual = kex.Default()
	}
	usual = slices.DeleteFunc(usual, func(g kex.Group) bool { return slices.Contains(h.SupportedGroups, uint16(g)) })
	if len(usual) == 0 {
		return nil
	}
	var names []string
	for _, g := range h.SupportedGroups {
		names = append(names, kex.Group(g).String())
	}
	text := "the server may have none of the groups that were offered, " + strings.Join(names, ", ")
	if is12 {
		text += ", or a certificate that needs another (RFC 8422, Section 5.1.1)"
	}
	return fmt.Errorf("%s: see CurvePreferences", text)
}
