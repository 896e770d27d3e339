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
	policy := hs.Config.peerPolicy(hs.Config.ValidAt(hs.link.Now()))
	policy.VerifyPeerCertificate = hs.Config.VerifyPeer
	if err := chain.Verify(policy); err != nil {
		return err
	}
	hs.Info.PeerCertificates, hs.Info.VerifiedChains = chain.Certificates, chain.Verified
	return nil
}

// verifyAbsent judges a client that was asked for a certificate and shows none.
// VerifyPeerCertificate is called without certificates, as in crypto/tls: it may
// refuse whom it does not know. absent is the alert where ClientAuth requires one.
func (hs *Handshake) verifyAbsent(absent alert.Alert) error {
	if hs.Config.requiresClientCert() {
		return alert.Errorf(absent, "client has no certificate, ClientAuth requires one")
	}
	if hs.Config.VerifyPeer == nil {
		return nil
	}
	if err := hs.Config.VerifyPeer(nil, nil); err != nil {
		return alert.Hook(alert.BadCertificate, "VerifyPeerCertificate", err)
	}
	return nil
}

// peerPolicy is what the peer's chain must satisfy.
func (p *Config) peerPolicy(now time.Time) auth.Policy {
	policy := auth.Policy{Roots: p.Roots, Now: now}
	if p.IsClient {
		policy.ServerName, policy.Skip = p.ServerName, p.SkipVerify
	} else {
		policy.Skip = p.ClientAuth < tls.VerifyClientCertIfGiven
		policy.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return policy
}

// stillTrusts reports whether the chain of the peer of an earlier association verifies
// now: a session may come from a time, or a Config, with other roots, and each
// resumption gives another one, so that its own lifetime bounds nothing (RFC 8446,
// Section 4.6.1: "limits should take into account the lifetime of the peer's
// certificate"). VerifyPeerCertificate is not called, VerifyConnection is.
func (p *Config) stillTrusts(raw [][]byte, now time.Time) bool {
	if len(raw) == 0 {
		return true // it had a pre-shared key, or no certificate was wanted
	}
	chain, err := auth.ParseChain(raw)
	return err == nil && chain.Verify(p.peerPolicy(now)) == nil
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
