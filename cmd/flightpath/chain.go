package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// saveChain writes the peer's certificates, leaf first, to a PEM file, or to log
// if its name is "-".
func saveChain(name string, chain []*x509.Certificate, log io.Writer) error {
	if len(chain) == 0 {
		return errors.New("-chain: the peer has shown no certificate")
	}
	var b bytes.Buffer
	for i, cert := range chain {
		// Names are the peer's, and quoted: no line of them may look like PEM.
		fmt.Fprintf(&b, "# %d: %q, of %q, until %s, SHA-256 %s\n", i,
			cert.Subject.String(), cert.Issuer.String(), cert.NotAfter.UTC().Format(time.DateOnly), fingerprint(cert.Raw))
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}); err != nil {
			return err
		}
	}
	if name == "-" {
		_, err := log.Write(b.Bytes())
		return err
	}
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("-chain: %w", err)
	}
	return nil
}
