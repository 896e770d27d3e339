package message

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// sample is a canonical message: append(parse(b)) == b.
type sample struct {
	name string
	kx   KeyExchange
	m    Message
	// extensionTypes is what a parser finds in addition, in the hellos.
	extensionTypes []uint16
	// alsoLegal is the length of a prefix that happens to be a whole message: a hello that ends before its extensions, or
	// the shorter of two Finished. A HelloRetryRequest has one, too, though it is refused for what it lacks.
	alsoLegal int
}

// smallestHello is the size of a ClientHello with one suite and nothing optional, in bytes.
const smallestHello = 2 + randomLen + 1 + 1 + (2 + 2) + (1 + 1)

// smallestServerHello is that of a ServerHello without a session id and extensions.
const smallestServerHello = 2 + randomLen + 1 + 2 + 1

var testRandom = [32]byte(bytes.Repeat([]byte{0xc1, 0x1e}, 16))

var samples = []sample{
	{name: "hello request", m: &HelloRequest{}},
	{name: "the smallest client hello, without an extension block", m: &ClientHello{
		Version: 0xfefd, CipherSuites: []uint16{0xc02b}, Compression: []byte{0},
	}},
	{name: "a client hello with an empty extension block", alsoLegal: smallestHello, m: &ClientHello{
		Version: 0xfefd, CipherSuites: []uint16{0xc02b}, Compression: []byte{0}, HasExtensions: true,
	}},
	{name: "a client hello with everything of DTLS 1.2", alsoLegal: 2 + 32 + 4 + 21 + 6 + 3, m: &ClientHello{
		Version: 0xfefd, Random: testRandom, SessionID: []byte{1, 2, 3}, Cookie: bytes.Repeat([]byte{0xcc}, 20),
		CipherSuites: []uint16{0xc02b, 0xc0ac}, Compression: []byte{1, 0},
		ExtendedMasterSecret: true, EncryptThenMAC: true, RenegotiationInfo: bytes.Repeat([]byte{0xf1}, 12),
		HasRenegotiationInfo: true, PointFormats: []byte{0, 1}, SupportedVersions: []uint16{0xfefd, 0x7a7a},
		SupportedGroups: []uint16{29, 23}, SignatureSchemes: []uint16{0x0403, 0x0804}, ALPN: []string{"webrtc", "c-webrtc"},
		ServerName: "Example.org", SessionTicket: []byte("ticket"), HasSessionTicket: true, HasExtensions: true,
	}, extensionTypes: []uint16{23, 22, 0xff01, 11, 43, 10, 13, 16, 0, 35}},
	{name: "a client hello whose extensions are there and say nothing", alsoLegal: smallestHello, m: &ClientHello{
		Version: 0xfefd, CipherSuites: []uint16{0xc02b}, Compression: []byte{0},
		HasRenegotiationInfo: true, HasSessionTicket: true, HasExtensions: true,
	}, extensionTypes: []uint16{0xff01, 35}},
	{name: "a client hello with everything of DTLS 1.3", alsoLegal: smallestHello, m: &ClientHello{
		Version: 0xfefd, Random: testRandom, CipherSuites: []uint16{0x1301}, Compression: []byte{0},
		RetryCookie: []byte("cookie"), PSKModes: []uint8{PSKModeDHEKE, PSKModeKE}, EarlyData: true, PostHandshakeAuth: true,
		RecordSizeLimit: 64, SupportedVersions: []uint16{0xfefc}, SupportedGroups: []uint16{0x11ec, 29},
		SignatureSchemes: []uint16{0x0403}, SignatureSchemesCert: []uint16{0x0403, 0x0401}, ALPN: []string{"coap"},
		ServerName: "example.org", SessionTicket: []byte("ticket"), HasSessionTicket: true,
		KeyShares:    []KeyShare{{29, testRandom[:]}, {23, []byte{4}}},
		HasKeyShares: true, HasExtensions: true,
		PSKs:    []PSKIdentity{{[]byte("ticket"), 0xfffffffe}, {[]byte("thermostat 7"), 0}},
		Binders: [][]byte{testRandom[:], bytes.Repeat([]byte{9}, 48)},
	}, extensionTypes: []uint16{44, 45, 42, 49, 28, 43, 10, 13, 50, 16, 0, 35, 51, 41}},
	{name: "a client hello that asks for a retry by an empty list of key shares", alsoLegal: smallestHello, m: &ClientHello{
		Version: 0xfefd, CipherSuites: []uint16{0x1301}, Compression: []byte{0},
		SupportedVersions: []uint16{0xfefc}, HasKeyShares: true, HasExtensions: true,
	}, extensionTypes: []uint16{43, 51}},
	{name: "a server hello of DTLS 1.3", alsoLegal: smallestServerHello, m: &ServerHello{
		Version: 0xfefd, Random: testRandom, CipherSuite: 0x1301, SupportedVersion: 0xfefc,
		KeyShare: KeyShare{29, testRandom[:]}, HasKeyShare: true, SelectedPSK: 0, HasSelectedPSK: true,
	}, extensionTypes: []uint16{43, 51, 41}},
	{name: "a hello retry request", alsoLegal: smallestServerHello, m: &ServerHello{
		Version: 0xfefd, Random: RetryRandom, CipherSuite: 0x1301, SupportedVersion: 0xfefc,
		SelectedGroup: 0x11ec, RetryCookie: []byte("cookie"),
	}, extensionTypes: []uint16{43, 51, 44}},
	{name: "hello verify request", m: &HelloVerifyRequest{Version: 0xfeff, Cookie: bytes.Repeat([]byte{7}, 255)}},
	{name: "hello verify request with an empty cookie", m: &HelloVerifyRequest{Version: 0xfeff}},
	{name: "the smallest server hello", m: &ServerHello{Version: 0xfefd, CipherSuite: 0xc02b}},
	{name: "a server hello with everything of DTLS 1.2", alsoLegal: 2 + 32 + 33 + 3, m: &ServerHello{
		Version: 0xfefd, Random: testRandom, SessionID: testRandom[:], CipherSuite: 0xc02b,
		ExtendedMasterSecret: true, EncryptThenMAC: true, ServerNameAck: true, SessionTicketAck: true,
		RenegotiationInfo: bytes.Repeat([]byte{0xf1}, 24), HasRenegotiationInfo: true, PointFormats: []byte{0},
		SupportedVersion: 0xfefd, ALPN: "webrtc",
	}, extensionTypes: []uint16{23, 22, 0, 35, 0xff01, 11, 43, 16}},
	{name: "a certificate chain of two", m: &Certificate{Chain: [][]byte{[]byte("leaf"), []byte("issuer")}}},
	{name: "a client that has no certificate", m: &Certificate{}},
	{name: "an ECDHE server key exchange", kx: ECDHE, m: &ServerKeyExchangeECDHE{
		Group: 29, Public: testRandom[:], Scheme: 0x0804, Signature: []byte("signature"),
	}},
	{name: "a PSK server key exchange", kx: PSK, m: &ServerKeyExchangePSK{Hint: []byte("hint")}},
	{name: "a PSK server key exchange without a hint", kx: PSK, m: &ServerKeyExchangePSK{}},
	{name: "an ECDHE_PSK server key exchange", kx: ECDHEPSK, m: &ServerKeyExchangeECDHEPSK{
		Hint: []byte("hint"), Group: 23, Public: testRandom[:],
	}},
	{name: "a certificate request", m: &CertificateRequest{
		CertificateTypes: []byte{64, 1}, SignatureSchemes: []uint16{0x0403}, Authorities: [][]byte{[]byte("CN=a"), []byte("CN=bb")},
	}},
	{name: "a certificate request that any authority satisfies", m: &CertificateRequest{
		CertificateTypes: []byte{64}, SignatureSchemes: []uint16{0x0403, 0x0807},
	}},
	{name: "server hello done", m: &ServerHelloDone{}},
	{name: "certificate verify", m: &CertificateVerify{Scheme: 0x0403, Signature: []byte("signature")}},
	{name: "an ECDHE client key exchange", kx: ECDHE, m: &ClientKeyExchangeECDHE{Public: testRandom[:]}},
	{name: "a PSK client key exchange", kx: PSK, m: &ClientKeyExchangePSK{Identity: []byte("thermostat 7")}},
	{name: "an ECDHE_PSK client key exchange", kx: ECDHEPSK, m: &ClientKeyExchangeECDHEPSK{
		Identity: []byte("thermostat 7"), Public: testRandom[:],
	}},
	{name: "finished", m: &Finished{VerifyData: []byte("twelve bytes")}},
	{name: "finished with SHA-256", kx: TLS13, m: &Finished{VerifyData: testRandom[:]}},
	{name: "finished with SHA-384", kx: TLS13, alsoLegal: 32, m: &Finished{VerifyData: bytes.Repeat([]byte("48"), 24)}},
	{name: "encrypted extensions", kx: TLS13, m: &EncryptedExtensions{
		ServerNameAck: true, EarlyData: true, RecordSizeLimit: 0x4001, SupportedGroups: []uint16{29}, ALPN: "coap",
	}, extensionTypes: []uint16{0, 42, 28, 10, 16}},
	{name: "no encrypted extensions", kx: TLS13, m: &EncryptedExtensions{}},
	{name: "a certificate chain of two in DTLS 1.3", kx: TLS13, m: &Certificate13{
		Context: []byte{1}, Chain: [][]byte{[]byte("leaf"), []byte("issuer")},
	}},
	{name: "a client that has no certificate in DTLS 1.3", kx: TLS13, m: &Certificate13{}},
	{name: "a certificate request of DTLS 1.3", kx: TLS13, m: &CertificateRequest13{
		Context: []byte{1}, SignatureSchemes: []uint16{0x0403}, SignatureSchemesCert: []uint16{0x0401},
		Authorities: [][]byte{[]byte("CN=a"), []byte("CN=bb")},
	}, extensionTypes: []uint16{13, 50, 47}},
	{name: "certificate verify of DTLS 1.3", kx: TLS13, m: &CertificateVerify{Scheme: 0x0403, Signature: []byte("signature")}},
	{name: "a session ticket of DTLS 1.3", kx: TLS13, m: &NewSessionTicket13{
		Lifetime: 7200, AgeAdd: 0x12345678, Nonce: []byte{0}, Ticket: []byte("ticket"), MaxEarlyData: 1, HasEarlyData: true,
	}},
	{name: "a session ticket of DTLS 1.3 without early data", kx: TLS13, m: &NewSessionTicket13{Ticket: []byte("ticket")}},
	{name: "a key update", kx: TLS13, m: &KeyUpdate{}},
	{name: "a key update that wants one back", kx: TLS13, m: &KeyUpdate{RequestUpdate: true}},
	{name: "a session ticket", m: &NewSessionTicket{Lifetime: 7200, Ticket: []byte("ticket")}},
	{name: "a session ticket that the server withdrew", m: &NewSessionTicket{}},
}

// body is the sample on the wire.
func (s sample) body(t testing.TB) []byte {
	t.Helper()
	b, err := s.m.AppendBody(nil)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	return b
}

// fromHex reads bytes from annotated hex: blanks do not count, and a line ends at '#'.
func fromHex(t testing.TB, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}
