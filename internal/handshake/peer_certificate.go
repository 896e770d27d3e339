package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/auth"
)

// verifyPeer checks the peer's chain and notes it in the state.
func (hs *Handshake) verifyPeer(chain *auth.Chain) error {
	if err := chain.Verify(hs.Config.peerPolicy(hs.now())); err != nil {
		return err
	}
	hs.Info.PeerCertificates, hs.Info.VerifiedChains = chain.Certificates, chain.Verified
	return nil
}

// verifyAbsent judges a client that was asked for a certificate and shows none.
// VerifyPeerCertificate is called without certificates, as in crypto/tls: it may
// refuse whom it does not know. absent is the alert where ClientAuth requires one.
func (p *Config) verifyAbsent(absent alert.Alert) error {
	if p.requiresClientCert() {
		return alert.Errorf(absent, "client has no certificate, ClientAuth requires one")
	}
	if p.VerifyPeer == nil {
		return nil
	}
	if err := p.VerifyPeer(nil, nil); err != nil {
		return alert.Hook(alert.BadCertificate, "VerifyPeerCertificate", err)
	}
	return nil
}

// peerPolicy is what the peer's chain must satisfy.
func (p *Config) peerPolicy(now time.Time) auth.Policy {
	policy := auth.Policy{Roots: p.Roots, Now: now, VerifyPeerCertificate: p.VerifyPeer}
	if p.IsClient {
		policy.ServerName, policy.Skip = p.ServerName, p.SkipVerify
	} else {
		policy.Skip = p.ClientAuth < tls.VerifyClientCertIfGiven
		policy.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return policy
}

// requiresClientCert reports whether a client without a certificate is refused.
func (p *Config) requiresClientCert() bool {
	return p.ClientAuth == tls.RequireAnyClientCert || p.ClientAuth == tls.RequireAndVerifyClientCert
}

// authorities are the certificate_authorities of a CertificateRequest.
func (p *Config) authorities() [][]byte {
	if p.Roots == nil {
		return nil
	}
	return p.Roots.Subjects() //nolint:staticcheck // the system's roots, which it omits, are not what a server names
}
