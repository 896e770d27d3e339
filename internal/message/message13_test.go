package message

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

// block is an extension block in hex, length and all.
func block(extensions ...string) string {
	all := strings.Join(extensions, "")
	return fmt.Sprintf("%04x%s", len(all)/2, all)
}

// ext is one extension in hex, length and all.
func ext(t uint16, data string) string {
	data = strings.Join(strings.Fields(data), "")
	return fmt.Sprintf("%04x%04x%s", t, len(data)/2, data)
}

// list24 is a vector in hex with 24 bits of length.
func list24(data string) string { return fmt.Sprintf("%06x%s", len(data)/2, data) }

var (
	// offer13 are the bytes of supported_versions that offer DTLS 1.3, chose13 those that choose it.
	offer13 = ext(ExtensionSupportedVersions, "02 fefc")
	chose13 = ext(ExtensionSupportedVersions, "fefc")
	modes13 = ext(ExtensionPSKKeyExchangeModes, "01 01")

	// onePSK is a pre_shared_key with the identity "a".
	onePSK = ext(ExtensionPreSharedKey, "0007 0001 61 00000000 0021 20"+zeros)

	// retryHello is a HelloRetryRequest up to its extensions.
	retryHello = "fefd" + fmt.Sprintf("%x", RetryRandom) + "00 1301 00"
)

var illegalMessages13 = []illegalMessage{
	{"a message of DTLS 1.2 in DTLS 1.3", TypeServerHelloDone, TLS13, "", alert.UnexpectedMessage, "server_hello_done"},
	{"a HelloVerifyRequest in DTLS 1.3", TypeHelloVerifyRequest, TLS13, "feff00", alert.UnexpectedMessage, "hello_verify_request"},
	{"a HelloRequest in DTLS 1.3", TypeHelloRequest, TLS13, "", alert.UnexpectedMessage, "hello_request"},
	{"a server key exchange in DTLS 1.3", TypeServerKeyExchange, TLS13, "0000", alert.UnexpectedMessage, "server_key_exchange"},
	{"a client key exchange in DTLS 1.3", TypeClientKeyExchange, TLS13, "0000", alert.UnexpectedMessage, "client_key_exchange"},
	{"an end_of_early_data, which DTLS has not", TypeEndOfEarlyData, TLS13, "", alert.UnexpectedMessage, "end_of_early_data"},
	{"a message that only transcripts hold in DTLS 1.3", TypeMessageHash, TLS13, "", alert.UnexpectedMessage, "message_hash"},

	{
		"compression offered with DTLS 1.3", TypeClientHello, 0, zeroHello + "00 00 0002 1301 02 0001" + block(offer13),
		alert.IllegalParameter, "compression_methods 0001",
	},
	{
		"null offered twice with DTLS 1.3", TypeClientHello, 0, zeroHello + "00 00 0002 1301 02 0000" + block(offer13),
		alert.IllegalParameter, "compression_methods 0000",
	},
	{"an empty cookie", TypeClientHello, 0, smallHello + block(ext(44, "0000")), alert.DecodeError, "cookie of 0 bytes"},
	{"a cookie with a byte too many", TypeClientHello, 0, smallHello + block(ext(44, "0001 aa bb")), alert.DecodeError, "trailing"},
	{"no modes", TypeClientHello, 0, smallHello + block(ext(45, "00")), alert.DecodeError, "ke_modes of 0 bytes"},
	{"modes with a byte too many", TypeClientHello, 0, smallHello + block(ext(45, "01 01 01")), alert.DecodeError, "trailing"},
	{"early_data with data", TypeClientHello, 0, smallHello + block(ext(42, "00000000")), alert.DecodeError, "trailing"},
	{"post_handshake_auth with data", TypeClientHello, 0, smallHello + block(ext(49, "00")), alert.DecodeError, "trailing"},
	{"a record size limit of 63", TypeClientHello, 0, smallHello + block(ext(28, "003f")), alert.IllegalParameter, "63 bytes"},
	{"half a record size limit", TypeClientHello, 0, smallHello + block(ext(28, "40")), alert.DecodeError, "cut short"},
	{"a record size limit with a byte too many", TypeClientHello, 0, smallHello + block(ext(28, "400100")), alert.DecodeError, "trailing"},
	{"no signature_algorithms_cert", TypeClientHello, 0, smallHello + block(ext(50, "0000")), alert.DecodeError, "supported_signature_algorithms"},

	{"key_share without its list", TypeClientHello, 0, smallHello + block(ext(51, "")), alert.DecodeError, "cut short"},
	{"half a key share", TypeClientHello, 0, smallHello + block(ext(51, "0003 001d 00")), alert.DecodeError, "cut short"},
	{"a key share without a key", TypeClientHello, 0, smallHello + block(ext(51, "0004 001d 0000")), alert.DecodeError, "key_exchange of 0 bytes"},
	{"a key share longer than its list", TypeClientHello, 0, smallHello + block(ext(51, "0005 001d 0002 aa")), alert.DecodeError, "cut short"},
	{
		"two key shares of one group", TypeClientHello, 0, smallHello + block(ext(51, "000f 001d 0001 aa 0017 0001 bb 001d 0001 cc")),
		alert.IllegalParameter, "two for group 0x001d",
	},
	{"key shares with a byte too many", TypeClientHello, 0, smallHello + block(ext(51, "0005 001d 0001 aa 00")), alert.DecodeError, "trailing"},

	{"a pre_shared_key that is not the last", TypeClientHello, 0, smallHello + block(modes13, onePSK, offer13), alert.IllegalParameter, "not the last"},
	{"pre_shared_key without modes", TypeClientHello, 0, smallHello + block(onePSK), alert.MissingExtension, "without psk_key_exchange_modes"},
	{"no identities", TypeClientHello, 0, smallHello + block(modes13, ext(41, "0000 0021 20"+zeros)), alert.DecodeError, "identities of 0 bytes"},
	{
		"an empty identity", TypeClientHello, 0, smallHello + block(modes13, ext(41, "000d 0000 00000000 0001 61 00000000 0021 20"+zeros)),
		alert.DecodeError, "identity of 0 bytes",
	},
	{
		"an empty identity alone", TypeClientHello, 0, smallHello + block(modes13, ext(41, "0006 0000 00000000 0021 20"+zeros)),
		alert.DecodeError, "identities of 6 bytes",
	},
	{
		"an identity without an age", TypeClientHello, 0, smallHello + block(modes13, ext(41, "0007 0002 6161 000000 0021 20"+zeros)),
		alert.DecodeError, "obfuscated_ticket_age is cut short",
	},
	{"no binders", TypeClientHello, 0, smallHello + block(modes13, ext(41, "0007 0001 61 00000000 0000")), alert.DecodeError, "binders of 0 bytes"},
	{
		"a binder of 31 bytes", TypeClientHello, 0, smallHello + block(modes13, ext(41, "0007 0001 61 00000000 0021 1f"+zeros)),
		alert.DecodeError, "binder of 31 bytes",
	},
	{
		"two binders of 31 bytes", TypeClientHello, 0,
		smallHello + block(modes13, ext(41, "000e 0001 61 00000000 0001 62 00000000 0040"+"1f"+zeros[2:]+"1f"+zeros[2:])),
		alert.DecodeError, "binder of 31 bytes",
	},
	{
		"two binders for one identity", TypeClientHello, 0,
		smallHello + block(modes13, ext(41, "0007 0001 61 00000000 0042 20"+zeros+"20"+zeros)), alert.IllegalParameter, "1 identities with 2 binders",
	},
	{
		"one binder for two identities", TypeClientHello, 0,
		smallHello + block(modes13, ext(41, "000e 0001 61 00000000 0001 62 00000000 0021 20"+zeros)), alert.IllegalParameter, "2 identities with 1 binders",
	},
	{
		"pre_shared_key with a byte too many", TypeClientHello, 0,
		smallHello + block(modes13, ext(41, "0007 0001 61 00000000 0021 20"+zeros+"00")), alert.DecodeError, "trailing",
	},

	{"a key share list from the server", TypeServerHello, 0, smallServerHello + block(chose13, ext(51, "0005 001d 0001 aa")), alert.DecodeError, "key_exchange"},
	{"an empty key share from the server", TypeServerHello, 0, smallServerHello + block(chose13, ext(51, "001d 0000")), alert.DecodeError, "key_exchange of 0 bytes"},
	{"a group alone in a server hello", TypeServerHello, 0, smallServerHello + block(chose13, ext(51, "001d")), alert.DecodeError, "cut short"},
	{"half a selected identity", TypeServerHello, 0, smallServerHello + block(chose13, ext(41, "00")), alert.DecodeError, "selected_identity is cut short"},
	{"identities from the server", TypeServerHello, 0, smallServerHello + block(chose13, ext(41, "0000 00")), alert.DecodeError, "trailing"},
	{"a cookie in a server hello", TypeServerHello, 0, smallServerHello + block(chose13, ext(44, "0001 aa")), alert.IllegalParameter, "cookie does not belong"},
	{"ALPN in a server hello of DTLS 1.3", TypeServerHello, 0, smallServerHello + block(ext(16, "0002 01 61"), chose13), alert.IllegalParameter, "belong"},
	{"extended_master_secret in DTLS 1.3", TypeServerHello, 0, smallServerHello + block(ext(23, ""), chose13), alert.IllegalParameter, "belong"},
	{"a retry without supported_versions", TypeServerHello, 0, retryHello + block(ext(44, "0001 aa")), alert.MissingExtension, "supported_versions"},
	{"a retry with an empty cookie", TypeServerHello, 0, retryHello + block(chose13, ext(44, "0000")), alert.DecodeError, "cookie of 0 bytes"},
	{"a retry with a key share", TypeServerHello, 0, retryHello + block(chose13, ext(51, "001d 0001 aa")), alert.DecodeError, "trailing"},
	{"a retry for no group", TypeServerHello, 0, retryHello + block(chose13, ext(51, "0000")), alert.IllegalParameter, "selected_group 0"},
	{"a retry that selects a key", TypeServerHello, 0, retryHello + block(chose13, ext(41, "0000")), alert.IllegalParameter, "pre_shared_key does not belong"},
	{"a retry with a connection id", TypeServerHello, 0, retryHello + block(chose13, ext(54, "00")), alert.IllegalParameter, "connection_id does not belong"},

	{"encrypted extensions without a block", TypeEncryptedExtensions, TLS13, "", alert.DecodeError, "extensions is cut short"},
	{"a server name in the answer", TypeEncryptedExtensions, TLS13, block(ext(0, "0004 00 0001 61")), alert.DecodeError, "trailing"},
	{"an accepted early_data with a size", TypeEncryptedExtensions, TLS13, block(ext(42, "00000001")), alert.DecodeError, "trailing"},
	{"a record size limit of zero", TypeEncryptedExtensions, TLS13, block(ext(28, "0000")), alert.IllegalParameter, "0 bytes"},
	{"two protocols in DTLS 1.3", TypeEncryptedExtensions, TLS13, block(ext(16, "0004 0161 0162")), alert.IllegalParameter, "2 protocols"},
	{"no groups in encrypted extensions", TypeEncryptedExtensions, TLS13, block(ext(10, "0000")), alert.DecodeError, "named_group_list"},
	{"an encrypted extension twice", TypeEncryptedExtensions, TLS13, block(ext(0, ""), ext(0, "")), alert.IllegalParameter, "appears twice"},
	{"an unknown encrypted extension twice", TypeEncryptedExtensions, TLS13, block(ext(0x7a7a, ""), ext(0x7a7a, "01")), alert.IllegalParameter, "appears twice"},
	{"an encrypted key share", TypeEncryptedExtensions, TLS13, block(ext(51, "001d 0001 aa")), alert.IllegalParameter, "key_share does not belong"},
	{"an encrypted version", TypeEncryptedExtensions, TLS13, block(chose13), alert.IllegalParameter, "supported_versions does not belong"},

	{"a certificate of DTLS 1.2", TypeCertificate, TLS13, "000004 000001 aa", alert.DecodeError, "certificate_list"},
	{"a certificate without bytes in DTLS 1.3", TypeCertificate, TLS13, "00 000005 000000 0000", alert.DecodeError, "cert_data of 0 bytes"},
	{"a certificate without its extensions", TypeCertificate, TLS13, "00 000004 000001 aa", alert.DecodeError, "extensions is cut short"},
	{"a certificate extension cut short", TypeCertificate, TLS13, "00 00000a 000001 aa 0004 0005 0001", alert.DecodeError, "status_request is cut short"},
	{
		"a certificate extension twice", TypeCertificate, TLS13, "00 00000e 000001 aa 0008 0005 0000 0005 0000",
		alert.IllegalParameter, "status_request: appears twice",
	},
	{"a certificate with a server name", TypeCertificate, TLS13, "00 00000a 000001 aa 0004 0000 0000", alert.IllegalParameter, "server_name does not belong"},
	{"a certificate that claims 16 MB in DTLS 1.3", TypeCertificate, TLS13, "00 000004 ffffff aa", alert.DecodeError, "cut short"},

	{"a certificate request of DTLS 1.2", TypeCertificateRequest, TLS13, "0140 0002 0403 0000", alert.DecodeError, "certificate_request"},
	{"a certificate request without schemes in DTLS 1.3", TypeCertificateRequest, TLS13, "00" + block(), alert.MissingExtension, "no signature_algorithms"},
	{"an empty list of schemes in DTLS 1.3", TypeCertificateRequest, TLS13, "00" + block(ext(13, "0000")), alert.DecodeError, "supported_signature_algorithms"},
	{
		"an empty list of authorities", TypeCertificateRequest, TLS13, "00" + block(ext(13, "0002 0403"), ext(47, "0000")),
		alert.DecodeError, "authorities of 0 bytes",
	},
	{
		"an authority without a name in DTLS 1.3", TypeCertificateRequest, TLS13, "00" + block(ext(13, "0002 0403"), ext(47, "0005 0000 000161")),
		alert.DecodeError, "distinguished_name of 0 bytes",
	},
	{
		"a certificate request with ALPN", TypeCertificateRequest, TLS13, "00" + block(ext(13, "0002 0403"), ext(16, "0002 0161")),
		alert.IllegalParameter, "belong",
	},

	{"a ticket without bytes", TypeNewSessionTicket, TLS13, "00000000 00000000 00 0000 0000", alert.DecodeError, "ticket of 0 bytes"},
	{"a ticket without extensions", TypeNewSessionTicket, TLS13, "00000000 00000000 00 0001 aa", alert.DecodeError, "extensions is cut short"},
	{"early data without a size", TypeNewSessionTicket, TLS13, "00000000 00000000 00 0001 aa" + block(ext(42, "")), alert.DecodeError, "cut short"},
	{"a ticket with a cookie", TypeNewSessionTicket, TLS13, "00000000 00000000 00 0001 aa" + block(ext(44, "0001aa")), alert.IllegalParameter, "belong"},
	{"a ticket of DTLS 1.2", TypeNewSessionTicket, TLS13, "00000e10 0006 7469636b6574", alert.DecodeError, "new_session_ticket"},

	{"a key update of 2", TypeKeyUpdate, TLS13, "02", alert.IllegalParameter, "request_update 2"},
	{"a key update of 255", TypeKeyUpdate, TLS13, "ff", alert.IllegalParameter, "request_update 255"},
	{"a finished of DTLS 1.2", TypeFinished, TLS13, "000000000000000000000000", alert.DecodeError, "verify_data is cut short"},
	{"a finished of 33 bytes", TypeFinished, TLS13, zeros + "00", alert.DecodeError, "verify_data is cut short"},
	{"a finished of 64 bytes", TypeFinished, TLS13, zeros + zeros, alert.DecodeError, "16 trailing bytes"},
}

func TestWhatIsNotLegalIn13IsNotWritten(t *testing.T) {
	hello := func(change func(*ClientHello)) *ClientHello {
		m := &ClientHello{CipherSuites: []uint16{0x1301}, Compression: []byte{0}, SupportedVersions: []uint16{Version13}}
		change(m)
		return m
	}
	psk := func(change func(*ClientHello)) *ClientHello {
		return hello(func(m *ClientHello) {
			m.PSKModes = []uint8{PSKModeDHEKE}
			m.PSKs = []PSKIdentity{{Identity: []byte("a")}}
			m.Binders = [][]byte{make([]byte, 32)}
			change(m)
		})
	}
	for _, tt := range []struct {
		name string
		m    Message
		text string
	}{
		{"compression with DTLS 1.3", hello(func(m *ClientHello) { m.Compression = []byte{0, 1} }), "compression_methods 0001"},
		{"a cookie of 64 KiB", hello(func(m *ClientHello) { m.RetryCookie = make([]byte, 1<<16) }), "cookie of 65536 bytes"},
		{"256 modes", hello(func(m *ClientHello) { m.PSKModes = make([]uint8, 256) }), "ke_modes of 256 bytes"},
		{"a record size limit of 63", hello(func(m *ClientHello) { m.RecordSizeLimit = 63 }), "record_size_limit: 63 bytes"},
		{"a key share without a key", hello(func(m *ClientHello) { m.KeyShares = []KeyShare{{Group: 29}} }), "key_exchange of 0 bytes"},
		{
			"two key shares of one group", hello(func(m *ClientHello) { m.KeyShares = []KeyShare{{29, []byte{1}}, {29, []byte{2}}} }),
			"key_share: client_shares: two for group 0x001d",
		},
		{"pre_shared_key without modes", psk(func(m *ClientHello) { m.PSKModes = nil }), "without psk_key_exchange_modes"},
		{"an empty identity", psk(func(m *ClientHello) { m.PSKs[0].Identity = nil }), "identity of 0 bytes"},
		{"a binder of 31 bytes", psk(func(m *ClientHello) { m.Binders[0] = make([]byte, 31) }), "binder of 31 bytes"},
		{"a binder of 256 bytes", psk(func(m *ClientHello) { m.Binders[0] = make([]byte, 256) }), "binder of 256 bytes"},
		{"an identity without a binder", psk(func(m *ClientHello) { m.Binders = nil }), "1 identities with 0 binders"},
		{"a binder without an identity", psk(func(m *ClientHello) { m.PSKs = nil }), "0 identities with 1 binders"},
		{"a server hello with a cookie", &ServerHello{RetryCookie: []byte{1}}, "is it a HelloRetryRequest"},
		{"a server hello that selects a group", &ServerHello{SelectedGroup: 29}, "is it a HelloRetryRequest"},
		{"a retry with a key share", &ServerHello{Random: RetryRandom, KeyShare: KeyShare{29, []byte{1}}}, "is it a HelloRetryRequest"},
		{"a retry that selects a key", &ServerHello{Random: RetryRandom, HasSelectedPSK: true}, "is it a HelloRetryRequest"},
		{"a server's empty key share", &ServerHello{HasKeyShare: true}, "key_exchange of 0 bytes"},
		{"a record size limit of one", &EncryptedExtensions{RecordSizeLimit: 1}, "encrypted_extensions: extensions: record_size_limit: 1 bytes"},
		{"an empty certificate", &Certificate13{Chain: [][]byte{{}}}, "cert_data of 0 bytes"},
		{"a context of 256 bytes", &Certificate13{Context: make([]byte, 256)}, "certificate_request_context of 256 bytes"},
		{"a request without schemes", &CertificateRequest13{}, "certificate_request: no signature_algorithms"},
		{"an authority without a name", &CertificateRequest13{SignatureSchemes: []uint16{1}, Authorities: [][]byte{{}}}, "distinguished_name of 0 bytes"},
		{"a ticket without bytes", &NewSessionTicket13{}, "ticket of 0 bytes"},
		{"a nonce of 256 bytes", &NewSessionTicket13{Ticket: []byte{1}, Nonce: make([]byte, 256)}, "ticket_nonce of 256 bytes"},
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

// TestExtensionsThatAreSkipped: what a receiver does not know is legal wherever the RFC lets it stand.
func TestExtensionsThatAreSkipped(t *testing.T) {
	grease := ext(0x7a7a, "00")
	for _, tt := range []struct {
		name string
		t    Type
		kx   KeyExchange
		body string
		want string
	}{
		{"client hello", TypeClientHello, 0, smallHello + block(grease, offer13, ext(14, "0003 0001 00")), "[31354 43 14]"},
		{"server hello", TypeServerHello, 0, smallServerHello + block(chose13, grease, ext(54, "00"), ext(61, "")), "[43 31354 54 61]"},
		{"server hello of DTLS 1.2", TypeServerHello, 0, smallServerHello + block(ext(44, "aa"), ext(54, "00"), ext(28, "4001")), "[44 54 28]"},
		{"hello retry request", TypeServerHello, TLS13, retryHello + block(grease, chose13), "[31354 43]"},
		{"encrypted extensions", TypeEncryptedExtensions, TLS13, block(ext(14, "0003 0001 00"), grease), "[14 31354]"},
		{
			"certificate", TypeCertificate, TLS13,
			"00" + list24("000001aa"+block(ext(5, ""), grease)+"000001bb"+block(ext(18, ""))), "[5 31354 18]",
		},
		{"certificate request", TypeCertificateRequest, TLS13, "00" + block(ext(48, "0000"), ext(13, "0002 0403"), grease), "[48 13 31354]"},
	} {
		m, err := Parse(tt.t, tt.kx, fromHex(t, tt.body))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := fmt.Sprint(typesField(m)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if _, err := Parse(TypeNewSessionTicket, TLS13, fromHex(t, "00000000 00000000 00 0001 aa"+block(grease))); err != nil {
		t.Errorf("new session ticket: %v", err)
	}
}

func TestEveryNamedExtensionHasItsPlaces(t *testing.T) {
	for known := range extensionNames {
		if _, ok := places[known]; !ok {
			t.Errorf("%s has no row", ExtensionName(known))
		}
	}
	if len(places) != len(extensionNames) {
		t.Errorf("%d rows for %d names", len(places), len(extensionNames))
	}
}

func TestBindersAreTheEndOfTheBody(t *testing.T) {
	m := &ClientHello{
		CipherSuites: []uint16{0x1301}, Compression: []byte{0}, SupportedVersions: []uint16{Version13},
		PSKModes: []uint8{PSKModeDHEKE}, KeyShares: []KeyShare{{29, []byte{1}}},
	}
	if n := m.BindersLen(); n != 0 {
		t.Errorf("%d bytes of binders without a key", n)
	}
	m.PSKs = []PSKIdentity{{Identity: []byte("ticket"), ObfuscatedAge: 1}, {Identity: []byte("name")}}
	m.Binders = [][]byte{make([]byte, 32), make([]byte, 48)}
	before := sample{m: m}.body(t)
	m.Binders = [][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 48)}
	after := sample{m: m}.body(t)
	if want := 2 + 1 + 32 + 1 + 48; m.BindersLen() != want {
		t.Errorf("%d bytes of binders, want %d", m.BindersLen(), want)
	}
	at := len(after) - m.BindersLen()
	if !bytes.Equal(before[:at], after[:at]) || bytes.Equal(before, after) {
		t.Error("other bytes than the binders changed with them")
	}
	if want := "0052 20 " + strings.Repeat("01", 32) + "30" + strings.Repeat("02", 48); !bytes.Equal(after[at:], fromHex(t, want)) {
		t.Errorf("the body ends in %x", after[at:])
	}
}

func TestTheCookieComesFirstAndKeysLast(t *testing.T) {
	m := &ClientHello{
		CipherSuites: []uint16{0x1301}, Compression: []byte{0}, SupportedVersions: []uint16{Version13},
		ALPN: []string{"coap"}, ServerName: "example.org", SessionTicket: []byte("ticket"),
		KeyShares: []KeyShare{{29, []byte{1}}},
	}
	first, ok := ScanClientHello(sample{m: m}.body(t))
	if !ok {
		t.Fatal("not ok")
	}
	m.RetryCookie = bytes.Repeat([]byte{0xcc}, 100)
	body := sample{m: m}.body(t)
	if want := fmt.Sprintf("002c 0066 0064 %x", m.RetryCookie); !bytes.HasPrefix(body[smallestHello+2:], fromHex(t, want)) {
		t.Errorf("the extensions start with %x", body[smallestHello+2:])
	}
	if !bytes.HasSuffix(body, fromHex(t, "0033 0007 0005 001d 0001 01")) {
		t.Errorf("the body ends in %x", body)
	}
	again, ok := ScanClientHello(body)
	if !ok || !sameFixed(&first, &again) {
		t.Error("the cookie changed more than it may")
	}
}
