package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// loadCertificate reads a chain and its key; keyFile "" means that both are in
// one file.
func loadCertificate(certFile, keyFile string) (tls.Certificate, error) {
	if keyFile == "" {
		keyFile = certFile
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return cert, fmt.Errorf("-cert %s: %w", certFile, err)
	}
	return cert, nil
}

// loadPool reads the certificates that others are verified by.
func loadPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("there is no certificate in %s", file)
	}
	return pool, nil
}

// fingerprint is the SHA-256 of a certificate in DER.
func fingerprint(der []byte) string { return fmt.Sprintf("%x", sha256.Sum256(der)) }

func (o *peerOptions) clientPSK(context.Context, dtls.ClientPSKInfo) ([]dtls.PSK, error) {
	return []dtls.PSK{{Identity: []byte(o.identity), Key: o.psk}}, nil
}
