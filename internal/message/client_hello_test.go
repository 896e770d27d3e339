package message

import (
	"bytes"
	"reflect"
	"testing"
)

// goldenClientHello is a ClientHello as a browser sends it for a call, second attempt: with the cookie, with extensions
// this package skips, and in an order of its own.
const goldenClientHello = `
	fefd                                       # client_version: DTLS 1.2
	6a1c7b0e 52d98f41 3c60a7e5 910d24b8        # random
	f7335ac2 08be6d19 e44f8012 5d7ba396
	00                                         # session_id
	14 3f9a51c07be6248d a01975cc3eb2d84f 60119ae7
	                                           # cookie
	0016 c02b c02f cca9 cca8 c009 c013 c00a c014 009c 002f 0035
	                                           # cipher_suites
	01 00                                      # compression_methods: null
	005c                                       # extensions
	  0017 0000                                # extended_master_secret
	  ff01 0001 00                             # renegotiation_info
	  000a 0008 0006 001d 0017 0018            # supported_groups
	  000b 0002 01 00                          # ec_point_formats
	  0023 0000                                # session_ticket
	  0010 0012 0010 06 776562727463 08 632d776562727463
	                                           # alpn: webrtc, c-webrtc
	  000d 0010 000e 0403 0804 0401 0503 0805 0501 0201
	                                           # signature_algorithms
	  000e 0009 0006 0001 0008 0007 00         # use_srtp
	  001c 0002 4001                           # record_size_limit
`

func TestGoldenClientHello(t *testing.T) {
	body := fromHex(t, goldenClientHello)
	m, err := Parse(TypeClientHello, 0, body)
	if err != nil {
		t.Fatal(err)
	}
	want := &ClientHello{
		Version:              0xfefd,
		Random:               [32]byte(body[2:34]),
		Cookie:               body[36:56],
		CipherSuites:         []uint16{0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014, 0x009c, 0x002f, 0x0035},
		Compression:          []byte{0},
		ExtendedMasterSecret: true,
		HasRenegotiationInfo: true,
		SupportedGroups:      []uint16{29, 23, 24},
		PointFormats:         []byte{0},
		RecordSizeLimit:      0x4001,
		HasSessionTicket:     true,
		ALPN:                 []string{"webrtc", "c-webrtc"},
		SignatureSchemes:     []uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0201},
		HasExtensions:        true,
		ExtensionTypes: []uint16{
			ExtensionExtendedMasterSecret, ExtensionRenegotiationInfo, ExtensionSupportedGroups, ExtensionECPointFormats,
			ExtensionSessionTicket, ExtensionALPN, ExtensionSignatureAlgorithms, ExtensionUseSRTP, ExtensionRecordSizeLimit,
		},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
}

func TestServerNamesOfOtherTypesAreSkipped(t *testing.T) {
	body := fromHex(t, smallHello+"000f 0000000b 0009 07 0002ffff 00 000141")
	m, err := Parse(TypeClientHello, 0, body)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.(*ClientHello).ServerName; got != "A" {
		t.Errorf("got %q, want the host name as it was sent", got)
	}
}

func TestPeekClientHelloOnEveryPrefix(t *testing.T) {
	body := fromHex(t, goldenClientHello)
	const (
		cookieAt     = 2 + 32 + 1
		suitesAt     = cookieAt + 1 + 20
		extensionsAt = suitesAt + 2 + 22 + 2
	)
	want := HelloPrefix{
		Version:      0xfefd,
		Random:       body[2:34],
		SessionID:    []byte{},
		Cookie:       body[cookieAt+1 : suitesAt],
		CipherSuites: body[suitesAt+2 : suitesAt+24],
		Compression:  []byte{0},
		Covered:      [2][]byte{body[:cookieAt], body[suitesAt:extensionsAt]},
	}
	for n := range len(body) + 1 {
		p, ok := PeekClientHello(body[:n])
		switch {
		case ok != (n >= extensionsAt):
			t.Fatalf("first %d bytes: ok is %v", n, ok)
		case ok && !reflect.DeepEqual(p, want):
			t.Fatalf("first %d bytes:\n got %+v\nwant %+v", n, p, want)
		case !ok && !reflect.DeepEqual(p, HelloPrefix{}):
			t.Fatalf("first %d bytes: not ok, and yet %+v", n, p)
		}
	}
}

// illegalStarts begin no legal ClientHello, whatever follows.
var illegalStarts = []struct{ name, body string }{
	{"a session id of 33 bytes", zeroHello + "21" + zeros + "00 00 0002c02b 0100"},
	{"no suites", zeroHello + "00 00 0000 0100"},
	{"half a suite", zeroHello + "00 00 0003c02bc0 0100"},
	{"no compression methods", zeroHello + "00 00 0002c02b 00"},
	{"compression methods without null", zeroHello + "00 00 0002c02b 0101"},
}

const (
	zeros     = "0000000000000000000000000000000000000000000000000000000000000000"
	zeroHello = "fefd" + zeros
)

func TestPeekClientHelloLikesNothingThatParseWouldRefuse(t *testing.T) {
	for _, tt := range illegalStarts {
		if p, ok := PeekClientHello(fromHex(t, tt.body)); ok {
			t.Errorf("%s: %+v", tt.name, p)
		}
	}
}

func TestCoveredBindsAllButTheCookie(t *testing.T) {
	covered := func(m ClientHello) (all, verified []byte) {
		p, ok := PeekClientHello(sample{m: &m}.body(t))
		if !ok {
			t.Fatalf("no prefix in %+v", m)
		}
		of12 := p.Covered12()
		return bytes.Join(p.Covered[:], nil), bytes.Join(of12[:], nil)
	}
	base := ClientHello{Version: 0xfefd, SessionID: []byte{1}, CipherSuites: []uint16{0xc02b}, Compression: []byte{0}}
	for _, tt := range []struct {
		name   string
		change func(*ClientHello)
		bound  bool
	}{
		{"the version", func(m *ClientHello) { m.Version = 0xfeff }, true},
		{"the random", func(m *ClientHello) { m.Random[31] = 1 }, true},
		{"the session id", func(m *ClientHello) { m.SessionID = nil }, true},
		{"the suites", func(m *ClientHello) { m.CipherSuites = []uint16{0xc02b, 0xc02c} }, true},
		{"the compression methods", func(m *ClientHello) { m.Compression = []byte{0, 1} }, true},
		{"the cookie", func(m *ClientHello) { m.Cookie = []byte{1, 2, 3} }, false},
		{"an extension", func(m *ClientHello) { m.ServerName = "a" }, false},
	} {
		m := base
		tt.change(&m)
		all, verified := covered(m)
		baseAll, baseVerified := covered(base)
		if got := !bytes.Equal(all, baseAll); got != tt.bound {
			t.Errorf("%s: bound is %v, want %v", tt.name, got, tt.bound)
		}
		if got, want := !bytes.Equal(verified, baseVerified), tt.bound && tt.name != "the session id"; got != want {
			t.Errorf("%s: bound in DTLS 1.2 is %v, want %v", tt.name, got, want)
		}
	}
}

func TestPeekClientHelloDoesNotAllocate(t *testing.T) {
	body := fromHex(t, goldenClientHello)
	if n := testing.AllocsPerRun(100, func() {
		for i := range len(body) + 1 {
			_, _ = PeekClientHello(body[:i])
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
