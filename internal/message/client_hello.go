package message

import (
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// Sizes that both hellos share: RFC 5246, Section 7.4.1.2.
const (
	randomLen       = 32
	maxSessionIDLen = 32
)

// compressionNull is the one CompressionMethod we speak: RFC 5246, Section 7.4.1.2.
const compressionNull = 0

// ClientHello opens a handshake of any version: RFC 6347, Section 4.2.1, which adds the cookie to RFC 5246,
// Section 7.4.1.2, and RFC 9147, Section 5.3.
type ClientHello struct {
	Version      uint16
	Random       [randomLen]byte
	SessionID    []byte // at most 32 bytes
	Cookie       []byte // at most 255 bytes; empty in the first ClientHello
	CipherSuites []uint16
	Compression  []byte // always contains null, 0; nothing else beside DTLS 1.3

	// Extensions. The zero value of a field stands for an extension that is not there; where being there with nothing
	// in it has a meaning of its own, a Has field tells.
	RetryCookie          []byte   // RFC 8446, Section 4.2.2: what the HelloRetryRequest asked to repeat; never empty
	ExtendedMasterSecret bool     // RFC 7627, Section 5.1
	EncryptThenMAC       bool     // RFC 7366, Section 2
	RenegotiationInfo    []byte   // RFC 5746, Section 3.2: client verify_data of the handshake before
	HasRenegotiationInfo bool     // implied by RenegotiationInfo
	PointFormats         []byte   // RFC 8422, Section 5.1.2: always contains uncompressed, 0
	PSKModes             []uint8  // RFC 8446, Section 4.2.9: those we do not know included
	EarlyData            bool     // RFC 8446, Section 4.2.10
	PostHandshakeAuth    bool     // RFC 8446, Section 4.2.6
	RecordSizeLimit      uint16   // RFC 8449, Section 4: in bytes, at least 64; 0 if absent
	SupportedVersions    []uint16 // RFC 8446, Section 4.2.1: those we do not know included
	SupportedGroups      []uint16 // RFC 8422, Section 5.1.1
	SignatureSchemes     []uint16 // RFC 5246, Section 7.4.1.4.1
	SignatureSchemesCert []uint16 // RFC 8446, Section 4.2.3
	ALPN                 []string // RFC 7301, Section 3.1: names are never empty
	ServerName           string   // RFC 6066, Section 3: as sent; neither lower-cased nor checked against DNS rules
	SessionTicket        []byte   // RFC 5077, Section 3.2
	HasSessionTicket     bool     // implied by SessionTicket

	// KeyShares are public keys, at most one of a group: RFC 8446, Section 4.2.8. An empty list, which HasKeyShares
	// alone stands for, asks for a HelloRetryRequest.
	KeyShares    []KeyShare
	HasKeyShares bool // implied by KeyShares

	// PSKs and Binders are pre_shared_key, always the last extension: RFC 8446, Section 4.2.11. There are as many
	// binders as keys, of 32 to 255 bytes each, and PSKModes is not empty beside them.
	PSKs    []PSKIdentity
	Binders [][]byte

	// HasExtensions says that the extension block is there, be it empty. Any extension implies it.
	HasExtensions bool
	// ExtensionTypes are the types of all extensions that came, known or not, in their order. Not used for output.
	ExtensionTypes []uint16
}

// Type is TypeClientHello.
func (*ClientHello) Type() Type { return TypeClientHello }

// AppendBody adds the body to dst. Extensions stand in the order of the struct's fields: the retry cookie first, so that
// it lies whole in the first fragment, where a server without state looks for it; then flags and short ones; and last the
// name, the ticket and the key shares, which may be long. Only pre_shared_key must come later still.
func (m *ClientHello) AppendBody(dst []byte) ([]byte, error) { return appendBody(dst, m) }

func (m *ClientHello) parse(r *reader) {
	m.Version = r.uint16("client_version")
	copy(m.Random[:], r.bytes("random", randomLen))
	m.SessionID = r.vector("session_id", 0, maxSessionIDLen)
	m.Cookie = r.vector("cookie", 0, max8)
	m.CipherSuites = r.list("cipher_suites", 2, max16-1).uint16s()
	m.Compression = r.vector("compression_methods", 1, max8)
	// RFC 5246, Section 7.4.1.2: "This vector MUST contain [...] CompressionMethod.null."
	if !slices.Contains(m.Compression, compressionNull) {
		r.fail(alert.IllegalParameter, "compression_methods without null")
	}
	// RFC 5246, Section 7.4.1.2: "A server MUST accept ClientHello messages both with and without the extensions
	// field", and only "whether there are bytes following the compression_methods" tells them apart.
	if m.HasExtensions = !r.empty(); m.HasExtensions {
		m.ExtensionTypes = r.extensions(m.parseExtension)
	}
	// RFC 8446, Section 4.2.11: "Servers MUST check that it is the last extension and otherwise fail the handshake with
	// an "illegal_parameter" alert."
	if at := slices.Index(m.ExtensionTypes, ExtensionPreSharedKey); at >= 0 && at != len(m.ExtensionTypes)-1 {
		r.fail(alert.IllegalParameter, "pre_shared_key is not the last extension")
	}
	// RFC 8446, Section 4.2.9: "If clients offer "pre_shared_key" without a "psk_key_exchange_modes" extension, servers
	// MUST abort the handshake."
	if len(m.PSKs) > 0 && len(m.PSKModes) == 0 {
		r.fail(alert.MissingExtension, "pre_shared_key without psk_key_exchange_modes")
	}
	if m.compressesDTLS13() {
		r.fail(alert.IllegalParameter, "compression_methods %x beside DTLS 1.3", m.Compression)
	}
}

// compressesDTLS13 reports whether the hello offers compression and DTLS 1.3. RFC 8446, Section 4.1.2: "For every TLS 1.3
// ClientHello, this vector MUST contain exactly one byte, set to zero".
func (m *ClientHello) compressesDTLS13() bool {
	return slices.Contains(m.SupportedVersions, Version13) && len(m.Compression) != 1
}

// BindersLen is the size in bytes of the list of binders, which is the end of the body. RFC 8446, Section 4.2.11.2: a
// binder covers all of the ClientHello but this list, with all lengths set as if it were there.
func (m *ClientHello) BindersLen() int {
	if len(m.PSKs) == 0 {
		return 0
	}
	n := prefixLen(max16)
	for _, binder := range m.Binders {
		n += prefixLen(max8) + len(binder)
	}
	return n
}

func (m *ClientHello) append(w *writer) {
	w.uint16(m.Version)
	w.fixed("random", randomLen, m.Random[:])
	w.vector("session_id", 0, maxSessionIDLen, m.SessionID)
	w.vector("cookie", 0, max8, m.Cookie)
	w.list("cipher_suites", 2, max16-1, func(w *writer) { w.uint16s(m.CipherSuites) })
	if !slices.Contains(m.Compression, compressionNull) {
		w.fail("compression_methods without null")
	}
	if m.compressesDTLS13() {
		w.fail("compression_methods %x beside DTLS 1.3", m.Compression)
	}
	w.vector("compression_methods", 1, max8, m.Compression)
	w.extensions(m.HasExtensions, m.appendExtensions)
}

// parseExtension reads one extension; false skips it. RFC 5246, Section 7.4.1.4 has a server ignore those it does not
// know.
func (m *ClientHello) parseExtension(t uint16, data *reader) bool {
	switch t {
	case ExtensionCookie:
		m.RetryCookie = data.vector("cookie", 1, max16)
	case ExtensionExtendedMasterSecret:
		m.ExtendedMasterSecret = true
	case ExtensionEncryptThenMAC:
		m.EncryptThenMAC = true
	case ExtensionRenegotiationInfo:
		m.HasRenegotiationInfo = true
		m.RenegotiationInfo = data.vector("renegotiated_connection", 0, max8)
	case ExtensionECPointFormats:
		m.PointFormats = parsePointFormats(data)
	case ExtensionPSKKeyExchangeModes:
		m.PSKModes = data.vector("ke_modes", 1, max8)
	case ExtensionEarlyData:
		m.EarlyData = true
	case ExtensionPostHandshakeAuth:
		m.PostHandshakeAuth = true
	case ExtensionRecordSizeLimit:
		m.RecordSizeLimit = parseRecordSizeLimit(data)
	case ExtensionSupportedVersions:
		m.SupportedVersions = data.list("versions", 2, max8-1).uint16s()
	case ExtensionSupportedGroups:
		m.SupportedGroups = parseGroups(data)
	case ExtensionSignatureAlgorithms:
		m.SignatureSchemes = parseSchemes(data)
	case ExtensionSignatureAlgorithmsCert:
		m.SignatureSchemesCert = parseSchemes(data)
	case ExtensionALPN:
		m.ALPN = parseALPN(data)
	case ExtensionServerName:
		m.ServerName = parseServerName(data)
	case ExtensionSessionTicket:
		m.HasSessionTicket = true
		m.SessionTicket = data.rest()
	case ExtensionKeyShare:
		m.HasKeyShares = true
		m.KeyShares = parseKeyShares(data)
	case ExtensionPreSharedKey:
		m.PSKs, m.Binders = parsePSKs(data)
	default:
		return false
	}
	return true
}

func (m *ClientHello) appendExtensions(w *writer) {
	if len(m.RetryCookie) > 0 {
		w.extension(ExtensionCookie, func(w *writer) { w.vector("cookie", 1, max16, m.RetryCookie) })
	}
	if m.ExtendedMasterSecret {
		w.flag(ExtensionExtendedMasterSecret)
	}
	if m.EncryptThenMAC {
		w.flag(ExtensionEncryptThenMAC)
	}
	if m.HasRenegotiationInfo || len(m.RenegotiationInfo) > 0 {
		w.extension(ExtensionRenegotiationInfo, func(w *writer) {
			w.vector("renegotiated_connection", 0, max8, m.RenegotiationInfo)
		})
	}
	if len(m.PointFormats) > 0 {
		w.extension(ExtensionECPointFormats, func(w *writer) { appendPointFormats(w, m.PointFormats) })
	}
	if len(m.PSKModes) > 0 {
		w.extension(ExtensionPSKKeyExchangeModes, func(w *writer) { w.vector("ke_modes", 1, max8, m.PSKModes) })
	}
	if m.EarlyData {
		w.flag(ExtensionEarlyData)
	}
	if m.PostHandshakeAuth {
		w.flag(ExtensionPostHandshakeAuth)
	}
	if m.RecordSizeLimit != 0 {
		w.extension(ExtensionRecordSizeLimit, func(w *writer) { appendRecordSizeLimit(w, m.RecordSizeLimit) })
	}
	if len(m.SupportedVersions) > 0 {
		w.extension(ExtensionSupportedVersions, func(w *writer) {
			w.list("versions", 2, max8-1, func(w *writer) { w.uint16s(m.SupportedVersions) })
		})
	}
	if len(m.SupportedGroups) > 0 {
		w.extension(ExtensionSupportedGroups, func(w *writer) { appendGroups(w, m.SupportedGroups) })
	}
	if len(m.SignatureSchemes) > 0 {
		w.extension(ExtensionSignatureAlgorithms, func(w *writer) { appendSchemes(w, m.SignatureSchemes) })
	}
	if len(m.SignatureSchemesCert) > 0 {
		w.extension(ExtensionSignatureAlgorithmsCert, func(w *writer) { appendSchemes(w, m.SignatureSchemesCert) })
	}
	if len(m.ALPN) > 0 {
		w.extension(ExtensionALPN, func(w *writer) { appendALPN(w, m.ALPN...) })
	}
	if m.ServerName != "" {
		w.extension(ExtensionServerName, func(w *writer) { appendServerName(w, m.ServerName) })
	}
	if m.HasSessionTicket || len(m.SessionTicket) > 0 {
		w.extension(ExtensionSessionTicket, func(w *writer) { w.fixed("ticket", len(m.SessionTicket), m.SessionTicket) })
	}
	if m.HasKeyShares || len(m.KeyShares) > 0 {
		w.extension(ExtensionKeyShare, func(w *writer) { appendKeyShares(w, m.KeyShares) })
	}
	if len(m.PSKs) > 0 || len(m.Binders) > 0 {
		if len(m.PSKModes) == 0 {
			w.fail("pre_shared_key without psk_key_exchange_modes")
		}
		w.extension(ExtensionPreSharedKey, func(w *writer) { appendPSKs(w, m.PSKs, m.Binders) })
	}
}
