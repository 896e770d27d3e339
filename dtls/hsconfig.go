package dtls

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/internal/ticket"
)

// config is what a handshake reads of a Config that was resolved and checked.
type config struct {
	isClient bool
	owner    any // of whoever made it: the handshake hands it on with the config that GetConfigForClient returned

	rand    io.Reader
	validAt func(now time.Time) time.Time // when certificates must be valid
	keyLog  func(line string)             // never nil
	schemes []auth.Scheme                 // in order of preference
	alpn    []string                      // likewise
	ems     emsPolicy

	minVersion, maxVersion uint16
	suites, suites13       []*suite.Suite // of each version, in order of preference; none if it is not offered
	groups, groups13       []kex.Group    // likewise; groups13 is what a hello of both versions names
	smallHello             bool           // no share of a hybrid group in a first hello
	pskAlone               bool           // psk_ke is accepted
	certified              bool           // there are certificates, or a client to verify them
	recordSizeLimit        int            // 0: as large as records get
	tickets                *ticket.Ring   // of a server, nil: it gives none and takes none
	takeSession            func(now time.Time) *session
	firstTimer             time.Duration // RetransmitPolicy.Initial

	serverName           string
	certificates         []tls.Certificate
	getCertificate       func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	getClientCertificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	forClient            func(*tls.ClientHelloInfo) (*config, error) // nil, nil: this one
	clientAuth           tls.ClientAuthType
	roots                *x509.CertPool // that verify the peer
	skipVerify           bool
	verifyPeer           func([][]byte, [][]*x509.Certificate) error
	verifyConnection     func(*info) error
	clientPSKs           func(serverName string, hint []byte) ([]externalPSK, error)
	serverPSK            func(pskQuery) (*externalPSK, error)
	pskHint              []byte // empty: none
}

// emsPolicy is how the extended master secret (RFC 7627) is treated.
type emsPolicy uint8

const (
	emsRequired emsPolicy = iota
	emsOffered
	emsDisabled
)

// externalPSK is a pre-shared key that was made outside of the protocol.
type externalPSK struct{ identity, key []byte }

// pskQuery is what a server knows when it looks for a pre-shared key.
type pskQuery struct {
	identity   []byte // of the client, not authenticated yet
	serverName string // of the hello, "" if none
	peer       netip.AddrPort
}

// offers reports whether a version is spoken.
func (p *config) offers(version uint16) bool {
	return message.VersionAtLeast(version, p.minVersion) && message.VersionAtLeast(p.maxVersion, version)
}

// versions names them for error texts.
func (p *config) versions() string {
	if p.minVersion == p.maxVersion {
		return message.VersionName(p.minVersion)
	}
	return message.VersionName(p.minVersion) + " and " + message.VersionName(p.maxVersion)
}

// usesCertificates reports whether a server may authenticate by one.
func (p *config) usesCertificates() bool {
	return p.offers(message.Version13) && p.certified || slices.ContainsFunc(p.suites, func(s *suite.Suite) bool { return !s.UsesPSK() })
}

// usesSuite13 reports whether a suite of DTLS 1.3 is offered.
func (p *config) usesSuite13(id uint16) bool {
	return p.offers(message.Version13) && slices.ContainsFunc(p.suites13, func(s *suite.Suite) bool { return s.ID == id })
}

// random fills b from the config's source.
func (p *config) random(b []byte) error {
	_, err := io.ReadFull(p.rand, b)
	return err
}

// info is what a handshake has agreed on and found out about the peer. Fields are
// set as the messages come that decide them.
type info struct {
	Version            uint16
	DidResume          bool // an earlier session was resumed: PeerCertificates are those of then, VerifiedChains nil
	CipherSuite        uint16
	CurveID            tls.CurveID // group of the key exchange, 0: none
	NegotiatedProtocol string      // ALPN, "" if none
	ServerName         string      // client: of the config; server: of the hello
	PeerCertificates   []*x509.Certificate
	VerifiedChains     [][]*x509.Certificate

	ExtendedMasterSecret bool
	PSKIdentity          []byte              // nil unless a pre-shared key authenticated
	SignatureScheme      tls.SignatureScheme // of the server's key exchange, 0: none
}

// result is what outlives a handshake: secrets, and what names them in a key log.
type result struct {
	suite                      *suite.Suite
	clientRandom, serverRandom [32]byte // serverRandom: of DTLS 1.2

	master []byte // DTLS 1.2

	// DTLS 1.3
	write, read []byte // traffic secrets of the first epoch for data
	exporter    []byte
	resumption  []byte // of tickets to come
}

func (r *result) wipe() { keys.Wipe(r.master, r.write, r.read, r.exporter, r.resumption) }
