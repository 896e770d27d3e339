package interop

import (
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// suite is a cipher suite in everybody's words.
type suite struct {
	id      uint16
	name    string       // short, for test names
	key     dtlstest.Key // of the certificates, if it has any
	psk     bool
	openssl string // wolfSSL's name, too
	gnutls  string // the cipher in a priority string
}

// suites are the certificate suites of DTLS 1.2 we speak.
var suites = []suite{
	{id: 0xc02b, name: "ECDSA-AES128-GCM", key: dtlstest.P256, openssl: "ECDHE-ECDSA-AES128-GCM-SHA256", gnutls: "AES-128-GCM"},
	{id: 0xc02c, name: "ECDSA-AES256-GCM", key: dtlstest.P384, openssl: "ECDHE-ECDSA-AES256-GCM-SHA384", gnutls: "AES-256-GCM"},
	{id: 0xcca9, name: "ECDSA-CHACHA20", key: dtlstest.P256, openssl: "ECDHE-ECDSA-CHACHA20-POLY1305", gnutls: "CHACHA20-POLY1305"},
	{id: 0xc0ac, name: "ECDSA-AES128-CCM", key: dtlstest.P256, openssl: "ECDHE-ECDSA-AES128-CCM", gnutls: "AES-128-CCM"},
	{id: 0xc0ad, name: "ECDSA-AES256-CCM", key: dtlstest.P256, openssl: "ECDHE-ECDSA-AES256-CCM", gnutls: "AES-256-CCM"},
	{id: 0xc0ae, name: "ECDSA-AES128-CCM-8", key: dtlstest.P256, openssl: "ECDHE-ECDSA-AES128-CCM8", gnutls: "AES-128-CCM-8"},
	{id: 0xc0af, name: "ECDSA-AES256-CCM-8", key: dtlstest.P256, openssl: "ECDHE-ECDSA-AES256-CCM8", gnutls: "AES-256-CCM-8"},
	{id: 0xc02f, name: "RSA-AES128-GCM", key: dtlstest.RSA2048, openssl: "ECDHE-RSA-AES128-GCM-SHA256", gnutls: "AES-128-GCM"},
	{id: 0xc030, name: "RSA-AES256-GCM", key: dtlstest.RSA2048, openssl: "ECDHE-RSA-AES256-GCM-SHA384", gnutls: "AES-256-GCM"},
	{id: 0xcca8, name: "RSA-CHACHA20", key: dtlstest.RSA2048, openssl: "ECDHE-RSA-CHACHA20-POLY1305", gnutls: "CHACHA20-POLY1305"},
}

// pskSuites are those with pre-shared keys. TLS_ECDHE_PSK with AES-256-GCM is one of
// TestNodeRTC and of BouncyCastle, which alone has those with CCM and CCM_8.
var pskSuites = []suite{
	{id: 0x00a8, name: "PSK-AES128-GCM", psk: true, openssl: "PSK-AES128-GCM-SHA256", gnutls: "AES-128-GCM"},
	{id: 0x00a9, name: "PSK-AES256-GCM", psk: true, openssl: "PSK-AES256-GCM-SHA384", gnutls: "AES-256-GCM"},
	{id: 0xccab, name: "PSK-CHACHA20", psk: true, openssl: "PSK-CHACHA20-POLY1305", gnutls: "CHACHA20-POLY1305"},
	{id: 0xc0a4, name: "PSK-AES128-CCM", psk: true, openssl: "PSK-AES128-CCM", gnutls: "AES-128-CCM"},
	{id: 0xc0a5, name: "PSK-AES256-CCM", psk: true, openssl: "PSK-AES256-CCM", gnutls: "AES-256-CCM"},
	{id: 0xc0a8, name: "PSK-AES128-CCM-8", psk: true, openssl: "PSK-AES128-CCM8", gnutls: "AES-128-CCM-8"},
	{id: 0xc0a9, name: "PSK-AES256-CCM-8", psk: true, openssl: "PSK-AES256-CCM8", gnutls: "AES-256-CCM-8"},
	{id: 0xccac, name: "ECDHE-PSK-CHACHA20", psk: true, openssl: "ECDHE-PSK-CHACHA20-POLY1305", gnutls: "CHACHA20-POLY1305"},
	{id: 0xd001, name: "ECDHE-PSK-AES128-GCM", psk: true, openssl: "ECDHE-PSK-AES128-GCM-SHA256"},
	{id: 0xd002, name: "ECDHE-PSK-AES256-GCM", psk: true},
	{id: 0xd005, name: "ECDHE-PSK-AES128-CCM", psk: true},
	{id: 0xd003, name: "ECDHE-PSK-AES128-CCM-8", psk: true},
}

// suites13 are those of DTLS 1.3, which go with any certificate or key.
var suites13 = []suite{
	{id: 0x1301, name: "AES128-GCM"},
	{id: 0x1302, name: "AES256-GCM"},
	{id: 0x1303, name: "CHACHA20"},
}

func suiteByID(id uint16) suite {
	for _, s := range slices.Concat(suites, pskSuites, suites13) {
		if s.id == id {
			return s
		}
	}
	panic("interop: unknown suite") // a mistake in a test of this package
}

func allSuites() []uint16 { return suitesWithout(suites) }

// suitesWithout lists the numbers of all suites in a table but some.
func suitesWithout(table []suite, without ...uint16) []uint16 {
	var ids []uint16
	for _, s := range table {
		if !slices.Contains(without, s.id) {
			ids = append(ids, s.id)
		}
	}
	return ids
}
