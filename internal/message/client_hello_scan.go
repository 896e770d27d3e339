package message

import (
	"encoding/binary"
	"iter"

	"golang.org/x/crypto/cryptobyte"
)

// HelloScan is what a server without state reads of a whole ClientHello before it answers a stranger: enough to choose a
// version and a group, to check a cookie, and to find the key that is meant. All slices alias the body. That of an
// extension is nil if the extension is not there, and none is empty but KeyShares.
type HelloScan struct {
	HelloPrefix

	SupportedVersions []byte // two bytes each
	SupportedGroups   []byte // two bytes each
	KeyShares         []byte // KeyShareEntry each; may be empty, which asks for a HelloRetryRequest
	HasKeyShares      bool
	RetryCookie       []byte // the cookie extension; legacy_cookie is HelloPrefix.Cookie
	PSKModes          []byte // one byte each
	PSK               []byte // OfferedPsks: identities and binders, as many of each
	ServerName        []byte // the host name, as it was sent

	extensions []byte // the list, without its length
}

// ScanClientHello reads a whole ClientHello body. It never allocates. Without ok the body is no legal ClientHello, and
// there is nothing to answer.
//
// Whatever [Parse] accepts, it accepts and reads the same way. Of what Parse refuses, it lets pass only faults inside
// extensions that it does not look into, which are all but those reported here: extended_master_secret,
// encrypt_then_mac, renegotiation_info, ec_point_formats, signature_algorithms, signature_algorithms_cert, ALPN,
// record_size_limit, early_data and post_handshake_auth.
func ScanClientHello(body []byte) (s HelloScan, ok bool) {
	s.HelloPrefix, ok = PeekClientHello(body)
	if !ok || !s.scanBlock(body[s.size():]) || !s.agrees() {
		return HelloScan{}, false
	}
	return s, true
}

// ScanRetryCookie finds the cookie extension in the beginning of a ClientHello body, which may be cut off anywhere. Without
// ok it is not there, or not all of it.
func ScanRetryCookie(body []byte) (p HelloPrefix, cookie []byte, ok bool) {
	p, ok = PeekClientHello(body)
	list := cryptobyte.String(body)
	if !ok || !list.Skip(p.size()+2) {
		return HelloPrefix{}, nil, false
	}
	var t uint16
	var data cryptobyte.String
	for list.ReadUint16(&t) && list.ReadUint16LengthPrefixed(&data) {
		if t == ExtensionCookie {
			var s HelloScan
			ok = s.scanExtension(t, data)
			return p, s.RetryCookie, ok
		}
	}
	return HelloPrefix{}, nil, false
}

// Offers reports whether supported_versions lists a version.
func (s *HelloScan) Offers(version uint16) bool { return contains16(s.SupportedVersions, version) }

// OffersGroup reports whether supported_groups lists a group.
func (s *HelloScan) OffersGroup(group uint16) bool { return contains16(s.SupportedGroups, group) }

// Share is the key_exchange of the key share for a group, nil if there is none.
func (s *HelloScan) Share(group uint16) []byte {
	for shares := cryptobyte.String(s.KeyShares); !shares.Empty(); {
		var g uint16
		var key cryptobyte.String
		if !shares.ReadUint16(&g) || !shares.ReadUint16LengthPrefixed(&key) {
			return nil
		}
		if g == group {
			return key
		}
	}
	return nil
}

// HasBinder reports whether pre_shared_key has a binder of that many bytes, which is the size of the hash of its key.
func (s *HelloScan) HasBinder(size int) bool {
	psk := cryptobyte.String(s.PSK)
	var identities, binders, binder cryptobyte.String
	if !psk.ReadUint16LengthPrefixed(&identities) || !psk.ReadUint16LengthPrefixed(&binders) {
		return false
	}
	for binders.ReadUint8LengthPrefixed(&binder) {
		if len(binder) == size {
			return true
		}
	}
	return false
}

// Fixed are the byte ranges of the body that the ClientHello after a HelloRetryRequest must repeat, in order. RFC 8446,
// Section 4.1.2: "the client MUST send the same ClientHello without modification", except for key_share, early_data,
// cookie, pre_shared_key and padding. The cookie field of DTLS 1.2 is left out, too: RFC 9147, Section 5.3 has no use for
// it.
//
// The ranges are the two of [HelloPrefix.Covered] and each extension with its type and length. Every one of them says
// itself where it ends, so their bytes in a row come apart in one way only: hellos that differ in anything but the above
// never give the same bytes, whatever is moved from one extension to the next. And since no range spans two extensions,
// the ranges stay the same wherever the client puts the cookie.
func (s *HelloScan) Fixed() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { s.fixed(yield) }
}

func (s *HelloScan) fixed(yield func([]byte) bool) {
	if !yield(s.Covered[0]) || !yield(s.Covered[1]) {
		return
	}
	for rest := s.extensions; len(rest) > 0; {
		n := extensionHeaderLen + int(binary.BigEndian.Uint16(rest[2:]))
		if !mayChange(binary.BigEndian.Uint16(rest)) && !yield(rest[:n:n]) {
			return
		}
		rest = rest[n:]
	}
}

// extensionHeaderLen is the size in bytes of the type and length in front of extension_data.
const extensionHeaderLen = 2 + 2

// mayChange lists what a HelloRetryRequest lets a client change: RFC 8446, Section 4.1.2.
func mayChange(extension uint16) bool {
	switch extension {
	case ExtensionKeyShare, ExtensionEarlyData, ExtensionCookie, ExtensionPreSharedKey, ExtensionPadding:
		return true
	default:
		return false
	}
}

// scanBlock reads what follows the compression methods: nothing, or the extensions and nothing else.
func (s *HelloScan) scanBlock(tail cryptobyte.String) bool {
	if tail.Empty() {
		return true
	}
	var list cryptobyte.String
	if !tail.ReadUint16LengthPrefixed(&list) || !tail.Empty() {
		return false
	}
	s.extensions = list
	var seen codePointBits
	for !list.Empty() {
		var t uint16
		var data cryptobyte.String
		if !list.ReadUint16(&t) || !list.ReadUint16LengthPrefixed(&data) || !seen.add(t) || !s.scanExtension(t, data) {
			return false
		}
		if t == ExtensionPreSharedKey && !list.Empty() {
			return false
		}
	}
	return true
}

// scanExtension reads one extension, or skips it.
func (s *HelloScan) scanExtension(t uint16, data cryptobyte.String) bool {
	switch t {
	case ExtensionSupportedVersions:
		return data.ReadUint8LengthPrefixed((*cryptobyte.String)(&s.SupportedVersions)) && data.Empty() &&
			isList16(s.SupportedVersions)
	case ExtensionSupportedGroups:
		return data.ReadUint16LengthPrefixed((*cryptobyte.String)(&s.SupportedGroups)) && data.Empty() &&
			isList16(s.SupportedGroups)
	case ExtensionKeyShare:
		s.HasKeyShares = true
		return data.ReadUint16LengthPrefixed((*cryptobyte.String)(&s.KeyShares)) && data.Empty() &&
			areKeyShares(s.KeyShares)
	case ExtensionCookie:
		return data.ReadUint16LengthPrefixed((*cryptobyte.String)(&s.RetryCookie)) && data.Empty() &&
			len(s.RetryCookie) > 0
	case ExtensionPSKKeyExchangeModes:
		return data.ReadUint8LengthPrefixed((*cryptobyte.String)(&s.PSKModes)) && data.Empty() && len(s.PSKModes) > 0
	case ExtensionPreSharedKey:
		s.PSK = data
		return areOfferedPSKs(data)
	case ExtensionServerName:
		return s.scanServerName(data)
	default:
		return true
	}
}

// agrees checks what several fields have to do with each other.
func (s *HelloScan) agrees() bool {
	return (s.PSK == nil || s.PSKModes != nil) && (!s.Offers(Version13) || len(s.Compression) == 1)
}

// scanServerName does what parseServerName does.
func (s *HelloScan) scanServerName(data cryptobyte.String) bool {
	var names cryptobyte.String
	if !data.ReadUint16LengthPrefixed(&names) || !data.Empty() || names.Empty() {
		return false
	}
	for !names.Empty() {
		var nameType uint8
		var name cryptobyte.String
		if !names.ReadUint8(&nameType) || !names.ReadUint16LengthPrefixed(&name) || name.Empty() {
			return false
		}
		if nameType != nameTypeHost {
			continue
		}
		if s.ServerName != nil || hostNameFault(name) != "" {
			return false
		}
		s.ServerName = name
	}
	return true
}

// areKeyShares does what parseKeyShares does.
func areKeyShares(list cryptobyte.String) bool {
	var seen codePointBits
	for !list.Empty() {
		var group uint16
		var key cryptobyte.String
		if !list.ReadUint16(&group) || !list.ReadUint16LengthPrefixed(&key) || key.Empty() || !seen.add(group) {
			return false
		}
	}
	return true
}

// areOfferedPSKs does what parsePSKs does.
func areOfferedPSKs(data cryptobyte.String) bool {
	var identities, binders cryptobyte.String
	if !data.ReadUint16LengthPrefixed(&identities) || !data.ReadUint16LengthPrefixed(&binders) || !data.Empty() ||
		identities.Empty() || binders.Empty() {
		return false
	}
	for !identities.Empty() && !binders.Empty() {
		var identity, binder cryptobyte.String
		var age uint32
		if !identities.ReadUint16LengthPrefixed(&identity) || identity.Empty() || !identities.ReadUint32(&age) ||
			!binders.ReadUint8LengthPrefixed(&binder) || len(binder) < minBinder {
			return false
		}
	}
	return identities.Empty() && binders.Empty()
}

// isList16 reports whether a list holds a whole number of two-byte entries, and at least one.
func isList16(list []byte) bool { return len(list) > 0 && len(list)%2 == 0 }

func contains16(list []byte, v uint16) bool {
	for ; len(list) >= 2; list = list[2:] {
		if binary.BigEndian.Uint16(list) == v {
			return true
		}
	}
	return false
}
