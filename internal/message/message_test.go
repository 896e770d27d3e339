package message

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

func TestAppendThenParseGivesTheSameMessage(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			b := s.body(t)
			got, err := Parse(s.m.Type(), s.kx, b)
			if err != nil {
				t.Fatal(err)
			}
			if want := withExtensionTypes(s.m, s.extensionTypes); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			again, err := got.AppendBody([]byte("kept"))
			if err != nil {
				t.Fatal(err)
			}
			if want := append([]byte("kept"), b...); !bytes.Equal(again, want) {
				t.Errorf("got  %x\nwant %x", again, want)
			}
		})
	}
}

// typesField is the field ExtensionTypes of a message, and not valid where there is none.
func typesField(m Message) reflect.Value {
	return reflect.ValueOf(m).Elem().FieldByName("ExtensionTypes")
}

// withExtensionTypes copies a message, with other types if it has any.
func withExtensionTypes(m Message, types []uint16) Message {
	v := reflect.New(reflect.TypeOf(m).Elem())
	v.Elem().Set(reflect.ValueOf(m).Elem())
	c := v.Interface().(Message)
	if f := typesField(c); f.IsValid() {
		f.Set(reflect.ValueOf(types))
	}
	return c
}

func TestEveryPrefixIsADecodeError(t *testing.T) {
	for _, s := range samples {
		b := s.body(t)
		for n := range b {
			if n == s.alsoLegal && n > 0 {
				continue
			}
			_, err := Parse(s.m.Type(), s.kx, b[:n])
			if err == nil || alert.Of(err) != alert.DecodeError {
				t.Errorf("%s, first %d of %d bytes: %v", s.name, n, len(b), err)
			}
		}
	}
}

func TestATrailingByteIsADecodeError(t *testing.T) {
	for _, s := range samples {
		_, err := Parse(s.m.Type(), s.kx, append(s.body(t), 0))
		if err == nil || alert.Of(err) != alert.DecodeError {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

func TestParsedSlicesDoNotReachTheirNeighbours(t *testing.T) {
	b := sample{m: &ServerKeyExchangeECDHE{Group: 29, Public: []byte{1}, Scheme: 0x0403, Signature: []byte{2}}}.body(t)
	m, err := Parse(TypeServerKeyExchange, ECDHE, b)
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(b)
	_ = append(m.(*ServerKeyExchangeECDHE).Public, 0xff)
	if !bytes.Equal(b, before) {
		t.Error("appending to a field wrote into the next one")
	}
}

// smallHello is a ClientHello up to its extensions.
const smallHello = `
	fefd                               # client_version
	0000000000000000000000000000000000000000000000000000000000000000
	00 00                              # session_id, cookie
	0002 c02b                          # cipher_suites
	01 00                              # compression_methods
`

// smallServerHello is a ServerHello up to its extensions.
const smallServerHello = `
	fefd                               # server_version
	0000000000000000000000000000000000000000000000000000000000000000
	00                                 # session_id
	c02b 00                            # cipher_suite, compression_method
`

// illegalMessage is a whole body that no peer may send.
type illegalMessage struct {
	name string
	t    Type
	kx   KeyExchange
	body string
	want alert.Alert
	text string // in the error
}

var illegalMessages = []illegalMessage{
	{"a type nobody has defined", 77, 0, "", alert.UnexpectedMessage, "handshake_type(77)"},
	{"a DTLS 1.3 message in this handshake", TypeKeyUpdate, 0, "00", alert.UnexpectedMessage, "key_update"},
	{"a message that only transcripts hold", TypeMessageHash, 0, "", alert.UnexpectedMessage, "message_hash"},
	{"a server key exchange before a suite is agreed", TypeServerKeyExchange, 0, "0000", alert.UnexpectedMessage, "server_key_exchange"},
	{"a client key exchange before a suite is agreed", TypeClientKeyExchange, 0, "0000", alert.UnexpectedMessage, "client_key_exchange"},

	{"a session id of 33 bytes", TypeClientHello, 0, "fefd" + zeros + "21" + zeros + "00 00 0002c02b 0100", alert.DecodeError, "session_id of 33 bytes"},
	{"no cipher suites", TypeClientHello, 0, "fefd" + zeros + "00 00 0000 0100", alert.DecodeError, "cipher_suites of 0 bytes"},
	{"half a cipher suite", TypeClientHello, 0, "fefd" + zeros + "00 00 0003c02bc0 0100", alert.DecodeError, "cipher_suites"},
	{"no compression methods", TypeClientHello, 0, "fefd" + zeros + "00 00 0002c02b 00", alert.DecodeError, "compression_methods of 0 bytes"},
	{"compression methods without null", TypeClientHello, 0, "fefd" + zeros + "00 00 0002c02b 0101", alert.IllegalParameter, "without null"},
	{"an extension block longer than the message", TypeClientHello, 0, smallHello + "0005 00170000", alert.DecodeError, "extensions is cut short"},
	{"an extension longer than its block", TypeClientHello, 0, smallHello + "0004 00170001", alert.DecodeError, "extended_master_secret is cut short"},
	{"a known extension twice", TypeClientHello, 0, smallHello + "0008 00170000 00170000", alert.IllegalParameter, "extended_master_secret: appears twice"},
	{"an unknown extension twice", TypeClientHello, 0, smallHello + "000d 7a7a0000 00170000 7a7a0001ff", alert.IllegalParameter, "extension(31354): appears twice"},
	{"extended_master_secret with data", TypeClientHello, 0, smallHello + "0005 00170001 00", alert.DecodeError, "trailing"},
	{"encrypt_then_mac with data", TypeClientHello, 0, smallHello + "0005 00160001 00", alert.DecodeError, "trailing"},
	{"renegotiation_info without its length", TypeClientHello, 0, smallHello + "0004 ff010000", alert.DecodeError, "renegotiation_info"},
	{"renegotiation_info with a byte too many", TypeClientHello, 0, smallHello + "0006 ff010002 0000", alert.DecodeError, "trailing"},
	{"ec_point_formats without uncompressed", TypeClientHello, 0, smallHello + "0006 000b0002 0101", alert.IllegalParameter, "uncompressed"},
	{"no ec_point_formats at all", TypeClientHello, 0, smallHello + "0005 000b0001 00", alert.DecodeError, "ec_point_format_list"},
	{"no supported_versions", TypeClientHello, 0, smallHello + "0005 002b0001 00", alert.DecodeError, "versions"},
	{"half a version", TypeClientHello, 0, smallHello + "0008 002b0004 03fefdfe", alert.DecodeError, "versions"},
	{"no supported_groups", TypeClientHello, 0, smallHello + "0006 000a0002 0000", alert.DecodeError, "named_group_list"},
	{"half a group", TypeClientHello, 0, smallHello + "0009 000a0005 0003001d00", alert.DecodeError, "named_group_list"},
	{"no signature_algorithms", TypeClientHello, 0, smallHello + "0006 000d0002 0000", alert.DecodeError, "supported_signature_algorithms"},
	{"half a signature scheme", TypeClientHello, 0, smallHello + "0009 000d0005 0003040304", alert.DecodeError, "supported_signature_algorithms"},
	{"no protocol names", TypeClientHello, 0, smallHello + "0006 00100002 0000", alert.DecodeError, "protocol_name_list"},
	{"an empty protocol name", TypeClientHello, 0, smallHello + "0009 00100005 0003 00 0161", alert.DecodeError, "protocol_name of 0 bytes"},
	{"an empty server name list", TypeClientHello, 0, smallHello + "0006 00000002 0000", alert.DecodeError, "server_name_list"},
	{"server_name without a list, as only servers send it", TypeClientHello, 0, smallHello + "0004 00000000", alert.DecodeError, "server_name_list"},
	{"an empty host name", TypeClientHello, 0, smallHello + "0009 00000005 0003 00 0000", alert.DecodeError, "host_name of 0 bytes"},
	{"two host names", TypeClientHello, 0, smallHello + "000e 0000000a 0008 00 000161 00 000162", alert.IllegalParameter, "more than one host_name"},
	{"a host name with a trailing dot", TypeClientHello, 0, smallHello + "000b 00000007 0005 00 0002612e", alert.IllegalParameter, "trailing dot"},
	{"a host name with a NUL in it", TypeClientHello, 0, smallHello + "000c 00000008 0006 00 0003610062", alert.IllegalParameter, "printable ASCII"},
	{"a host name in UTF-8", TypeClientHello, 0, smallHello + "000b 00000007 0005 00 0002c3a9", alert.IllegalParameter, "printable ASCII"},

	{"a compressing server", TypeServerHello, 0, "fefd" + zeros + "00 c02b 01", alert.IllegalParameter, "compression_method 1"},
	{"a session id of 33 bytes from the server", TypeServerHello, 0, "fefd" + zeros + "21" + zeros + "00 c02b 00", alert.DecodeError, "session_id of 33 bytes"},
	{"an answer twice", TypeServerHello, 0, smallServerHello + "0008 00170000 00170000", alert.IllegalParameter, "appears twice"},
	{"a server that names itself", TypeServerHello, 0, smallServerHello + "000a 00000006 0004 00 000161", alert.DecodeError, "trailing"},
	{"a session ticket inside the hello", TypeServerHello, 0, smallServerHello + "0005 00230001 00", alert.DecodeError, "trailing"},
	{"two protocols selected", TypeServerHello, 0, smallServerHello + "000a 00100006 0004 0161 0162", alert.IllegalParameter, "2 protocols selected"},
	{"version zero selected", TypeServerHello, 0, smallServerHello + "0006 002b0002 0000", alert.IllegalParameter, "selected_version"},
	{"a list where one version belongs", TypeServerHello, 0, smallServerHello + "0007 002b0003 02fefc", alert.DecodeError, "trailing"},
	{"point formats from the server without uncompressed", TypeServerHello, 0, smallServerHello + "0006 000b0002 0102", alert.IllegalParameter, "uncompressed"},

	{"a certificate without bytes", TypeCertificate, 0, "000003 000000", alert.DecodeError, "certificate of 0 bytes"},
	{"a certificate that claims 16 MB", TypeCertificate, 0, "000004 ffffff aa", alert.DecodeError, "cut short"},
	{"a curve given by its prime", TypeServerKeyExchange, ECDHE, "01 001d 01aa 0403 0000", alert.IllegalParameter, "curve_type 1"},
	{"an empty public key from the server", TypeServerKeyExchange, ECDHE, "03 001d 00 0403 0000", alert.DecodeError, "public of 0 bytes"},
	{"an ECDHE_PSK exchange where PSK was agreed", TypeServerKeyExchange, PSK, "0000 03 001d 01aa", alert.DecodeError, "trailing"},
	{"a PSK exchange where ECDHE_PSK was agreed", TypeServerKeyExchange, ECDHEPSK, "0000", alert.DecodeError, "curve_type is cut short"},
	{"a signature in an ECDHE_PSK exchange", TypeServerKeyExchange, ECDHEPSK, "0000 03 001d 01aa 0403 0000", alert.DecodeError, "trailing"},
	{"an empty public key from the client", TypeClientKeyExchange, ECDHE, "00", alert.DecodeError, "ecdh_Yc of 0 bytes"},
	{"an ECDHE_PSK client without a key", TypeClientKeyExchange, ECDHEPSK, "000161", alert.DecodeError, "ecdh_Yc is cut short"},
	{"a certificate request without types", TypeCertificateRequest, 0, "00 00020403 0000", alert.DecodeError, "certificate_types"},
	{"a certificate request without schemes", TypeCertificateRequest, 0, "0101 0000 0000", alert.DecodeError, "supported_signature_algorithms"},
	{"an authority without a name", TypeCertificateRequest, 0, "0101 00020403 0002 0000", alert.DecodeError, "distinguished_name"},
	{"a finished of 36 bytes, as SSL 3.0 had it", TypeFinished, 0, zeros + "00000000", alert.DecodeError, "24 trailing bytes"},
}

func TestIllegalMessages(t *testing.T) {
	for _, tt := range slices.Concat(illegalMessages, illegalMessages13) {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse(tt.t, tt.kx, fromHex(t, tt.body))
			if err == nil {
				t.Fatalf("parsed as %+v", m)
			}
			if m != nil {
				t.Errorf("an error came with a message: %+v", m)
			}
			if got := alert.Of(err); got != tt.want {
				t.Errorf("answered with %v, want %v: %v", got, tt.want, err)
			}
			if !strings.Contains(err.Error(), tt.text) || !strings.HasPrefix(err.Error(), "peer misbehaved: ") {
				t.Errorf("text %q, want %q in it", err, tt.text)
			}
		})
	}
}

func TestWhatIsNotLegalIsNotWritten(t *testing.T) {
	hello := func(change func(*ClientHello)) *ClientHello {
		m := &ClientHello{CipherSuites: []uint16{0xc02b}, Compression: []byte{0}}
		change(m)
		return m
	}
	for _, tt := range []struct {
		name string
		m    Message
		text string
	}{
		{"a session id of 33 bytes", hello(func(m *ClientHello) { m.SessionID = make([]byte, 33) }), "client_hello: session_id of 33 bytes"},
		{"a cookie of 256 bytes", hello(func(m *ClientHello) { m.Cookie = make([]byte, 256) }), "cookie of 256 bytes"},
		{"no cipher suites", hello(func(m *ClientHello) { m.CipherSuites = nil }), "cipher_suites of 0 bytes"},
		{"no null compression", hello(func(m *ClientHello) { m.Compression = nil }), "compression_methods without null"},
		{"compressed points alone", hello(func(m *ClientHello) { m.PointFormats = []byte{1} }), "client_hello: extensions: ec_point_formats: uncompressed is missing"},
		{"an empty protocol name", hello(func(m *ClientHello) { m.ALPN = []string{""} }), "protocol_name of 0 bytes"},
		{"a protocol name of 256 bytes", hello(func(m *ClientHello) { m.ALPN = []string{strings.Repeat("x", 256)} }), "protocol_name of 256 bytes"},
		{"a host name with a trailing dot", hello(func(m *ClientHello) { m.ServerName = "a." }), "trailing dot"},
		{"more extensions than fit", hello(func(m *ClientHello) { m.SessionTicket = make([]byte, max16) }), "extensions of 65539 bytes"},
		{"128 versions", hello(func(m *ClientHello) { m.SupportedVersions = make([]uint16, 128) }), "versions of 256 bytes"},
		{"a cookie of 256 bytes to ask for", &HelloVerifyRequest{Cookie: make([]byte, 256)}, "cookie of 256 bytes"},
		{"a compressing server", &ServerHello{Compression: 1}, "compression_method 1"},
		{"the first of two faults is the one told", &ServerHello{Compression: 1, PointFormats: []byte{1}}, "compression_method 1"},
		{"an empty certificate", &Certificate{Chain: [][]byte{{}}}, "certificate of 0 bytes"},
		{"a server without a public key", &ServerKeyExchangeECDHE{}, "public of 0 bytes"},
		{"a client without a public key", &ClientKeyExchangeECDHE{}, "ecdh_Yc of 0 bytes"},
		{"an identity of 64 KiB", &ClientKeyExchangePSK{Identity: make([]byte, 1<<16)}, "psk_identity of 65536 bytes"},
		{"a certificate request for nothing", &CertificateRequest{}, "certificate_types of 0 bytes"},
		{"a finished of 33 bytes", &Finished{VerifyData: make([]byte, 33)}, "verify_data of 33 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := tt.m.AppendBody(nil)
			if err == nil {
				t.Fatalf("written as %x", b)
			}
			if alert.Of(err) != alert.InternalError || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("text %q, want our own fault with %q", err, tt.text)
			}
		})
	}
}

func TestAHelloMayBeFullOfExtensions(t *testing.T) {
	const most = max16 / 4
	body := append(fromHex(t, smallHello), 0xff, 0xfc)
	for i := range most {
		body = append(body, 0x80|byte(i>>8), byte(i), 0, 0)
	}
	m, err := Parse(TypeClientHello, 0, body)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(m.(*ClientHello).ExtensionTypes); n != most {
		t.Errorf("found %d extensions of %d", n, most)
	}
	// The last one again: found among thousands.
	copy(body[len(body)-4:], body[len(body)-8:len(body)-4])
	if _, err := Parse(TypeClientHello, 0, body); err == nil || alert.Of(err) != alert.IllegalParameter {
		t.Errorf("a duplicate among thousands: %v", err)
	}
}

func TestParamsAreTheSignedBytes(t *testing.T) {
	m := &ServerKeyExchangeECDHE{Group: 29, Public: testRandom[:], Scheme: 0x0403, Signature: []byte("s")}
	b := sample{m: m}.body(t)
	if want := b[:1+2+1+32]; !bytes.Equal(m.Params(), want) {
		t.Errorf("got %x, want %x", m.Params(), want)
	}
}

func TestNamesOfTypes(t *testing.T) {
	if got := TypeHelloVerifyRequest.String(); got != "hello_verify_request" {
		t.Errorf("got %q", got)
	}
	if got := Type(77).String(); got != "handshake_type(77)" {
		t.Errorf("got %q", got)
	}
	if got := ExtensionName(ExtensionALPN); got != "application_layer_protocol_negotiation" {
		t.Errorf("got %q", got)
	}
	if got := ExtensionName(0x7a7a); got != "extension(31354)" {
		t.Errorf("got %q", got)
	}
	for kx, want := range map[KeyExchange]string{ECDHE: "ECDHE", PSK: "PSK", ECDHEPSK: "ECDHE_PSK", TLS13: "TLS13", 0: "key_exchange(0)"} {
		if got := kx.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
