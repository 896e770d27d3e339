package message

import (
	"encoding/binary"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// HelloRetryRequest is the ServerHello that asks for another ClientHello: RFC 8446, Section 4.1.4. It is for sending; what
// comes from a peer is parsed as a [ServerHello]. AppendBody allocates nothing if dst has room, so that a server without
// state can answer with it.
type HelloRetryRequest struct {
	CipherSuite   uint16
	SelectedGroup uint16 // RFC 8446, Section 4.2.8; 0: no key_share extension
	Cookie        []byte // RFC 8446, Section 4.2.2; empty: no cookie extension
}

// Type is TypeServerHello.
func (*HelloRetryRequest) Type() Type { return TypeServerHello }

// Sizes in bytes of the parts of a HelloRetryRequest.
const (
	retryFixedLen   = 2 + randomLen + 1 + 2 + 1 + 2 // up to and with the length of the extensions
	retryVersionLen = extensionHeaderLen + 2
	retryGroupLen   = extensionHeaderLen + 2
	retryCookieLen  = extensionHeaderLen + 2 // and the cookie itself
)

// BodyLen is the size of the body in bytes.
func (m *HelloRetryRequest) BodyLen() int { return retryFixedLen + m.extensionsLen() }

func (m *HelloRetryRequest) extensionsLen() int {
	n := retryVersionLen
	if m.SelectedGroup != 0 {
		n += retryGroupLen
	}
	if len(m.Cookie) > 0 {
		n += retryCookieLen + len(m.Cookie)
	}
	return n
}

// AppendBody adds the body to dst. The extensions stand in the order that ServerHello gives them.
func (m *HelloRetryRequest) AppendBody(dst []byte) ([]byte, error) {
	if len(m.Cookie) > max16-retryVersionLen-retryGroupLen-retryCookieLen {
		return nil, alert.Errorf(alert.InternalError, "hello_retry_request: cookie of %d bytes", len(m.Cookie))
	}
	dst = binary.BigEndian.AppendUint16(dst, Version12)
	dst = append(dst, RetryRandom[:]...)
	dst = append(dst, 0) // legacy_session_id_echo: RFC 9147, Section 5.3
	dst = binary.BigEndian.AppendUint16(dst, m.CipherSuite)
	dst = append(dst, compressionNull)
	dst = binary.BigEndian.AppendUint16(dst, uint16(m.extensionsLen()))
	dst = appendExtensionHeader(dst, ExtensionSupportedVersions, 2)
	dst = binary.BigEndian.AppendUint16(dst, Version13)
	if m.SelectedGroup != 0 {
		dst = appendExtensionHeader(dst, ExtensionKeyShare, 2)
		dst = binary.BigEndian.AppendUint16(dst, m.SelectedGroup)
	}
	if len(m.Cookie) > 0 {
		dst = appendExtensionHeader(dst, ExtensionCookie, 2+len(m.Cookie))
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(m.Cookie)))
		dst = append(dst, m.Cookie...)
	}
	return dst, nil
}

func appendExtensionHeader(dst []byte, t uint16, n int) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(dst, t), uint16(n))
}
