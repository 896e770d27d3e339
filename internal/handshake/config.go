package handshake

import (
	"context"
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

// Config is what a handshake reads of a Config that was resolved and checked.
type Config struct {
	IsClient bool
	Owner    any // of whoever made it: the handshake hands it on with the config that GetConfigForClient returned

	Rand    io.Reader
	ValidAt func(now time.Time) time.Time // when certificates must be valid
	KeyLog  func(line string)             // nil: no key log
	Schemes []auth.Scheme                 // in order of preference
	ALPN    []string                      // likewise
	EMS     EMSPolicy

	MinVersion, MaxVersion uint16
	Suites, Suites13       []*suite.Suite                                  // of each version, in order of preference; none if it is not offered
	Groups, Groups13       []kex.Group                                     // likewise; groups13 is what a hello of both versions names
	SmallHello             bool                                            // no share of a hybrid group in a first hello
	PSKAlone               bool                                            // psk_ke is accepted
	Certified              bool                                            // there are certificates, or a client to verify them
	RecordSizeLimit        int                                             // 0: as large as records get
	Tickets                *ticket.Ring                                    // of a server, nil: it gives none and takes none
	TakeSession            func(psks func() []PSK, now time.Time) *Session // one to offer; psks returns the external keys of the client
	AsksTicket             bool                                            // client: it wants tickets of DTLS 1.2
	FirstTimer             time.Duration                                   // RetransmitPolicy.Initial

	ServerName           string
	Certificates         []tls.Certificate
	GetCertificate       func(context.Context, *tls.ClientHelloInfo) (*tls.Certificate, error)
	GetClientCertificate func(context.Context, *tls.CertificateRequestInfo) (*tls.Certificate, error)
	OfClient             bool                                                     // GetConfigForClient has returned it
	ForClient            func(*tls.ClientHelloInfo, HelloSource) (*Config, error) // nil, nil: this one
	ClientAuth           tls.ClientAuthType
	Roots                *x509.CertPool // that verify the peer
	SkipVerify           bool
	VerifyPeer           func([][]byte, [][]*x509.Certificate) error
	VerifyConnection     func(*Info) error
	ClientPSKs           func(ctx context.Context, serverName string, hint []byte) ([]PSK, error)
	ServerPSK            func(context.Context) (find func(PSKQuery) (*PSK, error), done func()) // begins look-ups that CallbackTimeout bounds together
	PSKHint              []byte                                                                 // empty: none
}

// EMSPolicy is how the extended master secret (RFC 7627) is treated.
type EMSPolicy uint8

const (
	EMSRequired EMSPolicy = iota
	EMSOffered
	EMSDisabled
)

// HelloSource is where a ClientHello came from, for GetConfigForClient.
type HelloSource struct {
	Local, Remote netip.AddrPort
	Conn          any  // the net.Conn of a front, which has addresses that are not UDP's; nil: Local and Remote
	Proven        bool // Remote is
	Context       context.Context
}

// PSK is a pre-shared key that was made outside of the protocol.
type PSK struct{ Identity, Key []byte }

// PSKQuery is what a server knows when it looks for a pre-shared key.
type PSKQuery struct {
	Identity   []byte // of the client, not authenticated yet
	ServerName string // of the hello, "" if none
	Peer       netip.AddrPort
}

// Offers reports whether a version is spoken.
func (p *Config) Offers(version uint16) bool {
	return message.VersionAtLeast(version, p.MinVersion) && message.VersionAtLeast(p.MaxVersion, version)
}

// versions names them for error texts.
func (p *Config) versions() string {
	if p.MinVersion == p.MaxVersion {
		return message.VersionName(p.MinVersion)
	}
	return message.VersionName(p.MinVersion) + " and " + message.VersionName(p.MaxVersion)
}

// UsesCertificates reports whether a server may authenticate by one.
func (p *Config) UsesCertificates() bool {
	return p.Offers(message.Version13) && p.Certified || slices.ContainsFunc(p.Suites, func(s *suite.Suite) bool { return !s.UsesPSK() })
}

// usesSuite13 reports whether a suite of DTLS 1.3 is offered.
func (p *Config) usesSuite13(id uint16) bool {
	return p.Offers(message.Version13) && slices.ContainsFunc(p.Suites13, func(s *suite.Suite) bool { return s.ID == id })
}

// random fills b from the config's source.
func (p *Config) random(b []byte) error {
	_, err := io.ReadFull(p.Rand, b)
	return err
}

// Info is what a handshake has agreed on and found out about the peer. Fields are
// set as the messages come that decide them.
type Info struct {
	Version              uint16
	DidResume            bool // an earlier session was resumed: PeerCertificates and PSKIdentity are those of then
	ExtendedMasterSecret bool
	CipherSuite          uint16
	CurveID              tls.CurveID         // group of the key exchange, 0: none
	SignatureScheme      tls.SignatureScheme // of the server's key exchange, 0: none
	NegotiatedProtocol   string              // ALPN, "" if none
	ServerName           string              // client: of the config; server: of the hello
	PeerCertificates     []*x509.Certificate
	VerifiedChains       [][]*x509.Certificate
	PSKIdentity          []byte // nil unless an external pre-shared key authenticated
}

// Result is what outlives a handshake: secrets, and what names them in a key log.
type Result struct {
	Suite                      *suite.Suite
	ClientRandom, ServerRandom [32]byte // serverRandom: of DTLS 1.2

	Master    []byte     // DTLS 1.2
	Session   *Session   // DTLS 1.2, client: to resume with; nil: none
	Secrets13 *Secrets13 // DTLS 1.3
}

// Secrets13 are the secrets of DTLS 1.3 (RFC 8446, Section 7.1).
type Secrets13 struct {
	Write, Read []byte // traffic secrets of the first epoch for data
	Exporter    []byte
	Resumption  *Resumption // of tickets to come
}

// keep notes what a client has to resume with.
func (hs *Handshake) keep(s *Session) { hs.Result.Session = s }

// TakeSession returns the session and forgets it.
func (r *Result) TakeSession() *Session {
	s := r.Session
	r.Session = nil
	return s
}

// Wipe zeroes the secrets and forgets them. It may be called for nil.
func (r *Result) Wipe() {
	if r == nil {
		return
	}
	keys.Wipe(r.Master)
	if s := r.Secrets13; s != nil {
		keys.Wipe(s.Write, s.Read, s.Exporter)
		s.Resumption.Wipe()
	}
	if r.Session != nil {
		keys.Wipe(r.Session.Secret)
	}
	r.Master, r.Session, r.Secrets13 = nil, nil, nil
}

// JudgesPeer reports whether a function of the caller, which may block, gets the
// certificate or the CertificateRequest of the peer.
func (p *Config) JudgesPeer() bool {
	return p.VerifyPeer != nil || p.VerifyConnection != nil || p.GetClientCertificate != nil
}
