package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

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

// pskSource is where a pre-shared key comes from; at most one field is set.
type pskSource struct{ hex, file, env string }

// pskFlag is the flag that gives a pre-shared key, "" if none does.
func (o *peerOptions) pskFlag() string {
	for _, name := range pskFlags {
		if given(o.fs, name) {
			return name
		}
	}
	return ""
}

func (o *peerOptions) hasPSK() bool { return o.pskFlag() != "" }

// loadPSK returns the key. Errors do not repeat what may be a part of it.
func (o *peerOptions) loadPSK() (dtls.PSK, error) {
	text, source := o.psk.hex, "-"+o.pskFlag()
	switch {
	case o.psk.file != "":
		content, err := os.ReadFile(o.psk.file)
		if err != nil {
			return dtls.PSK{}, fmt.Errorf("-psk-file: %w", err)
		}
		text, source = string(content), source+" "+o.psk.file
	case o.psk.env != "":
		value, ok := os.LookupEnv(o.psk.env)
		if !ok {
			return dtls.PSK{}, badUsage("-psk-env %s: there is no such variable in the environment", o.psk.env)
		}
		text, source = value, source+" "+o.psk.env
	}
	key, err := hex.DecodeString(strings.TrimSpace(text))
	switch {
	case err != nil:
		return dtls.PSK{}, badUsage("%s: the key is not in hex: two digits for each byte and nothing else", source)
	case len(key) == 0:
		return dtls.PSK{}, badUsage("%s: the key is empty", source)
	}
	return dtls.PSK{Identity: []byte(o.identity), Key: key}, nil
}

// clientPSK offers one key to any server.
func clientPSK(psk dtls.PSK) func(context.Context, dtls.ClientPSKInfo) ([]dtls.PSK, error) {
	return func(context.Context, dtls.ClientPSKInfo) ([]dtls.PSK, error) { return []dtls.PSK{psk}, nil }
}

// serverPSK has the key of one identity; (nil, nil) says that others are unknown.
func serverPSK(psk dtls.PSK) func(context.Context, dtls.ServerPSKInfo) (*dtls.PSK, error) {
	return func(_ context.Context, info dtls.ServerPSKInfo) (*dtls.PSK, error) {
		if string(info.Identity) != string(psk.Identity) {
			return nil, nil
		}
		return &psk, nil
	}
}
