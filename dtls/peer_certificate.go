package dtls

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/flightpath-dtls/flightpath/internal/auth"
)

// verifyPeer checks the peer's chain and notes it in the state.
func (hs *handshake) verifyPeer(chain *auth.Chain) error {
	p := hs.p
	policy := auth.Policy{Roots: p.roots, Now: p.validAt(hs.e.now), VerifyPeerCertificate: p.verifyPeer}
	if p.isClient {
		policy.ServerName, policy.Skip = p.serverName, p.skipVerify
	} else {
		policy.Skip = p.clientAuth < tls.VerifyClientCertIfGiven
		policy.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if err := chain.Verify(policy); err != nil {
		return err
	}
	hs.e.state.PeerCertificates, hs.e.state.VerifiedChains = chain.Certificates, chain.Verified
	return nil
}

// requiresClientCert reports whether a client without a certificate is refused.
func (p *params) requiresClientCert() bool {
	return p.clientAuth == tls.RequireAnyClientCert || p.clientAuth == tls.RequireAndVerifyClientCert
}

// authorities are the names of those whose certificates a server takes.
func (p *params) authorities() [][]byte {
	if p.roots == nil {
		return nil
	}
	return p.roots.Subjects() //nolint:staticcheck // the system's roots, which it omits, are not what a server names
}
