package suite

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// The numbers and the order are what peers see: a change is one of the protocol.
func TestListsAreFrozen(t *testing.T) {
	const want = `DTLS 1.2
0xc02b TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
0xc02f TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
0xc02c TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
0xc030 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
0xcca9 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
0xcca8 TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
0xc0ac TLS_ECDHE_ECDSA_WITH_AES_128_CCM
0xc0ad TLS_ECDHE_ECDSA_WITH_AES_256_CCM
0xd001 TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256
0xd002 TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384
0xccac TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256
0xd005 TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256
0x00a8 TLS_PSK_WITH_AES_128_GCM_SHA256
0x00a9 TLS_PSK_WITH_AES_256_GCM_SHA384
0xccab TLS_PSK_WITH_CHACHA20_POLY1305_SHA256
0xc0a4 TLS_PSK_WITH_AES_128_CCM
0xc0a5 TLS_PSK_WITH_AES_256_CCM
0xc0ae TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, on request
0xc0af TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8, on request
0xd003 TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256, on request
0xc0a8 TLS_PSK_WITH_AES_128_CCM_8, on request
0xc0a9 TLS_PSK_WITH_AES_256_CCM_8, on request
DTLS 1.3
0x1301 TLS_AES_128_GCM_SHA256
0x1302 TLS_AES_256_GCM_SHA384
0x1303 TLS_CHACHA20_POLY1305_SHA256
0x1304 TLS_AES_128_CCM_SHA256
0x1305 TLS_AES_128_CCM_8_SHA256, on request
`
	var got strings.Builder
	for _, list := range []struct {
		version string
		suites  []*Suite
	}{{"DTLS 1.2", All()}, {"DTLS 1.3", All13()}} {
		fmt.Fprintln(&got, list.version)
		for _, s := range list.suites {
			onRequest := ""
			if s.OnRequest {
				onRequest = ", on request"
			}
			fmt.Fprintf(&got, "0x%04x %s%s\n", s.ID, s.Name, onRequest)
		}
	}
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

// A suite's name says what it is made of, but for what its RFC leaves out: CCM
// goes with SHA-256 (RFC 6655, Section 3), and so do 8-byte tags.
func TestSuitesAreWhatTheirNamesSay(t *testing.T) {
	aeads := map[string]record.AEAD{
		"AES_128_GCM": record.AES128GCM, "AES_256_GCM": record.AES256GCM, "CHACHA20_POLY1305": record.ChaCha20Poly1305,
		"AES_128_CCM": record.AES128CCM, "AES_256_CCM": record.AES256CCM,
		"AES_128_CCM_8": record.AES128CCM8, "AES_256_CCM_8": record.AES256CCM8,
	}
	exchanges := map[string]struct {
		kx   message.KeyExchange
		auth Auth
	}{
		"ECDHE_ECDSA": {message.ECDHE, ECDSA}, "ECDHE_RSA": {message.ECDHE, RSA},
		"ECDHE_PSK": {message.ECDHEPSK, PSK}, "PSK": {message.PSK, PSK},
		"": {0, 0}, // DTLS 1.3
	}
	for _, s := range slices.Concat(All(), All13()) {
		exchange, cipher, is12 := strings.Cut(strings.TrimPrefix(s.Name, "TLS_"), "_WITH_")
		if !is12 {
			exchange, cipher = "", exchange
		}
		hash := crypto.SHA256
		if strings.HasSuffix(cipher, "_SHA384") {
			hash = crypto.SHA384
		}
		cipher = strings.TrimSuffix(strings.TrimSuffix(cipher, "_SHA256"), "_SHA384")
		if want, ok := aeads[cipher]; !ok || s.AEAD != want {
			t.Errorf("%s has %v", s.Name, s.AEAD)
		}
		if want, ok := exchanges[exchange]; !ok || s.KeyExchange != want.kx || s.Auth != want.auth {
			t.Errorf("%s has %v, authentication %d", s.Name, s.KeyExchange, s.Auth)
		}
		if s.Hash != hash {
			t.Errorf("%s has %v", s.Name, s.Hash)
		}
		if s.OnRequest != strings.HasSuffix(cipher, "_CCM_8") {
			t.Errorf("%s: on request is %v", s.Name, s.OnRequest)
		}
		if s.Is13() == is12 {
			t.Errorf("%s: of DTLS 1.3 is %v", s.Name, s.Is13())
		}
		if want := s.Auth == PSK; s.UsesPSK() != want {
			t.Errorf("%s: PSK is %v", s.Name, s.UsesPSK())
		}
		if want := strings.HasPrefix(exchange, "ECDHE"); s.UsesECDHE() != want {
			t.Errorf("%s: ECDHE is %v", s.Name, s.UsesECDHE())
		}
	}
}

func TestLookup(t *testing.T) {
	for _, s := range slices.Concat(All(), All13()) {
		if Lookup(s.ID) != s || Name(s.ID) != s.Name {
			t.Errorf("0x%04x is %v, want %s", s.ID, Lookup(s.ID), s.Name)
		}
	}
	for id, name := range map[uint16]string{
		0:      "0x0000", // TLS_NULL_WITH_NULL_NULL
		0x00ff: "0x00ff", // TLS_EMPTY_RENEGOTIATION_INFO_SCSV
		0xc013: "0xc013", // TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA
		0x009c: "0x009c", // TLS_RSA_WITH_AES_128_GCM_SHA256
		0x1300: "0x1300",
		0x1306: "0x1306", // TLS_AEGIS_256_SHA512
		0xc0b4: "0xc0b4", // TLS_SHA256_SHA256: integrity only
		0xc0b5: "0xc0b5", // TLS_SHA384_SHA384
		0x0a0a: "0x0a0a", // GREASE
	} {
		if Lookup(id) != nil || Name(id) != name {
			t.Errorf("0x%04x is %v, named %s", id, Lookup(id), Name(id))
		}
	}
}

// The lists are the caller's.
func TestListsAreCopies(t *testing.T) {
	All()[0], All13()[0] = nil, nil
	if All()[0] == nil || All13()[0] == nil {
		t.Error("a caller's write is seen by the next")
	}
}
