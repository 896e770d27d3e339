package interop

import "github.com/flightpath-dtls/flightpath/internal/dtlstest"

// suite is a cipher suite in everybody's words.
type suite struct {
	id      uint16
	name    string // short, for test names
	key     dtlstest.Key
	openssl string
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

func suiteByID(id uint16) suite {
	for _, s := range suites {
		if s.id == id {
			return s
		}
	}
	panic("interop: unknown suite") // a mistake in a test of this package
}

func allSuites() []uint16 {
	ids := make([]uint16, len(suites))
	for i, s := range suites {
		ids[i] = s.id
	}
	return ids
}
